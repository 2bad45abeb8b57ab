"""The dispatcher's turn over stations: what each is told once a day without asking."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from dispatch import station_messages
from dispatch.station_messages import ToldStation, station_day_terms
from model.clock import Clock, utc
from store import duty, outbox, station_day
from store.database import Connection, Pool, transaction
from store.station_day import StationName

REPORT = "station.report"
#: Stations one turn tells, each in a transaction of its own.
STATIONS = 20
#: When nobody had to be told, the next look may wait so long.
LOOK_EVERY = timedelta(seconds=30)


class StationDayTurn:
    """Tells stations their day; says how many it told. The report's key makes it once a day."""

    def __init__(self, pool: Pool, clock: Clock) -> None:
        self._pool, self._clock = pool, clock
        self._looked_at: datetime | None = None

    def __call__(self) -> int:
        now = utc(self._clock.now_ns())
        if self._looked_at is not None and self._looked_at <= now < self._looked_at + LOOK_EVERY:
            return 0
        with transaction(self._pool) as conn:
            at = station_day_terms().report_at
            found = station_day.unreported(conn, now, at, REPORT, STATIONS)
        for station in found:
            with transaction(self._pool) as conn:
                tell(conn, station, now)
        self._looked_at = None if found else now
        return len(found)


def tell(conn: Connection, station: StationName, now: datetime) -> None:
    """Write what the station hears today: yesterday's report, and what is missing ahead."""
    terms, zone, key = station_day_terms(), ZoneInfo(station.time_zone), station.station_id
    today = now.astimezone(zone).date()
    told = ToldStation(station_id=key, zh=station.name, en=station.name_en or station.name)
    counts = station_day.station_day(conn, station, today - timedelta(days=1))
    report = station_messages.report(told, today, counts.model_dump())
    gaps = duty.gaps(conn, now, now + timedelta(hours=terms.gap_hours), station_id=key)
    ending = duty.ending_certificates(conn, now, terms.certificate_days, station_id=key)
    records = [report]
    if gaps:
        local = [(g.from_at.astimezone(zone), g.to_at.astimezone(zone)) for g in gaps]
        records.append(station_messages.duty_gap(told, today, local))
    if ending:
        lines = [(c.person_id, c.kind, c.valid_to) for c in ending]
        records.append(station_messages.certificates(told, today, lines))
    outbox.add(conn, *records, not_before=now)
