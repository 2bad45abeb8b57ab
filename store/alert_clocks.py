"""Alerts somebody must acknowledge in time: which have no clock yet, which need it no longer."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime

from psycopg.rows import class_row

from store.database import Connection

UNWATCHED = """
with fresh as (
    select alert_id from alert
    where not watched and handling = 'new' and state in ('firing', 'stale') and not history
        and severity >= 1 and suppressed_by is null
    order by recorded_at limit %s for update skip locked)
update alert a set watched = true from fresh, vehicle v
where a.alert_id = fresh.alert_id and v.vehicle_id = a.vehicle_id
returning a.alert_id, v.vin, coalesce(v.attrs ->> 'plate', '') as plate,
    coalesce(v.attrs ->> 'brand', '') as brand,
    coalesce(v.attrs ->> 'preferred_station', '') as station_id,
    a.severity::int, a.rule_id, greatest(a.recorded_at, a.lifted_at) as heard_at,
    exists (select from clock k where k.noun = 'alert' and k.noun_id = a.alert_id::text
        and k.kind = %s) as again
"""
SETTLED = """
with settled as (
    select alert_id from alert
    where watched and (handling <> 'new' or state in ('cleared', 'retracted', 'expired')
        or suppressed_by is not null)
    limit %s for update skip locked)
update alert a set watched = false from settled
where a.alert_id = settled.alert_id returning a.alert_id::text
"""


@dataclass(frozen=True, slots=True)
class UnwatchedAlert:
    """A new alert whose clock does not run."""

    alert_id: uuid.UUID
    vin: str
    plate: str
    brand: str
    station_id: str
    severity: int
    rule_id: str
    #: When it was recorded, or first heard after a hush.
    heard_at: datetime
    #: It had a clock before: it was put off or hushed, and is back.
    again: bool


def claim_unwatched(conn: Connection, kind: str, limit: int) -> list[UnwatchedAlert]:
    """New alerts without a running clock of this kind; the caller starts it in this transaction."""
    with conn.cursor(row_factory=class_row(UnwatchedAlert)) as cur:
        found = cur.execute(UNWATCHED, [limit, kind]).fetchall()
    return sorted(found, key=lambda alert: (alert.heard_at, alert.alert_id))


def claim_settled(conn: Connection, limit: int) -> list[str]:
    """Alerts that somebody has, that are over or hushed; the caller ends what still runs."""
    return sorted(str(row[0]) for row in conn.execute(SETTLED, [limit]))
