"""Samples that come hours late count in long windows and trips as if they had been on time.

Every test is driven in order and as its samples arrive; the alerts must be the same.
"""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rules.bundle import Bundle, read_bundle
from rules.pack_tests import PackTest, read_tests, run

PACK = """
- id: made.late
  domain: [X1]
  version: 1
  kind: fault
  levels: [{severity: 2, condition: "CONDITION", for: 0s}]
  clear: {condition: "not (CONDITION)", for: 10s}
  text:
    zh: {title: 热, driver: a, technician: a, action: a}
    en: {title: hot, driver: a, technician: a, action: a}
  source: made up
"""
DRIVE = """
- test: made
  rules: [made.late]
  period: 10s
  series: {ignition_on: "IGNITION", motor_temp_c: "HEAT"}
  late: [{at: ATs, late_by: BYs, motor_temp_c: VALUE}]
"""
OF_A_TRIP = [
    "max(motor_temp_c, trip) > 100",
    "avg(motor_temp_c, trip) > 75",
    "range(motor_temp_c, trip) > 50",
    "duration_above(motor_temp_c, 80, trip) > 5m",
    "share_above(motor_temp_c, 80, trip) > 0.3 and elapsed(trip) > 5m",
    "onsets(motor_temp_c > 80, trip) >= 2",
    "cycles(motor_temp_c > 80, 3) >= 2",
]


def bundle(condition: str) -> Bundle:
    return read_bundle({"made.yaml": PACK.replace("CONDITION", condition)})


def drive(ignition: str, heat: str, at_s: int, by_s: int, value: int, more: str = "") -> PackTest:
    text = DRIVE.replace("IGNITION", ignition).replace("HEAT", heat).replace("VALUE", str(value))
    text = text.replace("AT", str(at_s)).replace("BY", str(by_s)) + more
    (case,) = read_tests("made.yaml", text)
    return case


@pytest.mark.parametrize("at_s", [1500, 3333, 5000])
@pytest.mark.parametrize("window", ["30m", "1h", "6h"])
def test_one_hot_sample_an_hour_late(window: str, at_s: int) -> None:
    case = drive("1x700", "85x700", at_s, 200, 120, "  alerts: 1\n")
    assert run(bundle(f"max(motor_temp_c, {window}) > 100"), case).faults == ()


def test_in_the_trip_that_is_under_way() -> None:
    case = drive("1x200", "85x200", 1505, 200, 120, "  expect: [{at: 1900s, state: firing}]\n")
    assert run(bundle("max(motor_temp_c, trip) > 100"), case).faults == ()


def test_between_trips_it_takes_nothing_from_the_next() -> None:
    ignition, heat = "1x60 0x120 1x60 0x120 1x60", "85x10 60x50 60x120 60x61 60x120 85x60"
    case = drive(ignition, heat, 3000, 800, 61, "  expect: [{at: 4200s, state: firing}]\n")
    assert run(bundle("cycles(motor_temp_c > 80, 3) >= 2"), case).faults == ()


@st.composite
def drives(draw: st.DrawFn) -> PackTest:
    """A trip before and one of less than an hour, of which one sample comes late."""
    before, pause, last = (draw(st.integers(lo, 150)) for lo in (10, 70, 40))
    ignition = f"1x{before} 0x{pause} 1x{last} 0x9"
    steps = st.tuples(st.sampled_from([20, 60, 85, 99]), st.integers(3, 60))
    heat = " ".join(f"{v}x{n}" for v, n in draw(st.lists(steps, min_size=6, max_size=12)))
    begun_s = (before + 1 + pause + 1) * 10
    at_s = draw(st.integers(begun_s + 1, begun_s + last * 10 - 1))
    value, by_s = draw(st.sampled_from([20, 90, 120])), draw(st.integers(31, 3000))
    return drive(ignition, heat, at_s, by_s, value)


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(case=drives(), condition=st.sampled_from(OF_A_TRIP))
def test_any_sample_of_the_last_trip(case: PackTest, condition: str) -> None:
    assert run(bundle(condition), case).faults == ()
