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

CLOSED = [
    CaseState.CLEARED, CaseState.CANCELLED, CaseState.KILLED, CaseState.GONE_ON_ARRIVAL,
]  # fmt: skip
OPEN_ONLY: LiteralString = "c.state not in ('cleared', 'cancelled', 'killed', 'gone_on_arrival')"
SELECT: LiteralString = (
    "select c.case_id, c.alert_id, v.vin, c.severity, c.state, c.latitude_deg, c.longitude_deg,"
    " c.zone, c.requested_at, c.source, c.note, c.needed, c.thermal, c.owner, c.unit_id,"
    " c.offered_at, c.declined_by, c.asked, c.confirmed_at, c.promised_at, c.eta_at, c.arrived_at,"
    " c.arrived_m, c.proven_at, c.second_unit_id, c.second_at, c.second_joined, c.seconds_asked,"
    " c.closed_at, c.version from rescue_case c join vehicle v using (vehicle_id)"
)
INSERT = (
    """
insert into rescue_case (case_id, alert_id, vehicle_id, severity, state, latitude_deg,
    longitude_deg, zone, requested_at, source, note, needed, thermal, owner, unit_id, offered_at,
    declined_by, confirmed_at, version)
select %(case_id)s, %(alert_id)s, v.vehicle_id, %(severity)s, %(state)s, %(latitude_deg)s,
    %(longitude_deg)s, %(zone)s, %(requested_at)s, %(source)s, %(note)s, %(needed)s, %(thermal)s,
    %(owner)s, %(unit_id)s, %(offered_at)s, %(declined_by)s, %(confirmed_at)s, %(version)s
from vehicle v where vin = %(vin)s and (%(source)s <> 'alert' or not exists (
    select from rescue_case c where c.vehicle_id = v.vehicle_id and c.severity >= %(severity)s
    and """
    + OPEN_ONLY
    + """)) on conflict do nothing
"""
)
#: Everything a step may change.
UPDATE = """
update rescue_case set state = %(state)s, latitude_deg = %(latitude_deg)s,
    longitude_deg = %(longitude_deg)s, zone = %(zone)s, owner = %(owner)s, unit_id = %(unit_id)s,
    offered_at = %(offered_at)s, declined_by = %(declined_by)s, asked = %(asked)s,
    confirmed_at = %(confirmed_at)s, promised_at = %(promised_at)s, eta_at = %(eta_at)s,
    arrived_at = %(arrived_at)s, arrived_m = %(arrived_m)s, proven_at = %(proven_at)s,
    second_unit_id = %(second_unit_id)s, second_at = %(second_at)s,
    second_joined = %(second_joined)s, seconds_asked = %(seconds_asked)s,
    closed_at = %(closed_at)s, version = %(version)s
where case_id = %(case_id)s and version = %(version)s - 1
"""
#: Rivals pass a locked row over instead of waiting for it.
#: States stand in the text: the partial indexes over open cases serve no parameter.
LOCK_ONE: LiteralString = " limit 1 for update of c skip locked"
CLAIM: LiteralString = " order by c.requested_at" + LOCK_ONE
CLAIM_WORST: LiteralString = " order by c.severity desc, c.requested_at" + LOCK_ONE


class CaseChangedError(RoadcallError):
    """Somebody else changed the case since it was read; read it again."""

    def __init__(self, case_id: uuid.UUID, version: int) -> None:
        super().__init__(f"case {case_id} is no longer at version {version}")


def insert_requested(conn: Connection, requested: Sequence[RescueCase]) -> None:
    """Open cases; one that exists stays as it is. Their alerts must be stored.

    A car whose rescue is under way needs no second one for another alert that is no worse.
    """
    if not requested:
        return
    ordered = sorted(requested, key=lambda c: c.case_id)
    conn.cursor().executemany(INSERT, [_values(c) for c in ordered])


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


def many(conn: Connection, case_ids: Sequence[str]) -> list[RescueCase]:
    """Those of some cases that exist."""
    return _rows(conn, " where c.case_id = any(%s::uuid[])", [list(case_ids)])


def lock(conn: Connection, case_id: uuid.UUID) -> RescueCase:
    """One case, nobody else's until the transaction ends. Raises UnknownRowError."""
    return _only(_rows(conn, " where c.case_id = %s for update of c", [case_id]))


def save(conn: Connection, case: RescueCase) -> None:
    """Write a changed case over the version before it. Raises CaseChangedError."""
    changed = conn.execute(UPDATE, _values(case))
    if changed.rowcount != 1:
        raise CaseChangedError(case.case_id, case.version - 1)


def observe(
    conn: Connection,
    case_id: uuid.UUID,
    *,
    eta_at: datetime | None,
    proven_at: datetime | None,
) -> None:
    """What a unit's position says; no step of anybody, so the version stays. Lock the case first.

    The first proof counts.
    """
    conn.execute(
        "update rescue_case set eta_at = %s, proven_at = coalesce(proven_at, %s)"
        " where case_id = %s",
        [eta_at, proven_at, case_id],
    )


def claim_without_clock(conn: Connection, kind: str) -> RescueCase | None:
    """The oldest open case nobody has started this clock for, locked."""
    return _first(
        _rows(
            conn,
            " where " + OPEN_ONLY + " and not exists (select from clock k"
            " where k.noun = 'rescue_case' and k.noun_id = c.case_id::text and k.kind = %s)"
            + CLAIM,
            [kind],
        )
    )


def claim_confirmed(conn: Connection) -> RescueCase | None:
    """Of the cases that wait for a crew the most severe, of these the oldest, locked."""
    return _first(_rows(conn, " where c.state = 'confirmed'" + CLAIM_WORST, []))


def claim_offered_before(conn: Connection, moment: datetime) -> RescueCase | None:
    """A case whose offer is older than that, locked."""
    return _first(_rows(conn, " where c.state = 'offered' and c.offered_at < %s" + CLAIM, [moment]))


def claim_broadcast_over(conn: Connection, confirmed_before: datetime) -> RescueCase | None:
    """A broadcast nobody has taken in time, or that nobody is left to take, locked."""
    return _first(
        _rows(
            conn,
            " where c.state = 'broadcast' and (c.confirmed_at <= %s or c.asked = '{}')" + CLAIM,
            [confirmed_before],
        )
    )


def claim_second_before(conn: Connection, moment: datetime) -> RescueCase | None:
    """A case whose second crew was asked before that and has not answered, locked."""
    return _first(
        _rows(
            conn,
            " where c.state in ('accepted', 'en_route') and not c.second_joined"
            " and c.second_at <= %s" + CLAIM,
            [moment],
        )
    )


def claim_late(
    conn: Connection, now: datetime, *, percent: float, asked_at_most: int
) -> RescueCase | None:
    """A case that will miss its arrival promise: so much of it is used, and the crew's ETA is
    unknown, later, or past without the crew; locked.
    """
    return _first(
        _rows(
            conn,
            " join clock k on k.noun = 'rescue_case' and k.noun_id = c.case_id::text"
            " and k.kind = 'arrival' and k.stopped_at is null"
            " where c.state in ('accepted', 'en_route') and c.second_unit_id is null"
            " and c.seconds_asked < %s"
            " and (c.eta_at is null or c.eta_at > k.due_at or c.eta_at <= %s)"
            " and k.started_at + (k.due_at - k.started_at) * %s::float8 / 100 <= %s" + CLAIM,
            [asked_at_most, now, percent, now],
        )
    )


def claim_unanswered(conn: Connection, severity: int, before: datetime) -> RescueCase | None:
    """A case of at least that severity nobody has confirmed since then, locked."""
    return _first(
        _rows(
            conn,
            " where c.state in ('requested', 'geocoded') and c.severity >= %s"
            " and c.requested_at <= %s" + CLAIM,
            [severity, before],
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
        " and (not %s or " + OPEN_ONLY + ")"
        " and (%s::text is null or v.vin = %s)"
        " order by c.requested_at desc, c.case_id desc limit %s",
        [moment, moment, case_id, open_only, vin, vin, limit],
    )


def of_alert(conn: Connection, alert_id: uuid.UUID) -> RescueCase | None:
    """The case an alert opened, if it did."""
    return _first(_rows(conn, " where c.alert_id = %s", [alert_id]))


def _values(case: RescueCase) -> dict[str, object]:
    return case.model_dump() | {
        "severity": int(case.severity),
        "needed": list(case.needed),
        "declined_by": list(case.declined_by),
        "asked": list(case.asked),
    }


def _rows(conn: Connection, tail: LiteralString, values: Sequence[object]) -> list[RescueCase]:
    with conn.cursor(row_factory=class_row(RescueCase)) as cur:
        return cur.execute(sql.SQL(SELECT + tail), values).fetchall()


def _first(rows: list[RescueCase]) -> RescueCase | None:
    return rows[0] if rows else None


def _only(rows: list[RescueCase]) -> RescueCase:
    if not rows:
        raise UnknownRowError("case")
    return rows[0]
