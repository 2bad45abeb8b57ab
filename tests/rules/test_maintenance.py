"""Due by distance or by time, whichever comes first (domain rules 2.3, 5.4, 6.7)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.errors import TransitionError
from model.maintenance import DueState, MaintenanceItem
from model.vehicle import Vehicle
from rules.maintenance import assess, items_for, programmes, rebase

DAY = timedelta(days=1)
BASE = datetime(2025, 1, 1, tzinfo=UTC)
CAR = Vehicle(vin="LRC00000000000001", profile="made")


def item(**fields: object) -> MaintenanceItem:
    return MaintenanceItem(
        **{"vin": CAR.vin, "kind": "service", "base_at": BASE, "base_odometer_km": 1000.0} | fields
    )


@pytest.mark.parametrize(
    ("driven", "state"),
    [
        (0, DueState.OK),
        (9_499.9, DueState.OK),
        (9_500, DueState.DUE_SOON),  # 500 km before
        (9_999.9, DueState.DUE_SOON),
        (10_000, DueState.DUE),
        (10_999.9, DueState.DUE),
        (11_000, DueState.OVERDUE),  # + 10 %
    ],
)
def test_by_distance(driven: float, state: DueState) -> None:
    found = assess(item(interval_km=10_000, soon_km=500), 1000 + driven, None, BASE)
    assert found.state is state
    assert found.remaining_km == pytest.approx(10_000 - driven)
    assert found.remaining_days is None
    assert found.reason == "km"


def test_overdue_grace_is_at_most_1000_km_and_30_days() -> None:
    far = item(interval_km=30_000)
    assert assess(far, 1000 + 30_999, None, BASE).state is DueState.DUE
    assert assess(far, 1000 + 31_000, None, BASE).state is DueState.OVERDUE
    slow = item(interval_days=730.0)
    assert assess(slow, None, None, BASE + 759 * DAY).state is DueState.DUE
    assert assess(slow, None, None, BASE + 760 * DAY).state is DueState.OVERDUE


@pytest.mark.parametrize(
    ("days", "state"),
    [
        (85, DueState.OK),
        (86, DueState.DUE_SOON),  # 14 days before
        (100, DueState.DUE),
        (109, DueState.DUE),
        (110, DueState.OVERDUE),
    ],
)
def test_by_time(days: int, state: DueState) -> None:
    found = assess(item(interval_days=100.0, soon_days=14.0), None, None, BASE + days * DAY)
    assert found.state is state
    assert found.remaining_days == pytest.approx(100 - days)
    assert found.reason == "days"
    assert found.due_at == BASE + 100 * DAY


def test_whichever_comes_first() -> None:
    both = item(interval_km=5000, interval_days=183.0)
    assert assess(both, 6001, 10, BASE + DAY).reason == "km"
    assert assess(both, 1100, 10, BASE + 184 * DAY).reason == "days"
    assert assess(both, 1100, 10, BASE + 184 * DAY).state is DueState.DUE


def test_forecast_is_the_earlier_of_time_and_average_use() -> None:
    both = item(interval_km=5000, interval_days=183.0)
    now = BASE + 10 * DAY
    assert assess(both, 2000, 100.0, now).due_at == now + 40 * DAY  # 4 000 km left
    assert assess(both, 2000, 1.0, now).due_at == BASE + 183 * DAY
    assert assess(item(interval_km=5000), 2000, None, now).due_at is None
    assert assess(item(interval_km=5000), 7000, None, now).due_at == now


def test_no_counter_says_nothing() -> None:
    found = assess(item(interval_km=5000), None, None, BASE + 999 * DAY)
    assert (found.state, found.reason, found.due_at) == (DueState.OK, "none", None)


def test_an_odometer_that_went_back_is_never_negative_distance() -> None:
    found = assess(item(interval_km=5000), 12.0, None, BASE)
    assert (found.state, found.remaining_km) == (DueState.OK, 5000)


def test_done_counts_anew_from_the_record() -> None:
    done_at = BASE + 200 * DAY
    due = item(interval_km=5000, interval_days=183.0, state=DueState.OVERDUE)
    after = rebase(due, done_at, 6789.0)
    assert (after.base_at, after.base_odometer_km, after.state) == (done_at, 6789.0, DueState.OK)
    assert assess(after, 6789.0, 30.0, done_at).state is DueState.OK


def test_done_needs_an_odometer_reading() -> None:
    with pytest.raises(TransitionError, match="cannot done: odometer reading missing"):
        rebase(item(interval_km=5000), BASE, None)
    assert rebase(item(interval_days=365.0), BASE + DAY, None).base_at == BASE + DAY


def test_the_first_service_differs_from_the_rest() -> None:
    programme = programmes()["combustion"]
    first = next(i for i in items_for(CAR, programme, BASE) if i.kind == "service")
    assert (first.interval_km, first.interval_days) == (5000, 91)  # M01: 5 000 km or 3 months
    later = rebase(first, BASE + 80 * DAY, 4800.0, programme)
    assert (later.interval_km, later.interval_days) == (5000, 183)  # M02: 5 000 km or 6 months


def test_windows_are_ten_percent_but_at_least_500_km_and_14_days() -> None:
    found = {i.kind: i for i in items_for(CAR, programmes()["combustion"], BASE)}
    assert (found["service"].soon_km, found["service"].soon_days) == (500, 14)
    assert (found["brake_fluid"].soon_km, found["brake_fluid"].soon_days) == (3000, 73)
    assert found["engine_oil"].soon_km == 800  # M04
    assert found["coolant"].soon_days == 30  # M08


def test_every_powertrain_has_a_programme_with_sources() -> None:
    assert set(programmes()) == {"combustion", "hybrid", "electric"}
    for programme in programmes().values():
        for row in programme.items:
            assert row.source and row.zh and row.en
            assert row.repeat.km or row.repeat.days


def test_without_history_distance_counts_from_zero() -> None:
    created = items_for(CAR, programmes()["combustion"], BASE)
    oil = next(i for i in created if i.kind == "engine_oil")
    assert oil.base_odometer_km is None
    assert assess(oil, 12_000, None, BASE).state is DueState.DUE


@given(
    st.floats(0, 1e6),
    st.floats(0, 1e6),
    st.floats(1, 5e4),
    st.integers(1, 2000),
    st.integers(0, 4000),
)
def test_driving_on_never_makes_it_less_urgent(
    first: float, more: float, interval: float, days: int, passed: int
) -> None:
    both = item(interval_km=interval, interval_days=float(days))
    order = list(DueState)
    before = assess(both, first, 50.0, BASE + passed * DAY)
    after = assess(both, first + more, 50.0, BASE + (passed + 1) * DAY)
    assert order.index(after.state) >= order.index(before.state)
