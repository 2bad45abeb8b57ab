"""A diagnosis case: one fault of one car on its way to a repair (domain.md 6.3)."""

from __future__ import annotations

import uuid
from datetime import datetime
from enum import StrEnum

from pydantic import Field

from model.alerts import NAMESPACE
from model.record import Record
from model.severity import Severity

#: Help levels: station, region or headquarters engineer, expert.
STATION_LEVEL, ENGINEER_LEVEL, EXPERT_LEVEL = 1, 2, 3


class DiagnosisState(StrEnum):
    """States of a diagnosis case."""

    OPEN = "open"
    TRIAGED = "triaged"
    PLANNED = "planned"
    AWAITING_VEHICLE = "awaiting_vehicle"
    AT_STATION = "at_station"
    ESCALATED_L2 = "escalated_l2"
    ESCALATED_L3 = "escalated_l3"
    INCIDENT = "incident"
    DONE = "done"
    REMOTE_SOLVED = "remote_solved"


#: Nothing more is to be done.
CLOSED_CASES = frozenset({DiagnosisState.DONE, DiagnosisState.REMOTE_SOLVED})


def diagnosis_id(alert: uuid.UUID) -> uuid.UUID:
    """One case an alert, however often and by whomever it is opened."""
    return uuid.uuid5(NAMESPACE, f"diagnosis|{alert}")


def fault_key(rule_id: str, instance: str) -> str:
    """Which fault it is; with the vehicle, its identity (domain.md 2.2)."""
    return f"{rule_id}#{instance}" if instance else rule_id


class DiagnosisCase(Record):
    """One fault of one car."""

    case_id: uuid.UUID
    vin: str
    alert_id: uuid.UUID
    fault_key: str
    rule_id: str
    severity: Severity
    state: DiagnosisState = DiagnosisState.OPEN
    #: Who helps: 1 station, 2 region or headquarters engineer, 3 expert. Never falls.
    level: int = Field(STATION_LEVEL, ge=STATION_LEVEL, le=EXPERT_LEVEL)
    station_id: str | None = None
    #: Who has it now: a person_id, or a station where nobody is named.
    owner: str
    #: Whether the car may go on driving; None before triage.
    drivable: bool | None = None
    #: 1 the first time, 2 when the fault came back once after a repair, and so on.
    repeat_no: int = Field(1, ge=1)
    repeat_of: uuid.UUID | None = None
    opened_at: datetime
    changed_at: datetime
    planned_at: datetime | None = None
    closed_at: datetime | None = None
    #: Odometer when it was closed; None where nobody knew.
    closed_odometer_km: float | None = None
    version: int = 0
