"""Promises with a deadline. Pure: the rows live in the store, and nothing waits in memory.

A clock is announced once per threshold of its profile (`warn_percent`, of the time used up).
After an outage only the highest threshold that has passed is announced: three messages at once
would say nothing more than the last of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

ARRIVAL = "arrival"


def moment_of(started_at: datetime, due_at: datetime, percent: int) -> datetime:
    """When `percent` of the promise is used up."""
    return started_at + (due_at - started_at) * percent / 100


def reached(
    started_at: datetime,
    due_at: datetime,
    *,
    now: datetime,
    warned_percent: int,
    thresholds: Sequence[int],
) -> int | None:
    """The highest threshold that has passed and was not announced, or None."""
    passed = [
        percent
        for percent in thresholds
        if percent > warned_percent and moment_of(started_at, due_at, percent) <= now
    ]
    return max(passed, default=None)


def next_check(
    started_at: datetime, due_at: datetime, *, warned_percent: int, thresholds: Sequence[int]
) -> datetime | None:
    """When to look at the clock again; None when every threshold has been announced."""
    later = [percent for percent in thresholds if percent > warned_percent]
    return moment_of(started_at, due_at, min(later)) if later else None


def remaining(due_at: datetime, now: datetime) -> timedelta:
    """What is left of the promise; negative when it is broken."""
    return due_at - now
