"""Counts over everything stored, and the key figures of a period (definitions: docs/kpis.md)."""

from __future__ import annotations

from datetime import date, datetime

from psycopg.rows import class_row

from model.record import Record
from store.database import Connection


class Figure(Record):
    """One key figure: `part` / `whole`; None where there is nothing to count."""

    key: str
    part: float
    whole: float
    value: float | None


class StationLoad(Record):
    """How full a workshop is, with the work that can be foreseen for 7 days."""

    station_id: str
    bays: int
    customers: int
    in_workshop: int
    booked: int
    predicted: int
    load: float | None  # (in_workshop + booked + predicted) / bays; None where bays are not known
    customers_per_bay: float | None


def key_figures(
    conn: Connection, first: date, last: date, station_id: str | None = None
) -> list[Figure]:
    """Every figure over these days, both included, of one station or of all.

    Minutes, hours or shares of 1, as the key says.
    """
    with conn.cursor(row_factory=class_row(Figure)) as cur:
        return cur.execute(
            "select * from kpi_figures(%s, %s, %s)", [first, last, station_id]
        ).fetchall()


def station_loads(
    conn: Connection, now: datetime, station_id: str | None = None
) -> list[StationLoad]:
    """Load of each active station, the fullest first."""
    with conn.cursor(row_factory=class_row(StationLoad)) as cur:
        return cur.execute(
            "select * from station_load_at(%(now)s)"
            " where %(station)s::text is null or station_id = %(station)s"
            " order by load desc nulls last, station_id",
            {"now": now, "station": station_id},
        ).fetchall()


def counts(conn: Connection) -> dict[str, int]:
    """frames_stored, alerts (retracted ones left out), rescue_cases, reminders."""
    row = conn.execute(
        "select (select coalesce(sum(n), 0)::bigint from frame_block),"
        " (select count(*) from alert where state <> 'retracted'),"
        " (select count(*) from rescue_case),"
        " (select count(*) from outbox where kind like 'maintenance.%')"
    ).fetchone()
    assert row is not None
    names = ("frames_stored", "alerts", "rescue_cases", "reminders")
    return {name: int(str(value)) for name, value in zip(names, row, strict=True)}


def found_faults(conn: Connection) -> dict[tuple[str, str], int]:
    """Highest severity by (VIN, rule id) of alerts, and 1 by (VIN, kind) of items that are due."""
    rows = conn.execute(
        "select v.vin, a.rule_id, max(a.severity)::int"
        " from alert a join vehicle v using (vehicle_id)"
        " where a.state <> 'retracted' group by 1, 2"
        " union all select v.vin, m.kind, 1"
        " from maintenance_item m join vehicle v using (vehicle_id)"
        " where m.state in ('due', 'overdue')"
    )
    return {(str(vin), str(rule)): int(str(severity)) for vin, rule, severity in rows}
