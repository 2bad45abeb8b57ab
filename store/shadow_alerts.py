"""What a bundle on trial would have said. Nobody is notified of it and nothing follows from it."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from datetime import datetime

import orjson
from psycopg.rows import class_row

from model.alerts import AlertState, AlertTransition
from model.clock import utc
from model.severity import Severity
from model.vehicle import Record
from store.database import Connection

WRITE = """
insert into shadow_alert (bundle_hash, alert_id, vehicle_id, rule_id, rule_version, instance,
    severity, state, started_at, fired_at, changed_at, evidence, thresholds)
select t.bundle_hash, t.alert_id, v.vehicle_id, t.rule_id, t.rule_version, t.instance,
    t.severity, t.state, t.started_at, t.fired_at, t.changed_at, t.evidence, t.thresholds
from unnest(%s::text[], %s::uuid[], %s::text[], %s::text[], %s::int[], %s::text[], %s::smallint[],
            %s::text[], %s::timestamptz[], %s::timestamptz[], %s::timestamptz[], %s::jsonb[],
            %s::jsonb[])
    as t (bundle_hash, alert_id, vin, rule_id, rule_version, instance, severity, state,
          started_at, fired_at, changed_at, evidence, thresholds)
join vehicle v using (vin)
order by t.bundle_hash, t.alert_id
on conflict (bundle_hash, alert_id) do update set
    (severity, state, started_at, fired_at, changed_at, evidence, thresholds)
    = row (excluded.severity, excluded.state, excluded.started_at, excluded.fired_at,
     excluded.changed_at, excluded.evidence, excluded.thresholds)
"""


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
    changed_at: datetime
    evidence: dict[str, float]
    thresholds: dict[str, float]


def write(conn: Connection, transitions: Iterable[AlertTransition]) -> None:
    """Keep what was said last of each alert."""
    told = {(t.bundle_hash, t.alert_id): t for t in transitions}
    if told:
        rows = [_row(t) for t in told.values()]
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
    with conn.cursor(row_factory=class_row(ShadowAlert)) as cur:
        return cur.execute(
            "select a.bundle_hash, a.alert_id, v.vin, a.rule_id, a.rule_version, a.instance,"
            " a.severity, a.state, a.started_at, a.fired_at, a.changed_at, a.evidence, a.thresholds"
            " from shadow_alert a join vehicle v using (vehicle_id)"
            " where a.bundle_hash = %s and a.state <> 'retracted'"
            " and (%s::timestamptz is null or a.fired_at < %s"
            "      or (a.fired_at = %s and a.alert_id > %s))"
            " order by a.fired_at desc, a.alert_id limit %s",
            [bundle_hash, moment, moment, moment, alert_id, limit],
        ).fetchall()


def _row(t: AlertTransition) -> tuple[object, ...]:
    """One row of WRITE."""
    return (
        t.bundle_hash,
        t.alert_id,
        t.vin,
        t.rule_id,
        t.rule_version,
        t.instance,
        int(t.severity),
        t.state,
        utc(t.started_ns),
        utc(t.fired_ns),
        utc(t.at_ns),
        orjson.dumps(t.evidence).decode(),
        orjson.dumps(t.thresholds).decode(),
    )
