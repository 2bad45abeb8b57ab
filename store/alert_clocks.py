"""Alerts somebody must acknowledge in time: which have no clock yet, which need it no longer."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime

from psycopg.rows import class_row

from store.database import Connection

UNWATCHED = """
select a.alert_id, v.vin, coalesce(v.attrs ->> 'plate', '') as plate,
    coalesce(v.attrs ->> 'brand', '') as brand,
    coalesce(v.attrs ->> 'preferred_station', '') as station_id,
    a.severity::int, a.rule_id, a.recorded_at
from alert a join vehicle v using (vehicle_id)
where a.handling = 'new' and a.state in ('firing', 'stale') and not a.history and a.severity >= 1
    and a.suppressed_by is null
    and not exists (select from clock k where k.noun = 'alert' and k.noun_id = a.alert_id::text
        and k.kind = %s)
order by a.recorded_at limit %s for update of a skip locked
"""
SETTLED = """
select k.noun_id from clock k join alert a on a.alert_id = k.noun_id::uuid
where k.noun = 'alert' and k.kind = %s and k.stopped_at is null
    and (a.handling <> 'new' or a.state in ('cleared', 'retracted', 'expired')
        or a.suppressed_by is not null)
limit %s for update of k skip locked
"""


@dataclass(frozen=True, slots=True)
class UnwatchedAlert:
    """A new alert without a clock."""

    alert_id: uuid.UUID
    vin: str
    plate: str
    brand: str
    station_id: str
    severity: int
    rule_id: str
    recorded_at: datetime


def claim_unwatched(conn: Connection, kind: str, limit: int) -> list[UnwatchedAlert]:
    """New alerts without this clock, the oldest first, locked."""
    with conn.cursor(row_factory=class_row(UnwatchedAlert)) as cur:
        return cur.execute(UNWATCHED, [kind, limit]).fetchall()


def claim_settled(conn: Connection, kind: str, limit: int) -> list[str]:
    """Alerts whose clock runs although somebody has them, or they are over; clocks locked."""
    return [str(row[0]) for row in conn.execute(SETTLED, [kind, limit])]
