"""GET /v1/alerts …, POST /v1/alerts/{id}/acknowledge."""

from __future__ import annotations

import uuid
from typing import Annotated, Literal

from fastapi import APIRouter, Query

from console import steps
from console.bodies import AlertBody, AlertDetail, Page, StepBody
from console.parameters import Cursor, IdempotencyKey, Limit, VinQuery, act
from console.problems import documented
from console.reads import Reads
from model.severity import Severity

SeverityMin = Annotated[
    int, Query(ge=-1, le=4, description="Lowest severity: -1 unknown, 0 info … 4 emergency.")
]
Which = Annotated[
    Literal["open", "all"], Query(description="`open`: firing or stale; `all`: history too.")
]


def add(router: APIRouter, reads: Reads) -> None:
    """Add the routes."""

    @router.get("/alerts", tags=["alerts"], summary="List alerts, newest first")
    def list_alerts(
        state: Which = "open",
        severity_min: SeverityMin = -1,
        vin: VinQuery = None,
        cursor: Cursor = None,
        limit: Limit = 50,
    ) -> Page[AlertBody]:
        return reads.alerts(
            open_only=state == "open",
            min_severity=Severity(severity_min),
            vin=vin,
            cursor=cursor,
            limit=limit,
        )

    @router.get(
        "/alerts/{alert_id}",
        tags=["alerts"],
        summary="One alert with its rescue case and audit trail",
        responses=documented("not-found"),
    )
    def get_alert(alert_id: uuid.UUID) -> AlertDetail:
        return reads.alert(alert_id)

    @router.post(
        "/alerts/{alert_id}/acknowledge",
        tags=["alerts"],
        summary="A person has seen the alert",
        responses=documented("not-found", "state", "key-reused"),
    )
    def acknowledge_alert(
        alert_id: uuid.UUID, body: StepBody, key: IdempotencyKey = None
    ) -> AlertDetail:
        taken = act(reads.clock, body.actor, body.reason, key)
        steps.acknowledge(reads.pool, alert_id, taken)
        return reads.alert(alert_id)
