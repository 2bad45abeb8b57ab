"""Maintenance items: what is counted, what was found due, what was done."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import LiteralString

from psycopg import sql
from psycopg.rows import dict_row

from model.maintenance import DueAssessment, DueState, MaintenanceItem
from store.database import Connection, UnknownRowError

SELECT: LiteralString = (
    "select m.vehicle_id, v.vin, m.kind, m.interval_km, m.interval_days, m.soon_km, m.soon_days,"
    " m.base_odometer_km, m.base_at, m.state, m.remaining_km, m.remaining_days, m.due_at, m.cycle,"
    " m.assessed_at, m.assessed_odometer_km, o.odometer_km, o.observed_at"
    " from maintenance_item m join vehicle v using (vehicle_id) left join lateral ("
    "   select s.vals[p] as odometer_km, to_timestamp(s.observed_ns[p] / 1e9) as observed_at"
    "   from vehicle_state s, array_position(s.signal_ids,"
    "     (select signal_id from signal where name = 'odometer_km')) p"
    "   where s.vehicle_id = m.vehicle_id) o on true"
)


@dataclass(frozen=True, slots=True)
class StoredItem:
    """A maintenance item with its last assessment and the newest odometer.

    `cycle` counts done records: a reminder's stable key holds it, so each service reminds anew.
    """

    vehicle_id: int
    item: MaintenanceItem
    remaining_km: float | None
    remaining_days: float | None
    due_at: datetime | None
    cycle: int
    assessed_at: datetime | None
    assessed_odometer_km: float | None
    odometer_km: float | None
    odometer_at: datetime | None


def upsert(conn: Connection, items: Sequence[MaintenanceItem]) -> None:
    """Create items, or change intervals and limits; bases and states of known items stay."""
    conn.cursor().executemany(
        "insert into maintenance_item (vehicle_id, kind, interval_km, interval_days, soon_km,"
        " soon_days, base_odometer_km, base_at, state)"
        " select vehicle_id, %s, %s, %s, %s, %s, %s, %s, %s from vehicle where vin = %s"
        " on conflict (vehicle_id, kind) do update set interval_km = excluded.interval_km,"
        " interval_days = excluded.interval_days, soon_km = excluded.soon_km,"
        " soon_days = excluded.soon_days, assessed_at = null",
        [
            (
                i.kind, i.interval_km, i.interval_days, i.soon_km, i.soon_days,
                i.base_odometer_km, i.base_at, i.state, i.vin,
            )
            for i in sorted(items, key=lambda i: (i.vin, i.kind))
        ],
    )  # fmt: skip


def claim_unassessed(conn: Connection, before: datetime, limit: int) -> list[StoredItem]:
    """Items not looked at since `before`, longest waiting first, locked."""
    return _rows(
        conn,
        " where m.assessed_at is null or m.assessed_at < %s"
        " order by m.assessed_at nulls first limit %s for update of m skip locked",
        [before, limit],
    )


def save_assessment(
    conn: Connection,
    item: StoredItem,
    found: DueAssessment,
    *,
    at: datetime,
    odometer_km: float | None,
) -> None:
    """What the counters say now."""
    conn.execute(
        "update maintenance_item set state = %s, remaining_km = %s, remaining_days = %s,"
        " due_at = %s, assessed_at = %s, assessed_odometer_km = %s"
        " where vehicle_id = %s and kind = %s and cycle = %s",
        [
            found.state, found.remaining_km, found.remaining_days, found.due_at, at, odometer_km,
            item.vehicle_id, item.item.kind, item.cycle,
        ],
    )  # fmt: skip


def lock(conn: Connection, vin: str, kind: str) -> StoredItem:
    """One item, nobody else's until the transaction ends. Raises UnknownRowError."""
    found = _rows(conn, " where v.vin = %s and m.kind = %s for update of m", [vin, kind])
    if not found:
        raise UnknownRowError("maintenance item")
    return found[0]


def anchor(conn: Connection, vehicle_id: int, kind: str, odometer_km: float) -> None:
    """Start counting kilometres at a reading, where no service record said where."""
    conn.execute(
        "update maintenance_item set base_odometer_km = %s"
        " where vehicle_id = %s and kind = %s and base_odometer_km is null",
        [odometer_km, vehicle_id, kind],
    )


def rebase(
    conn: Connection, vehicle_id: int, kind: str, *, odometer_km: float, at: datetime
) -> None:
    """The service was done: it counts from here, and will be assessed at once."""
    conn.execute(
        "update maintenance_item set base_odometer_km = %s, base_at = %s, state = 'ok',"
        " remaining_km = null, remaining_days = null, due_at = null, assessed_at = null,"
        " cycle = cycle + 1 where vehicle_id = %s and kind = %s",
        [odometer_km, at, vehicle_id, kind],
    )


def of_vehicle(conn: Connection, vin: str) -> list[StoredItem]:
    """All items of a vehicle."""
    return _rows(conn, " where v.vin = %s order by m.kind", [vin])


def due_page(
    conn: Connection,
    *,
    after: tuple[str, str] = ("", ""),
    limit: int = 50,
    states: Sequence[DueState] = (DueState.DUE_SOON, DueState.DUE, DueState.OVERDUE),
) -> list[StoredItem]:
    """Items in these states by (VIN, kind), from behind the last one of the page before."""
    return _rows(
        conn,
        " where (v.vin, m.kind) > (%s, %s) and m.state = any(%s) order by v.vin, m.kind limit %s",
        [*after, list(states), limit],
    )


def _rows(conn: Connection, tail: LiteralString, values: Sequence[object]) -> list[StoredItem]:
    with conn.cursor(row_factory=dict_row) as cur:
        rows = cur.execute(sql.SQL(SELECT + tail), values).fetchall()
    own = set(MaintenanceItem.model_fields)
    return [
        StoredItem(
            item=MaintenanceItem.model_validate({k: row.pop(k) for k in own}),
            odometer_at=row.pop("observed_at"),
            **row,
        )
        for row in rows
    ]
