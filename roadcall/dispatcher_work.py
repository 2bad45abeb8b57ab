"""The dispatcher's turns over diagnosis cases, work orders and incidents.

Each step of the turn handles at most one row in one transaction and says how many it handled.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from console.acts import Act
from console.work_openings import (
    cluster_incident,
    emergency_incident,
    fail_repair,
    open_case,
    raise_level,
)
from console.work_steps import take_case, take_order
from console.work_trail import brand_of, vehicle_of
from dispatch import clocks
from dispatch.diagnosis_case import CaseFacts, CaseStep
from dispatch.rescue import SYSTEM
from dispatch.verification import RepairFacts, Verdict, judge
from dispatch.work_order import OrderStep
from dispatch.work_terms import load_work_terms
from model.clock import Clock, utc
from model.work_order import WorkOrder, WorkOrderState
from store import complaints, diagnosis_cases, work_orders
from store.database import Connection, Pool, transaction

#: Clusters are looked for this often: the query reads a day of alerts.
CLUSTER_EVERY = timedelta(minutes=1)


class WorkTurns:
    """Opens cases, asks for help when a promise is broken, proves repairs, opens incidents."""

    def __init__(self, pool: Pool, clock: Clock) -> None:
        self._pool, self._clock, self._terms = pool, clock, load_work_terms()
        self._clusters_at: datetime | None = None

    def __call__(self) -> int:
        """Every turn once."""
        turns = (
            self.open_cases,
            self.follow_severity,
            self.close_unfounded,
            self.help_late,
            self.prove_repairs,
            self.emergencies,
            self.clusters,
        )
        return sum(turn() for turn in turns)

    def open_cases(self) -> int:
        """Open the case of a serious alert, with its first plan."""
        with transaction(self._pool) as conn:
            alert = diagnosis_cases.claim_alert(conn, self._terms.case_min_severity)
            if alert is None:
                return 0
            open_case(conn, alert, self._act())
            return 1

    def follow_severity(self) -> int:
        """An alert has become graver: so is its case."""
        with transaction(self._pool) as conn:
            found = diagnosis_cases.claim_worse(conn)
            if found is None:
                return 0
            case, severity = found
            act = self._act("the alert became graver")
            case = take_case(conn, case, CaseStep.WORSEN, act, CaseFacts(severity=severity))
            vehicle = vehicle_of(conn, case.vin)
            raise_level(conn, case, vehicle, act, load_work_terms(brand_of(vehicle)))
            return 1

    def close_unfounded(self) -> int:
        """Close a case nobody has begun with when late data has undone its alerts."""
        with transaction(self._pool) as conn:
            case = diagnosis_cases.claim_unfounded(conn)
            if case is None:
                return 0
            take_case(conn, case, CaseStep.SOLVE_REMOTELY, self._act("alert retracted"))
            return 1

    def help_late(self) -> int:
        """A plan or its hypothesis did not come in time: an engineer helps."""
        with transaction(self._pool) as conn:
            kinds = [clocks.PLAN, clocks.PLAN_HYPOTHESIS]
            case = diagnosis_cases.claim_late(conn, kinds, self._now())
            if case is None:
                return 0
            take_case(conn, case, CaseStep.ESCALATE, self._act("no plan in time"))
            return 1

    def prove_repairs(self) -> int:
        """Look at a repair that waits for proof; it is looked at again after a while."""
        now = self._now()
        look_every = timedelta(seconds=self._terms.verify.look_every_s)
        with transaction(self._pool) as conn:
            key = work_orders.unproven(conn, now - look_every)
            if key is None:
                return 0
            order = work_orders.lock(conn, key)
            if order.state is WorkOrderState.HANDED_OVER:
                order = take_order(conn, order, OrderStep.VERIFY, self._act())
            if order.state is WorkOrderState.VERIFYING:
                self._prove(conn, order)
            work_orders.looked_at(conn, key, now)
            return 1

    def _prove(self, conn: Connection, order: WorkOrder) -> None:
        terms = load_work_terms(brand_of(vehicle_of(conn, order.vin))).verify
        found = judge(repair_facts(conn, order), terms)
        if found.verdict is Verdict.PASSED:
            take_order(conn, order, OrderStep.PASS_VERIFICATION, self._act(found.en))
        elif found.verdict is Verdict.FAILED:
            fail_repair(conn, order, self._act(found.en))

    def emergencies(self) -> int:
        """Open the incident of a severity 4 alert."""
        with transaction(self._pool) as conn:
            alert = complaints.find_emergency(conn)
            if alert is None:
                return 0
            emergency_incident(conn, alert, self._act())
            return 1

    def clusters(self) -> int:
        """Open the incident of many cars with one fault at one station."""
        now, terms = self._now(), self._terms.cluster
        if self._clusters_at is not None and now - self._clusters_at < CLUSTER_EVERY:
            return 0
        with transaction(self._pool) as conn:
            since = now - timedelta(hours=terms.hours)
            found = complaints.cluster(
                conn, severity=terms.severity, least=terms.alerts, since=since
            )
            if found is None:
                self._clusters_at = now
                return 0
            rule_id, model, station, vin, fired_at = found
            subject = f"{rule_id}|{model}|{station}|{fired_at.isoformat()}"
            return int(cluster_incident(conn, vin, rule_id, subject, self._act()))

    def _now(self) -> datetime:
        return utc(self._clock.now_ns())

    def _act(self, reason: str = "") -> Act:
        return Act(SYSTEM, self._now(), reason)


def repair_facts(conn: Connection, order: WorkOrder) -> RepairFacts:
    """What the stream says about a repair since its hand-over."""
    assert order.handed_over_at is not None, "only a car that was handed over is watched"
    heard_at, odometer_km, monitors = work_orders.heard(conn, order.vin)
    stands, returned_at = False, None
    if order.case_id is not None:
        case = diagnosis_cases.ROWS.find(conn, order.case_id)
        stands, returned_at = work_orders.fault_since(
            conn, order.vin, case.fault_key, order.handed_over_at
        )
    return RepairFacts(
        handed_over_at=order.handed_over_at,
        handed_over_km=order.odometer_km,
        heard_at=heard_at,
        odometer_km=odometer_km,
        fault_open=stands,
        returned_at=returned_at,
        monitors_complete=monitors,
    )
