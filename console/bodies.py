"""What the API says: one model for each noun. Times are UTC, figures carry their unit."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Generic, TypeVar

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from model.alerts import AlertState, Handling
from model.codes import CodeProtocol
from model.episodes import CodeVerdict, EpisodeKind, EpisodeState
from model.maintenance import DueState, ItemHandling
from model.rescue import CaseSource, CaseState
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
    suppressed_by: str | None = Field(
        None,
        description="`mode:`, `silence:`, `rule:` (root cause), `storm:`; null = people are told.",
        examples=["rule:electrics.low_voltage_running"],
    )
    suppressed_until: datetime | None = Field(None, description="Null: no end in sight.")
    occurrence: int = Field(1, description="How often it was there; back within 24 h counts on.")
    first_alert_id: uuid.UUID | None = Field(None, description="Where that count began.")
    snoozed_until: datetime | None = Field(None, description="A person put it off until then.")


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
    folded: list[uuid.UUID] = Field(
        default_factory=list, description="Alerts a storm stands for, the first one first."
    )


class ClockBody(Body):
    """A promise with a deadline."""

    kind: str = Field(examples=["arrival"])
    started_at: datetime
    due_at: datetime
    stopped_at: datetime | None = Field(description="Null while it runs.")
    warned_percent: int = Field(description="Announced so far: 0, 50, 80 or 100.")
    used_percent: float = Field(description="Share of the promised time used; above 100 = late.")
    paused: bool = Field(False, description="It stands still while somebody else must act.")
    met: bool | None = Field(None, description="Whether it was kept; null while it runs, or void.")


class CaseBody(Body):
    """One rescue from request to cleared."""

    case_id: uuid.UUID
    alert_id: uuid.UUID | None = Field(description="Null: a person asked for help.")
    source: CaseSource
    note: str = Field(description="What a person said is wrong.")
    vin: str = Field(examples=[VIN])
    plate: str
    title: Text
    severity: Severity
    thermal: bool = Field(description="The traction battery burns or is about to.")
    state: CaseState
    owner: str = Field(description="Who must act: a station's id, or call_centre.")
    zone: Zone
    latitude_deg: float
    longitude_deg: float
    requested_at: datetime
    unit_id: str | None
    unit_name: str | None
    offered_at: datetime | None
    declined_by: list[str]
    asked: list[str] = Field(description="Crews that may answer a broadcast.")
    promised_at: datetime | None = Field(description="When the crew said it would be there.")
    eta_at: datetime | None = Field(description="When it will be there by its newest position.")
    arrived_at: datetime | None = Field(description="The crew's button.")
    arrived_m: float | None = Field(description="How far its position was then.")
    proven_at: datetime | None = Field(description="The proof by position.")
    second_unit_id: str | None = Field(description="Asked beside the first, which will be late.")
    second_joined: bool
    version: int
    arrival: ClockBody | None
    clocks: list[ClockBody] = Field(description="Every promise of this case.")


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
    interval_h: float | None = None
    remaining_h: float | None = None
    reason: str = Field("none", description="The counter that decides.", examples=["own"])
    use_factor: float = Field(1.0, description="Below 1: severe use shortens the interval.")
    handling: ItemHandling = ItemHandling.OPEN
    handling_until: datetime | None = Field(None, description="Booked for, or put off until.")
    station_id: str | None = Field(None, description="Where it is booked.")
    campaign_id: str | None = None
    flagged: str | None = Field(None, description="What an operator must put right.")


class ValueBody(Body):
    """The newest good sample of one signal."""

    name: str = Field(examples=["engine_coolant_temp_c"])
    title: Text
    unit: str = Field(examples=["degC"])
    value: float
    observed_at: datetime


class FreezeValueBody(Body):
    """One of its values: PID, DID or SPN (0 = not named), and the bytes as sent."""

    identifier: int
    content: str = Field(description="Hexadecimal.", examples=["1020"])


class FreezeFrameBody(Body):
    """What an ECU stored beside a code."""

    number: int
    values: list[FreezeValueBody]


class EpisodeBody(Body):
    """One fault from its first sign to its end (docs/adr/0012)."""

    episode_id: uuid.UUID
    vin: str = Field(examples=[VIN])
    plate: str
    kind: EpisodeKind
    ecu: int | None = Field(description="Source address or answering identifier; null for a rule.")
    protocol: CodeProtocol | None = Field(description="Null for a rule.")
    code: str = Field(description="The code, or the rule's id.", examples=["P0217-44", "110/0"])
    instance: str
    title: Text
    system: str = Field(examples=["cooling"])
    action: Text | None = Field(description="What to advise; null for a rule.")
    state: EpisodeState = Field(description="`unknown`: open, and nothing newer was heard.")
    severity: Severity = Field(description="Highest so far; at least 3 for a critical code.")
    verdict: CodeVerdict | None = Field(description="What an operator thinks of the code.")
    count: int = Field(description="How often it appeared.")
    repeat: int = Field(description="How often it came back after it was cleared.")
    started_at: datetime
    last_seen_at: datetime
    since_at: datetime = Field(description="When the stored state began.")
    ended_at: datetime | None
    status: int | None = Field(description="Newest status byte.")
    occurrence_count: int | None = Field(description="The ECU's own count, highest so far.")
    freeze_frames: list[FreezeFrameBody] = Field(description="The earliest the ECU sent.")


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
    episodes: list[EpisodeBody] = Field(description="Fault episodes, newest first, not ignored.")
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
    odometer_km: float | None = Field(
        None,
        ge=0,
        le=4_000_000,
        description="Without it an item that counts kilometres stays, and is flagged.",
        examples=[15_230.0],
    )
    engine_h: float | None = Field(None, ge=0, le=1_000_000)


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
