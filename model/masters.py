"""Master data of people, parts and scores (domain.md 1.3). Vehicles and stations: model.vehicle."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal, Self

from pydantic import AwareDatetime, Field, model_validator

from model.record import Key, Label, Record, Word
from model.vehicle import Vehicle

#: A day that PostgreSQL, JSON and people agree on.
Day = Annotated[date, Field(ge=date(1970, 1, 1), le=date(2999, 12, 31))]
Role = Literal["technician", "crew", "advisor", "manager", "engineer", "expert", "agent"]


class Region(Record):
    """A region, or headquarters: whoever is told after the stations below."""

    region_id: Key
    name: Label
    name_en: Label = ""
    level: Literal["region", "headquarters"] = "region"
    parent_id: Key | None = None
    phone: Label = ""  # of the office


class CertificateSpan(Record):
    """What somebody may do, and how long. `valid_to` is the last day; None = for good."""

    kind: Word = Field(examples=["high_voltage", "plan_approval"])
    valid_from: Day
    valid_to: Day | None = None

    @model_validator(mode="after")
    def _forward(self) -> Self:
        if self.valid_to is not None and self.valid_to < self.valid_from:
            raise ValueError("valid_to is before valid_from")
        return self


class Certificate(CertificateSpan):
    """The same as a row of its own."""

    person_id: Key


class Person(Record):
    """Somebody of the network, without name or number: the HR system keeps those."""

    person_id: Key
    station_id: Key | None = None
    region_id: Key | None = None  # where somebody belongs to no station
    role: Role
    skill_level: int = Field(1, ge=1, le=4, description="1 technician … 4 senior technician")
    skills: frozenset[Word] = frozenset()
    languages: frozenset[Word] = frozenset({"zh"})
    active: bool = True
    #: All of them; None leaves those that are known as they are.
    certificates: tuple[CertificateSpan, ...] | None = None

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if (self.station_id is None) == (self.region_id is None):
            raise ValueError("one of station_id and region_id is needed")
        spans = [(c.kind, c.valid_from) for c in self.certificates or ()]
        if len(set(spans)) < len(spans):
            raise ValueError("a certificate is named twice")
        return self


class Duty(Record):
    """When a person or a unit is on duty; without `to_at` signed on and not yet off."""

    duty_id: str = Field("", max_length=200, pattern=r"^[^\x00-\x1f/]*$")
    person_id: Key | None = None
    unit_id: Key | None = None
    from_at: AwareDatetime
    to_at: AwareDatetime | None = None
    source: Word = "attendance"

    @model_validator(mode="before")
    @classmethod
    def _named(cls, given: object) -> object:
        """A source without ids of its own: who, source and begin make one."""
        if isinstance(given, dict) and not given.get("duty_id"):
            who = given.get("person_id") or given.get("unit_id")
            parts = (who, given.get("source", "attendance"), given.get("from_at"))
            return {**given, "duty_id": "|".join(map(str, parts)).replace("/", "-")[:200]}
        return given

    @model_validator(mode="after")
    def _one_subject(self) -> Self:
        if (self.person_id is None) == (self.unit_id is None):
            raise ValueError("one of person_id and unit_id is needed")
        if self.to_at is not None and self.to_at <= self.from_at:
            raise ValueError("to_at is not after from_at")
        return self


class PartStock(Record):
    """How many of a part a warehouse has."""

    part_no: Key
    warehouse: Key
    quantity: float = Field(ge=0, le=1e9)
    eta_h: float | None = Field(None, ge=0, le=10_000)  # to the stations it serves
    reported_at: AwareDatetime | None = None  # None = as it is told


class SurveyScore(Record):
    """One score of one station; the scale belongs to the source."""

    station_id: Key
    day: Day
    source: Word
    score: float = Field(ge=-1e6, le=1e6)


class VehicleRecord(Vehicle):
    """A vehicle as other systems tell it: with the gateway that may push for it."""

    powertrain: Annotated[str, Field(pattern="^(combustion|hybrid|electric)$")] = "combustion"
    gateway_id: str = Field("", max_length=80, pattern=r"^[^\x00]*$")
