"""What the API says about meters, use and campaigns."""

from __future__ import annotations

from datetime import datetime

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from console.bodies import Body, StepBody, Text
from model.maintenance import Answer, Selector


class AnswerBody(StepBody):
    """What the owner, or a person for them, says to a reminder."""

    answer: Answer = Field(
        description="`yes` books, `postpone` puts off, `no` declines until the next service,"
        " `not_applicable` is the operator's, `reopen` undoes all of them."
    )
    until: AwareDatetime | None = Field(
        None, description="Booked for, or put off until.", examples=["2025-03-20T01:30:00Z"]
    )
    station_id: str | None = Field(None, max_length=80, pattern=r"^[^\x00]*$")


class OdometerBody(StepBody):
    """A reading of the meter by a person."""

    odometer_km: float = Field(ge=0, le=4_000_000, description="What the car has driven in all.")
    read_at: AwareDatetime = Field(examples=["2025-03-01T02:00:00Z"])


class UseBody(StepBody):
    """What no signal says about the use of a car."""

    declared: list[str] = Field(
        max_length=10,
        description="taxi, police, delivery, towing, dust, rough_road; empty takes it back.",
        examples=[["taxi"]],
    )


class MeterReading(Body):
    """One kept reading: good ones once a day, doubtful ones all."""

    observed_at: datetime
    raw_km: float = Field(description="What the meter said.")
    offset_km: float = Field(description="Added to it: the instrument was replaced or corrected.")
    source: str = Field(examples=["signal"])
    verdict: str = Field(examples=["good"], description="good, jump, rollback, replaced, set")


class CareBody(Body):
    """Meter and use of one vehicle."""

    vin: str
    odometer_km: float | None = Field(description="Driven in all; frozen while doubtful.")
    odometer_at: datetime | None
    odometer_source: str | None = Field(description="signal, trips or person.")
    offset_km: float
    suspect_km: float | None = Field(description="A reading that cannot follow the last one.")
    use_factor: float = Field(description="Of the interval; below 1 = severe use.")
    use_reasons: list[str] = Field(examples=[["short_trips"]])
    use_figures: dict[str, object] = Field(description="Shares of the trips of the last 90 days.")
    use_declared: list[str]
    reminded_at: datetime | None
    reminders: int
    readings: list[MeterReading]


class CampaignBody(BaseModel):
    """A new campaign."""

    model_config = ConfigDict(extra="forbid")

    campaign_id: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,39}$", examples=["winter-2025"])
    zh: str = Field(min_length=1, max_length=80, examples=["冬季检查"])
    en: str = Field(min_length=1, max_length=80, examples=["Winter check"])
    selector: Selector = Field(examples=[{"ambient_below_c": 7, "regions": ["zhejiang"]}])
    starts_at: AwareDatetime
    ends_at: AwareDatetime
    actor: str = Field(min_length=1, max_length=80, pattern=r"^[^\x00]+$", examples=["li.wei"])


class CampaignState(Body):
    """A campaign and the answers so far."""

    campaign_id: str
    title: Text
    selector: Selector
    starts_at: datetime
    ends_at: datetime
    closed_at: datetime | None
    selected_at: datetime | None
    targets: int
    asked: int
    yes: int
    no: int
    postponed: int
    done: int


class TargetsBody(Body):
    """Whom a selector means now."""

    vehicles: int
    vins: list[str] = Field(description="At most 200 of them.")
