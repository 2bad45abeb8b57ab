"""A work order: one visit from request to verified repair (domain.md 6.4)."""

from __future__ import annotations

import uuid
from datetime import datetime
from enum import StrEnum

from pydantic import Field

from model.alerts import NAMESPACE
from model.record import Key, Record


class WorkOrderState(StrEnum):
    """States of a work order."""

    DRAFT = "draft"
    REQUESTED = "requested"
    BOOKED = "booked"
    CHECKED_IN = "checked_in"
    DIAGNOSING = "diagnosing"
    QUOTED = "quoted"
    APPROVED = "approved"
    IN_REPAIR = "in_repair"
    WAITING_PARTS = "waiting_parts"
    QUALITY_CHECK = "quality_check"
    READY = "ready"
    HANDED_OVER = "handed_over"
    VERIFYING = "verifying"
    CLOSED = "closed"
    REOPENED = "reopened"
    DECLINED = "declined"
    NO_SHOW = "no_show"
    CANCELLED = "cancelled"


#: Nothing more is to be done.
CLOSED_ORDERS = frozenset(
    {WorkOrderState.CLOSED, WorkOrderState.DECLINED, WorkOrderState.CANCELLED}
)


class OrderSource(StrEnum):
    """Why there is an order."""

    ALERT = "alert"
    COMPLAINT = "complaint"
    CUSTOMER = "customer"
    MAINTENANCE = "maintenance"
    REWORK = "rework"


#: These go before the others (domain.md 1.2, 31: quick service, rework, complaints first).
PRIORITY_SOURCES = frozenset({OrderSource.COMPLAINT, OrderSource.REWORK})


def order_id(case_id: uuid.UUID) -> uuid.UUID:
    """One order a diagnosis case, however often it is requested."""
    return uuid.uuid5(NAMESPACE, f"work_order|{case_id}")


class PartLine(Record):
    """A part that is needed."""

    part_no: Key
    qty: float = Field(1, gt=0, le=10_000)
    urgent: bool = False


class ExtraItem(Record):
    """Work found beyond what was agreed; the customer hears of it in time."""

    text: str
    found_at: datetime
    told_at: datetime | None = None


class WorkOrder(Record):
    """One visit."""

    work_order_id: uuid.UUID
    vin: str
    case_id: uuid.UUID | None = None
    source: OrderSource
    priority_lane: bool = False
    loaner_needed: bool = False
    station_id: str | None = None
    #: Never empty: the person or the station that has it now.
    owner: str
    state: WorkOrderState = WorkOrderState.DRAFT
    complaint: str = ""
    confirmed_cause: str = ""
    correction: str = ""
    items: tuple[str, ...] = ()
    parts: tuple[PartLine, ...] = ()
    extra_items: tuple[ExtraItem, ...] = ()
    photos_ref: tuple[str, ...] = ()
    #: How often the same fault has brought the car here; see DiagnosisCase.
    repeat_no: int = Field(1, ge=1)
    opened_at: datetime
    changed_at: datetime
    appointment_at: datetime | None = None
    checked_in_at: datetime | None = None
    promised_at: datetime | None = None
    ready_at: datetime | None = None
    handed_over_at: datetime | None = None
    odometer_km: float | None = Field(None, ge=0, le=4_000_000)
    visited_at: datetime | None = None
    verified_at: datetime | None = None
    closed_at: datetime | None = None
    #: The promised time has passed before the car was ready.
    overrun: bool = False
    version: int = 0
