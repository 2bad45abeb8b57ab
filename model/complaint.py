"""Complaints and incidents: what must be answered in time (domain.md 6.6)."""

from __future__ import annotations

import uuid
from datetime import datetime
from enum import StrEnum

from pydantic import Field

from model.alerts import NAMESPACE
from model.record import Record
from model.severity import Severity


class ComplaintState(StrEnum):
    """States of a complaint."""

    NEW = "new"
    ANSWERED = "answered"
    PLAN = "plan"
    WAITING_CUSTOMER = "waiting_customer"
    SOLVED = "solved"
    CONFIRMED = "confirmed"
    WITHDRAWN = "withdrawn"


class ComplaintClass(StrEnum):
    """How grave; some brands promise more time for major ones."""

    ORDINARY = "ordinary"
    MAJOR = "major"


class IncidentState(StrEnum):
    """States of an incident."""

    NEW = "new"
    REPORTED = "reported"
    PLANNED = "planned"
    ANSWERED = "answered"
    CLOSED = "closed"


class IncidentCause(StrEnum):
    """What opens an incident."""

    EMERGENCY = "emergency"
    CLUSTER = "cluster"
    REPEAT = "repeat"
    COHORT = "cohort"
    PERSON = "person"


CLOSED_COMPLAINTS = frozenset({ComplaintState.CONFIRMED, ComplaintState.WITHDRAWN})
CLOSED_INCIDENTS = frozenset({IncidentState.CLOSED})


def complaint_key(source: str, reference: str) -> uuid.UUID:
    """The same complaint told twice by its own system is one."""
    return uuid.uuid5(NAMESPACE, f"complaint|{source}|{reference}")


def incident_key(cause: IncidentCause, subject: str) -> uuid.UUID:
    """The same occasion opens one incident."""
    return uuid.uuid5(NAMESPACE, f"incident|{cause}|{subject}")


class Complaint(Record):
    """One complaint of one customer; the ticket itself lives in the CRM."""

    complaint_id: uuid.UUID
    vin: str
    work_order_id: uuid.UUID | None = None
    #: Its number in the system it came from.
    reference: str = ""
    brand: str
    grade: ComplaintClass = ComplaintClass.ORDINARY
    #: Who has it: 1 advisor, 2 manager, 3 general manager.
    level: int = Field(1, ge=1, le=3)
    owner: str
    state: ComplaintState = ComplaintState.NEW
    text: str = ""
    opened_at: datetime
    changed_at: datetime
    first_reply_at: datetime | None = None
    closed_at: datetime | None = None
    #: What proved that the customer is content.
    proof: str = ""
    version: int = 0


class Incident(Record):
    """Something headquarters must answer for."""

    incident_id: uuid.UUID
    vin: str
    case_id: uuid.UUID | None = None
    cause: IncidentCause
    rule_id: str = ""
    severity: Severity
    station_id: str | None = None
    owner: str
    state: IncidentState = IncidentState.NEW
    report: str = ""
    plan: str = ""
    answer: str = ""
    opened_at: datetime
    changed_at: datetime
    closed_at: datetime | None = None
    version: int = 0
