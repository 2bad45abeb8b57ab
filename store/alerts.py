"""Alerts, folded from their transitions: the same rows in whatever order they come, and how often.

What the vehicle says is folded (`state`, times, severity); what people did (`handling`) is theirs.
A retraction ends a telling: what follows for the same alert is the whole truth.

    state, changed_at    of the latest step; at the same moment the last of AlertState
    severity             the highest of all steps
    started_at, fired_at the earliest
    evidence             of the earliest step of the highest severity
    history              only while every step was history
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import zip_longest
from typing import LiteralString

import orjson
from psycopg import sql
from psycopg.rows import class_row

from model.alerts import AlertState, AlertTransition, Handling
from model.clock import utc
from model.severity import Severity
from model.vehicle import Record
from store.database import Connection, UnknownRowError

SELECT: LiteralString = (
    "select a.alert_id, v.vin, v.attrs ->> 'plate' as plate, a.rule_id, a.rule_version, a.instance,"
    " a.severity, a.state, a.handling, a.history, a.started_at, a.fired_at, a.changed_at,"
    " a.cleared_at, a.evidence, a.thresholds from alert a join vehicle v using (vehicle_id)"
)

FOLD = """
insert into alert as a (alert_id, vehicle_id, rule_id, rule_version, instance, severity, state,
    history, started_at, fired_at, changed_at, cleared_at, evidence, evidence_at, thresholds)
select t.alert_id, v.vehicle_id, t.rule_id, t.rule_version, t.instance, t.severity, t.state,
    t.history, t.started_at, t.fired_at, t.changed_at,
    case when t.state = 'cleared' then t.changed_at end, t.evidence, t.evidence_at, t.thresholds
from unnest(%s::uuid[], %s::text[], %s::text[], %s::int[], %s::text[], %s::smallint[], %s::text[],
            %s::bool[], %s::timestamptz[], %s::timestamptz[], %s::timestamptz[], %s::jsonb[],
            %s::timestamptz[], %s::jsonb[])
    as t (alert_id, vin, rule_id, rule_version, instance, severity, state, history, started_at,
          fired_at, changed_at, evidence, evidence_at, thresholds)
join vehicle v using (vin)
order by t.alert_id
on conflict (alert_id) do update set
    severity = case when a.state = 'retracted' then excluded.severity
        else greatest(a.severity, excluded.severity) end,
    history = (a.history or a.state = 'retracted') and excluded.history,
    started_at = case when a.state = 'retracted' then excluded.started_at
        else least(a.started_at, excluded.started_at) end,
    fired_at = case when a.state = 'retracted' then excluded.fired_at
        else least(a.fired_at, excluded.fired_at) end,
    (state, changed_at, cleared_at) = (
        select s, at, case when s = 'cleared' then at end
        from (values (a.state, a.changed_at), (excluded.state, excluded.changed_at)) both_ (s, at)
        order by a.state = 'retracted' and s <> 'retracted' desc, at desc,
            array_position(array['firing', 'stale', 'cleared', 'retracted'], s) desc
        limit 1),
    (evidence, evidence_at, thresholds, rule_version) = (
        select e, at, h, version
        from (values (a.severity, a.evidence_at, a.evidence, a.thresholds, a.rule_version),
                     (excluded.severity, excluded.evidence_at, excluded.evidence,
                      excluded.thresholds, excluded.rule_version)) both_ (s, at, e, h, version)
        where a.state <> 'retracted' or at = excluded.evidence_at and s = excluded.severity
        order by s desc, at limit 1)
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
    changed_at: datetime
    cleared_at: datetime | None
    evidence: dict[str, float]
    thresholds: dict[str, float]


def fold(conn: Connection, transitions: Iterable[AlertTransition]) -> list[uuid.UUID]:
    """Write transitions into their alerts; which alerts were touched."""
    tellings: dict[uuid.UUID, list[list[AlertTransition]]] = {}
    for t in transitions:
        told = tellings.setdefault(t.alert_id, [[]])
        if told[-1] and told[-1][-1].state is AlertState.RETRACTED:
            told.append([])
        told[-1].append(t)
    for turn in zip_longest(*tellings.values()):
        rows = [_folded(steps) for steps in turn if steps is not None]
        conn.execute(FOLD, [list(column) for column in zip(*rows, strict=True)])
    return list(tellings)


def _folded(steps: list[AlertTransition]) -> tuple[object, ...]:
    """One row of FOLD; ranks moments as the database keeps them, in whole us."""
    order = list(AlertState)
    last = max(steps, key=lambda t: (t.at_ns // 1000, order.index(t.state)))
    worst = min(steps, key=lambda t: (-t.severity, t.at_ns // 1000))
    return (
        last.alert_id,
        last.vin,
        last.rule_id,
        worst.rule_version,
        last.instance,
        int(worst.severity),
        last.state,
        all(t.history for t in steps),
        utc(min(t.started_ns for t in steps)),
        utc(min(t.at_ns for t in steps)),
        utc(last.at_ns),
        orjson.dumps(worst.evidence).decode(),
        utc(worst.at_ns),
        orjson.dumps(worst.thresholds).decode(),
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
