"""Trips from minutes, severe use from trips: by hand."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.maintenance import Trip
from rules.usage import Minute, Use, severe_use, trips_of, usage_terms

TERMS = usage_terms()
START = datetime(2025, 1, 1, 8, tzinfo=UTC)
MIN = timedelta(minutes=1)


def minutes(first: int, count: int, **values: float) -> list[Minute]:
    return [Minute(at=START + (first + n) * MIN, **values) for n in range(count)]


def test_a_pause_of_more_than_ten_minutes_ends_a_trip() -> None:
    drive = {"speed_mean_kmh": 30.0, "speed_max_kmh": 50.0, "engine_rpm": 1500.0}
    short = trips_of([*minutes(0, 5, **drive), *minutes(15, 5, **drive)], TERMS.trip)
    assert [(t.started_at, t.ended_at) for t in short] == [(START, START + 20 * MIN)]
    long = trips_of([*minutes(0, 5, **drive), *minutes(16, 5, **drive)], TERMS.trip)
    assert [t.distance_km for t in long] == [pytest.approx(2.5), pytest.approx(2.5)]


def test_idle_fast_distance_and_ambient() -> None:
    idle = minutes(0, 3, speed_mean_kmh=0, speed_max_kmh=1, engine_rpm=800, ambient_c=-4)
    fast = minutes(3, 2, speed_mean_kmh=150, speed_max_kmh=160, engine_rpm=4000, ambient_c=1)
    marked = [
        fast[0].model_copy(update={"odometer_first_km": 100.0, "odometer_last_km": 102.5}),
        fast[1].model_copy(update={"odometer_first_km": 102.5, "odometer_last_km": 105.0}),
    ]
    parked = minutes(5, 4, speed_mean_kmh=0, speed_max_kmh=0, engine_rpm=0)
    (trip,) = trips_of([*idle, *marked, *parked], TERMS.trip)
    assert (trip.idle_s, trip.fast_s, trip.distance_km) == (180, 120, 5.0)
    assert trip.ambient_c == pytest.approx(-2)
    assert trip.ended_at == START + 5 * MIN


def trip(day: float, km: float = 20, idle_s: float = 0, fast_s: float = 0, c: float = 20) -> Trip:
    at = START + timedelta(days=day)
    return Trip(
        started_at=at, ended_at=at + timedelta(hours=1), distance_km=km, idle_s=idle_s,
        fast_s=fast_s, ambient_c=c,
    )  # fmt: skip


NOW = START + timedelta(days=40)


def judged(trips: list[Trip], *declared: str) -> Use:
    return severe_use(trips, declared, TERMS.severe, NOW)


@pytest.mark.parametrize(
    ("trips", "reasons"),
    [
        ([trip(n) for n in range(20)], ()),
        ([trip(n, km=7 if n < 10 else 20) for n in range(20)], ()),  # exactly half
        ([trip(n, km=7 if n < 11 else 20) for n in range(20)], ("short_trips",)),
        ([trip(n, c=-1 if n < 11 else 5) for n in range(20)], ("cold",)),
        ([trip(n, idle_s=1440) for n in range(20)], ()),  # 40 %
        ([trip(n, idle_s=1500) for n in range(20)], ("idling",)),
        ([trip(n, fast_s=7260 if n == 3 else 0) for n in range(20)], ("fast",)),
        ([trip(n, km=1, c=-9) for n in range(9)], ()),  # too few to say anything
        ([trip(n - 100, km=1) for n in range(20)], ()),  # too long ago
    ],
)
def test_the_conditions_of_severe_use(trips: list[Trip], reasons: tuple[str, ...]) -> None:
    found = judged(trips)
    assert found.reasons == reasons
    assert found.factor == (0.5 if reasons else 1)


def test_what_people_declare_counts_without_any_trip() -> None:
    assert judged([], "taxi", "nonsense").reasons == ("declared:taxi",)
    assert judged([], "taxi").factor == 0.5


SPEEDS = st.lists(st.floats(0, 200) | st.none(), max_size=200)


@given(SPEEDS)
def test_trips_do_not_overlap_and_hold_only_their_minutes(speeds: list[float | None]) -> None:
    series = [
        Minute(at=START + n * MIN, speed_mean_kmh=v, speed_max_kmh=v) for n, v in enumerate(speeds)
    ]
    found = trips_of(series, TERMS.trip)
    assert all(a.ended_at < b.started_at for a, b in itertools.pairwise(found))
    driven = sum(v for v in speeds if v is not None and v > TERMS.trip.standing_kmh) / 60
    assert sum(t.distance_km for t in found) >= driven - 1e-9
    for t in found:
        assert 0 <= t.idle_s + t.fast_s <= (t.ended_at - t.started_at).total_seconds()
