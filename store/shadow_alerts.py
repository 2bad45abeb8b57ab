"""What a bundle on trial would have said. Nobody is notified of it and nothing follows from it."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import LiteralString

from psycopg import sql
from psycopg.rows import class_row

from model.alerts import AlertState, AlertTransition
from model.severity import Severity
from model.vehicle import Record
from store.alerts import told_columns
from store.database import Connection

WRITE = """
insert into shadow_alert (bundle_hash, alert_id, vehicle_id, rule_id, rule_version, instance,
    severity, state, started_at, fired_at, changed_at, evidence, evidence_at, thresholds)
select t.bundle_hash, t.alert_id, v.vehicle_id, t.rule_id, t.rule_version, t.instance, t.severity,
    t.state, t.started_at, t.fired_at, t.changed_at, t.evidence, t.evidence_at, t.thresholds
from unnest(%s::text[], %s::uuid[], %s::text[], %s::text[], %s::int[], %s::text[], %s::smallint[],
            %s::text[], %s::timestamptz[], %s::timestamptz[], %s::timestamptz[], %s::jsonb[],
            %s::timestamptz[], %s::jsonb[])
    as t (bundle_hash, alert_id, vin, rule_id, rule_version, instance, severity, state,
          started_at, fired_at, changed_at, evidence, evidence_at, thresholds)
join vehicle v using (vin)
order by t.bundle_hash, t.alert_id
on conflict (bundle_hash, alert_id) do update set
    (severity, state, started_at, fired_at, changed_at, evidence, evidence_at, thresholds)
    = row (excluded.severity, excluded.state, excluded.started_at, excluded.fired_at,
     excluded.changed_at, excluded.evidence, excluded.evidence_at, excluded.thresholds)
"""
SELECT: LiteralString = (
    "select a.bundle_hash, a.alert_id, v.vin, a.rule_id, a.rule_version, a.instance, a.severity,"
    " a.state, a.started_at, a.fired_at, a.evidence_at as worst_at, a.changed_at,"
    " case a.state when 'cleared' then a.changed_at end as cleared_at, a.evidence, a.thresholds"
    " from shadow_alert a join vehicle v using (vehicle_id)"
)


class ShadowAlert(Record):
    """One alert that nobody heard of."""

    bundle_hash: str
    alert_id: uuid.UUID
    vin: str
    rule_id: str
    rule_version: int
    instance: str
    severity: Severity
    state: AlertState
    started_at: datetime
    fired_at: datetime
    worst_at: datetime
    changed_at: datetime
    cleared_at: datetime | None
    evidence: dict[str, float]
    thresholds: dict[str, float]


def write(conn: Connection, transitions: Iterable[AlertTransition]) -> None:
    """Keep what was said last of each alert."""
    told = {(t.bundle_hash, t.alert_id): t for t in transitions}
    if told:
        rows = [told_columns(t) for t in told.values()]
        conn.execute(WRITE, [list(column) for column in zip(*rows, strict=True)])


def page(
    conn: Connection,
    bundle_hash: str,
    *,
    before: tuple[datetime, uuid.UUID] | None = None,
    limit: int = 50,
) -> list[ShadowAlert]:
    """Newest first, without those taken back."""
    moment, alert_id = before or (None, None)
    return _rows(
        conn,
        " where a.bundle_hash = %s and a.state <> 'retracted'"
        " and (%s::timestamptz is null or a.fired_at < %s"
        "      or (a.fired_at = %s and a.alert_id > %s))"
        " order by a.fired_at desc, a.alert_id limit %s",
        [bundle_hash, moment, moment, moment, alert_id, limit],
    )


def overlapping(
    conn: Connection, bundle_hash: str, vehicle_id: int, since: datetime
) -> list[ShadowAlert]:
    """What a trial said of a vehicle that was open at a moment or fired after it, oldest first."""
    return _rows(
        conn,
        " where a.bundle_hash = %s and a.vehicle_id = %s and a.state <> 'retracted'"
        " and (a.state <> 'cleared' or a.changed_at >= %s) order by a.fired_at, a.alert_id",
        [bundle_hash, vehicle_id, since],
    )


def _rows(conn: Connection, tail: LiteralString, values: Sequence[object]) -> list[ShadowAlert]:
    with conn.cursor(row_factory=class_row(ShadowAlert)) as cur:
        return cur.execute(sql.SQL(SELECT + tail), values).fetchall()
