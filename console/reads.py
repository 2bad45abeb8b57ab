"""What the console reads: store rows joined into the API's bodies. Synchronous.

API and pages ask here, so they can never say different things.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime

from console.bodies import (
    AlertBody,
    AlertDetail,
    AuditBody,
    CaseBody,
    CaseDetail,
    Chart,
    DueBody,
    Page,
    Text,
    UnitBody,
    VehicleDetail,
    VehicleRow,
)
from console.clock_bodies import clock_body
from console.cursors import page_of, read_cursor, read_id, read_moment
from console.episode_reads import vehicle_episodes
from console.live import Board
from console.text import Language, both, rule_title
from console.values import read_chart, value_bodies
from dispatch.clocks import ARRIVAL
from model.clock import Clock, utc
from model.maintenance import DueState
from model.rescue import RescueCase
from model.severity import Severity
from model.suppression import STORM, Silence
from model.vehicle import Station, Vehicle
from store import alert_groups, alerts, audit, cases, maintenance, masters, readings, suppression
from store import clocks as clock_rows
from store.alerts import StoredAlert
from store.database import Connection, Pool, UnknownRowError, transaction
from store.maintenance import StoredItem

#: What one page column shows at most.
BOARD_ALERTS, BOARD_CASES = 100, 50
#: Open alerts of one vehicle.
VEHICLE_ALERTS = 50

RuleTexts = Mapping[str, Mapping[str, str]]


class Reads:
    """Every question of the console, each in its own short transaction."""

    def __init__(self, pool: Pool, clock: Clock, rule_texts: RuleTexts) -> None:
        self.pool, self.clock, self._texts = pool, clock, rule_texts

    def board(self) -> Board:
        """Everything open, for the page."""
        with transaction(self.pool) as conn:
            standing = alerts.open_page(conn, limit=BOARD_ALERTS)
            recent = alerts.page(conn, limit=BOARD_ALERTS)
            known = {a.alert_id: a.rule_id for a in (*standing, *recent)}
            bodies = self._cases(conn, cases.page(conn, limit=BOARD_CASES, open_only=True), known)
        return Board(
            alerts=tuple(map(self._alert, standing)),
            recent=tuple(map(self._alert, recent)),
            cases=tuple(sorted(bodies, key=_urgency)),
            live=True,
        )

    def silences(self) -> list[Silence]:
        """Silences in force or to come, the first to end first."""
        with transaction(self.pool) as conn:
            return suppression.silences(conn, utc(self.clock.now_ns()))

    def title(self, rule_id: str, language: Language) -> str:
        """What people call a rule."""
        return rule_title(self._texts, rule_id)[language]

    def vehicles(self, search: str, cursor: str | None, limit: int) -> Page[VehicleRow]:
        """Vehicles by VIN whose VIN or plate contains `search`."""
        after = str(read_cursor(cursor, (str,))[0]) if cursor else ""
        with transaction(self.pool) as conn:
            found = masters.vehicle_page(conn, search=search, after=after, limit=limit + 1)
        rows = [VehicleRow.model_validate(v, from_attributes=True) for v in found]
        return page_of(rows, limit, lambda row: (row.vin,))

    def vehicle(self, vin: str) -> VehicleDetail:
        """One vehicle with all a station asks for. Raises UnknownRowError."""
        with transaction(self.pool) as conn:
            vehicle = masters.vehicle(conn, vin)
            state = readings.newest(conn, vin)
            standing = alerts.page(conn, vin=vin, open_only=True, limit=VEHICLE_ALERTS)
            known = {a.alert_id: a.rule_id for a in standing}
            found = cases.page(conn, vin=vin, open_only=True, limit=1)
            opened = self._cases(conn, found, known)
            items = maintenance.of_vehicle(conn, vin)
            found_faults = vehicle_episodes(conn, vin, self._texts, self.clock.now_ns())
        return VehicleDetail(
            vehicle=vehicle,
            observed_at=state.observed_at,
            received_at=state.received_at,
            values=value_bodies(state),
            open_alerts=[self._alert(a) for a in standing],
            episodes=found_faults,
            case=opened[0] if opened else None,
            due_items=[_due(item, vehicle) for item in items],
        )

    def chart(self, vin: str, name: str, start: datetime, end: datetime, step_s: int) -> Chart:
        """One signal over time. Raises UnknownRowError."""
        with transaction(self.pool) as conn:
            return read_chart(conn, vin, name, start, end, step_s=step_s)

    def alerts(
        self,
        *,
        open_only: bool,
        min_severity: Severity,
        vin: str | None,
        cursor: str | None,
        limit: int,
    ) -> Page[AlertBody]:
        """Alerts, newest first."""
        with transaction(self.pool) as conn:
            rows = alerts.page(
                conn,
                before=_place(cursor),
                limit=limit + 1,
                vin=vin,
                open_only=open_only,
                min_severity=min_severity,
            )
        return page_of(
            [self._alert(row) for row in rows],
            limit,
            lambda a: (a.fired_at.isoformat(), str(a.alert_id)),
        )

    def alert(self, alert_id: uuid.UUID) -> AlertDetail:
        """One alert with its case and audit trail. Raises UnknownRowError."""
        with transaction(self.pool) as conn:
            row = alerts.find(conn, alert_id)
            opened = cases.of_alert(conn, alert_id)
            trail = audit.of(conn, "alert", str(alert_id))
            folded = alert_groups.folded(conn, alert_id) if row.rule_id == STORM else []
        return AlertDetail(
            **self._alert(row).model_dump(),
            case_id=opened.case_id if opened else None,
            audit=_trail(trail),
            folded=folded,
        )

    def cases(
        self, *, open_only: bool, vin: str | None, cursor: str | None, limit: int
    ) -> Page[CaseBody]:
        """Rescue cases, newest first."""
        with transaction(self.pool) as conn:
            rows = cases.page(
                conn, before=_place(cursor), limit=limit + 1, open_only=open_only, vin=vin
            )
            bodies = self._cases(conn, rows, {})
        return page_of(bodies, limit, lambda c: (c.requested_at.isoformat(), str(c.case_id)))

    def case(self, case_id: uuid.UUID) -> CaseDetail:
        """One case with its unit and audit trail. Raises UnknownRowError."""
        with transaction(self.pool) as conn:
            body = self._cases(conn, [cases.find(conn, case_id)], {})[0]
            unit = next(
                (u.unit for u in masters.units(conn) if u.unit.unit_id == body.unit_id), None
            )
            trail = audit.of(conn, "rescue_case", str(case_id))
        return CaseDetail(**body.model_dump(), unit=unit, audit=_trail(trail))

    def due_items(
        self,
        *,
        states: Sequence[DueState],
        cursor: str | None,
        limit: int,
        station_id: str | None = None,
    ) -> Page[DueBody]:
        """Maintenance items in these states, by VIN and kind."""
        vin, kind = read_cursor(cursor, (str, str)) if cursor else ("", "")
        with transaction(self.pool) as conn:
            rows = maintenance.due_page(
                conn,
                after=(str(vin), str(kind)),
                limit=limit + 1,
                states=states,
                station_id=station_id,
            )
            owners = masters.vehicles(conn, {row.item.vin for row in rows})
        bodies = [_due(row, owners[row.item.vin].vehicle) for row in rows]
        return page_of(bodies, limit, lambda d: (d.vin, d.kind))

    def due_item(self, vin: str, kind: str) -> DueBody:
        """One maintenance item. Raises UnknownRowError."""
        with transaction(self.pool) as conn:
            vehicle = masters.vehicle(conn, vin)
            found = [i for i in maintenance.of_vehicle(conn, vin) if i.item.kind == kind]
        if not found:
            raise UnknownRowError("maintenance item")
        return _due(found[0], vehicle)

    def stations(self) -> list[Station]:
        """All stations."""
        with transaction(self.pool) as conn:
            return masters.stations(conn)

    def units(self) -> list[UnitBody]:
        """All rescue units."""
        with transaction(self.pool) as conn:
            rows = masters.units(conn)
        return [UnitBody(**row.unit.model_dump(), case_id=row.case_id) for row in rows]

    def _alert(self, row: StoredAlert) -> AlertBody:
        title = Text.model_validate(rule_title(self._texts, row.rule_id))
        return AlertBody(**row.model_dump(), title=title)

    def _cases(
        self, conn: Connection, rows: Sequence[RescueCase], rules: Mapping[uuid.UUID, str]
    ) -> list[CaseBody]:
        """Bodies of cases; `rules` names the rules of alerts that have been read already."""
        owners = masters.vehicles(conn, {row.vin for row in rows})
        names = {u.unit.unit_id: u.unit.name for u in masters.units(conn)} if rows else {}
        clocks = clock_rows.of(conn, "rescue_case", [str(row.case_id) for row in rows])
        arrivals = {c.noun_id: c for c in clocks if c.kind == ARRIVAL}
        now = utc(self.clock.now_ns())
        bodies = []
        for row in rows:
            clock = arrivals.get(str(row.case_id))
            body = CaseBody(
                **row.model_dump(),
                plate=owners[row.vin].vehicle.plate,
                title=self._case_title(conn, row, rules),
                unit_name=names.get(row.unit_id) if row.unit_id else None,
                arrival=clock_body(clock, now) if clock else None,
                clocks=[clock_body(c, now) for c in clocks if c.noun_id == str(row.case_id)],
            )
            bodies.append(body)
        return bodies

    def _case_title(
        self, conn: Connection, case: RescueCase, rules: Mapping[uuid.UUID, str]
    ) -> Text:
        """What is wrong: the rule's title, or what a person said."""
        if case.alert_id is None:
            return (
                Text(zh=case.note, en=case.note)
                if case.note
                else Text.model_validate(both("case_asked", ""))
            )
        rule_id = rules.get(case.alert_id) or alerts.rule_of(conn, case.alert_id)
        return Text.model_validate(rule_title(self._texts, rule_id))


def _place(cursor: str | None) -> tuple[datetime, uuid.UUID] | None:
    """Where a list by time and id goes on."""
    if not cursor:
        return None
    moment, key = read_cursor(cursor, (str, str))
    return read_moment(moment), read_id(str(key))


def _urgency(case: CaseBody) -> tuple[bool, int, datetime]:
    """Running promises first, among them people at risk, then the next deadline."""
    clock = case.arrival
    if clock is None:
        return False, -case.severity, case.requested_at
    return clock.stopped_at is not None, -case.severity, clock.due_at


def _due(row: StoredItem, vehicle: Vehicle) -> DueBody:
    item = row.item
    return DueBody(
        vin=item.vin,
        plate=vehicle.plate,
        kind=item.kind,
        title=Text.model_validate(both(f"kind_{item.kind}", item.kind)),
        state=item.state,
        interval_km=item.interval_km,
        interval_days=item.interval_days,
        interval_h=item.interval_h,
        remaining_km=row.remaining_km,
        remaining_days=row.remaining_days,
        remaining_h=row.remaining_h,
        due_at=row.due_at,
        reason=row.reason,
        base_odometer_km=item.base_odometer_km,
        base_at=item.base_at,
        assessed_at=row.assessed_at,
        use_factor=row.use_factor,
        handling=row.handling,
        handling_until=row.handling_until,
        station_id=row.station_id,
        campaign_id=row.campaign_id,
        flagged=row.flagged,
    )


def _trail(lines: Iterable[audit.AuditLine]) -> list[AuditBody]:
    return [AuditBody.model_validate(asdict(line)) for line in lines]
