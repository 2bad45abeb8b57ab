"""What hushes alerts: silences of people, modes of vehicles, root causes named by rules."""

from __future__ import annotations

import uuid
from datetime import datetime
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Annotated, Literal

from pydantic import AwareDatetime, Field, StringConstraints, model_validator

from model.record import Record
from model.severity import Severity
from model.vehicle import Vehicle, Vin

Pattern = Annotated[str, StringConstraints(min_length=1, max_length=120, pattern=r"^[^\x00]+$")]
Reason = Annotated[str, StringConstraints(min_length=1, max_length=500, pattern=r"^[^\x00]+$")]

#: The rule id of the alert that stands for many.
STORM = "vehicle.storm"
STORM_TEXT = {"zh": "告警风暴", "en": "Alert storm"}


class Mode(StrEnum):
    """What a vehicle is in, when it is not on the road as usual."""

    WORKSHOP = "workshop"
    TRANSPORT = "transport"
    FLASHING = "flashing"
    DEMO = "demo"


class Inhibitor(Record):
    """A root cause: while an alert of `rule` stands, the alerts of the rule that names it hush.

    `equal`: of the same vehicle always; `instance` = of the same ECU, wheel or pack too.
    """

    rule: Pattern  # a rule id, or a pattern of ids: network.*
    equal: tuple[Literal["vin", "instance"], ...] = ("vin",)


class Matchers(Record):
    """Which alerts a silence is for; every field that is named must fit."""

    rule: Pattern | None = None  # a rule id, or a pattern of ids
    vin: Vin | None = None
    brand: Pattern | None = None
    model: Pattern | None = None
    station_id: Pattern | None = None  # the owner's station
    severity_max: Severity | None = None

    @model_validator(mode="after")
    def _names_something(self) -> Matchers:
        if not self.model_dump(exclude_none=True, exclude={"severity_max"}):
            raise ValueError("name a rule, vin, brand, model or station_id")
        return self

    def match(self, rule_id: str, severity: Severity, vehicle: Vehicle) -> bool:
        """Whether an alert of this vehicle is meant."""
        return (
            (self.rule is None or fnmatchcase(rule_id, self.rule))
            and (self.vin is None or self.vin == vehicle.vin)
            and (self.brand is None or self.brand.lower() == vehicle.brand.lower())
            and (self.model is None or self.model.lower() == vehicle.model.lower())
            and (self.station_id is None or self.station_id == vehicle.preferred_station)
            and (self.severity_max is None or severity <= self.severity_max)
        )


class Silence(Record):
    """Nobody hears of the alerts that match, from one moment to another."""

    silence_id: uuid.UUID
    matchers: Matchers
    starts_at: AwareDatetime
    ends_at: AwareDatetime
    emergencies: bool = False  # severity 4 too
    actor: str = Field(min_length=1, max_length=80)
    reason: Reason
    created_at: AwareDatetime


class VehicleMode(Record):
    """A vehicle in a mode, from one moment to another."""

    mode_id: uuid.UUID
    vin: Vin
    mode: Mode
    starts_at: AwareDatetime
    ends_at: AwareDatetime
    actor: str = Field(min_length=1, max_length=80)
    reason: str = ""
    created_at: AwareDatetime


class AlertFacts(Record):
    """One alert of the vehicle as it stands in its row; none was retracted."""

    alert_id: uuid.UUID
    rule_id: str
    instance: str
    severity: Severity
    started_at: datetime
    fired_at: datetime
    ended_at: datetime | None
    inhibit_by: tuple[Inhibitor, ...] = ()
    suppressed_by: str | None = None
    occurrence: int = 1
    first_alert_id: uuid.UUID | None = None


class Ruling(Record):
    """What shall hold for one alert. `until`: when to look again; None = no end in sight."""

    suppressed_by: str | None = None
    until: datetime | None = None
    occurrence: int = 1
    first_alert_id: uuid.UUID | None = None
