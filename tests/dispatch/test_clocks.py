"""Promises with a deadline: each threshold once, the highest after an outage."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatch import clocks

START = datetime(2025, 3, 1, 8, 0, tzinfo=UTC)
DUE = START + timedelta(minutes=30)
THRESHOLDS = (50, 80, 100)


@pytest.mark.parametrize(
    ("minutes", "warned", "expected"),
    [
        (14.99, 0, None),
        (15, 0, 50),
        (15, 50, None),
        (24, 50, 80),
        (24, 0, 80),
        (30, 80, 100),
        (300, 0, 100),
        (300, 100, None),
    ],
)
def test_what_is_announced(minutes: float, warned: int, expected: int | None) -> None:
    now = START + timedelta(minutes=minutes)
    found = clocks.reached(START, DUE, now=now, warned_percent=warned, thresholds=THRESHOLDS)
    assert found == expected


@pytest.mark.parametrize(("warned", "minutes"), [(0, 15), (50, 24), (80, 30)])
def test_when_to_look_again(warned: int, minutes: int) -> None:
    found = clocks.next_check(START, DUE, warned_percent=warned, thresholds=THRESHOLDS)
    assert found == START + timedelta(minutes=minutes)


def test_after_the_last_threshold_the_clock_is_quiet() -> None:
    assert clocks.next_check(START, DUE, warned_percent=100, thresholds=THRESHOLDS) is None


def test_what_is_left_goes_below_zero() -> None:
    assert clocks.remaining(DUE, DUE + timedelta(minutes=1)) == timedelta(minutes=-1)


@given(st.lists(st.floats(0, 200), min_size=1, max_size=30))
def test_looking_at_any_moments_announces_each_threshold_at_most_once(looks: list[float]) -> None:
    announced: list[int] = []
    for percent in sorted(looks):
        now = START + (DUE - START) * percent / 100
        found = clocks.reached(
            START,
            DUE,
            now=now,
            warned_percent=announced[-1] if announced else 0,
            thresholds=THRESHOLDS,
        )
        announced += [found] if found else []
    assert announced == sorted(set(announced))
    passed = [t for t in THRESHOLDS if t <= max(looks) - 1e-6]
    assert announced[-1:] == passed[-1:] or max(looks) == pytest.approx(announced[-1])
