"""A rescue case and the steps people take in it (domain.md 6.5)."""

from __future__ import annotations

import uuid
from datetime import datetime
from enum import StrEnum

from model.alerts import NAMESPACE
from model.severity import Severity
from model.vehicle import Record, Zone


class CaseState(StrEnum):
    """States of a rescue case."""

    REQUESTED = "requested"
    CONFIRMED = "confirmed"
    OFFERED = "offered"
    ACCEPTED = "accepted"
    ON_SCENE = "on_scene"
    CLEARED = "cleared"
    NO_UNIT = "no_unit"
    CANCELLED = "cancelled"


def case_id(alert: uuid.UUID) -> uuid.UUID:
    """One case an alert, however often the alert is written."""
    return uuid.uuid5(NAMESPACE, f"case|{alert}")


class RescueCase(Record):
    """One rescue from request to cleared."""

    case_id: uuid.UUID
    alert_id: uuid.UUID
    vin: str
    severity: Severity
    state: CaseState
    latitude_deg: float
    longitude_deg: float
    zone: Zone
    requested_at: datetime
    unit_id: str | None = None
    offered_at: datetime | None = None
    declined_by: tuple[str, ...] = ()
    #: Counts every change; a writer that saw an older version is refused.
    version: int = 0
