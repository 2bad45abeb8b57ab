"""Counts over everything stored, for a summary and for tests."""

from __future__ import annotations

from store.database import Connection


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
