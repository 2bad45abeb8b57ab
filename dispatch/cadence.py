"""When to remind of what: cadence, merging, one message a day, quiet hours. Pure.

Source: domain rules 2.3 (entering each state, +7 d, +14 d, then monthly; stop after booking; never
more than one message a vehicle a day, several items merged); parameters: dispatch/cadence.toml.

A step is the number of a reminder inside one state: 0 at entering, 1 after 7 d, 2 after 14 d, then
one a month. An item wants a reminder when its step is higher than the last one said.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, time, timedelta
from functools import cache
from typing import Annotated

from pydantic import Field

from dispatch.quiet import Quiet
from model.maintenance import DueState, ItemHandling
from model.terms_files import read_terms
from model.vehicle import Record

Positive = Annotated[float, Field(gt=0)]


class ReminderTerms(Record):
    """The cadence."""

    after_days: tuple[Annotated[float, Field(ge=0)], ...] = Field(min_length=1)
    then_every_days: Positive
    pause_h: Positive
    merge_days: Annotated[float, Field(ge=0)]
    quiet_from: time
    quiet_to: time
    time_zone: str

    def quiet(self, zone: str | None) -> Quiet:
        """The quiet hours in a station's time zone."""
        return Quiet(
            quiet_from=self.quiet_from, quiet_to=self.quiet_to, time_zone=zone or self.time_zone
        )


class AnswerTerms(Record):
    """What an owner's answer leads to."""

    snooze_days: Positive
    snooze_most_days: Positive
    snoozes: Annotated[int, Field(ge=0)]
    booked_grace_days: Positive
    booked_days: Positive


class CadenceTerms(Record):
    """dispatch/cadence.toml."""

    reminder: ReminderTerms
    answer: AnswerTerms


@cache
def cadence_terms() -> CadenceTerms:
    """The parameters. Raises ValidationError when the file is wrong."""
    return CadenceTerms.model_validate(read_terms("cadence.toml"))


class Standing(Record):
    """One item as the cadence sees it. `said_step` -1: nothing was said in this state."""

    kind: str
    state: DueState
    state_since: datetime | None
    said_step: int = -1
    handling: ItemHandling = ItemHandling.OPEN


class Reminder(Record):
    """What to say now, and not before `not_before`; `steps` are to be kept by kind."""

    steps: dict[str, int]
    not_before: datetime


def step_at(age_days: float, terms: ReminderTerms) -> int:
    """The highest step reached `age_days` after entering a state; -1 before the first."""
    reached = sum(age_days >= days for days in terms.after_days) - 1
    beyond = age_days - terms.after_days[-1]
    return reached + int(max(0.0, beyond) // terms.then_every_days)


def next_reminder(
    items: Sequence[Standing],
    *,
    reminded_at: datetime | None,
    zone: str | None,
    now: datetime,
    terms: ReminderTerms,
) -> Reminder | None:
    """The one message that is to be said now, or None.

    `reminded_at` is when the vehicle's last message was, or will be, said.
    """
    if reminded_at is not None and now < reminded_at + timedelta(hours=terms.pause_h):
        return None
    open_items = [
        (item, (now - item.state_since) / timedelta(days=1))
        for item in items
        if item.state is not DueState.OK
        and item.handling is ItemHandling.OPEN
        and item.state_since is not None
    ]
    if not any(step_at(age, terms) > item.said_step for item, age in open_items):
        return None
    ahead = {
        item.kind: step_at(age + terms.merge_days, terms)
        for item, age in open_items
        if step_at(age + terms.merge_days, terms) > item.said_step
    }
    return Reminder(steps=ahead, not_before=terms.quiet(zone).until(now) or now)
