"""When reminders are said: the cadence by hand, and what holds for every history."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatch.cadence import Standing, cadence_terms, next_reminder, step_at
from dispatch.quiet import Quiet
from model.maintenance import DueState, ItemHandling

TERMS = cadence_terms().reminder
DAY = timedelta(days=1)
NOON = datetime(2025, 3, 3, 4, tzinfo=UTC)  # 12:00 in Shanghai


@pytest.mark.parametrize(
    ("age_days", "step"),
    [(0, 0), (6.9, 0), (7, 1), (13.9, 1), (14, 2), (43.9, 2), (44, 3), (73.9, 3), (74, 4)],
)
def test_at_once_after_7_and_14_days_then_every_30(age_days: float, step: int) -> None:
    assert step_at(age_days, TERMS) == step


def standing(kind: str, age_days: float, said: int = -1, **more: object) -> Standing:
    facts = {"kind": kind, "state": DueState.DUE, "state_since": NOON - age_days * DAY}
    return Standing.model_validate(facts | {"said_step": said} | more)


def ask(items: list[Standing], last: datetime | None = None, now: datetime = NOON) -> object:
    return next_reminder(items, reminded_at=last, zone=None, now=now, terms=TERMS)


def test_what_is_said_soon_anyway_comes_along() -> None:
    found = ask([standing("a", 0), standing("b", 5, said=0), standing("c", 3.9, said=0)])
    assert found is not None
    assert found.steps == {"a": 0, "b": 1}  # b is due in 2 days, c in 3.1
    assert found.not_before == NOON


def test_nothing_is_said_twice_or_to_who_has_answered() -> None:
    assert ask([standing("a", 6, said=0)]) is None
    assert ask([standing("a", 0, state=DueState.OK)]) is None
    for handling in set(ItemHandling) - {ItemHandling.OPEN}:
        assert ask([standing("a", 0, handling=handling)]) is None


def test_not_within_a_day_of_the_last_one() -> None:
    assert ask([standing("a", 0)], NOON - timedelta(hours=23.9)) is None
    assert ask([standing("a", 0)], NOON - timedelta(hours=24)) is not None


@pytest.mark.parametrize(
    ("local", "until"),
    [
        ((20, 59), None),
        ((21, 0), (4, 8)),
        ((23, 59), (4, 8)),
        ((0, 0), (3, 8)),
        ((7, 59), (3, 8)),
        ((8, 0), None),
    ],
)
def test_quiet_hours_end_in_the_morning(
    local: tuple[int, int], until: tuple[int, int] | None
) -> None:
    now = datetime(2025, 3, 3, *local, tzinfo=UTC) - timedelta(hours=8)
    found = TERMS.quiet("Asia/Shanghai").until(now)
    if until is None:
        assert found is None
    else:
        day, hour = until
        assert found == datetime(2025, 3, day, hour, tzinfo=UTC) - timedelta(hours=8)


def test_quiet_hours_by_day_and_never() -> None:
    noon = Quiet(quiet_from=time(12), quiet_to=time(14), time_zone="UTC")
    at = datetime(2025, 3, 3, 13, tzinfo=UTC)
    assert noon.until(at) == at.replace(hour=14)
    assert noon.until(at.replace(hour=14)) is None
    assert Quiet(quiet_from=time(9), quiet_to=time(9), time_zone="UTC").until(at) is None


STATES = st.sampled_from(list(DueState))
#: For each hour step: which item, and the state it comes to.
CHANGES = st.lists(
    st.tuples(st.integers(1, 60), st.sampled_from("abc"), STATES), min_size=1, max_size=30
)


@given(CHANGES)
def test_whatever_happens_never_two_a_day_never_at_night_and_every_entry_is_said(
    changes: list[tuple[int, str, DueState]],
) -> None:
    now, last = NOON, None
    items = {k: Standing(kind=k, state=DueState.OK, state_since=None) for k in "abc"}
    sent: list[datetime] = []
    for hours, kind, state in [*changes, (60, "a", DueState.OK)]:
        for _ in range(hours):
            found = next_reminder(
                list(items.values()), reminded_at=last, zone=None, now=now, terms=TERMS
            )
            if found is not None:
                last = found.not_before
                sent.append(last)
                for name, step in found.steps.items():
                    items[name] = items[name].model_copy(update={"said_step": step})
            now += timedelta(hours=1)
        waiting = [i for i in items.values() if i.state is not DueState.OK and i.said_step < 0]
        # A day of pause and a night: whatever is due longer than that was said.
        assert all(now - i.state_since <= timedelta(hours=36) for i in waiting if i.state_since)
        items[kind] = Standing(
            kind=kind, state=state, state_since=None if state is DueState.OK else now
        )
    gaps = [b - a for a, b in itertools.pairwise(sent)]
    assert all(gap >= DAY for gap in gaps)
    assert all(TERMS.quiet(None).until(at) is None for at in sent)
