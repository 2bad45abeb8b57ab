"""Master data: vehicles, gateways, stations, rescue units."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

#: ISO 3779: 17 characters, no I, O, Q.
Vin = Annotated[str, StringConstraints(pattern=r"^[A-HJ-NPR-Z0-9]{17}$")]


class Zone(StrEnum):
    """Arrival promise class of a place (domain.md 6.5)."""

    CITY = "city"
    COUNTY = "county"
    PROVINCE = "province"


class Record(BaseModel):
    """Frozen base of everything people act on."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Vehicle(Record):
    """One car and what rules may ask about it."""

    vin: Vin
    profile: str
    plate: str = ""
    brand: str = ""
    model: str = ""
    model_year: int = 0
    powertrain: str = "combustion"  # combustion | hybrid | electric
    battery_chemistry: str = ""  # NCM | LFP
    cells_in_series: int = 0
    tire_placard_kpa: float = 240.0
    preferred_station: str = ""


class Station(Record):
    """One service station."""

    station_id: str
    name: str
    name_en: str = ""
    latitude_deg: float = Field(ge=-90, le=90)
    longitude_deg: float = Field(ge=-180, le=180)
    zone: Zone


class RescueUnit(Record):
    """One rescue crew with its car."""

    unit_id: str
    station_id: str
    name: str
    capabilities: frozenset[str] = frozenset()  # tow, jump, fuel, tyre, hv
    on_duty: bool = False
    latitude_deg: float = Field(ge=-90, le=90)
    longitude_deg: float = Field(ge=-180, le=180)
