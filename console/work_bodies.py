"""What the API says about diagnosis cases, plans, work orders, complaints and incidents."""

from __future__ import annotations

import uuid
from typing import Annotated

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from console.bodies import PERSON, VIN, AuditBody, Body, ClockBody, StepBody, Text
from dispatch.complaint import ComplaintStep, Proof
from dispatch.diagnosis_case import CaseStep
from dispatch.incident import IncidentStep
from dispatch.work_order import OrderFacts, OrderStep
from model.complaint import Complaint, ComplaintClass, Incident
from model.diagnosis_case import DiagnosisCase
from model.record import Key, Label, Prose
from model.repair_plan import PlanBody, RepairPlan
from model.severity import Severity
from model.vehicle import Vin
from model.work_order import OrderSource, WorkOrder, WorkOrderState

#: A code a person has read: P0217, or SPN/FMI.
Code = Annotated[str, Field(pattern=r"^([PCBU][0-9A-F]{4}|\d{1,6}/\d{1,2})$")]


class DiagnosisCaseBody(DiagnosisCase):
    """One fault of one car on its way to a repair."""

    plate: str
    title: Text
    evidence_url: str = Field(description="The evidence bundle of the alert.")


class WorkOrderBody(WorkOrder):
    """One visit from request to verified repair."""

    plate: str
    next_steps: list[OrderStep] = Field(description="Steps the state allows.")


class ComplaintBody(Complaint):
    """One complaint and its promises."""

    clocks: list[ClockBody]
    next_steps: list[ComplaintStep]
    audit: list[AuditBody]


class IncidentBody(Incident):
    """One incident and its promises."""

    clocks: list[ClockBody]
    next_steps: list[IncidentStep]
    audit: list[AuditBody]


class DiagnosisCaseDetail(DiagnosisCaseBody):
    """A case with its newest plan, its work order, its promises and what people did."""

    alert_ids: list[uuid.UUID]
    plan: RepairPlan | None
    work_order: WorkOrderBody | None
    clocks: list[ClockBody]
    next_steps: list[CaseStep]
    audit: list[AuditBody]


class WorkOrderDetail(WorkOrderBody):
    """An order with its approved plan, its promises, and every step with its time."""

    plan: RepairPlan | None = Field(description="The approved version.")
    clocks: list[ClockBody]
    audit: list[AuditBody]


class CaseMoveBody(StepBody):
    """A step of a diagnosis case. Triage says `drivable`; escalation may name who helps."""

    severity: Severity | None = None
    drivable: bool | None = None
    owner: Key | None = None
    odometer_km: float | None = Field(None, ge=0, le=4_000_000)


class Moving(BaseModel):
    """Who takes a step, and why; for bodies that carry more than that."""

    model_config = ConfigDict(extra="forbid")

    actor: Key = Field(examples=[PERSON])
    reason: Label = ""


class OrderMoveBody(OrderFacts, Moving):
    """A step of a work order and what it brings along."""


class OrderUpdateBody(OrderFacts, Moving):
    """What a dealer system tells about an order: its state, and what it knows (domain.md 1.3)."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "actor": "dms",
                "state": "handed_over",
                "at": "2025-03-01T09:30:00+08:00",
                "items": ["replace thermostat"],
                "parts": [{"part_no": "1016050", "qty": 1}],
                "odometer_km": 15_230.0,
                "confirmed_cause": "thermostat stuck closed",
                "photos_ref": ["https://dms.example/photos/4711"],
            }
        }
    )

    state: WorkOrderState


class OrderOpenBody(OrderFacts, Moving):
    """A visit that no diagnosis case asks for."""

    vin: Vin = Field(examples=[VIN])
    source: OrderSource = OrderSource.CUSTOMER


class OrderRequestBody(OrderFacts, Moving):
    """The visit a diagnosis case asks for."""


class PlanEditBody(Moving):
    """The next version of a plan."""

    base_version: int = Field(ge=1, description="The version this one was made from.")
    body: PlanBody


class PlanDraftBody(Moving):
    """Draft the plan anew from the templates, with codes that were read by hand."""

    codes: tuple[Code, ...] = Field((), max_length=50, examples=[["P0217"]])


class ComplaintTold(Moving):
    """A complaint as the CRM tells it; repeating it changes nothing (domain.md 1.3)."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "actor": "crm",
                "vin": VIN,
                "grade": "ordinary",
                "text": "engine still gets hot",
                "opened_at": "2025-03-01T09:00:00+08:00",
                "first_reply_at": "2025-03-01T09:20:00+08:00",
            }
        }
    )

    vin: Vin
    work_order_id: uuid.UUID | None = None
    profile: Label = Field("", description="Whose promises count; empty = the vehicle's brand.")
    grade: ComplaintClass = ComplaintClass.ORDINARY
    text: Prose = ""
    opened_at: AwareDatetime
    first_reply_at: AwareDatetime | None = None
    closed_at: AwareDatetime | None = None
    proof: Proof | None = Field(None, description="What shows that the customer is content.")
    owner: Key | None = None


class ComplaintMoveBody(StepBody):
    """A step of a complaint."""

    proof: Proof | None = None
    owner: Key | None = None


class IncidentMoveBody(StepBody):
    """A step of an incident with the report, the plan or the answer it brings."""

    text: Prose = ""
    owner: Key | None = None


class IncidentOpenBody(Moving):
    """An incident a person reports."""

    vin: Vin
    case_id: uuid.UUID | None = None
    severity: Severity = Severity.EMERGENCY
    report: Prose = ""


class RepairDays(Body):
    """Days in the workshop, all visits together."""

    vin: str
    visits: int
    days: float


def order_facts(body: OrderFacts, *without: str) -> OrderFacts:
    """The facts of a body that carries more."""
    return OrderFacts.model_validate(body.model_dump(exclude={"actor", "reason", *without}))
