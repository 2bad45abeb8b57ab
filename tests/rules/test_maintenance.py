"""Due by distance or by time, whichever comes first (domain rules 2.3, 5.4, 6.7)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.errors import TransitionError
from model.maintenance import DueAssessment, DueState, MaintenanceItem
from model.vehicle import Vehicle
from rules.maintenance import Readings, assess, items_for, rebase
from rules.programmes import ProgrammeItem, programmes

DAY = timedelta(days=1)
BASE = datetime(2025, 1, 1, tzinfo=UTC)
CAR = Vehicle(vin="LRC00000000000001", profile="made")


def item(**fields: object) -> MaintenanceItem:
    return MaintenanceItem(
        **{"vin": CAR.vin, "kind": "service", "base_at": BASE, "base_odometer_km": 1000.0} | fields
    )


def seen(
    item: MaintenanceItem, km: float | None, per_day: float | None, now: datetime
) -> DueAssessment:
    """Assessed by odometer and average use alone."""
    return assess(item, Readings(odometer_km=km, km_per_day=per_day), now)


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
    found = seen(item(interval_km=10_000, soon_km=500), 1000 + driven, None, BASE)
    assert found.state is state
    assert found.remaining_km == pytest.approx(10_000 - driven)
    assert found.remaining_days is None
    assert found.reason == "km"


def test_overdue_grace_is_at_most_1000_km_and_30_days() -> None:
    far = item(interval_km=30_000)
    assert seen(far, 1000 + 30_999, None, BASE).state is DueState.DUE
    assert seen(far, 1000 + 31_000, None, BASE).state is DueState.OVERDUE
    slow = item(interval_days=730.0)
    assert seen(slow, None, None, BASE + 759 * DAY).state is DueState.DUE
    assert seen(slow, None, None, BASE + 760 * DAY).state is DueState.OVERDUE


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
    found = seen(item(interval_days=100.0, soon_days=14.0), None, None, BASE + days * DAY)
    assert found.state is state
    assert found.remaining_days == pytest.approx(100 - days)
    assert found.reason == "days"
    assert found.due_at == BASE + 100 * DAY


def test_whichever_comes_first() -> None:
    both = item(interval_km=5000, interval_days=183.0)
    assert seen(both, 6001, 10, BASE + DAY).reason == "km"
    assert seen(both, 1100, 10, BASE + 184 * DAY).reason == "days"
    assert seen(both, 1100, 10, BASE + 184 * DAY).state is DueState.DUE


def test_forecast_is_the_earlier_of_time_and_average_use() -> None:
    both = item(interval_km=5000, interval_days=183.0)
    now = BASE + 10 * DAY
    assert seen(both, 2000, 100.0, now).due_at == now + 40 * DAY  # 4 000 km left
    assert seen(both, 2000, 1.0, now).due_at == BASE + 183 * DAY
    assert seen(item(interval_km=5000), 2000, None, now).due_at is None
    assert seen(item(interval_km=5000), 7000, None, now).due_at == now


def test_no_counter_says_nothing() -> None:
    found = seen(item(interval_km=5000), None, None, BASE + 999 * DAY)
    assert (found.state, found.reason, found.due_at) == (DueState.OK, "none", None)


def test_an_odometer_that_went_back_is_never_negative_distance() -> None:
    found = seen(item(interval_km=5000), 12.0, None, BASE)
    assert (found.state, found.remaining_km) == (DueState.OK, 5000)


def test_done_counts_anew_from_the_record() -> None:
    done_at = BASE + 200 * DAY
    due = item(interval_km=5000, interval_days=183.0, state=DueState.OVERDUE)
    after = rebase(due, done_at, 6789.0)
    assert (after.base_at, after.base_odometer_km, after.state) == (done_at, 6789.0, DueState.OK)
    assert seen(after, 6789.0, 30.0, done_at).state is DueState.OK


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


def test_without_history_distance_counts_from_zero() -> None:
    created = items_for(CAR, programmes()["combustion"], BASE)
    oil = next(i for i in created if i.kind == "engine_oil")
    assert oil.base_odometer_km is None
    assert seen(oil, 12_000, None, BASE).state is DueState.DUE


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
    before = seen(both, first, 50.0, BASE + passed * DAY)
    after = seen(both, first + more, 50.0, BASE + (passed + 1) * DAY)
    assert order.index(after.state) >= order.index(before.state)


def row(**fields: object) -> ProgrammeItem:
    given = {"kind": "service", "zh": "保养", "en": "service", "source": "made"}
    return ProgrammeItem.model_validate(given | {"repeat": {"km": 10_000, "days": 365}} | fields)


OWN = row(own={"km": "distance_to_service_km", "days": "time_to_service_d", "flag": "service_due"})


@pytest.mark.parametrize(
    ("left_km", "state"),
    [
        (1_001, DueState.OK),
        (1_000, DueState.DUE_SOON),  # M11: notice at 1 000 km
        (0, DueState.DUE),
        (-999, DueState.DUE),
        (-1_000, DueState.OVERDUE),
    ],
)
def test_the_cars_own_distance_goes_before_our_counter(left_km: float, state: DueState) -> None:
    both = item(interval_km=10_000)
    ours = Readings(odometer_km=12_500, figures={"distance_to_service_km": left_km})
    found = assess(both, ours, BASE, OWN)  # by our own counter it would be overdue
    assert (found.state, found.remaining_km, found.reason) == (state, left_km, "own")


def test_the_cars_own_time_and_flag_count() -> None:
    far = item(interval_km=10_000, interval_days=365.0)
    now = BASE + 100 * DAY
    soon = assess(far, Readings(odometer_km=1_000, figures={"time_to_service_d": 14}), now, OWN)
    assert (soon.state, soon.remaining_days, soon.due_at) == (
        DueState.DUE_SOON, 14, now + 14 * DAY,
    )  # fmt: skip
    told = assess(far, Readings(odometer_km=1_000, figures={"service_due": 1}), now, OWN)
    assert (told.state, told.due_at) == (DueState.DUE, now)
    calm = assess(far, Readings(odometer_km=1_000, figures={"service_due": 0}), now, OWN)
    assert calm.state is DueState.OK


def test_oil_life_comes_beside_the_hard_cap() -> None:
    """M03 and M04: oil life 40 % after 60 days: 1 % a day, 40 days left; but the cap is passed."""
    oil = row(condition={"signals": ["oil_life_percent"], "fresh": 100, "due": 0})
    plain, now = item(interval_km=12_000), BASE + 60 * DAY
    life = {"oil_life_percent": 40.0}
    found = assess(plain, Readings(odometer_km=2_000, figures=life), now, oil)
    assert (found.state, found.due_at) == (DueState.OK, now + 40 * DAY)
    capped = assess(plain, Readings(odometer_km=13_000, figures=life), now, oil)
    assert (capped.state, capped.reason) == (DueState.DUE, "km")
    empty = assess(plain, Readings(odometer_km=2_000, figures={"oil_life_percent": 0}), now, oil)
    assert (empty.state, empty.reason) == (DueState.DUE, "condition")


def test_brake_pads_by_forecast_the_most_worn_counts() -> None:
    """M12: 72 % in 240 days = 0.3 % a day; 90 % in 60 days. At 81.5 % it is 25 days: due soon."""
    pads = row(
        repeat={},
        condition={"signals": ["a", "b"], "fresh": 0, "due": 90, "soon_days": 30},
    )
    now = BASE + 240 * DAY
    calm = assess(item(), Readings(figures={"a": 10, "b": 72}), now, pads)
    assert (calm.state, calm.reason) == (DueState.OK, "condition")
    assert calm.due_at == pytest.approx(now + 60 * DAY, abs=timedelta(seconds=1))
    assert assess(item(), Readings(figures={"a": 80, "b": 3}), now, pads).state is DueState.DUE_SOON
    assert assess(item(), Readings(figures={"a": 90}), now, pads).state is DueState.DUE


def test_engine_hours_of_stationary_work() -> None:
    """M13: 250 h, notice 20 h; 5 h a day leave 10 h for two days."""
    hours = row(repeat={"hours": 250}, soon_h=20)
    counted = item(interval_h=250.0, soon_h=20.0, base_engine_h=1_000.0)
    found = assess(counted, Readings(engine_h=1_240, h_per_day=5), BASE, hours)
    assert (found.state, found.remaining_h, found.reason) == (DueState.DUE_SOON, 10, "hours")
    assert found.due_at == BASE + 2 * DAY
    assert assess(counted, Readings(engine_h=1_229), BASE, hours).state is DueState.OK
    assert assess(counted, Readings(engine_h=1_275), BASE, hours).state is DueState.OVERDUE


def test_three_alerts_ask_for_a_battery_test() -> None:
    """M15."""
    battery = row(repeat={}, alerts={"rules": ["low"], "times": 3, "days": 30})
    assert assess(item(), Readings(alerts={"low": 2}), BASE, battery).state is DueState.OK
    assert assess(item(), Readings(alerts={"low": 3}), BASE, battery).state is DueState.DUE


def test_severe_use_halves_only_what_suffers() -> None:
    """M17: 10 000 km x 0.5; 4 600 km driven: 400 left, inside half of the 1 000 km notice."""
    plain = item(interval_km=10_000, soon_km=1_000)
    used = Readings(odometer_km=5_600, use_factor=0.5)
    found = assess(plain, used, BASE, row(severe=True))
    assert (found.state, found.remaining_km) == (DueState.DUE_SOON, 400)
    assert assess(plain, used, BASE, row()).remaining_km == 5_400
    assert assess(plain, used, BASE).remaining_km == 5_400


@given(
    st.floats(0, 60_000), st.floats(0, 3_000), st.floats(-2_000, 5_000) | st.none(),
    st.integers(0, 1_000),
)  # fmt: skip
def test_whichever_comes_first_is_never_less_urgent_than_one_alone(
    km: float, hours: float, own: float | None, days: int
) -> None:
    now, order = BASE + days * DAY, list(DueState)
    every = item(interval_km=10_000, interval_days=365.0, interval_h=250.0, base_engine_h=0.0)
    figures = {} if own is None else {"time_to_service_d": own}
    readings = Readings(odometer_km=km, engine_h=hours, figures=figures)
    found = assess(every, readings, now, OWN)
    alone = [
        assess(item(interval_km=10_000), readings, now),
        assess(item(interval_h=250.0, base_engine_h=0.0), readings, now),
        assess(item(), readings, now, OWN),
    ]
    if own is None:
        alone.append(assess(item(interval_days=365.0), readings, now))
    assert order.index(found.state) == max(order.index(a.state) for a in alone)
