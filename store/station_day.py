"""One station's day, counted from rows. A vehicle belongs to its owner's preferred station."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from psycopg.rows import class_row

from model.record import Record
from store.database import Connection, UnknownRowError


class StationDay(Record):
    """What happened on a day, and what stands open at its end or, today, now."""

    alerts: int
    alerts_serious: int  # severity 3 and 4
    alerts_unseen: int  # fired that day and still new
    rescues: int
    rescues_arrived: int
    rescues_on_time: int
    check_ins: int
    check_ins_planned: int  # with a plan approved before
    hand_overs: int
    overruns: int  # of those handed over
    no_shows: int
    booked_next_day: int
    complaints: int
    incidents: int
    promises: int  # clocks that ended
    promises_kept: int
    reminders: int
    overdue: int  # vehicles with a service past due
    due: int
    due_soon: int
    open_orders: int
    open_cases: int
    waiting_parts: int


class DayScore(Record):
    """A survey's score of that day."""

    source: str
    score: float


class StationName(Record):
    """How a station is called, and where its days begin."""

    station_id: str
    name: str
    name_en: str
    time_zone: str

    def bounds(self, day: date) -> tuple[datetime, datetime]:
        """A day of the station, half-open."""
        zone = ZoneInfo(self.time_zone)
        start, after = (
            datetime.combine(d, datetime.min.time(), zone) for d in (day, day + timedelta(days=1))
        )
        return start, after


def station_name(conn: Connection, station_id: str) -> StationName:
    """Raises UnknownRowError."""
    with conn.cursor(row_factory=class_row(StationName)) as cur:
        found = cur.execute(
            "select station_id, name, name_en, time_zone from station where station_id = %s",
            [station_id],
        ).fetchone()
    if found is None:
        raise UnknownRowError("station")
    return found


def unreported(
    conn: Connection, now: datetime, report_at: time, kind: str, limit: int
) -> list[StationName]:
    """Stations whose time of the day has come and that were not told today; by their own clocks.

    Only those for which a subscription names this kind or a prefix of it.
    """
    facts = {"now": now, "at": report_at, "kind": kind, "limit": limit}
    with conn.cursor(row_factory=class_row(StationName)) as cur:
        return cur.execute(_UNREPORTED, facts).fetchall()


def station_day(conn: Connection, station: StationName, day: date) -> StationDay:
    """The counts of one day."""
    starts, ends = station.bounds(day)
    facts = {
        "station": station.station_id,
        "starts": starts,
        "ends": ends,
        "after": ends + timedelta(days=1),
    }
    with conn.cursor(row_factory=class_row(StationDay)) as cur:
        found = cur.execute(_DAY, facts).fetchone()
    assert found is not None, "counts are always there"
    return found


def scores(conn: Connection, station_id: str, day: date) -> list[DayScore]:
    """What surveys said about that day."""
    with conn.cursor(row_factory=class_row(DayScore)) as cur:
        return cur.execute(
            "select source, score from survey_score where station_id = %s and day = %s"
            " order by source",
            [station_id, day],
        ).fetchall()


_UNREPORTED = """
select s.station_id, s.name, s.name_en, s.time_zone from station s
where s.active and (%(now)s at time zone s.time_zone)::time >= %(at)s
and exists (select from subscription u where u.active and u.vin is null
    and (u.station_id is null or u.station_id = s.station_id)
    and (u.region_id is null or u.region_id = s.region_id)
    and exists (select from unnest(u.kinds) k where starts_with(%(kind)s, k)))
and not exists (select from outbox o where o.key = replace(%(kind)s, '.', '/') || '/'
    || s.station_id || '/' || to_char(%(now)s at time zone s.time_zone, 'YYYY-MM-DD'))
order by s.station_id limit %(limit)s
"""

_DAY = """
with car as (
    select vehicle_id from vehicle
    where attrs ->> 'preferred_station' = %(station)s and attrs ->> 'preferred_station' <> ''
), fired as (
    select a.severity, a.handling from alert a join car using (vehicle_id)
    where a.fired_at >= %(starts)s and a.fired_at < %(ends)s and a.state <> 'retracted'
), rescue as (
    select c.arrived_at, k.met from rescue_case c join rescue_unit u using (unit_id)
    left join clock k on k.noun = 'rescue_case' and k.noun_id = c.case_id::text
        and k.kind = 'arrival'
    where u.station_id = %(station)s and c.requested_at >= %(starts)s and c.requested_at < %(ends)s
), visit as (
    select w.* from work_order w where w.station_id = %(station)s
), promise as (
    select met from clock_place
    where stopped_at >= %(starts)s and stopped_at < %(ends)s and station_id = %(station)s
        and met is not null and kind <> 'scene'
), item as (
    select m.vehicle_id, max(array_position(array['due_soon', 'due', 'overdue'], m.state)) as worst
    from maintenance_item m join car using (vehicle_id)
    where m.state <> 'ok' and m.handling <> 'not_applicable' group by 1
)
select
    (select count(*) from fired) as alerts,
    (select count(*) from fired where severity >= 3) as alerts_serious,
    (select count(*) from fired where handling = 'new') as alerts_unseen,
    (select count(*) from rescue) as rescues,
    (select count(*) from rescue where arrived_at is not null) as rescues_arrived,
    (select count(*) from rescue where arrived_at is not null and met) as rescues_on_time,
    (select count(*) from visit
     where checked_in_at >= %(starts)s and checked_in_at < %(ends)s) as check_ins,
    (select count(*) from visit v
     where checked_in_at >= %(starts)s and checked_in_at < %(ends)s and exists (
         select from repair_plan p
         where p.case_id = v.case_id and p.approved_at <= v.checked_in_at)) as check_ins_planned,
    (select count(*) from visit
     where handed_over_at >= %(starts)s and handed_over_at < %(ends)s) as hand_overs,
    (select count(*) from visit
     where handed_over_at >= %(starts)s and handed_over_at < %(ends)s and overrun) as overruns,
    (select count(*) from visit
     where state = 'no_show' and changed_at >= %(starts)s and changed_at < %(ends)s) as no_shows,
    (select count(*) from visit where state = 'booked'
     and appointment_at >= %(ends)s and appointment_at < %(after)s) as booked_next_day,
    (select count(*) from complaint k left join work_order w using (work_order_id)
     left join car on car.vehicle_id = k.vehicle_id
     where k.opened_at >= %(starts)s and k.opened_at < %(ends)s
         and (w.station_id = %(station)s or w.station_id is null and car.vehicle_id is not null)
    ) as complaints,
    (select count(*) from incident where station_id = %(station)s
     and opened_at >= %(starts)s and opened_at < %(ends)s) as incidents,
    (select count(*) from promise) as promises,
    (select count(*) from promise where met) as promises_kept,
    (select count(*) from maintenance_reminder join car using (vehicle_id)
     where said_at >= %(starts)s and said_at < %(ends)s) as reminders,
    (select count(*) from item where worst = 3) as overdue,
    (select count(*) from item where worst = 2) as due,
    (select count(*) from item where worst = 1) as due_soon,
    (select count(*) from visit where opened_at < %(ends)s
     and (closed_at is null or closed_at >= %(ends)s)) as open_orders,
    (select count(*) from diagnosis_case where station_id = %(station)s and opened_at < %(ends)s
     and (closed_at is null or closed_at >= %(ends)s)) as open_cases,
    (select count(*) from visit where state = 'waiting_parts') as waiting_parts
"""
