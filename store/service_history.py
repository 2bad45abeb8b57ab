"""What was done to vehicles, for rules that ask for it: services, repairs, alerts people have seen.

A repair counts from its hand-over: it is proven only after weeks, and until then the alert it is
about must be able to end.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from psycopg.rows import class_row

from store.database import Connection

DONE = """
select vehicle_id, kind, done_at, odometer_km, engine_h from maintenance_done
where vehicle_id = any(%s)
"""
CLOSED = """
select a.vehicle_id, a.rule_id, a.instance, 'work_order' as kind,
       coalesce(w.handed_over_at, w.closed_at) as at, w.odometer_km
from work_order w
join diagnosis_case_alert d using (case_id)
join alert a using (alert_id)
where w.vehicle_id = any(%(ids)s) and w.state in ('handed_over', 'verifying', 'closed')
    and coalesce(w.handed_over_at, w.closed_at) is not null
union
select a.vehicle_id, a.rule_id, a.instance, 'ack', min(u.recorded_at), null
from alert a join audit u on u.noun = 'alert' and u.noun_id = a.alert_id::text
where a.vehicle_id = any(%(ids)s) and u.step in ('acknowledge', 'snooze', 'dismiss')
group by a.alert_id
"""
CHANGED = """
select v.vin from maintenance_done m join vehicle v using (vehicle_id)
where m.recorded_at >= %(since)s
union
select v.vin from audit u
join work_order w on w.work_order_id::text = u.noun_id
join vehicle v using (vehicle_id)
where u.noun = 'work_order' and u.recorded_at >= %(since)s
union
select v.vin from audit u
join alert a on a.alert_id::text = u.noun_id
join vehicle v using (vehicle_id)
where u.noun = 'alert' and u.recorded_at >= %(since)s
"""


@dataclass(frozen=True, slots=True)
class DoneService:
    """One service record; counters None = nobody wrote them down."""

    vehicle_id: int
    kind: str
    done_at: datetime
    odometer_km: float | None
    engine_h: float | None


@dataclass(frozen=True, slots=True)
class ClosedAlert:
    """A repair of what an alert was about, or the moment somebody took note of the alert."""

    vehicle_id: int
    rule_id: str
    instance: str
    kind: Literal["ack", "work_order"]
    at: datetime
    odometer_km: float | None


def done(conn: Connection, vehicle_ids: Sequence[int]) -> list[DoneService]:
    """Every service of these vehicles."""
    with conn.cursor(row_factory=class_row(DoneService)) as cur:
        return cur.execute(DONE, [list(vehicle_ids)]).fetchall()


def closed(conn: Connection, vehicle_ids: Sequence[int]) -> list[ClosedAlert]:
    """Every repair of, and first look at, an alert of these vehicles."""
    with conn.cursor(row_factory=class_row(ClosedAlert)) as cur:
        return cur.execute(CLOSED, {"ids": list(vehicle_ids)}).fetchall()


def changed_since(conn: Connection, moment: datetime) -> list[str]:
    """VINs of vehicles whose history changed at or after a moment of the database's clock."""
    return [str(vin) for (vin,) in conn.execute(CHANGED, {"since": moment})]
