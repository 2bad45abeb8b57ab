"""Rescue cases: one row each, changed by comparing versions."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import LiteralString

from psycopg import sql
from psycopg.rows import class_row

from model.errors import RoadcallError
from model.rescue import CaseState, RescueCase
from store.database import Connection, UnknownRowError

CLOSED = [CaseState.CLEARED, CaseState.CANCELLED]
SELECT: LiteralString = (
    "select c.case_id, c.alert_id, v.vin, c.severity, c.state, c.latitude_deg, c.longitude_deg,"
    " c.zone, c.requested_at, c.unit_id, c.offered_at, c.declined_by, c.version"
    " from rescue_case c join vehicle v using (vehicle_id)"
)
#: Rivals pass a locked row over instead of waiting for it.
CLAIM: LiteralString = " order by c.requested_at limit 1 for update of c skip locked"


class CaseChangedError(RoadcallError):
    """Somebody else changed the case since it was read; read it again."""

    def __init__(self, case_id: uuid.UUID, version: int) -> None:
        super().__init__(f"case {case_id} is no longer at version {version}")


def insert_requested(conn: Connection, requested: Sequence[RescueCase]) -> None:
    """Open cases; one that exists stays as it is. Their alerts must be stored."""
    if not requested:
        return
    ordered = sorted(requested, key=lambda c: c.case_id)
    conn.cursor().executemany(
        "insert into rescue_case (case_id, alert_id, vehicle_id, severity, state, latitude_deg,"
        " longitude_deg, zone, requested_at, unit_id, offered_at, declined_by, version)"
        " select %s, %s, vehicle_id, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s"
        " from vehicle where vin = %s on conflict do nothing",
        [
            (
                c.case_id, c.alert_id, int(c.severity), c.state, c.latitude_deg, c.longitude_deg,
                c.zone, c.requested_at, c.unit_id, c.offered_at, list(c.declined_by), c.version,
                c.vin,
            )
            for c in ordered
        ],
    )  # fmt: skip


def follow(conn: Connection, replaced: Iterable[tuple[uuid.UUID, uuid.UUID]]) -> None:
    """The same fault was found under another alert (old, new): its open case goes with it."""
    conn.cursor().executemany(
        "update rescue_case c set alert_id = %s where alert_id = %s and state <> all(%s)"
        " and not exists (select from rescue_case o where o.alert_id = %s)",
        [(new, old, CLOSED, new) for old, new in replaced],
    )


def find(conn: Connection, case_id: uuid.UUID) -> RescueCase:
    """One case. Raises UnknownRowError."""
    return _only(_rows(conn, " where c.case_id = %s", [case_id]))


def lock(conn: Connection, case_id: uuid.UUID) -> RescueCase:
    """One case, nobody else's until the transaction ends. Raises UnknownRowError."""
    return _only(_rows(conn, " where c.case_id = %s for update of c", [case_id]))


def save(conn: Connection, case: RescueCase) -> None:
    """Write a changed case over the version before it. Raises CaseChangedError."""
    changed = conn.execute(
        "update rescue_case set state = %s, unit_id = %s, offered_at = %s, declined_by = %s,"
        " zone = %s, latitude_deg = %s, longitude_deg = %s, version = %s"
        " where case_id = %s and version = %s",
        [
            case.state, case.unit_id, case.offered_at, list(case.declined_by), case.zone,
            case.latitude_deg, case.longitude_deg, case.version, case.case_id, case.version - 1,
        ],
    )  # fmt: skip
    if changed.rowcount != 1:
        raise CaseChangedError(case.case_id, case.version - 1)


def claim_without_clock(conn: Connection, kind: str) -> RescueCase | None:
    """The oldest open case nobody has started this clock for, locked."""
    return _first(
        _rows(
            conn,
            " where c.state <> all(%s) and not exists"
            " (select from clock k where k.case_id = c.case_id and k.kind = %s)" + CLAIM,
            [CLOSED, kind],
        )
    )


def claim_confirmed(conn: Connection) -> RescueCase | None:
    """The oldest case that waits for a crew, locked."""
    return _first(_rows(conn, " where c.state = %s" + CLAIM, [CaseState.CONFIRMED]))


def claim_offered_before(conn: Connection, moment: datetime) -> RescueCase | None:
    """A case whose offer is older than that, locked."""
    return _first(
        _rows(
            conn, " where c.state = %s and c.offered_at < %s" + CLAIM, [CaseState.OFFERED, moment]
        )
    )


def page(
    conn: Connection,
    *,
    before: tuple[datetime, uuid.UUID] | None = None,
    limit: int = 50,
    open_only: bool = False,
    vin: str | None = None,
) -> list[RescueCase]:
    """Newest first, from below (requested_at, case_id) of the last row of the page before."""
    moment, case_id = before or (None, None)
    return _rows(
        conn,
        " where (%s::timestamptz is null or (c.requested_at, c.case_id) < (%s, %s::uuid))"
        " and (not %s or c.state not in ('cleared', 'cancelled'))"
        " and (%s::text is null or v.vin = %s)"
        " order by c.requested_at desc, c.case_id desc limit %s",
        [moment, moment, case_id, open_only, vin, vin, limit],
    )


def of_alert(conn: Connection, alert_id: uuid.UUID) -> RescueCase | None:
    """The case an alert opened, if it did."""
    return _first(_rows(conn, " where c.alert_id = %s", [alert_id]))


def _rows(conn: Connection, tail: LiteralString, values: Sequence[object]) -> list[RescueCase]:
    with conn.cursor(row_factory=class_row(RescueCase)) as cur:
        return cur.execute(sql.SQL(SELECT + tail), values).fetchall()


def _first(rows: list[RescueCase]) -> RescueCase | None:
    return rows[0] if rows else None


def _only(rows: list[RescueCase]) -> RescueCase:
    if not rows:
        raise UnknownRowError("case")
    return rows[0]
