"""Notices of alerts, gathered by vehicle and system; alerts put off, expired, unwanted."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import LiteralString

from psycopg.rows import class_row

from model.severity import Severity
from model.suppression import STORM
from store.database import Connection

#: As dispatch.alert_messages.system_of.
SYSTEM: LiteralString = r"regexp_replace(a.rule_id, '\.[^.]*$', '')"
#: Standing, to be told, and nobody has seen it.
TOLD: LiteralString = (
    "a.state in ('firing', 'stale') and not a.history and a.suppressed_by is null"
    " and a.handling = 'new' and a.severity <> 0"
)


@dataclass(frozen=True, slots=True)
class FreshAlert:
    """An alert no group knows yet, or one that has become worse."""

    alert_id: uuid.UUID
    vehicle_id: int
    rule_id: str
    severity: Severity
    news: bool  # somebody shall hear of it


@dataclass(frozen=True, slots=True)
class DueGroup:
    """A system of a vehicle whose alerts are to be told now; `number` counts this notice."""

    vehicle_id: int
    vin: str
    system: str
    number: int


@dataclass(frozen=True, slots=True)
class Member:
    """One alert of a group."""

    alert_id: str
    rule_id: str
    instance: str
    severity: Severity
    fired_at: datetime
    occurrence: int


def claim_fresh(conn: Connection, limit: int) -> list[FreshAlert]:
    """Alerts for which a group is to be found, the oldest first; they are marked."""
    with conn.cursor(row_factory=class_row(FreshAlert)) as cur:
        return cur.execute(
            "with fresh as (select alert_id from alert where not grouped and not history"  # noqa: S608
            " and suppressed_by is null and state in ('firing', 'stale')"
            " order by recorded_at limit %s for update skip locked)"
            " update alert a set grouped = true from fresh where a.alert_id = fresh.alert_id"
            " returning a.alert_id, a.vehicle_id, a.rule_id, a.severity, " + TOLD + " as news",
            [limit],
        ).fetchall()


def wait(conn: Connection, vehicle_id: int, system: str, until: datetime) -> None:
    """The group speaks then, or earlier if it was to already."""
    conn.execute(
        "insert into alert_group as g (vehicle_id, system, due_at) values (%s, %s, %s)"
        " on conflict (vehicle_id, system) do update"
        " set due_at = least(coalesce(g.due_at, 'infinity'), excluded.due_at)",
        [vehicle_id, system, until],
    )


def claim_due(conn: Connection, now: datetime) -> DueGroup | None:
    """A group whose notice is due, locked."""
    with conn.cursor(row_factory=class_row(DueGroup)) as cur:
        return cur.execute(
            "select g.vehicle_id, v.vin, g.system, g.number + 1 as number"
            " from alert_group g join vehicle v using (vehicle_id)"
            " where g.due_at <= %s order by g.due_at limit 1 for update of g skip locked",
            [now],
        ).fetchone()


def members(conn: Connection, group: DueGroup) -> list[Member]:
    """What there is to tell; for a storm what it stands for, too."""
    with conn.cursor(row_factory=class_row(Member)) as cur:
        return cur.execute(
            "with told as (select a.* from alert a where a.vehicle_id = %(vehicle)s and "  # noqa: S608
            + SYSTEM
            + " = %(system)s and "
            + TOLD
            + ")"
            " select alert_id::text, rule_id, instance, severity, fired_at, occurrence from ("
            "  select * from told union all"
            "  select f.* from alert f join told t on f.suppressed_by = 'storm:' || t.alert_id"
            "  where t.rule_id = %(storm)s and f.vehicle_id = %(vehicle)s) a",
            {"vehicle": group.vehicle_id, "system": group.system, "storm": STORM},
        ).fetchall()


def told(conn: Connection, group: DueGroup, now: datetime, again_at: datetime) -> None:
    """The notice is written; it is said again then if nobody has seen the alerts."""
    conn.execute(
        "update alert_group set due_at = %s, told_at = %s, number = %s"
        " where vehicle_id = %s and system = %s",
        [again_at, now, group.number, group.vehicle_id, group.system],
    )


def rest(conn: Connection, group: DueGroup) -> None:
    """There is nothing to tell any more."""
    conn.execute(
        "update alert_group set due_at = null where vehicle_id = %s and system = %s",
        [group.vehicle_id, group.system],
    )


def folded(conn: Connection, storm_id: uuid.UUID) -> list[uuid.UUID]:
    """The alerts a storm stands for, the first one first."""
    rows = conn.execute(
        "select alert_id from alert where suppressed_by = %s order by fired_at, alert_id",
        [f"storm:{storm_id}"],
    )
    return [uuid.UUID(str(row[0])) for row in rows]


def snooze(conn: Connection, alert_id: uuid.UUID, until: datetime) -> bool:
    """Put an alert off; False when it was before."""
    changed = conn.execute(
        "update alert set snoozed = true, snoozed_until = %s, handling = 'acknowledged'"
        " where alert_id = %s and not snoozed",
        [until, alert_id],
    )
    return changed.rowcount == 1


def claim_snoozed(conn: Connection, now: datetime) -> list[uuid.UUID]:
    """Alerts that were put off until now: each is new again, unless it is over meanwhile."""
    rows = conn.execute(
        "update alert a set snoozed_until = null, grouped = false, watched = false,"
        " handling = case when a.handling = 'acknowledged' and a.state in ('firing', 'stale')"
        "   then 'new' else a.handling end"
        " from (select alert_id from alert where snoozed_until <= %s limit 200"
        "   for update skip locked) s where a.alert_id = s.alert_id"
        " returning a.alert_id",
        [now],
    )
    return [uuid.UUID(str(row[0])) for row in rows]


def expire(conn: Connection, stale_before: datetime, now: datetime) -> list[uuid.UUID]:
    """End alerts of vehicles that were not heard of for too long."""
    rows = conn.execute(
        "update alert a set state = 'expired', changed_at = %s"
        " from (select alert_id from alert where state = 'stale' and changed_at < %s limit 200"
        "   for update skip locked) s where a.alert_id = s.alert_id returning a.alert_id",
        [now, stale_before],
    )
    return [uuid.UUID(str(row[0])) for row in rows]


def lifted(conn: Connection, since: datetime, limit: int) -> list[uuid.UUID]:
    """Serious alerts that are heard after all and have opened no rescue case, locked."""
    rows = conn.execute(
        "select a.alert_id from alert a where a.lifted_at >= %s and a.severity >= %s"
        " and a.suppressed_by is null and a.state = 'firing' and not a.history"
        " and a.handling in ('new', 'acknowledged')"
        " and not exists (select from rescue_case c where c.alert_id = a.alert_id)"
        " order by a.severity desc, a.lifted_at limit %s for update of a skip locked",
        [since, int(Severity.STOP), limit],
    )
    return [uuid.UUID(str(row[0])) for row in rows]


def unwanted_case(
    conn: Connection, waiting: Sequence[str], before_acceptance: Sequence[str]
) -> tuple[uuid.UUID, str] | None:
    """A rescue case whose alert is hushed or dismissed, and why; not one that people stand by."""
    row = conn.execute(
        "select c.case_id, coalesce(a.suppressed_by, 'dismissed') from rescue_case c"
        " join alert a using (alert_id) where"
        " (a.suppressed_by is not null and c.state = any(%s))"
        " or (a.handling = 'dismissed' and c.state = any(%s))"
        " order by c.requested_at limit 1 for update of c skip locked",
        [list(waiting), list(before_acceptance)],
    ).fetchone()
    return None if row is None else (uuid.UUID(str(row[0])), str(row[1]))
