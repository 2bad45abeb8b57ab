"""Silences and modes, and what holds for each alert because of them."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import LiteralString

import orjson
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from model.suppression import STORM, AlertFacts, Inhibitor, Ruling, Silence, VehicleMode
from store import alerts
from store.alerts import StoredAlert
from store.database import Connection, UnknownRowError

SILENCE: LiteralString = (
    "select silence_id, matchers, starts_at, ends_at, emergencies, actor, reason, created_at"
    " from silence"
)
MODE: LiteralString = (
    "select m.mode_id, v.vin, m.mode, m.starts_at, m.ends_at, m.actor, m.reason, m.created_at"
    " from vehicle_mode m join vehicle v using (vehicle_id)"
)
ENDED: LiteralString = "coalesce(a.cleared_at, case when a.state = 'expired' then a.changed_at end)"
#: `lifted_at` stays from the first time an alert was heard after all.
RULE = """
update alert a set suppressed_by = r.suppressed_by, suppressed_until = r.suppressed_until,
    occurrence = r.occurrence, first_alert_id = r.first_alert_id,
    lifted_at = case when a.suppressed_by is not null and r.suppressed_by is null
        then coalesce(a.lifted_at, %(now)s) else a.lifted_at end
from unnest(%(alert)s::uuid[], %(by)s::text[], %(until)s::timestamptz[], %(occurrence)s::int[],
            %(first)s::uuid[])
    r (alert_id, suppressed_by, suppressed_until, occurrence, first_alert_id)
where a.alert_id = r.alert_id
    and (a.suppressed_by, a.suppressed_until, a.occurrence, a.first_alert_id) is distinct from
        (r.suppressed_by, r.suppressed_until, r.occurrence, r.first_alert_id)
returning a.alert_id
"""


def rows_of(conn: Connection, vehicle_id: int, since: datetime) -> list[AlertFacts]:
    """A vehicle's alerts that stood at a moment or later; neither retracted ones nor storms."""
    with conn.cursor(row_factory=class_row(AlertFacts)) as cur:
        return cur.execute(
            "select a.alert_id, a.rule_id, a.instance, a.severity, a.started_at, a.fired_at, "  # noqa: S608
            + ENDED
            + " as ended_at, a.inhibit_by, a.suppressed_by, a.occurrence, a.first_alert_id"
            " from alert a where a.vehicle_id = %s and a.state <> 'retracted' and a.rule_id <> %s"
            " and coalesce(" + ENDED + ", 'infinity') >= %s",
            [vehicle_id, STORM, since],
        ).fetchall()


def storms_since(conn: Connection, vehicle_id: int, since: datetime) -> list[StoredAlert]:
    """Storms of a vehicle that stood at a moment or later."""
    return [row for row in alerts.overlapping(conn, vehicle_id, since) if row.rule_id == STORM]


def name_causes(conn: Connection, causes: Mapping[uuid.UUID, Sequence[Inhibitor]]) -> None:
    """Keep with alerts which root causes their rules name."""
    if causes:
        conn.execute(
            "update alert a set inhibit_by = c.body"
            " from unnest(%s::uuid[], %s::jsonb[]) c (alert_id, body)"
            " where a.alert_id = c.alert_id and a.inhibit_by <> c.body",
            [
                list(causes),
                [orjson.dumps([i.model_dump() for i in c]).decode() for c in causes.values()],
            ],
        )


def rule(conn: Connection, rulings: Mapping[uuid.UUID, Ruling], now: datetime) -> list[uuid.UUID]:
    """Write what holds now; which alerts changed."""
    if not rulings:
        return []
    values = {
        "now": now,
        "alert": list(rulings),
        "by": [r.suppressed_by for r in rulings.values()],
        "until": [r.until for r in rulings.values()],
        "occurrence": [r.occurrence for r in rulings.values()],
        "first": [r.first_alert_id for r in rulings.values()],
    }
    return [uuid.UUID(str(row[0])) for row in conn.execute(RULE, values)]


def follow_handling(conn: Connection, alert_ids: Sequence[uuid.UUID]) -> None:
    """A fault that is back is in the hands it was in before."""
    conn.execute(
        "update alert a set handling = b.handling from alert b"
        " where a.alert_id = any(%s) and a.handling = 'new' and a.occurrence > 1"
        " and a.grouped = false and b.alert_id <> a.alert_id and b.vehicle_id = a.vehicle_id"
        " and b.rule_id = a.rule_id and b.instance = a.instance and b.state <> 'retracted'"
        " and coalesce(b.first_alert_id, b.alert_id) = a.first_alert_id"
        " and b.occurrence = a.occurrence - 1 and b.handling in ('acknowledged', 'in_progress')",
        [list(alert_ids)],
    )


def in_hand(conn: Connection, alert_ids: Sequence[uuid.UUID]) -> set[uuid.UUID]:
    """Of these alerts, those that shall open no rescue case: hushed, or one is under way."""
    rows = conn.execute(
        "select a.alert_id from alert a where a.alert_id = any(%s)"
        " and (a.suppressed_by is not null or exists (select from alert b"
        "  join rescue_case c on c.alert_id = b.alert_id"
        "  where b.alert_id <> a.alert_id and c.closed_at is null"
        "  and c.state not in ('cleared', 'cancelled', 'killed', 'gone_on_arrival')"
        "  and coalesce(b.first_alert_id, b.alert_id) = a.first_alert_id))",
        [list(alert_ids)],
    )
    return {uuid.UUID(str(row[0])) for row in rows}


def add_silence(conn: Connection, row: Silence) -> None:
    """Write a silence; one that is there already stays."""
    conn.execute(
        "insert into silence (silence_id, matchers, starts_at, ends_at, emergencies, actor, reason,"
        " created_at) values (%s, %s, %s, %s, %s, %s, %s, %s) on conflict do nothing",
        [
            row.silence_id,
            Jsonb(row.matchers.model_dump(mode="json", exclude_none=True)),
            row.starts_at,
            row.ends_at,
            row.emergencies,
            row.actor,
            row.reason,
            row.created_at,
        ],
    )


def silence(conn: Connection, silence_id: uuid.UUID) -> Silence:
    """One silence, locked. Raises UnknownRowError."""
    found = _silences(conn, " where silence_id = %s for update", [silence_id])
    if not found:
        raise UnknownRowError("silence")
    return found[0]


def silences(conn: Connection, since: datetime) -> list[Silence]:
    """Those that were in force at a moment or come later, the first to end first."""
    return _silences(conn, " where ends_at > %s order by ends_at, silence_id", [since])


def end_silence(conn: Connection, silence_id: uuid.UUID, at: datetime) -> None:
    """It ends now, or never begins; what it hushed is looked at again."""
    conn.execute(
        "update silence set ends_at = least(ends_at, greatest(starts_at, %s)), applied_at = null"
        " where silence_id = %s",
        [at, silence_id],
    )


def add_mode(conn: Connection, row: VehicleMode) -> None:
    """Write a mode of a vehicle. Raises UnknownRowError."""
    added = conn.execute(
        "insert into vehicle_mode (mode_id, vehicle_id, mode, starts_at, ends_at, actor, reason,"
        " created_at) select %s, vehicle_id, %s, %s, %s, %s, %s, %s from vehicle where vin = %s",
        [
            row.mode_id,
            row.mode,
            row.starts_at,
            row.ends_at,
            row.actor,
            row.reason,
            row.created_at,
            row.vin,
        ],
    )
    if added.rowcount == 0:
        raise UnknownRowError("vehicle")


def modes(
    conn: Connection, since: datetime, *, vehicle_id: int | None = None, vin: str | None = None
) -> list[VehicleMode]:
    """Modes in force at a moment or later, of one vehicle or of all, the first to end first."""
    with conn.cursor(row_factory=class_row(VehicleMode)) as cur:
        return cur.execute(
            MODE + " where m.ends_at > %s and (%s::int is null or m.vehicle_id = %s)"
            " and (%s::text is null or v.vin = %s) order by m.ends_at, m.mode_id",
            [since, vehicle_id, vehicle_id, vin, vin],
        ).fetchall()


def end_modes(conn: Connection, vin: str, at: datetime) -> int:
    """The vehicle is on the road as usual again; how many modes that ended."""
    return conn.execute(
        "update vehicle_mode m set ends_at = greatest(m.starts_at, %s), applied_at = null"
        " from vehicle v where v.vehicle_id = m.vehicle_id and v.vin = %s and m.ends_at > %s",
        [at, vin, at],
    ).rowcount


def claim_begun(conn: Connection, now: datetime) -> list[int]:
    """Vehicles with standing alerts that a silence or mode begun or ended since may concern."""
    vins = [
        row[0]
        for row in conn.execute(
            "update silence set applied_at = %s where applied_at is null and starts_at <= %s"
            " returning matchers ->> 'vin'",
            [now, now],
        )
    ]
    cars = [
        row[0]
        for row in conn.execute(
            "update vehicle_mode set applied_at = %s where applied_at is null and starts_at <= %s"
            " returning vehicle_id",
            [now, now],
        )
    ]
    if not vins and not cars:
        return []
    rows = conn.execute(
        "select distinct a.vehicle_id from alert a join vehicle v using (vehicle_id)"
        " where a.state in ('firing', 'stale')"
        " and (%s or v.vin = any(%s) or a.vehicle_id = any(%s))",
        [None in vins, [v for v in vins if v is not None], cars],
    )
    return [int(str(row[0])) for row in rows]


def claim_over(conn: Connection, now: datetime, limit: int) -> list[int]:
    """Vehicles with a standing alert whose suppression may be over."""
    rows = conn.execute(
        "select distinct vehicle_id from alert where suppressed_by is not null"
        " and state in ('firing', 'stale') and suppressed_until <= %s limit %s",
        [now, limit],
    )
    return [int(str(row[0])) for row in rows]


def lock(conn: Connection, vehicle_ids: Iterable[int]) -> None:
    """Nobody else judges these vehicles until the transaction ends. Before any of their alerts."""
    conn.execute(
        "select from vehicle where vehicle_id = any(%s) order by vehicle_id for no key update",
        [sorted(set(vehicle_ids))],
    )


def standing_since(conn: Connection, vehicle_id: int) -> tuple[str, datetime] | None:
    """A vehicle's VIN, and when the oldest of its standing alerts fired."""
    row = conn.execute(
        "select v.vin, min(a.fired_at) from alert a join vehicle v using (vehicle_id)"
        " where a.vehicle_id = %s and a.state in ('firing', 'stale') group by v.vin",
        [vehicle_id],
    ).fetchone()
    return (str(row[0]), row[1]) if row and isinstance(row[1], datetime) else None


def lift(conn: Connection, alert_ids: Sequence[uuid.UUID], now: datetime) -> None:
    """These may be dispatched from now on, like alerts that are hushed no more."""
    conn.execute(
        "update alert set lifted_at = coalesce(lifted_at, %s) where alert_id = any(%s)",
        [now, list(alert_ids)],
    )


def _silences(conn: Connection, tail: LiteralString, values: Sequence[object]) -> list[Silence]:
    with conn.cursor(row_factory=class_row(Silence)) as cur:
        return cur.execute(SILENCE + tail, values).fetchall()
