"""A promise with a deadline, and the clock that watches it. Pure: rows live in the store.

A clock counts seconds of its calendar's open time. It warns once at each share of its target; after
an outage one announcement says the highest share that has passed, to everybody the shares below it
would have told too. A paused clock counts nothing and warns nobody.
"""

from __future__ import annotations

import uuid
from datetime import datetime

from pydantic import Field

from model.alerts import NAMESPACE
from model.calendars import load_calendar
from model.vehicle import Record

#: What a starter may say about its subject; part of every warning's message.
Fact = str | int | float | None


class Warn(Record):
    """Whom to tell when that share of the target is used up."""

    percent: int = Field(gt=0, le=1000)
    #: Roles, e.g. station, region, hq: the escalation chain is read from these lines in order.
    to: tuple[str, ...]


class Promise(Record):
    """What a profile says about one kind of clock."""

    kind: str
    zh: str
    en: str
    brand: str = "default"
    #: Which of the profile's targets: a zone, a severity, a class of complaint; empty = the only.
    variant: str = ""
    target_s: float = Field(ge=0)
    calendar: str = "always"
    warn: tuple[Warn, ...] = ()
    #: States of the subject in which the clock stands still.
    pause_states: frozenset[str] = frozenset()
    #: A new round begins where the target runs out unanswered (progress every 30 min).
    repeats: bool = False
    source: str = ""


class ClockRow(Record):
    """One clock as kept. It carries its own terms: a changed profile changes no given promise."""

    clock_id: uuid.UUID
    kind: str
    noun: str
    noun_id: str
    #: 0, 1, 2 …: how often this clock of this subject was started before.
    round: int = 0
    promise: Promise
    facts: dict[str, Fact] = Field(default_factory=dict)
    started_at: datetime
    #: Since when it counts; None while paused or stopped.
    running_since: datetime | None
    #: Open time counted before `running_since`, in seconds.
    used_s: float = 0.0
    #: While paused: the deadline if it went on at the pause.
    due_at: datetime
    warned_percent: int = 0
    #: When to look again; None = nothing to announce.
    next_check_at: datetime | None
    stopped_at: datetime | None = None
    #: Whether the target was kept; None while it runs.
    met: bool | None = None

    @property
    def is_paused(self) -> bool:
        """Whether it stands still and may go on."""
        return self.stopped_at is None and self.running_since is None

    def used_at(self, now: datetime) -> float:
        """Seconds of open time counted until `now`."""
        if self.running_since is None:
            return self.used_s
        calendar = load_calendar(self.promise.calendar)
        return self.used_s + calendar.between(self.running_since, now)

    def moment_of(self, percent: int) -> datetime | None:
        """When that share is used up; None while it does not run."""
        if self.running_since is None:
            return None
        left_s = self.promise.target_s * percent / 100 - self.used_s
        return load_calendar(self.promise.calendar).add(self.running_since, left_s)


class Firing(Record):
    """One announcement: a share of a clock that was used up."""

    clock: ClockRow
    percent: int
    #: Everybody told by this share and by those passed since the last announcement.
    to: tuple[str, ...]
    at: datetime

    @property
    def key(self) -> str:
        """Stable: the same share of the same round is the same announcement."""
        return f"clock/{self.clock.clock_id}/{self.percent}"


def clock_id(kind: str, noun: str, noun_id: str, round_: int) -> uuid.UUID:
    """The same clock, however often it is started."""
    return uuid.uuid5(NAMESPACE, f"clock|{kind}|{noun}|{noun_id}|{round_}")


def started(
    promise: Promise,
    noun: str,
    noun_id: str,
    at: datetime,
    *,
    facts: dict[str, Fact] | None = None,
    round_: int = 0,
) -> ClockRow:
    """A clock that starts at `at`."""
    due_at = load_calendar(promise.calendar).add(at, promise.target_s)
    row = ClockRow(
        clock_id=clock_id(promise.kind, noun, noun_id, round_),
        kind=promise.kind,
        noun=noun,
        noun_id=noun_id,
        round=round_,
        promise=promise,
        facts=facts or {},
        started_at=at,
        running_since=at,
        due_at=due_at,
        next_check_at=None,
    )
    return row.model_copy(update={"next_check_at": next_check(row)})


def paused(row: ClockRow, at: datetime) -> ClockRow:
    """The clock standing still; unchanged when it does not run."""
    if row.running_since is None or row.stopped_at is not None:
        return row
    return row.model_copy(
        update={"used_s": row.used_at(at), "running_since": None, "next_check_at": None}
    )


def resumed(row: ClockRow, at: datetime) -> ClockRow:
    """The clock going on; unchanged unless it is paused."""
    if not row.is_paused:
        return row
    going = row.model_copy(update={"running_since": at})
    calendar = load_calendar(row.promise.calendar)
    due_at = calendar.add(at, row.promise.target_s - row.used_s)
    return going.model_copy(update={"due_at": due_at, "next_check_at": next_check(going)})


def stopped(row: ClockRow, at: datetime) -> ClockRow:
    """The clock at its end; the first stop counts."""
    if row.stopped_at is not None:
        return row
    used_s = row.used_at(at)
    return row.model_copy(
        update={
            "stopped_at": at,
            "used_s": used_s,
            "running_since": None,
            "next_check_at": None,
            # A microsecond of rounding does not break a promise.
            "met": used_s <= row.promise.target_s + 1e-6,
        }
    )


def next_check(row: ClockRow) -> datetime | None:
    """When the next share that was not announced is used up."""
    later = [warn.percent for warn in row.promise.warn if warn.percent > row.warned_percent]
    return row.moment_of(min(later)) if later else None


def fire(row: ClockRow, now: datetime) -> tuple[ClockRow, Firing | None]:
    """The clock after a look at `now`, and what is to be announced."""
    passed = []
    for warn in row.promise.warn:
        moment = row.moment_of(warn.percent)
        if warn.percent > row.warned_percent and moment is not None and moment <= now:
            passed.append(warn)
    if not passed:
        return row.model_copy(update={"next_check_at": next_check(row)}), None
    percent = max(warn.percent for warn in passed)
    after = row.model_copy(update={"warned_percent": percent})
    after = after.model_copy(update={"next_check_at": next_check(after)})
    told = dict.fromkeys(role for warn in passed for role in warn.to)
    return after, Firing(clock=after, percent=percent, to=tuple(told), at=now)
