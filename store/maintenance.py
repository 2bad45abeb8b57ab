"""Maintenance items: what is counted, what was found due, what people decided, what was done.

Whoever changes items of a vehicle locks its row of maintenance_vehicle first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import LiteralString

from psycopg import sql
from psycopg.rows import dict_row

from model.maintenance import DueAssessment, DueState, ItemHandling, MaintenanceItem
from store.database import Connection, UnknownRowError

SELECT: LiteralString = (
    "select m.vehicle_id, v.vin, m.kind, m.interval_km, m.interval_days, m.interval_h, m.soon_km,"
    " m.soon_days, m.soon_h, m.base_odometer_km, m.base_engine_h, m.base_at, m.state,"
    " m.remaining_km, m.remaining_days, m.remaining_h, m.reason, m.due_at, m.cycle, m.assessed_at,"
    " m.handling, m.handling_until, m.snoozes, m.station_id, m.campaign_id, m.state_since,"
    " m.reminded_step, m.flagged, c.odometer_km, c.odometer_at, c.use_factor"
    " from maintenance_item m join vehicle v using (vehicle_id)"
    " join maintenance_vehicle c using (vehicle_id)"
)
#: Columns of a new item, in the order of `_values`.
INSERT: LiteralString = (
    "insert into maintenance_item (vehicle_id, kind, interval_km, interval_days, interval_h,"
    " soon_km, soon_days, soon_h, base_odometer_km, base_engine_h, base_at, state, campaign_id)"
    " select vehicle_id, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s from vehicle where vin = %s"
    " on conflict (vehicle_id, kind) do "
)


@dataclass(frozen=True, slots=True)
class StoredItem:
    """A maintenance item with its last assessment, what people decided, and the meter.

    `cycle` counts done records; `reminded_step` is the cadence's, in this state.
    """

    vehicle_id: int
    item: MaintenanceItem
    remaining_km: float | None
    remaining_days: float | None
    remaining_h: float | None
    reason: str
    due_at: datetime | None
    cycle: int
    assessed_at: datetime | None
    handling: ItemHandling
    handling_until: datetime | None
    snoozes: int
    station_id: str | None
    campaign_id: str | None
    state_since: datetime | None
    reminded_step: int
    flagged: str | None
    odometer_km: float | None
    odometer_at: datetime | None
    use_factor: float


@dataclass(frozen=True, slots=True)
class Assessed:
    """An item after a look at it."""

    vehicle_id: int
    cycle: int
    item: MaintenanceItem
    found: DueAssessment
    handling: ItemHandling
    handling_until: datetime | None
    state_since: datetime | None
    reminded_step: int


def upsert(conn: Connection, items: Sequence[MaintenanceItem]) -> None:
    """Create items, or change intervals and limits; bases and states of known items stay."""
    _look_again(conn, [i.vin for i in items])
    conn.cursor().executemany(
        INSERT + "update set interval_km = excluded.interval_km,"
        " interval_days = excluded.interval_days, interval_h = excluded.interval_h,"
        " soon_km = excluded.soon_km, soon_days = excluded.soon_days, soon_h = excluded.soon_h",
        [_values(i) for i in sorted(items, key=lambda i: (i.vin, i.kind))],
    )


def add_missing(
    conn: Connection, items: Sequence[MaintenanceItem], campaign_id: str | None = None
) -> None:
    """Create the items that are not there; known ones stay as they are."""
    _look_again(conn, [i.vin for i in items])
    conn.cursor().executemany(
        INSERT + "nothing",
        [_values(i, campaign_id) for i in sorted(items, key=lambda i: (i.vin, i.kind))],
    )


def _values(i: MaintenanceItem, campaign_id: str | None = None) -> tuple[object, ...]:
    return (
        i.kind, i.interval_km, i.interval_days, i.interval_h, i.soon_km, i.soon_days, i.soon_h,
        i.base_odometer_km, i.base_engine_h, i.base_at, i.state, campaign_id, i.vin,
    )  # fmt: skip


def _look_again(conn: Connection, vins: Sequence[str]) -> None:
    """Locks the vehicles' rows; they will be assessed at once."""
    conn.execute(
        "with mine as (select c.vehicle_id from maintenance_vehicle c join vehicle v"
        " using (vehicle_id) where v.vin = any(%s) order by 1 for update of c)"
        " update maintenance_vehicle c set assess_at = '-infinity' from mine"
        " where c.vehicle_id = mine.vehicle_id",
        [list(vins)],
    )


def save_assessments(conn: Connection, rows: Sequence[Assessed], at: datetime) -> None:
    """What the counters say now. An assessment of the cycle before changes nothing."""
    conn.cursor().executemany(
        "update maintenance_item set state = %s, remaining_km = %s, remaining_days = %s,"
        " remaining_h = %s, reason = %s, due_at = %s, handling = %s, handling_until = %s,"
        " state_since = %s, reminded_step = %s, base_odometer_km = %s, base_engine_h = %s,"
        " interval_km = %s, interval_days = %s, interval_h = %s,"
        " soon_km = %s, soon_days = %s, soon_h = %s, assessed_at = %s"
        " where vehicle_id = %s and kind = %s and cycle = %s",
        [
            (
                r.found.state, r.found.remaining_km, r.found.remaining_days, r.found.remaining_h,
                r.found.reason, r.found.due_at, r.handling, r.handling_until, r.state_since,
                r.reminded_step, r.item.base_odometer_km, r.item.base_engine_h, r.item.interval_km,
                r.item.interval_days, r.item.interval_h, r.item.soon_km, r.item.soon_days,
                r.item.soon_h, at, r.vehicle_id, r.item.kind, r.cycle,
            )
            for r in rows
        ],
    )  # fmt: skip


def lock(conn: Connection, vin: str, kind: str) -> StoredItem:
    """One item, nobody else's until the transaction ends. Raises UnknownRowError."""
    conn.execute(
        "select from maintenance_vehicle c join vehicle v using (vehicle_id)"
        " where v.vin = %s for update of c",
        [vin],
    )
    found = _rows(conn, " where v.vin = %s and m.kind = %s for update of m", [vin, kind])
    if not found:
        raise UnknownRowError("maintenance item")
    return found[0]


def rebase(
    conn: Connection,
    item: StoredItem,
    *,
    odometer_km: float | None,
    at: datetime,
    actor: str,
    engine_h: float | None = None,
) -> None:
    """The service was done: it counts from here, and will be assessed at once."""
    key = [item.vehicle_id, item.item.kind]
    conn.execute(
        "insert into maintenance_done (vehicle_id, kind, cycle, done_at, odometer_km, engine_h,"
        " actor) values (%s, %s, %s, %s, %s, %s, %s)",
        [*key, item.cycle + 1, at, odometer_km, engine_h, actor],
    )
    conn.execute(
        "update maintenance_item set base_odometer_km = %s, base_engine_h = %s, base_at = %s,"
        " state = 'ok', remaining_km = null, remaining_days = null, remaining_h = null,"
        " reason = 'none', due_at = null, assessed_at = null, cycle = cycle + 1,"
        " handling = case when campaign_id is null then 'open' else 'not_applicable' end,"
        " handling_until = null, snoozes = 0, station_id = null, state_since = null,"
        " reminded_step = -1, flagged = null where vehicle_id = %s and kind = %s",
        [odometer_km, engine_h, at, *key],
    )
    _assess_soon(conn, item.vehicle_id)


def flag(conn: Connection, item: StoredItem, why: str) -> None:
    """Something an operator must put right; the item stays as it is."""
    conn.execute(
        "update maintenance_item set flagged = %s where vehicle_id = %s and kind = %s",
        [why, item.vehicle_id, item.item.kind],
    )


def set_handling(
    conn: Connection,
    item: StoredItem,
    handling: ItemHandling,
    *,
    until: datetime | None = None,
    station_id: str | None = None,
) -> None:
    """What people decided. An opened item is reminded of anew."""
    conn.execute(
        "update maintenance_item set handling = %(handling)s, handling_until = %(until)s,"
        " station_id = %(station)s, snoozes = snoozes + (%(handling)s = 'snoozed')::int,"
        " reminded_step = case when %(handling)s = 'open' then -1 else reminded_step end"
        " where vehicle_id = %(vehicle)s and kind = %(kind)s",
        {
            "handling": handling,
            "until": until,
            "station": station_id,
            "vehicle": item.vehicle_id,
            "kind": item.item.kind,
        },
    )
    _assess_soon(conn, item.vehicle_id)


def _assess_soon(conn: Connection, vehicle_id: int) -> None:
    conn.execute(
        "update maintenance_vehicle set assess_at = '-infinity' where vehicle_id = %s", [vehicle_id]
    )


def of_vehicle(conn: Connection, vin: str) -> list[StoredItem]:
    """All items of a vehicle."""
    return _rows(conn, " where v.vin = %s order by m.kind", [vin])


def of_vehicles(conn: Connection, vehicle_ids: Sequence[int]) -> dict[int, list[StoredItem]]:
    """All items of some vehicles."""
    found: dict[int, list[StoredItem]] = {number: [] for number in vehicle_ids}
    for row in _rows(conn, " where m.vehicle_id = any(%s) order by m.kind", [list(vehicle_ids)]):
        found[row.vehicle_id].append(row)
    return found


def due_page(
    conn: Connection,
    *,
    after: tuple[str, str] = ("", ""),
    limit: int = 50,
    states: Sequence[DueState] = (DueState.DUE_SOON, DueState.DUE, DueState.OVERDUE),
    station_id: str | None = None,
) -> list[StoredItem]:
    """Items in these states by (VIN, kind), from behind the last one of the page before."""
    return _rows(
        conn,
        " where (v.vin, m.kind) > (%s, %s) and m.state = any(%s)"
        " and (%s::text is null or v.attrs ->> 'preferred_station' = %s)"
        " order by v.vin, m.kind limit %s",
        [*after, list(states), station_id, station_id, limit],
    )


def _rows(conn: Connection, tail: LiteralString, values: Sequence[object]) -> list[StoredItem]:
    with conn.cursor(row_factory=dict_row) as cur:
        rows = cur.execute(sql.SQL(SELECT + tail), values).fetchall()
    own = set(MaintenanceItem.model_fields)
    return [
        StoredItem(
            item=MaintenanceItem.model_validate({k: row.pop(k) for k in own}),
            handling=ItemHandling(row.pop("handling")),
            **row,
        )
        for row in rows
    ]
