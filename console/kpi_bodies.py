"""What the API says about key figures, loads and a station's day."""

from __future__ import annotations

from datetime import date
from typing import Literal

from pydantic import Field

from console.bodies import Body, Text

LoadLevel = Literal["ok", "warn", "rectify", "unknown"]


class KpiBody(Body):
    """One key figure. `docs/kpis.md` has the definitions."""

    key: str = Field(examples=["timeliness"])
    title: Text
    unit: str = Field(examples=["%"])
    value: float | None = Field(description="Null where there is nothing to count.")
    part: float = Field(description="`value` is part / whole, times 100 for %.")
    whole: float
    target: float | None
    target_source: str = Field(description="Where the target comes from.")
    reached: bool | None = Field(description="Null without a target or a value.")


class LoadBody(Body):
    """How full a workshop is, with the work of the next 7 days that can be foreseen."""

    station_id: str
    bays: int = Field(description="0 = not known.")
    customers: int = Field(description="Vehicles whose preferred station it is.")
    in_workshop: int
    booked: int
    predicted: int = Field(description="Vehicles with a service due within 7 d, not booked.")
    load: float | None = Field(description="(in_workshop + booked + predicted) / bays.")
    customers_per_bay: float | None
    level: LoadLevel


class ReportLine(Body):
    """One figure of a report."""

    key: str
    title: Text
    value: float | None
    unit: str = Field(description="Empty for a count.")


class ReportSection(Body):
    """Figures that belong together."""

    key: str
    title: Text
    lines: list[ReportLine]


class StationReport(Body):
    """One station's day. Lines that say (now) are of the moment it was asked for."""

    station_id: str
    station: Text
    day: date = Field(description="By the station's own calendar.")
    sections: list[ReportSection]
