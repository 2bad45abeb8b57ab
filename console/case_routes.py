"""GET /v1/cases …, POST /v1/cases/{id}/confirm|accept|… ; requests are console.rescue_routes."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Annotated, Literal

from fastapi import APIRouter, Query

from console import steps
from console.bodies import CaseBody, CaseDetail, CaseStepBody, Page
from console.parameters import Cursor, IdempotencyKey, Limit, VinQuery, act
from console.problems import documented
from console.reads import Reads
from console.step_routes import add_steps
from dispatch.rescue import Step

Which = Annotated[
    Literal["open", "all"], Query(description="`open`: neither cleared nor cancelled.")
]

#: Steps people take, and what they mean. Offering and expiring is the dispatcher's.
MEANING = {
    Step.CONFIRM: "A crew shall go; also asks every crew again when none was found",
    Step.ACCEPT: "The crew takes the offer",
    Step.DECLINE: "The crew does not take the offer, or cannot come after all",
    Step.DEPART: "The crew has set off",
    Step.ARRIVE: "The crew is at the vehicle; stops the arrival clock",
    Step.FIX: "Repaired on the spot",
    Step.TOW: "The vehicle is being towed",
    Step.DELIVER: "The vehicle is at the station",
    Step.GONE: "Nobody was there",
    Step.CLEAR: "The road side is clear; the crew is free again",
    Step.CANCEL: "Nobody need go",
    Step.KILL: "No longer needed, before any crew was sent",
}


def add(router: APIRouter, reads: Reads) -> None:
    """Add the routes."""

    @router.get("/cases", tags=["cases"], summary="List rescue cases, newest first")
    def list_cases(
        state: Which = "open", vin: VinQuery = None, cursor: Cursor = None, limit: Limit = 50
    ) -> Page[CaseBody]:
        return reads.cases(open_only=state == "open", vin=vin, cursor=cursor, limit=limit)

    @router.get(
        "/cases/{case_id}",
        tags=["cases"],
        summary="One rescue case with arrival clock, unit and audit trail",
        responses=documented("not-found"),
    )
    def get_case(case_id: uuid.UUID) -> CaseDetail:
        return reads.case(case_id)

    add_steps(router, "/cases/{case_id}", "case", "cases", MEANING, lambda s: _taker(reads, s))


def _taker(reads: Reads, step: Step) -> Callable[..., CaseDetail]:
    """The endpoint of one step."""

    def take_step(case_id: uuid.UUID, body: CaseStepBody, key: IdempotencyKey = None) -> CaseDetail:
        taken = act(reads.clock, body.actor, body.reason, key)
        steps.take(reads.pool, case_id, step, taken, body.unit_id)
        return reads.case(case_id)

    return take_step
