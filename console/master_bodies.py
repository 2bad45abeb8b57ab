"""What the API says about master data."""

from __future__ import annotations

from datetime import date, datetime

from pydantic import Field

from console.bodies import Body, Text
from store.master_import import Outcome


class ChangeBody(Body):
    """What became of a record."""

    line: int = Field(description="Its place in the list, from 1.")
    key: list[str]
    outcome: Outcome
    fields: list[str] = Field(description="Those that are other than before.")


class RowFaultBody(Body):
    """What is wrong with which field of which row."""

    line: int
    field: str = Field(description="Empty for the row as a whole.")
    reason: str


class ImportBody(Body):
    """What an import did, or would do."""

    written: bool = Field(description="False after a dry run, or where a row was faulty.")
    created: int
    changed: int
    unchanged: int
    changes: list[ChangeBody] = Field(description="Created and changed records.")
    faults: list[RowFaultBody]


class GapBody(Body):
    """Open hours of a station without a certified person on duty."""

    station_id: str
    station: Text
    from_at: datetime
    to_at: datetime


class EndingBody(Body):
    """A certificate that nothing follows."""

    person_id: str
    station_id: str | None
    kind: str = Field(examples=["high_voltage"])
    valid_to: date = Field(description="Its last day.")


class UnprovenBody(Body):
    """A rescue unit that is not sent where its certificates are asked for."""

    unit_id: str
    station_id: str
    crew_named: bool = Field(description="False: name its crew first (`crew` of the unit).")
    missing: list[str] = Field(
        description="Kinds nobody in its crew holds today.", examples=[["high_voltage"]]
    )


class DutyGapsBody(Body):
    """What is or will be missing."""

    gaps: list[GapBody]
    ending_certificates: list[EndingBody]
    unproven_units: list[UnprovenBody]
