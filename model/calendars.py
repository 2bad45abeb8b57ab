"""When a promise's time runs: around the clock, or in the open hours of a calendar. Pure.

Calendars are data (calendars.toml, see model/terms_files.py): weekly hours in a time zone, days
off, and weekend days that are worked. Time is counted in seconds of open hours; a change of
daylight saving time counts as it really passes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from zoneinfo import ZoneInfo

from model.errors import LimitExceededError
from model.terms_files import read_terms
from model.vehicle import Record

#: A promise that is not over within so many days is no promise; bounds every walk.
MAX_DAYS = 3660
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_TABLES = {"days_off"}

#: `off` and `worked` of one year: days and stretches of days.
DaysOff = Mapping[str, list[str]]
#: One opening: minutes after local midnight, at most 24 x 60.
Opening = tuple[int, int]


class Calendar(Record):
    """Open hours. Without `hours` it is always open."""

    name: str
    time_zone: str = "UTC"
    #: By weekday, Monday first.
    hours: tuple[tuple[Opening, ...], ...] = ()
    #: Of weekend days that are worked.
    workday_hours: tuple[Opening, ...] = ()
    days_off: frozenset[date] = frozenset()
    worked: frozenset[date] = frozenset()

    def add(self, start: datetime, seconds: float) -> datetime:
        """The moment when that much open time has passed since `start`, in UTC.

        At least an opening: 0 s from a closed hour is the next opening. Raises LimitExceededError
        when the calendar does not open that long within MAX_DAYS.
        """
        if not self.hours:
            return start + timedelta(seconds=max(0.0, seconds))
        left = max(0.0, seconds)
        for opens, closes in self._openings(start):
            length = (closes - opens).total_seconds()
            if left <= length:
                return opens + timedelta(seconds=left)
            left -= length
        raise LimitExceededError(what="days of a promise", limit=MAX_DAYS, got=MAX_DAYS + 1)

    def between(self, start: datetime, end: datetime) -> float:
        """Seconds of open time from `start` to `end`; 0 when the end comes first."""
        if not self.hours:
            return max(0.0, (end - start).total_seconds())
        total = 0.0
        for opens, closes in self._openings(start):
            if opens >= end:
                break
            total += (min(closes, end) - opens).total_seconds()
        return total

    def _openings(self, start: datetime) -> Iterator[tuple[datetime, datetime]]:
        """Open stretches in UTC, the first one cut at `start`."""
        zone = ZoneInfo(self.time_zone)
        first = start.astimezone(zone).date()
        for number in range(MAX_DAYS):
            day = first + timedelta(days=number)
            for opens, closes in self._of_day(day):
                begin, end = _moment(day, opens, zone), _moment(day, closes, zone)
                if end > start:
                    yield max(begin, start), end

    def _of_day(self, day: date) -> tuple[Opening, ...]:
        if day in self.worked:
            return self.workday_hours
        return () if day in self.days_off else self.hours[day.weekday()]


ALWAYS = Calendar(name="always")


@cache
def load_calendar(name: str) -> Calendar:
    """A calendar of the data file. Raises KeyError for a name that is not there."""
    table = read_terms("calendars.toml")
    return _calendar(name, table[name], table["days_off"])


def calendar_names() -> list[str]:
    """Every calendar there is."""
    return [name for name in read_terms("calendars.toml") if name not in _TABLES]


def _calendar(
    name: str, row: Mapping[str, object], days_off: Mapping[str, Mapping[str, DaysOff]]
) -> Calendar:
    hours = row.get("hours")
    if not isinstance(hours, dict):
        return Calendar(name=name)
    years = days_off.get(str(row.get("days_off_of", "")), {}).values()
    return Calendar(
        name=name,
        time_zone=str(row["time_zone"]),
        hours=tuple(_openings(str(hours.get(day, ""))) for day in WEEKDAYS),
        workday_hours=_openings(str(row.get("workday_hours", ""))),
        days_off=_days(day for year in years for day in year.get("off", [])),
        worked=_days(day for year in years for day in year.get("worked", [])),
    )


def _openings(text: str) -> tuple[Opening, ...]:
    """`09:00-12:00 13:00-18:00` as minutes."""
    pairs = [stretch.split("-") for stretch in text.split()]
    return tuple((_minutes(opens), _minutes(closes)) for opens, closes in pairs)


def _minutes(text: str) -> int:
    hours, minutes = text.split(":")
    return int(hours) * 60 + int(minutes)


def _days(texts: Iterable[str]) -> frozenset[date]:
    """Days and `first..last` stretches of days."""
    found: set[date] = set()
    for text in texts:
        first, _, last = text.partition("..")
        day, end = date.fromisoformat(first), date.fromisoformat(last or first)
        while day <= end:
            found.add(day)
            day += timedelta(days=1)
    return frozenset(found)


def _moment(day: date, minutes: int, zone: ZoneInfo) -> datetime:
    """A local time of day in UTC; minute 1440 is the next midnight."""
    whole, rest = divmod(minutes, 24 * 60)
    local = datetime.combine(day + timedelta(days=whole), time(rest // 60, rest % 60), zone)
    return local.astimezone(UTC)
