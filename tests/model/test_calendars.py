"""Open time counted by hand: weekends, days off, worked weekends, daylight saving time."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.calendars import ALWAYS, Calendar, calendar_names, load_calendar
from model.errors import LimitExceededError

SHANGHAI = ZoneInfo("Asia/Shanghai")
HOUR, DAY = 3600.0, 86400.0


def cn(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=SHANGHAI).astimezone(UTC)


@pytest.mark.parametrize(
    ("calendar", "start", "seconds", "end"),
    [
        ("always", "2025-10-01T08:00", 6 * HOUR, "2025-10-01T14:00"),
        # Friday 17:00, office closes at 18:00: one hour today, the rest on Monday
        ("cn_office", "2025-03-07T17:00", 2 * HOUR, "2025-03-10T10:00"),
        ("cn_office", "2025-03-07T17:00", 1 * HOUR, "2025-03-07T18:00"),
        ("cn_office", "2025-03-08T12:00", 0, "2025-03-10T09:00"),
        # National Day 2025: 1 to 8 October are off, Saturday 11 October is worked
        ("cn_office", "2025-09-30T17:30", HOUR, "2025-10-09T09:30"),
        ("cn_office", "2025-10-10T17:00", 2 * HOUR, "2025-10-11T10:00"),
        # Two working days from Friday noon: Monday noon is one, Tuesday noon two
        ("cn_workdays", "2025-03-07T12:00", 2 * DAY, "2025-03-11T12:00"),
        ("cn_workdays", "2025-03-08T12:00", DAY, "2025-03-11T00:00"),
        # Sunday 28 September 2025 is worked
        ("cn_workdays", "2025-09-26T12:00", DAY, "2025-09-28T12:00"),
        # Spring Festival 2026: 15 to 23 February off, Saturday 14 and 28 February worked
        ("cn_workdays", "2026-02-14T00:00", 2 * DAY, "2026-02-25T00:00"),
    ],
)
def test_a_promise_ends(calendar: str, start: str, seconds: float, end: str) -> None:
    found = load_calendar(calendar)
    due = found.add(cn(start), seconds)
    assert due == cn(end)
    assert found.between(cn(start), due) == seconds


def test_an_hour_that_a_clock_change_skips_or_repeats_is_counted_as_it_passes() -> None:
    day_and_night = (((0, 1440),) * 1,) * 7
    berlin = Calendar(name="x", time_zone="Europe/Berlin", hours=day_and_night)
    spring = datetime(2025, 3, 29, 23, tzinfo=UTC)  # local midnight; 02:00 becomes 03:00
    assert berlin.between(spring, spring + timedelta(hours=23)) == 23 * HOUR
    assert berlin.add(spring, 23 * HOUR) == datetime(2025, 3, 30, 22, tzinfo=UTC)
    office = Calendar(name="y", time_zone="Europe/Berlin", hours=(((60, 240),),) * 7)
    # 01:00 to 04:00 local has two hours on 30 March 2025 and four on 26 October
    assert office.between(spring, spring + timedelta(hours=23)) == 2 * HOUR
    autumn = datetime(2025, 10, 25, 22, tzinfo=UTC)
    assert office.between(autumn, autumn + timedelta(hours=25)) == 4 * HOUR


def test_a_calendar_that_never_opens_says_so() -> None:
    shut = Calendar(name="z", time_zone="UTC", hours=((),) * 7)
    with pytest.raises(LimitExceededError):
        shut.add(datetime(2025, 1, 1, tzinfo=UTC), 1)


def test_every_calendar_loads() -> None:
    assert [load_calendar(name).name for name in calendar_names()] == calendar_names()
    days = load_calendar("cn_office")
    assert date(2025, 1, 29) in days.days_off and date(2025, 1, 26) in days.worked
    assert all(day.weekday() >= 5 for day in days.worked)
    assert not days.worked & days.days_off


def test_the_notices_count_their_days_themselves() -> None:
    """共1、8、3、5、3、8天 in the notice for 2025; 3、9、3、5、3、3、7天 in the one for 2026."""
    off = load_calendar("cn_office").days_off
    counted = {year: sum(day.year == year for day in off) for year in (2025, 2026)}
    assert counted == {2025: 1 + 8 + 3 + 5 + 3 + 8, 2026: 3 + 9 + 3 + 5 + 3 + 3 + 7}


moments = st.datetimes(datetime(2025, 1, 1), datetime(2026, 11, 1)).map(  # noqa: DTZ001
    lambda d: d.replace(tzinfo=UTC)
)


@given(st.sampled_from(["always", "cn_office", "cn_workdays"]), moments, st.integers(0, 900_000))
def test_adding_and_counting_agree(name: str, start: datetime, seconds: int) -> None:
    calendar = load_calendar(name)
    due = calendar.add(start, seconds)
    assert due >= start
    assert calendar.between(start, due) == pytest.approx(seconds, abs=1e-5)
    assert ALWAYS.between(start, due) >= calendar.between(start, due)


@given(moments, moments, moments)
def test_open_time_adds_up(a: datetime, b: datetime, c: datetime) -> None:
    a, b, c = sorted((a, b, c))
    office = load_calendar("cn_office")
    parts = office.between(a, b) + office.between(b, c)
    assert parts == pytest.approx(office.between(a, c), abs=1e-5)
    assert office.between(b, a) == 0 or a == b
