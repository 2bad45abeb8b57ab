"""Master data of vehicles, stations and rescue units."""

from __future__ import annotations

from datetime import date
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import AfterValidator, AwareDatetime, Field, StringConstraints

from model.coverage import Coverage
from model.hours import Hours, zone_name
from model.record import Key, Label, Latitude, Longitude, Record, Word

#: ISO 3779: 17 characters, no I, O, Q.
Vin = Annotated[str, StringConstraints(pattern=r"^[A-HJ-NPR-Z0-9]{17}$")]

__all__ = ["Consent", "Record", "RescueUnit", "Station", "Vehicle", "Vin", "Zone"]


class Zone(StrEnum):
    """Arrival promise class of a place (domain.md 6.5)."""

    CITY = "city"
    COUNTY = "county"
    PROVINCE = "province"


class Consent(StrEnum):
    """What an owner has agreed to."""

    CALL = "call"  # calls about faults
    CAMPAIGN = "campaign"  # marketing
    POSITION = "position"  # the position is used for rescue
    REMINDER = "reminder"  # maintenance reminders


#: Nobody has objected to the service itself; marketing needs a yes (our own).
SERVICE_CONSENTS = frozenset({Consent.CALL, Consent.POSITION, Consent.REMINDER})


class Vehicle(Record):
    """One car and what rules may ask about it."""

    vin: Vin
    profile: Label
    plate: Label = ""
    brand: Label = ""
    model: Label = ""
    model_year: int = Field(0, ge=0, le=2200)  # 0 = not known
    region: Label = ""
    powertrain: str = "combustion"  # combustion | hybrid | electric
    battery_chemistry: Label = ""  # NCM | LFP | other
    cells_in_series: int = Field(0, ge=0, le=10_000)
    tire_placard_kpa: float = 240.0
    owner_ref: Label = ""  # the owner's key in the CRM; never a name or number
    use: Literal["", "private", "commercial"] = ""
    warranty_start: date | None = None
    preferred_station: Label = ""
    consents: frozenset[Consent] = SERVICE_CONSENTS


class Station(Record):
    """One service station."""

    station_id: Key
    name: Label
    name_en: Label = ""
    latitude_deg: Latitude
    longitude_deg: Longitude
    zone: Zone
    region_id: Key | None = None
    bays: int = Field(0, ge=0, le=10_000)  # 0 = not known
    hours: Hours = ()
    time_zone: Annotated[str, AfterValidator(zone_name)] = "Asia/Shanghai"
    skills: frozenset[Word] = frozenset()  # engine, battery, body …
    stars: int = Field(0, ge=0, le=5)  # 0 = not graded
    coverage: Coverage | None = None  # None = no limit
    phone: Label = ""  # of the desk
    active: bool = True


class RescueUnit(Record):
    """One rescue crew with its car."""

    unit_id: Key
    station_id: Key
    name: Label
    capabilities: frozenset[Word] = frozenset()  # tow, flatbed, jump, fuel, tyre, hv
    on_duty: bool = False
    latitude_deg: Latitude
    longitude_deg: Longitude
    crew: frozenset[Key] = frozenset()  # person_id of whoever usually rides it
    tow_t: float | None = Field(None, gt=0, le=1000)  # what it can tow
    provider: Label = ""  # '' = the station's own
    position_feed: Label = ""  # the device that reports the position
    position_at: AwareDatetime | None = None
