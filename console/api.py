"""The operator's API under /v1. Everything the station page does can be done here."""

from __future__ import annotations

from fastapi import APIRouter, Depends

from console import alert_routes, case_routes, master_routes, vehicle_routes
from console.access import Operator
from console.config import ConsoleConfig
from console.problems import ProblemRoute, documented
from console.reads import Reads
from model.clock import Clock
from store.database import Pool


def create_api(pool: Pool, clock: Clock, config: ConsoleConfig) -> APIRouter:
    """The router to include in the application; its errors are problems by themselves."""
    reads = Reads(pool, clock, config.rule_texts)
    router = APIRouter(
        prefix="/v1",
        route_class=ProblemRoute,
        dependencies=[Depends(Operator(config.token))],
        responses=documented("token", "fields", "unavailable"),
    )
    for routes in (vehicle_routes, alert_routes, case_routes, master_routes):
        routes.add(router, reads)
    return router
