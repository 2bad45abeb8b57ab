"""What the console reads of diagnosis cases, plans, work orders, complaints and incidents."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import LiteralString, Protocol, TypeVar

from console.bodies import AuditBody, ClockBody, Page, Text
from console.clock_bodies import clock_body
from console.cursors import page_of, read_cursor, read_id, read_moment
from console.text import rule_title
from console.work_bodies import (
    ComplaintBody,
    DiagnosisCaseBody,
    DiagnosisCaseDetail,
    IncidentBody,
    WorkOrderBody,
    WorkOrderDetail,
)
from console.work_trail import CASE, COMPLAINT, INCIDENT, ORDER, PLAN
from dispatch import complaint, diagnosis_case, incident, work_order
from model.clock import Clock, utc
from model.complaint import Complaint, Incident
from model.diagnosis_case import DiagnosisCase
from model.record import Record
from model.repair_plan import RepairPlan
from model.work_order import WorkOrder
from store import audit, complaints, diagnosis_cases, masters, repair_plans, work_orders
from store import clocks as clock_rows
from store.database import Connection, Pool, transaction
from store.work_rows import WorkRows

RuleTexts = Mapping[str, Mapping[str, str]]
#: Open cases of one vehicle on the page.
VEHICLE_CASES = 10

#: What `open` means for each noun.
OPEN: LiteralString = "(not %s or t.closed_at is null)"
OPEN_ORDER: LiteralString = "(not %s or t.state not in ('closed', 'declined', 'cancelled'))"
ONE_VIN: LiteralString = "(%s::text is null or v.vin = %s)"
ONE_STATION: LiteralString = "(%s::text is null or t.station_id = %s)"


class Opened(Protocol):
    """A row with a time to sort by."""

    @property
    def opened_at(self) -> datetime: ...


R = TypeVar("R", bound=Record)
B = TypeVar("B", bound=Opened)


class WorkReads:
    """Every question about work, each in its own short transaction."""

    def __init__(self, pool: Pool, clock: Clock, rule_texts: RuleTexts) -> None:
        self.pool, self.clock, self._texts = pool, clock, rule_texts

    def cases(
        self,
        *,
        open_only: bool,
        vin: str | None,
        station_id: str | None,
        cursor: str | None,
        limit: int,
    ) -> Page[DiagnosisCaseBody]:
        """Diagnosis cases, newest first."""
        with transaction(self.pool) as conn:
            rows = _page(
                conn, diagnosis_cases.ROWS, OPEN, open_only, vin, station_id, cursor, limit
            )
            bodies = [self._case(conn, row) for row in rows]
        return _answer(bodies, limit, lambda c: c.case_id)

    def case(self, case_id: uuid.UUID) -> DiagnosisCaseDetail:
        """One case with its plan, order, promises and history. Raises UnknownRowError."""
        with transaction(self.pool) as conn:
            return self._case_detail(conn, diagnosis_cases.ROWS.find(conn, case_id))

    def vehicle_cases(self, vin: str) -> list[DiagnosisCaseDetail]:
        """The open cases of a vehicle, newest first."""
        with transaction(self.pool) as conn:
            rows = _page(conn, diagnosis_cases.ROWS, OPEN, True, vin, None, None, VEHICLE_CASES)
            return [self._case_detail(conn, row) for row in rows]

    def plans(self, case_id: uuid.UUID) -> list[RepairPlan]:
        """Every version of a case's plan. Raises UnknownRowError."""
        with transaction(self.pool) as conn:
            diagnosis_cases.ROWS.find(conn, case_id)
            return repair_plans.versions(conn, case_id)

    def orders(
        self,
        *,
        open_only: bool,
        vin: str | None,
        station_id: str | None,
        cursor: str | None,
        limit: int,
    ) -> Page[WorkOrderBody]:
        """Work orders, newest first."""
        with transaction(self.pool) as conn:
            rows = _page(
                conn, work_orders.ROWS, OPEN_ORDER, open_only, vin, station_id, cursor, limit
            )
            bodies = [_order(conn, row) for row in rows]
        return _answer(bodies, limit, lambda o: o.work_order_id)

    def queue(self, station_id: str | None, limit: int) -> list[WorkOrderBody]:
        """Orders in hand, the priority lane first."""
        with transaction(self.pool) as conn:
            return [_order(conn, row) for row in work_orders.queue(conn, station_id, limit)]

    def order(self, work_order_id: uuid.UUID) -> WorkOrderDetail:
        """One order with its plan, promises and history. Raises UnknownRowError."""
        with transaction(self.pool) as conn:
            row = work_orders.ROWS.find(conn, work_order_id)
            plan = None if row.case_id is None else repair_plans.approved(conn, row.case_id)
            return WorkOrderDetail(
                **_order(conn, row).model_dump(),
                plan=plan,
                clocks=self._clocks(conn, ORDER, work_order_id),
                audit=_trail(conn, ORDER, work_order_id),
            )

    def complaints(
        self, *, open_only: bool, vin: str | None, cursor: str | None, limit: int
    ) -> Page[ComplaintBody]:
        """Complaints, newest first."""
        with transaction(self.pool) as conn:
            rows = _page(conn, complaints.COMPLAINTS, OPEN, open_only, vin, None, cursor, limit)
            bodies = [self._complaint(conn, row) for row in rows]
        return _answer(bodies, limit, lambda c: c.complaint_id)

    def complaint(self, complaint_id: uuid.UUID) -> ComplaintBody:
        """One complaint. Raises UnknownRowError."""
        with transaction(self.pool) as conn:
            return self._complaint(conn, complaints.COMPLAINTS.find(conn, complaint_id))

    def incidents(
        self, *, open_only: bool, vin: str | None, cursor: str | None, limit: int
    ) -> Page[IncidentBody]:
        """Incidents, newest first."""
        with transaction(self.pool) as conn:
            rows = _page(conn, complaints.INCIDENTS, OPEN, open_only, vin, None, cursor, limit)
            bodies = [self._incident(conn, row) for row in rows]
        return _answer(bodies, limit, lambda i: i.incident_id)

    def incident(self, incident_id: uuid.UUID) -> IncidentBody:
        """One incident. Raises UnknownRowError."""
        with transaction(self.pool) as conn:
            return self._incident(conn, complaints.INCIDENTS.find(conn, incident_id))

    def _case(self, conn: Connection, row: DiagnosisCase) -> DiagnosisCaseBody:
        return DiagnosisCaseBody(
            **row.model_dump(),
            plate=masters.vehicle(conn, row.vin).plate,
            title=Text.model_validate(rule_title(self._texts, row.rule_id)),
            evidence_url=f"/v1/alerts/{row.alert_id}/evidence",
        )

    def _case_detail(self, conn: Connection, row: DiagnosisCase) -> DiagnosisCaseDetail:
        plans = repair_plans.versions(conn, row.case_id)
        order = work_orders.of_case(conn, row.case_id)
        trail = [*_trail(conn, CASE, row.case_id), *_trail(conn, PLAN, row.case_id)]
        return DiagnosisCaseDetail(
            **self._case(conn, row).model_dump(),
            alert_ids=diagnosis_cases.alert_ids(conn, row.case_id),
            plan=plans[-1] if plans else None,
            work_order=None if order is None else _order(conn, order),
            clocks=self._clocks(conn, CASE, row.case_id),
            next_steps=diagnosis_case.MACHINE.allows(row.state),
            audit=sorted(trail, key=lambda line: line.recorded_at),
        )

    def _complaint(self, conn: Connection, row: Complaint) -> ComplaintBody:
        return ComplaintBody(
            **row.model_dump(),
            clocks=self._clocks(conn, COMPLAINT, row.complaint_id),
            next_steps=complaint.MACHINE.allows(row.state),
            audit=_trail(conn, COMPLAINT, row.complaint_id),
        )

    def _incident(self, conn: Connection, row: Incident) -> IncidentBody:
        return IncidentBody(
            **row.model_dump(),
            clocks=self._clocks(conn, INCIDENT, row.incident_id),
            next_steps=incident.MACHINE.allows(row.state),
            audit=_trail(conn, INCIDENT, row.incident_id),
        )

    def _clocks(self, conn: Connection, noun: str, key: uuid.UUID) -> list[ClockBody]:
        now = utc(self.clock.now_ns())
        return [clock_body(row, now) for row in clock_rows.of(conn, noun, [str(key)])]


def _order(conn: Connection, row: WorkOrder) -> WorkOrderBody:
    return WorkOrderBody(
        **row.model_dump(),
        plate=masters.vehicle(conn, row.vin).plate,
        next_steps=work_order.MACHINE.allows(row.state),
    )


def _trail(conn: Connection, noun: str, key: uuid.UUID) -> list[AuditBody]:
    return [AuditBody.model_validate(asdict(line)) for line in audit.of(conn, noun, str(key))]


def _page(
    conn: Connection,
    table: WorkRows[R],
    is_open: LiteralString,
    open_only: bool,
    vin: str | None,
    station_id: str | None,
    cursor: str | None,
    limit: int,
) -> list[R]:
    """One row more than asked for says that there is another page."""
    condition, values = is_open + " and " + ONE_VIN, [open_only, vin, vin]
    if station_id is not None:
        condition, values = condition + " and " + ONE_STATION, [*values, station_id, station_id]
    return table.page(conn, condition, values, before=_place(cursor), limit=limit + 1)


def _place(cursor: str | None) -> tuple[datetime, uuid.UUID] | None:
    """Where a list by time and id goes on."""
    if not cursor:
        return None
    moment, key = read_cursor(cursor, (str, str))
    return read_moment(moment), read_id(str(key))


def _answer(bodies: Sequence[B], limit: int, key: Callable[[B], uuid.UUID]) -> Page[B]:
    return page_of(bodies, limit, lambda b: (b.opened_at.isoformat(), str(key(b))))
