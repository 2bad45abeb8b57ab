"""Outbound events: what other systems hear of, as CloudEvents in JSON, structured mode.

Source: CloudEvents 1.0.2 (docs/sources.md), sections 3.1 and 3.2; extensions partitioning and
sequence. The rows come from store/migrations/0012_events.sql; docs/reference/asyncapi.yaml is made
of the models here.

An event's `id` is its key in the outbox: at least once, the same on every try. `sequence` orders
the events of a vehicle. No position, name or free text leaves with an event: whoever needs more
asks the API for its subject.
"""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Literal

from pydantic import AwareDatetime, Field

from model.alerts import AlertState, Handling
from model.complaint import ComplaintClass, ComplaintState, IncidentCause, IncidentState
from model.effects import OutboxRecord
from model.maintenance import DueState, ItemHandling
from model.record import Record
from model.rescue import CaseSource, CaseState
from model.severity import Severity
from model.vehicle import Zone
from model.work_order import OrderSource, WorkOrderState

#: Kinds of the outbox that are events, and the prefix of their CloudEvents types.
PREFIX, TYPE_PREFIX, VERSION = "event.", "roadcall.", "v1"
CONTENT_TYPE = "application/cloudevents+json; charset=UTF-8"
#: Digits of `sequence`: texts of one length sort like numbers.
DIGITS = 20


class AlertEvent(Record):
    """An alert. Hushed ones are not told; one that is hushed later says why."""

    alert_id: uuid.UUID
    vin: str
    rule_id: str
    rule_version: int
    instance: str
    severity: Severity
    state: AlertState
    handling: Handling
    history: bool = Field(description="Found in late data.")
    suppressed_by: str | None
    occurrence: int
    first_alert_id: uuid.UUID | None
    started_at: AwareDatetime
    fired_at: AwareDatetime
    changed_at: AwareDatetime
    cleared_at: AwareDatetime | None
    evidence: dict[str, float]
    thresholds: dict[str, float]


class RescueEvent(Record):
    """A rescue case came to another state or unit."""

    case_id: uuid.UUID
    vin: str
    alert_id: uuid.UUID | None
    source: CaseSource
    severity: Severity
    thermal: bool
    state: CaseState
    before: CaseState | None = Field(description="Null: it was opened.")
    owner: str
    zone: Zone
    unit_id: str | None
    requested_at: AwareDatetime
    promised_at: AwareDatetime | None
    arrived_at: AwareDatetime | None
    version: int


class WorkOrderEvent(Record):
    """A work order came to another state."""

    work_order_id: uuid.UUID
    vin: str
    case_id: uuid.UUID | None
    source: OrderSource
    state: WorkOrderState
    before: WorkOrderState | None = Field(description="Null: it was opened.")
    station_id: str | None
    owner: str
    priority_lane: bool
    repeat_no: int
    appointment_at: AwareDatetime | None
    promised_at: AwareDatetime | None
    changed_at: AwareDatetime
    version: int


class MaintenanceEvent(Record):
    """A service comes closer, or was booked."""

    vin: str
    service: str
    state: DueState
    handling: ItemHandling
    booked_for: AwareDatetime | None
    station_id: str | None
    remaining_km: float | None
    remaining_days: float | None
    remaining_h: float | None
    due_at: AwareDatetime | None
    reason: str
    cycle: int


class IncidentEvent(Record):
    """Something headquarters must answer for came to another state."""

    incident_id: uuid.UUID
    vin: str
    case_id: uuid.UUID | None
    cause: IncidentCause
    rule_id: str
    severity: Severity
    state: IncidentState
    before: IncidentState | None = Field(description="Null: it was opened.")
    station_id: str | None
    owner: str
    opened_at: AwareDatetime
    changed_at: AwareDatetime
    version: int


class ComplaintEvent(Record):
    """A complaint came to another state or level."""

    complaint_id: uuid.UUID
    vin: str
    work_order_id: uuid.UUID | None
    reference: str = Field(description="Its number in the system it came from.")
    brand: str
    grade: ComplaintClass
    level: int
    owner: str
    state: ComplaintState
    before: ComplaintState | None = Field(description="Null: it was opened.")
    opened_at: AwareDatetime
    first_reply_at: AwareDatetime | None
    closed_at: AwareDatetime | None
    changed_at: AwareDatetime
    version: int


class ClockEvent(Record):
    """A promise was broken."""

    clock_id: uuid.UUID
    vin: str | None
    kind: str
    noun: str
    noun_id: str
    brand: str | None
    variant: str | None
    target_s: float
    started_at: AwareDatetime
    due_at: AwareDatetime
    stopped_at: AwareDatetime | None = Field(description="Null: it still runs, too late.")


#: Kind without the prefix -> its data, and when it is said.
EVENTS: dict[str, tuple[type[Record], str]] = {
    "alert.fired": (AlertEvent, "an alert is heard of for the first time"),
    "alert.changed": (AlertEvent, "severity, state or handling changed, or it was hushed"),
    "alert.cleared": (AlertEvent, "the vehicle says that it is over"),
    "alert.retracted": (AlertEvent, "late data has shown that it was none"),
    "rescue.changed": (RescueEvent, "a rescue case was opened or took a step"),
    "work_order.changed": (WorkOrderEvent, "a work order was opened or took a step"),
    "maintenance.due": (MaintenanceEvent, "a service is due soon, due or overdue"),
    "maintenance.booked": (MaintenanceEvent, "a service was booked"),
    "incident.changed": (IncidentEvent, "an incident was opened or took a step"),
    "complaint.changed": (ComplaintEvent, "a complaint was opened or took a step"),
    "clock.breached": (ClockEvent, "the target of a promise has run out"),
}


class CloudEvent(Record):
    """The envelope (CloudEvents 1.0.2, JSON event format)."""

    specversion: Literal["1.0"] = "1.0"
    id: str = Field(description="Stable: the same on every try.")
    source: str = Field(description="The installation: ROADCALL_EVENT_SOURCE.")
    type: str
    subject: str = Field(description="Noun and id, as in the API.")
    time: datetime
    datacontenttype: Literal["application/json"] = "application/json"
    partitionkey: str | None = Field(None, description="The VIN; Kafka's key.")
    sequence: str = Field(description="Orders the events of one vehicle.")
    facts: dict[str, object] = Field(alias="data")


def is_event(record: OutboxRecord) -> bool:
    """Whether a message of the outbox is for systems, not for people."""
    return record.kind.startswith(PREFIX)


def type_of(kind: str) -> str:
    """The CloudEvents type of a kind, with the prefix of the outbox or without."""
    return f"{TYPE_PREFIX}{kind.removeprefix(PREFIX)}.{VERSION}"


def cloud_event(record: OutboxRecord) -> CloudEvent:
    """The event as it leaves. Raises KeyError and ValidationError when a row is not of ours."""
    body = record.body
    model, _ = EVENTS[record.kind.removeprefix(PREFIX)]
    return CloudEvent(
        id=record.key,
        source=body["source"],
        type=type_of(record.kind),
        subject=body["subject"],
        time=body["time"],
        partitionkey=body["vin"],
        sequence=f"{body['sequence']:0{DIGITS}}",
        data=model.model_validate(body["data"]).model_dump(mode="json"),
    )


def bytes_of(record: OutboxRecord) -> bytes:
    """The JSON every try carries, byte for byte the same."""
    made = cloud_event(record)
    absent = {"partitionkey"} if made.partitionkey is None else set[str]()  # null is not allowed
    return made.model_dump_json(by_alias=True, exclude=absent).encode()
