"""GET /v1/stations, GET /v1/units, PUT /v1/units/{id}/position and /duty."""

from __future__ import annotations

from fastapi import APIRouter

from console.bodies import DutyBody, PositionBody, UnitBody
from console.parameters import Key
from console.problems import documented
from console.reads import Reads
from model.vehicle import Station
from store import masters
from store.database import transaction


def add(router: APIRouter, reads: Reads) -> None:
    """Add the routes."""

    @router.get("/stations", tags=["stations and units"], summary="All service stations")
    def list_stations() -> list[Station]:
        return reads.stations()

    @router.get("/units", tags=["stations and units"], summary="All rescue units")
    def list_units() -> list[UnitBody]:
        return reads.units()

    @router.put(
        "/units/{unit_id}/position",
        tags=["stations and units"],
        summary="Where a unit is now",
        status_code=204,
        responses=documented("not-found"),
    )
    def put_position(unit_id: Key, body: PositionBody) -> None:
        with transaction(reads.pool) as conn:
            masters.move_unit(conn, unit_id, body.latitude_deg, body.longitude_deg)

    @router.put(
        "/units/{unit_id}/duty",
        tags=["stations and units"],
        summary="Sign a unit on or off duty",
        status_code=204,
        responses=documented("not-found"),
    )
    def put_duty(unit_id: Key, body: DutyBody) -> None:
        with transaction(reads.pool) as conn:
            masters.set_duty(conn, unit_id, body.on_duty)
