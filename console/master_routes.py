"""Stations, units, persons and regions: what is there, who moves, who is missing."""

from __future__ import annotations

from datetime import date, timedelta
from enum import Enum
from typing import Annotated

from fastapi import APIRouter, Query

from console import position_steps
from console.bodies import DutyBody, PositionBody, Text, UnitBody
from console.kpi_bodies import KpiBody, LoadBody, StationReport
from console.kpis import key_figures, station_loads
from console.master_bodies import DutyGapsBody, EndingBody, GapBody, UnprovenBody
from console.parameters import Key
from console.problems import documented, field_problem
from console.reads import Reads
from console.station_report import report
from dispatch.terms import load_terms
from model.clock import utc
from model.masters import PartStock, Person, Region
from model.vehicle import Station
from store import duty, masters
from store.database import transaction
from store.rescue_units import Position

TAGS: list[str | Enum] = ["stations and units"]
StationQuery = Annotated[
    str | None,
    Query(max_length=80, pattern=r"^[^\x00]*$", description="Only this station's."),
]
Hours = Annotated[float, Query(ge=0, le=24 * 31, description="How far to look.")]
Days = Annotated[int, Query(ge=0, le=3660, description="Certificates that end within.")]
Certificates = Annotated[
    list[str] | None,
    Query(max_length=20, description="Kinds that count; repeat for several. Default: any."),
]
#: By each station's own calendar.
FirstDay = Annotated[date | None, Query(alias="from", description="Default: 29 days before `to`.")]
LastDay = Annotated[date | None, Query(alias="to", description="Included. Default: today, UTC.")]
#: A period longer than this is read from the views themselves.
MAX_DAYS = 366


def add(router: APIRouter, reads: Reads) -> None:
    """Add the routes."""
    _add_units(router, reads)
    _add_people(router, reads)
    _add_figures(router, reads)


def _add_units(router: APIRouter, reads: Reads) -> None:
    @router.get("/stations", tags=TAGS, summary="All service stations")
    def list_stations() -> list[Station]:
        return reads.stations()

    @router.get("/units", tags=TAGS, summary="All rescue units")
    def list_units() -> list[UnitBody]:
        return reads.units()

    @router.put(
        "/units/{unit_id}/position",
        tags=TAGS,
        summary="Where a unit is now",
        status_code=204,
        responses=documented("not-found"),
    )
    def put_position(unit_id: Key, body: PositionBody) -> None:
        now = utc(reads.clock.now_ns())
        position = Position(body.latitude_deg, body.longitude_deg, now)
        position_steps.report(reads.pool, unit_id, position, now=now)

    @router.put(
        "/units/{unit_id}/duty",
        tags=TAGS,
        summary="Sign a unit on or off duty",
        status_code=204,
        responses=documented("not-found"),
    )
    def put_duty(unit_id: Key, body: DutyBody) -> None:
        with transaction(reads.pool) as conn:
            masters.set_duty(conn, unit_id, body.on_duty)


def _add_people(router: APIRouter, reads: Reads) -> None:
    @router.get("/regions", tags=TAGS, summary="Regions and headquarters")
    def list_regions() -> list[Region]:
        with transaction(reads.pool) as conn:
            return masters.regions(conn)

    @router.get("/persons", tags=TAGS, summary="Persons with their certificates")
    def list_persons(station: StationQuery = None) -> list[Person]:
        with transaction(reads.pool) as conn:
            return masters.persons(conn, station)

    @router.get("/parts/{part_no}", tags=TAGS, summary="Where a part is, the quickest first")
    def get_part(part_no: Key) -> list[PartStock]:
        with transaction(reads.pool) as conn:
            return masters.part_stocks(conn, part_no)

    @router.get(
        "/duty-gaps",
        tags=TAGS,
        summary="Open hours without certified people; ending certificates; crews without proof",
    )
    def get_gaps(
        hours: Hours = 24,
        days: Days = 30,
        certificate: Certificates = None,
        station: StationQuery = None,
    ) -> DutyGapsBody:
        now, kinds = utc(reads.clock.now_ns()), certificate or []
        with transaction(reads.pool) as conn:
            missing = duty.gaps(conn, now, now + timedelta(hours=hours), kinds, station)
            ending = duty.ending_certificates(conn, now, days, kinds, station)
            unproven = duty.unproven_units(conn, now, *load_terms().trained(), station)
        return DutyGapsBody(
            gaps=[
                GapBody(
                    station_id=g.station_id,
                    station=Text(zh=g.name, en=g.name_en or g.name),
                    from_at=g.from_at,
                    to_at=g.to_at,
                )
                for g in missing
            ],
            ending_certificates=[EndingBody(**row.model_dump()) for row in ending],
            unproven_units=[UnprovenBody(**row.model_dump()) for row in unproven],
        )


def _add_figures(router: APIRouter, reads: Reads) -> None:
    @router.get("/kpis", tags=TAGS, summary="Key figures of a period")
    def get_kpis(
        first: FirstDay = None, last: LastDay = None, station: StationQuery = None
    ) -> list[KpiBody]:
        end = last or utc(reads.clock.now_ns()).date()
        start = first or end - timedelta(days=29)
        if not timedelta() <= end - start <= timedelta(days=MAX_DAYS):
            raise field_problem("query.from", f"at most {MAX_DAYS} days before `to`")
        return key_figures(reads.pool, start, end, station)

    @router.get("/station-load", tags=TAGS, summary="Load of the stations, predicted work included")
    def get_load() -> list[LoadBody]:
        return station_loads(reads.pool, utc(reads.clock.now_ns()))

    @router.get(
        "/stations/{station_id}/report",
        tags=TAGS,
        summary="A station's day: alerts, visits, due services, promises",
        responses=documented("not-found"),
    )
    def get_report(
        station_id: Key,
        day: Annotated[date | None, Query(description="Default: yesterday, there.")] = None,
    ) -> StationReport:
        return report(reads.pool, station_id, day, utc(reads.clock.now_ns()))
