"""What people do with diagnosis cases and work orders, each as one transaction.

A step is written with its audit line, its clocks, and all that follows from it; a case comes along
with its order. `dispatch` says what a step means, `store` keeps it; this module joins the two. The
functions that take a connection are for callers with a transaction of their own.
"""

from __future__ import annotations

import uuid

from console.acts import Act, seen
from console.work_trail import (
    CASE,
    ORDER,
    check_station,
    follow_clocks,
    or_logged,
    vehicle_of,
    write_down,
)
from dispatch import clocks, diagnosis_case, work_clocks, work_messages
from dispatch import work_order as orders
from dispatch.diagnosis_case import CaseFacts, CaseStep
from dispatch.work_order import OrderFacts, OrderStep
from model.alerts import Handling
from model.diagnosis_case import CLOSED_CASES, DiagnosisCase
from model.work_order import WorkOrder, WorkOrderState
from store import alerts, audit, diagnosis_cases, notify, outbox, repair_plans, roster, work_orders
from store import clocks as clock_rows
from store.database import Connection, Pool, transaction

S = WorkOrderState
#: States of an order in which the car is in the workshop, or has been there.
BEEN_HERE = frozenset(
    {
        S.CHECKED_IN,
        S.DIAGNOSING,
        S.QUOTED,
        S.APPROVED,
        S.IN_REPAIR,
        S.WAITING_PARTS,
        S.QUALITY_CHECK,
        S.READY,
        S.HANDED_OVER,
        S.VERIFYING,
    }
)


def take_case(
    conn: Connection, case: DiagnosisCase, verb: CaseStep, act: Act, facts: CaseFacts | None = None
) -> DiagnosisCase:
    """Write one step of a locked case and everything that follows from it.

    Raises TransitionError (nothing changed) and KeyReusedError.
    """
    facts = facts or CaseFacts()
    if verb in diagnosis_case.LEVELS and facts.owner is None:
        facts = facts.model_copy(update={"owner": _whoever_helps(conn, case, verb, act)})
    after = or_logged(
        CASE,
        case.case_id,
        lambda: diagnosis_case.step(case, verb, now=act.now, reason=act.reason, facts=facts),
    )
    diagnosis_cases.ROWS.save(conn, after)
    write_down(conn, CASE, case.case_id, verb, act, case.state, after.state, after.version)
    vehicle = vehicle_of(conn, case.vin)
    follow_clocks(conn, work_clocks.DIAGNOSIS_CASE, CASE, case.case_id, verb, after.state, act,
                  vehicle, station_id=after.station_id)  # fmt: skip
    if verb in diagnosis_case.LEVELS:
        outbox.add(conn, work_messages.escalated(after, vehicle, act.reason))
    elif verb is CaseStep.TRIAGE:
        _handle(conn, after, Handling.IN_PROGRESS)
    elif after.state in CLOSED_CASES:
        clock_rows.stop(conn, CASE, str(case.case_id), act.now)
        _handle(conn, after, Handling.RESOLVED)
    order = work_orders.of_case(conn, case.case_id)
    return after if order is None else _catch_up(conn, after, order, act)


def take_order(
    conn: Connection, order: WorkOrder, verb: OrderStep, act: Act, facts: OrderFacts | None = None
) -> WorkOrder:
    """Write one step of a locked order; its case comes along. Raises as `take_case` does."""
    facts = facts or OrderFacts()
    check_station(conn, facts.station_id)
    case = None if order.case_id is None else diagnosis_cases.ROWS.lock(conn, order.case_id)
    planned = case is None or case.planned_at is not None
    after = or_logged(
        ORDER,
        order.work_order_id,
        lambda: orders.step(
            order, verb, now=act.now, reason=act.reason, facts=facts, plan_approved=planned
        ),
    )
    work_orders.ROWS.save(conn, after)
    at = after.changed_at
    write_down(conn, ORDER, order.work_order_id, verb, act, order.state, after.state,
               after.version, at=at.isoformat())  # fmt: skip
    order_clocks(conn, after, verb, act)
    if after.state is S.REOPENED:
        vehicle = vehicle_of(conn, order.vin)
        outbox.add(conn, work_messages.reopened(after, vehicle, act.reason))
    if case is not None:
        if after.state is S.IN_REPAIR:
            kinds = [clocks.GBT45688_HANDLING]
            clock_rows.stop(conn, CASE, str(case.case_id), at, kinds=kinds)
        _catch_up(conn, case, after, act)
    return after


def _whoever_helps(conn: Connection, case: DiagnosisCase, verb: CaseStep, act: Act) -> str | None:
    """Whoever the roster names for the skills of the plan: an expert, or the region's engineer."""
    plans = repair_plans.versions(conn, case.case_id)
    skills = plans[-1].body.skills if plans else frozenset[str]()
    if verb is CaseStep.CALL_EXPERT:
        return roster.expert(conn, skills, act.now)
    return roster.engineer(conn, case.station_id, skills, act.now)


def order_clocks(conn: Connection, order: WorkOrder, verb: str, act: Act) -> None:
    """What a step of an order does to its clocks; they count from when it was done."""
    at, promised = order.changed_at, order.promised_at
    target_s = max(0.0, (promised - at).total_seconds()) if promised else None
    skip = () if any(part.urgent for part in order.parts) else (clocks.PARTS,)
    noun_id = str(order.work_order_id)
    if order.state not in work_clocks.OWNERS_TURN:
        clock_rows.resume(conn, ORDER, noun_id, at)
    follow_clocks(conn, work_clocks.WORK_ORDER, ORDER, order.work_order_id, verb, order.state,
                  Act(act.actor, at), vehicle_of(conn, order.vin), station_id=order.station_id,
                  targets_s={clocks.PROMISED_READY: target_s}, skip=skip)  # fmt: skip
    if order.state in work_clocks.OWNERS_TURN:
        clock_rows.pause(conn, ORDER, noun_id, at, state=order.state)


def _catch_up(conn: Connection, case: DiagnosisCase, order: WorkOrder, act: Act) -> DiagnosisCase:
    """Bring a case to where its order is, as far as its table allows.

    A case that waits for help from above stays there until somebody plans.
    """
    allowed = diagnosis_case.MACHINE.allows(case.state)
    verb: CaseStep | None = None
    if order.state is S.BOOKED and CaseStep.AWAIT in allowed:
        verb = CaseStep.AWAIT
    elif order.state in BEEN_HERE and case.state not in diagnosis_case.HELPED:
        verb = CaseStep.ARRIVE if CaseStep.ARRIVE in allowed else None
    elif order.state is S.CLOSED and CaseStep.FINISH in allowed:
        verb = CaseStep.FINISH
    if verb is None:
        return case
    _, odometer_km, _ = work_orders.heard(conn, case.vin)
    facts = CaseFacts(odometer_km=order.odometer_km if odometer_km is None else odometer_km)
    return take_case(conn, case, verb, Act(act.actor, act.now, f"work order {order.state}"), facts)


def _handle(conn: Connection, case: DiagnosisCase, handling: Handling) -> None:
    """What people did with the alerts of a case; one that is resolved or dismissed stays so."""
    for alert_id in diagnosis_cases.alert_ids(conn, case.case_id):
        if alerts.lock_handling(conn, alert_id) not in (Handling.RESOLVED, Handling.DISMISSED):
            alerts.set_handling(conn, alert_id, handling)
            notify.alert(conn, alert_id)


def move_case(
    pool: Pool, case_id: uuid.UUID, verb: CaseStep, act: Act, facts: CaseFacts
) -> DiagnosisCase:
    """One step of a case by a person. Raises UnknownRowError, and as `take_case` does."""
    with transaction(pool) as conn:
        case = diagnosis_cases.ROWS.lock(conn, case_id)
        if seen(conn, CASE, str(case_id), verb, act):
            return case
        return take_case(conn, case, verb, act, facts)


def move_order(
    pool: Pool, work_order_id: uuid.UUID, verb: OrderStep, act: Act, facts: OrderFacts
) -> WorkOrder:
    """One step of an order by a person. Raises as `move_case` does."""
    with transaction(pool) as conn:
        order = work_orders.lock(conn, work_order_id)
        if seen(conn, ORDER, str(work_order_id), verb, act):
            return order
        return take_order(conn, order, verb, act, facts)


def tell_order(
    pool: Pool, work_order_id: uuid.UUID, state: WorkOrderState, act: Act, facts: OrderFacts
) -> WorkOrder:
    """An outside system tells the state of an order; the step is the one that leads there.

    The state it has already, told again, changes nothing unless the table has such a step: a
    progress report, another date. Raises as `move_case` does.
    """
    with transaction(pool) as conn:
        order = work_orders.lock(conn, work_order_id)
        line = None if act.key is None else audit.by_key(conn, act.key)
        if line is not None and seen(conn, ORDER, str(work_order_id), line.step, act):
            return order
        steps_here = [v for v in orders.MACHINE.allows(order.state) if v in orders.TOLD_AGAIN]
        if order.state is state:
            return take_order(conn, order, steps_here[0], act, facts) if steps_here else order
        verb = or_logged(
            ORDER, work_order_id, lambda: orders.MACHINE.leading_to(order.state, state)
        )
        return take_order(conn, order, verb, act, facts)
