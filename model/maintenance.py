"""Maintenance items: what is due, and by which counter (domain.md 2.3, 6.7)."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Literal

from pydantic import Field

from model.record import Record

__all__ = [
    "Answer",
    "DueAssessment",
    "DueState",
    "ItemHandling",
    "MaintenanceItem",
    "Measured",
    "Odometer",
    "Selector",
    "Trip",
]


class DueState(StrEnum):
    """States of a maintenance item, in rising urgency."""

    OK = "ok"
    DUE_SOON = "due_soon"
    DUE = "due"
    OVERDUE = "overdue"


class ItemHandling(StrEnum):
    """What people decided about an item; the counters go on beside it."""

    OPEN = "open"
    BOOKED = "booked"
    SNOOZED = "snoozed"
    DECLINED = "declined"
    NOT_APPLICABLE = "not_applicable"


class Answer(StrEnum):
    """What an owner, or a person for them, says to a reminder."""

    YES = "yes"
    NO = "no"
    POSTPONE = "postpone"
    NOT_APPLICABLE = "not_applicable"
    REOPEN = "reopen"


class MaintenanceItem(Record):
    """One service of one vehicle, counted from creation or the last done record (`base_*`)."""

    vin: str
    kind: str
    interval_km: float | None = None
    interval_days: float | None = None
    interval_h: float | None = None
    soon_km: float = 500.0
    soon_days: float = 14.0
    soon_h: float = 20.0
    base_odometer_km: float | None = None
    base_engine_h: float | None = None
    base_at: datetime
    state: DueState = DueState.OK


class DueAssessment(Record):
    """What the counters say now. Remaining figures are negative when past due."""

    state: DueState
    remaining_km: float | None
    remaining_days: float | None
    remaining_h: float | None = None
    due_at: datetime | None  # forecast date: the earliest of all counters
    reason: str  # km | days | hours | own | condition | alerts | none


class Odometer(Record):
    """A vehicle's meter as followed: kilometres driven = raw + offset.

    `suspect_*` is a reading that cannot follow the last one; the total is frozen while it waits
    for more that agree with it.
    """

    raw_km: float
    at: datetime
    offset_km: float = 0.0
    suspect_km: float | None = None
    suspect_at: datetime | None = None
    suspect_count: int = 0

    @property
    def total_km(self) -> float:
        """Kilometres of the vehicle, whatever meters it had."""
        return self.raw_km + self.offset_km


class Trip(Record):
    """One drive, from the signals of the vehicle."""

    started_at: datetime
    ended_at: datetime
    distance_km: float
    idle_s: float
    fast_s: float
    ambient_c: float | None = None


class Measured(Record):
    """A condition on a signal's newest value."""

    signal: str
    op: Literal["<", "<=", ">", ">=", "="]
    value: float

    def holds(self, value: float) -> bool:
        """Whether a value answers yes."""
        return {
            "<": value < self.value,
            "<=": value <= self.value,
            ">": value > self.value,
            ">=": value >= self.value,
            "=": value == self.value,
        }[self.op]


class Selector(Record):
    """Which vehicles a campaign asks; an empty list asks no such question."""

    brands: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    powertrains: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    stations: tuple[str, ...] = ()
    year_from: int | None = None
    year_to: int | None = None
    odometer_from_km: float | None = None
    odometer_to_km: float | None = None
    ambient_below_c: float | None = Field(None, description="Mean of the last 7 days.")
    ambient_above_c: float | None = Field(None, description="Mean of the last 7 days.")
    measured: tuple[Measured, ...] = ()
