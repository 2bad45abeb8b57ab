"""GET /v1/vehicles …, and charts."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query
from pydantic import AwareDatetime

from console.bodies import Chart, Page, VehicleDetail, VehicleRow
from console.parameters import Cursor, Key, Limit, VinPath
from console.problems import documented, field_problem
from console.reads import Reads
from console.values import CHART_POINTS

Search = Annotated[
    str,
    Query(
        max_length=40,
        pattern=r"^[^\x00]*$",
        description="Part of a VIN or a plate.",
        examples=["浙A123"],
    ),
]
From = Annotated[
    AwareDatetime,
    Query(alias="from", description="First moment, with a time zone.",
          examples=["2025-03-01T08:00:00Z"]),
]  # fmt: skip
To = Annotated[
    AwareDatetime,
    Query(description="First moment not included.", examples=["2025-03-01T08:15:00Z"]),
]
ChartStep = Annotated[
    Literal["1s", "1min"],
    Query(alias="step", description="`1s`: last value per second; `1min`: mean and range."),
]


def add(router: APIRouter, reads: Reads) -> None:
    """Add the routes."""

    @router.get("/vehicles", tags=["vehicles"], summary="Find vehicles, in VIN order")
    def list_vehicles(
        search: Search = "", cursor: Cursor = None, limit: Limit = 50
    ) -> Page[VehicleRow]:
        return reads.vehicles(search.strip(), cursor, limit)

    @router.get(
        "/vehicles/{vin}",
        tags=["vehicles"],
        summary="One vehicle: master data, last values, open alerts, case, due items",
        responses=documented("not-found"),
    )
    def get_vehicle(vin: VinPath) -> VehicleDetail:
        return reads.vehicle(vin)

    @router.get(
        "/vehicles/{vin}/signals/{name}",
        tags=["vehicles"],
        summary=f"One signal over time, at most {CHART_POINTS} steps",
        responses=documented("not-found"),
    )
    def get_chart(vin: VinPath, name: Key, start: From, to: To, step: ChartStep = "1min") -> Chart:
        step_s = 1 if step == "1s" else 60
        seconds = (to - start).total_seconds()
        if seconds <= 0:
            raise field_problem("query.to", "must be later than from")
        if seconds / step_s > CHART_POINTS:
            raise field_problem("query.to", f"more than {CHART_POINTS} steps after from")
        return reads.chart(vin, name, start, to, step_s)
