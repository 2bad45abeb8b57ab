"""Maintenance items: what is due, and by which counter (domain.md 2.3, 6.7)."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from model.vehicle import Record


class DueState(StrEnum):
    """States of a maintenance item, in rising urgency."""

    OK = "ok"
    DUE_SOON = "due_soon"
    DUE = "due"
    OVERDUE = "overdue"


class MaintenanceItem(Record):
    """One service of one vehicle, counted from creation or the last done record (`base_*`)."""

    vin: str
    kind: str
    interval_km: float | None = None
    interval_days: float | None = None
    soon_km: float = 500.0
    soon_days: float = 14.0
    base_odometer_km: float | None = None
    base_at: datetime
    state: DueState = DueState.OK


class DueAssessment(Record):
    """What the counters say now. Remaining figures are negative when past due."""

    state: DueState
    remaining_km: float | None
    remaining_days: float | None
    due_at: datetime | None  # forecast date: the earlier of time and average use
    reason: str  # km | days | none
