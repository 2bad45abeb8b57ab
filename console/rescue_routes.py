"""POST /v1/cases, POST /v1/cases/{id}/locate, unit positions and the providers' score-card."""

from __future__ import annotations

import uuid

from fastapi import APIRouter
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from console import position_steps, rescue_requests
from console.bodies import PERSON, VIN, Body, CaseDetail
from console.parameters import IdempotencyKey, Key, act
from console.problems import documented
from console.reads import Reads
from console.rescue_requests import HelpWanted
from model.clock import utc
from model.record import Latitude, Longitude, Word
from model.rescue import CaseSource
from model.severity import Severity
from model.vehicle import Vin
from store import rescue_units
from store.database import transaction
from store.rescue_units import Position


class _Asked(BaseModel):
    model_config = ConfigDict(extra="forbid")


class RequestBody(_Asked):
    """Somebody asks for help."""

    vin: Vin = Field(examples=[VIN])
    source: CaseSource = Field(
        CaseSource.CALL_CENTRE, description="The call centre's word counts as the confirmation."
    )
    actor: str = Field(min_length=1, max_length=80, pattern=r"^[^\x00]+$", examples=[PERSON])
    latitude_deg: Latitude | None = Field(
        None, description="Without a place the car's own last fix counts.", examples=[30.27]
    )
    longitude_deg: Longitude | None = Field(None, examples=[120.15])
    severity: Severity = Severity.STOP
    note: str = Field("", max_length=500, pattern=r"^[^\x00]*$", examples=["爆胎，无备胎"])
    needed: tuple[Word, ...] = Field((), max_length=10, examples=[["tyre"]])
    thermal: bool = Field(False, description="The traction battery smokes, burns or swells.")


class LocateBody(_Asked):
    """Where the vehicle really is."""

    actor: str = Field(min_length=1, max_length=80, pattern=r"^[^\x00]+$", examples=[PERSON])
    reason: str = Field("", max_length=500, pattern=r"^[^\x00]*$")
    latitude_deg: Latitude
    longitude_deg: Longitude


class UnitReportBody(_Asked):
    """One report of a unit's position."""

    latitude_deg: Latitude = Field(examples=[30.27])
    longitude_deg: Longitude = Field(examples=[120.15])
    observed_at: AwareDatetime | None = Field(None, description="Now, where it is not said.")
    speed_kmh: float | None = Field(None, ge=0, le=400)


class ReportAnswer(Body):
    """Whether the report was news."""

    taken: bool = Field(description="False: a newer position is known already.")


class ScoreBody(Body):
    """One unit's record. Shares are between 0 and 1; null where nothing is counted yet."""

    unit_id: str
    station_id: str
    provider: str = Field(description="Empty: the station's own.")
    offered: int
    accepted: int
    declined: int
    expired: int
    acceptance: float | None = Field(description="Accepted / offers it could answer.")
    mean_eta_s: float | None
    arrived: int
    on_time: float | None = Field(description="Within the promise to the customer.")
    within_eta: float | None = Field(description="Within what the crew said, 15 min grace.")
    proven: float | None = Field(description="Arrivals proven by position.")


def add(router: APIRouter, reads: Reads) -> None:
    """Add the routes."""

    @router.post(
        "/cases",
        tags=["cases"],
        summary="A driver or the call centre asks for help",
        status_code=201,
        responses=documented("not-found", "key-reused"),
    )
    def request_case(body: RequestBody, key: IdempotencyKey = None) -> CaseDetail:
        place = None
        if body.latitude_deg is not None and body.longitude_deg is not None:
            place = (body.latitude_deg, body.longitude_deg)
        wanted = HelpWanted(
            source=body.source,
            vin=body.vin,
            place=place,
            severity=body.severity,
            note=body.note,
            needed=body.needed,
            thermal=body.thermal,
        )
        taken = act(reads.clock, body.actor, "", key)
        return reads.case(rescue_requests.request(reads.pool, wanted, taken).case_id)

    @router.post(
        "/cases/{case_id}/locate",
        tags=["cases"],
        summary="Say where the vehicle really is",
        responses=documented("not-found", "state", "key-reused"),
    )
    def locate_case(case_id: uuid.UUID, body: LocateBody, key: IdempotencyKey = None) -> CaseDetail:
        taken = act(reads.clock, body.actor, body.reason, key)
        place = (body.latitude_deg, body.longitude_deg)
        rescue_requests.locate(reads.pool, case_id, place, taken)
        return reads.case(case_id)

    @router.post(
        "/units/{unit_id}/positions",
        tags=["stations and units"],
        summary="A unit's position feed: ETA and arrival follow it",
        responses=documented("not-found"),
    )
    def report_position(unit_id: Key, body: UnitReportBody) -> ReportAnswer:
        now = utc(reads.clock.now_ns())
        at = min(body.observed_at, now) if body.observed_at else now
        position = Position(body.latitude_deg, body.longitude_deg, at, body.speed_kmh)
        return ReportAnswer(taken=position_steps.report(reads.pool, unit_id, position, now=now))

    @router.get("/rescue-scores", tags=["cases"], summary="Each unit's record as a provider")
    def list_scores() -> list[ScoreBody]:
        with transaction(reads.pool) as conn:
            return [ScoreBody.model_validate(row) for row in rescue_units.scorecard(conn)]
