"""Alerts: one row each, as the last of its transitions tells it.

What the vehicle says is in the row (`state`, times, severity); what people did (`handling`) is
theirs. Transitions of one vehicle are written in the order in which they were said, once
(store/ledger.py). `history` stays only while every transition was history.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import LiteralString

import orjson
from psycopg import sql
from psycopg.rows import class_row

from model.alerts import AlertState, AlertTransition, Handling
from model.clock import ns_of, utc
from model.severity import Severity
from model.vehicle import Record
from store.database import Connection, UnknownRowError

SELECT: LiteralString = (
    "select a.alert_id, v.vin, v.attrs ->> 'plate' as plate, a.rule_id, a.rule_version, a.instance,"
    " a.severity, a.state, a.handling, a.history, a.started_at, a.fired_at, "
    " a.evidence_at as worst_at, a.changed_at, a.cleared_at, a.evidence, a.thresholds,"
    " a.bundle_hash, a.profile_hash, a.reason, a.lead_s, a.suppressed_by, a.suppressed_until,"
    " a.occurrence, a.first_alert_id, a.snoozed_until"
    " from alert a join vehicle v using (vehicle_id)"
)

WRITE = """
insert into alert as a (alert_id, vehicle_id, rule_id, rule_version, instance, severity, state,
    history, started_at, fired_at, changed_at, cleared_at, evidence, evidence_at, thresholds,
    bundle_hash, profile_hash, reason, lead_s)
select t.alert_id, v.vehicle_id, t.rule_id, t.rule_version, t.instance, t.severity, t.state,
    t.history, t.started_at, t.fired_at, t.changed_at,
    case when t.state = 'cleared' then t.changed_at end, t.evidence, t.evidence_at, t.thresholds,
    t.bundle_hash, t.profile_hash, t.reason, t.lead_s
from unnest(%s::text[], %s::uuid[], %s::text[], %s::text[], %s::int[], %s::text[], %s::smallint[],
            %s::text[], %s::timestamptz[], %s::timestamptz[], %s::timestamptz[], %s::jsonb[],
            %s::timestamptz[], %s::jsonb[], %s::bool[], %s::text[], %s::text[], %s::float8[])
    as t (bundle_hash, alert_id, vin, rule_id, rule_version, instance, severity, state, started_at,
          fired_at, changed_at, evidence, evidence_at, thresholds, history, profile_hash, reason,
          lead_s)
join vehicle v using (vin)
order by t.alert_id
on conflict (alert_id) do update set
    (rule_version, severity, state, started_at, fired_at, changed_at, cleared_at, evidence,
     evidence_at, thresholds, bundle_hash, profile_hash, reason, lead_s)
    = row (excluded.rule_version, excluded.severity, excluded.state, excluded.started_at,
     excluded.fired_at, excluded.changed_at, excluded.cleared_at, excluded.evidence,
     excluded.evidence_at, excluded.thresholds, excluded.bundle_hash, excluded.profile_hash,
     excluded.reason, excluded.lead_s),
    history = a.history and excluded.history,
    grouped = a.grouped and excluded.severity <= a.severity
"""
WRITE_MEMORY = """
insert into alert_memory (alert_id, since_ns, memory)
select * from unnest(%s::uuid[], %s::bigint[], %s::jsonb[]) on conflict do nothing
"""


class StoredAlert(Record):
    """One alert as kept."""

    alert_id: uuid.UUID
    vin: str
    plate: str
    rule_id: str
    rule_version: int
    instance: str
    severity: Severity
    state: AlertState
    handling: Handling
    history: bool
    started_at: datetime
    fired_at: datetime
    worst_at: datetime
    changed_at: datetime
    cleared_at: datetime | None
    evidence: dict[str, float]
    thresholds: dict[str, float]
    bundle_hash: str = ""
    profile_hash: str = ""
    reason: str = ""
    lead_s: float = 30.0
    suppressed_by: str | None = None  # mode:…, silence:…, rule:…, storm:…; None = people are told
    suppressed_until: datetime | None = None
    occurrence: int = 1
    first_alert_id: uuid.UUID | None = None
    snoozed_until: datetime | None = None

    def told(self, state: AlertState, at: datetime) -> AlertTransition:
        """A further step of this alert, said by somebody else than the rule lane."""
        return AlertTransition(
            alert_id=self.alert_id,
            rule_id=self.rule_id,
            rule_version=self.rule_version,
            vin=self.vin,
            instance=self.instance,
            state=state,
            severity=self.severity,
            started_ns=ns_of(self.started_at),
            at_ns=ns_of(at),
            fired_ns=ns_of(self.fired_at),
            worst_ns=ns_of(self.worst_at),
            evidence=self.evidence,
            thresholds=self.thresholds,
        )


def write(conn: Connection, transitions: Iterable[AlertTransition]) -> list[uuid.UUID]:
    """Write transitions, in the order in which they were said; which alerts were touched."""
    told: dict[uuid.UUID, list[AlertTransition]] = {}
    for t in transitions:
        told.setdefault(t.alert_id, []).append(t)
    if told:
        rows = []
        for steps in told.values():
            history, last = all(t.history for t in steps), steps[-1]
            rows.append((*told_columns(last), history, last.profile_hash, last.reason, last.lead_s))
        conn.execute(WRITE, [list(column) for column in zip(*rows, strict=True)])
    kept = [(t.alert_id, *t.memory) for steps in told.values() for t in steps if t.memory]
    if kept:  # the first one of an alert stays
        conn.execute(WRITE_MEMORY, [list(column) for column in zip(*kept, strict=True)])
    return list(told)


def told_columns(t: AlertTransition) -> tuple[object, ...]:
    """What both tables of alerts keep, from `bundle_hash` to `thresholds` (see WRITE)."""
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
        utc(t.worst_ns),
        orjson.dumps(t.thresholds).decode(),
    )


def find(conn: Connection, alert_id: uuid.UUID) -> StoredAlert:
    """One alert. Raises UnknownRowError."""
    found = _rows(conn, " where a.alert_id = %s", [alert_id])
    if not found:
        raise UnknownRowError("alert")
    return found[0]


def overlapping(conn: Connection, vehicle_id: int, since: datetime) -> list[StoredAlert]:
    """A vehicle's alerts that were open at a moment or fired after it, oldest first."""
    return _rows(
        conn,
        " where a.vehicle_id = %s and a.state <> 'retracted'"
        " and coalesce(a.cleared_at, 'infinity') >= %s order by a.fired_at, a.alert_id",
        [vehicle_id, since],
    )


def page(
    conn: Connection,
    *,
    before: tuple[datetime, uuid.UUID] | None = None,
    limit: int = 50,
    vin: str | None = None,
    open_only: bool = False,
    min_severity: Severity = Severity.UNKNOWN,
) -> list[StoredAlert]:
    """Newest first, from below (fired_at, alert_id) of the last row of the page before."""
    moment, alert_id = before or (None, None)
    return _rows(
        conn,
        " where (%s::timestamptz is null or a.fired_at < %s"
        "        or (a.fired_at = %s and a.alert_id > %s))"
        " and (%s::text is null or v.vin = %s)"
        " and (not %s or a.state in ('firing', 'stale')) and a.severity >= %s"
        " order by a.fired_at desc, a.alert_id limit %s",
        [moment, moment, moment, alert_id, vin, vin, open_only, int(min_severity), limit],
    )


def open_page(
    conn: Connection,
    *,
    after: tuple[Severity, datetime, uuid.UUID] | None = None,
    limit: int = 50,
) -> list[StoredAlert]:
    """Open alerts, worst first, then newest; `after` is (severity, fired_at, alert_id)."""
    severity, moment, alert_id = after or (None, None, None)
    level = None if severity is None else int(severity)
    return _rows(
        conn,
        " where a.state in ('firing', 'stale') and (%s::smallint is null or a.severity < %s"
        "   or (a.severity = %s and (a.fired_at < %s or (a.fired_at = %s and a.alert_id > %s))))"
        " order by a.severity desc, a.fired_at desc, a.alert_id limit %s",
        [level, level, level, moment, moment, alert_id, limit],
    )


def rule_of(conn: Connection, alert_id: uuid.UUID) -> str:
    """The rule that raised an alert. Raises UnknownRowError."""
    return find(conn, alert_id).rule_id


def lock_handling(conn: Connection, alert_id: uuid.UUID) -> Handling:
    """What people did with an alert, nobody else's until the transaction ends.

    Raises UnknownRowError.
    """
    row = conn.execute(
        "select handling from alert where alert_id = %s for update", [alert_id]
    ).fetchone()
    if row is None:
        raise UnknownRowError("alert")
    return Handling(str(row[0]))


def set_handling(conn: Connection, alert_id: uuid.UUID, handling: Handling) -> None:
    """What people did. Which step is allowed is the caller's to say; lock it first."""
    conn.execute("update alert set handling = %s where alert_id = %s", [handling, alert_id])


def _rows(conn: Connection, tail: LiteralString, values: Sequence[object]) -> list[StoredAlert]:
    with conn.cursor(row_factory=class_row(StoredAlert)) as cur:
        return cur.execute(sql.SQL(SELECT + tail), values).fetchall()
