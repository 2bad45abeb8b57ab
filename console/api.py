"""The operator's API under /v1. Everything the station page does can be done here."""

from __future__ import annotations

from fastapi import APIRouter, Depends

from console import (
    alert_routes,
    case_routes,
    episode_routes,
    evidence_routes,
    maintenance_routes,
    master_routes,
    master_writes,
    notice_routes,
    rescue_routes,
    rule_routes,
    suppression_routes,
    vehicle_routes,
    work_routes,
)
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
    for routes in (
        vehicle_routes,
        maintenance_routes,
        alert_routes,
        suppression_routes,
        case_routes,
        rescue_routes,
        master_routes,
        notice_routes,
    ):
        routes.add(router, reads)
    master_writes.add(router, reads, config.vehicle_fault)
    work_routes.add(router, reads, config.rule_texts)
    if config.evidence is not None:
        evidence_routes.add(router, config.evidence)
    if config.rules is not None:
        rule_routes.add(router, reads, config.rules)
    episode_routes.add(router, reads, config.rule_texts)
    return router
