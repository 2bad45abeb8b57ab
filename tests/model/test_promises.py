"""A clock: each share once, the highest after an outage, pauses, clocks that jump."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model import promises
from model.promises import ClockRow, Promise, Warn

START = datetime(2025, 3, 3, 8, 0, tzinfo=UTC)  # Monday
MINUTE = timedelta(minutes=1)
WARN = (Warn(percent=50, to=("a",)), Warn(percent=80, to=("a", "b")), Warn(percent=100, to=("c",)))


def clock(minutes: float = 30, **more: object) -> ClockRow:
    facts = {"kind": "k", "zh": "时限", "en": "promise", "target_s": minutes * 60, "warn": WARN}
    return promises.started(Promise.model_validate(facts | more), "thing", "1", START)


@pytest.mark.parametrize(
    ("minutes", "percent", "to"),
    [
        (14.99, None, ()),
        (15, 50, ("a",)),
        (24, 80, ("a", "b")),
        (30, 100, ("a", "b", "c")),
        (300, 100, ("a", "b", "c")),
    ],
)
def test_the_highest_share_is_told_to_everybody_below_it(
    minutes: float, percent: int | None, to: tuple[str, ...]
) -> None:
    after, firing = promises.fire(clock(), START + minutes * MINUTE)
    assert (firing.percent if firing else None) == percent
    assert (firing.to if firing else ()) == to
    again, second = promises.fire(after, START + minutes * MINUTE)
    assert second is None and again == after


def test_when_to_look_again() -> None:
    row, looks = clock(), []
    while row.next_check_at is not None:
        looks.append((row.next_check_at - START) / MINUTE)
        row, _ = promises.fire(row, row.next_check_at)
    assert looks == [15, 24, 30]


def test_a_pause_moves_the_deadline_by_its_length() -> None:
    row = promises.paused(clock(), START + 20 * MINUTE)
    assert (row.used_s, row.next_check_at, row.is_paused) == (1200, None, True)
    assert promises.fire(row, START + 500 * MINUTE)[1] is None
    assert promises.paused(row, START + 40 * MINUTE) == row
    again = promises.resumed(row, START + 60 * MINUTE)
    assert again.due_at == START + 70 * MINUTE
    assert again.used_at(START + 65 * MINUTE) == 1500
    assert promises.resumed(again, START + 61 * MINUTE) == again
    kept = promises.stopped(again, START + 70 * MINUTE)
    assert (kept.met, kept.used_s) == (True, 1800)
    assert promises.stopped(again, START + 71 * MINUTE).met is False
    assert promises.stopped(kept, START + 90 * MINUTE) == kept


def test_a_promise_of_no_time_is_due_at_once() -> None:
    row = clock(0)
    assert row.due_at == START
    assert promises.fire(row, START)[1].percent == 100  # type: ignore[union-attr]


def test_working_time_counts() -> None:
    # Monday 16:00 in China; 2 h of the office end at 18:00, the third runs on Tuesday morning
    row = clock(180, calendar="cn_office")
    assert row.due_at == START + timedelta(hours=18)
    assert row.moment_of(50) == START + timedelta(minutes=90)


@given(st.lists(st.integers(-40, 90), max_size=30))
def test_however_the_wall_clock_jumps_each_share_is_told_once(jumps: list[int]) -> None:
    row, now, told = clock(), START, []
    for jump in [*jumps, 10_000]:
        now += jump * MINUTE
        row, firing = promises.fire(row, now)
        if firing:
            told.append(firing.percent)
    assert told == sorted(set(told)) and told[-1] == 100


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 40)), max_size=20))
def test_only_running_time_is_used(steps: list[tuple[bool, int]]) -> None:
    row, now, running_min, runs = clock(), START, 0, True
    for pause, minutes in steps:
        now += minutes * MINUTE
        running_min += minutes if runs else 0
        row = promises.paused(row, now) if pause else promises.resumed(row, now)
        runs = not pause
    assert row.used_at(now) == pytest.approx(running_min * 60)
    if runs:
        assert row.due_at == now + (30 - running_min) * MINUTE or running_min > 30
