"""What the API says: one model for each noun. Times are UTC, figures carry their unit."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Generic, TypeVar

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from model.alerts import AlertState, Handling
from model.maintenance import DueState
from model.rescue import CaseState
from model.severity import Severity
from model.vehicle import RescueUnit, Vehicle, Zone

VIN = "LRDCALLDEM0000001"
PERSON = "li.wei"

Row = TypeVar("Row")


class Body(BaseModel):
    """Base of every answer."""

    model_config = ConfigDict(frozen=True)


class Page(Body, Generic[Row]):
    """One page of a list, and where the next one starts."""

    items: list[Row]
    next_cursor: str | None = Field(
        None, description="Pass as `cursor` for the next page; null on the last page."
    )


class Text(Body):
    """A text in both languages."""

    zh: str = Field(examples=["冷却液温度过高"])
    en: str = Field(examples=["Coolant overheating"])


class AlertBody(Body):
    """One alert. `state` is what the vehicle says, `handling` what people did."""

    alert_id: uuid.UUID
    vin: str = Field(examples=[VIN])
    plate: str = Field(examples=["浙A12345"])
    rule_id: str = Field(examples=["ice.coolant.overtemp"])
    rule_version: int
    title: Text
    instance: str = Field(description="Which one, where a vehicle has several; empty otherwise.")
    severity: Severity = Field(description="-1 unknown, 0 info … 4 emergency; highest reached.")
    state: AlertState
    handling: Handling
    history: bool = Field(description="Found in late data: stored, never dispatched.")
    started_at: datetime = Field(description="Vehicle time: the condition became true.")
    fired_at: datetime = Field(description="Vehicle time: it had held long enough.")
    changed_at: datetime = Field(description="Vehicle time of the last step.")
    cleared_at: datetime | None
    evidence: dict[str, float] = Field(examples=[{"engine_coolant_temp_c": 119.0}])
    thresholds: dict[str, float] = Field(examples=[{"stop": 118.0}])


class AuditBody(Body):
    """One step somebody took."""

    step: str = Field(examples=["confirm"])
    actor: str = Field(examples=[PERSON])
    reason: str
    recorded_at: datetime


class AlertDetail(AlertBody):
    """An alert with its case and what people did."""

    case_id: uuid.UUID | None
    audit: list[AuditBody]


class ClockBody(Body):
    """A promise with a deadline."""

    kind: str = Field(examples=["arrival"])
    started_at: datetime
    due_at: datetime
    stopped_at: datetime | None = Field(description="Null while it runs.")
    warned_percent: int = Field(description="Announced so far: 0, 50, 80 or 100.")
    used_percent: float = Field(description="Share of the promised time used; above 100 = late.")


class CaseBody(Body):
    """One rescue from request to cleared."""

    case_id: uuid.UUID
    alert_id: uuid.UUID
    vin: str = Field(examples=[VIN])
    plate: str
    title: Text
    severity: Severity
    state: CaseState
    zone: Zone
    latitude_deg: float
    longitude_deg: float
    requested_at: datetime
    unit_id: str | None
    unit_name: str | None
    offered_at: datetime | None
    declined_by: list[str]
    version: int
    arrival: ClockBody | None


class CaseDetail(CaseBody):
    """A case with its audit trail, oldest step first."""

    unit: RescueUnit | None
    audit: list[AuditBody]


class DueBody(Body):
    """One service of one vehicle. Remaining figures are negative when past due."""

    vin: str
    plate: str
    kind: str = Field(examples=["oil_service"])
    title: Text
    state: DueState
    interval_km: float | None
    interval_days: float | None
    remaining_km: float | None
    remaining_days: float | None
    due_at: datetime | None = Field(description="Forecast date.")
    base_odometer_km: float | None
    base_at: datetime
    assessed_at: datetime | None


class ValueBody(Body):
    """The newest good sample of one signal."""

    name: str = Field(examples=["engine_coolant_temp_c"])
    title: Text
    unit: str = Field(examples=["degC"])
    value: float
    observed_at: datetime


class VehicleRow(Body):
    """One vehicle in the list."""

    vin: str = Field(examples=[VIN])
    plate: str
    brand: str
    model: str
    powertrain: str
    profile: str


class VehicleDetail(Body):
    """Everything a station wants to know about one vehicle."""

    vehicle: Vehicle
    observed_at: datetime | None = Field(description="Newest sample; null before the first.")
    received_at: datetime | None
    values: list[ValueBody]
    open_alerts: list[AlertBody]
    case: CaseBody | None = Field(description="The open rescue case, if any.")
    due_items: list[DueBody]


class Chart(Body):
    """One signal over time: value i belongs to start + i * step_s; null = nothing sampled."""

    vin: str
    name: str
    title: Text
    unit: str
    step_s: int
    start: datetime = Field(description="Start of the first step.")
    value: list[float | None] = Field(description="Last of each second, mean of each minute.")
    minimum: list[float | None] | None = Field(None, description="By the minute only.")
    maximum: list[float | None] | None = Field(None, description="By the minute only.")


class StepBody(BaseModel):
    """Who takes a step, and why."""

    model_config = ConfigDict(extra="forbid")

    actor: str = Field(min_length=1, max_length=80, pattern=r"^[^\x00]+$", examples=[PERSON])
    reason: str = Field("", max_length=500, pattern=r"^[^\x00]*$")


class CaseStepBody(StepBody):
    """Who takes a step in a case, and for which crew."""

    unit_id: str | None = Field(
        None,
        max_length=80,
        pattern=r"^[^\x00]*$",
        description="The crew that acts: it may only answer its own offer.",
    )


class DoneBody(StepBody):
    """A service that was done; the next one counts from here."""

    done_at: AwareDatetime = Field(
        description="With a time zone.", examples=["2025-03-01T02:00:00Z"]
    )
    odometer_km: float = Field(ge=0, le=4_000_000, examples=[15_230.0])


class PositionBody(BaseModel):
    """Where a unit is."""

    model_config = ConfigDict(extra="forbid")

    latitude_deg: float = Field(ge=-90, le=90, examples=[30.27])
    longitude_deg: float = Field(ge=-180, le=180, examples=[120.15])


class DutyBody(BaseModel):
    """Whether a unit is on duty."""

    model_config = ConfigDict(extra="forbid")

    on_duty: bool


class UnitBody(RescueUnit):
    """A rescue unit and the case it is offered or works on."""

    case_id: uuid.UUID | None = None
