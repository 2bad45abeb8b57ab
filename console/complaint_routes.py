"""Complaints and incidents: /v1/complaints …, /v1/incidents …; the CRM tells with PUT."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Annotated, Literal

from fastapi import APIRouter, Query

from console import complaint_steps
from console.bodies import Page
from console.parameters import Cursor, IdempotencyKey, Key, Limit, VinQuery, act
from console.problems import documented
from console.reads import Reads
from console.step_routes import PROBLEMS, add_steps
from console.work_bodies import (
    ComplaintBody,
    ComplaintMoveBody,
    ComplaintTold,
    IncidentBody,
    IncidentMoveBody,
    IncidentOpenBody,
)
from console.work_reads import WorkReads
from dispatch.complaint import ComplaintStep
from dispatch.incident import IncidentStep

Which = Annotated[Literal["open", "all"], Query(description="`open`: not yet over.")]

COMPLAINT_MEANING = {
    ComplaintStep.ANSWER: "The customer has got a first reply",
    ComplaintStep.PLAN: "What will be done is agreed",
    ComplaintStep.WAIT_FOR_CUSTOMER: "The customer must act; clocks that may wait stand still",
    ComplaintStep.RESUME: "The customer has acted",
    ComplaintStep.SOLVE: "It is done",
    ComplaintStep.CONFIRM: "The customer is content, with the brand's proof",
    ComplaintStep.DISPUTE: "The customer is not content",
    ComplaintStep.ESCALATE: "Advisor, manager, general manager",
    ComplaintStep.WITHDRAW: "The customer takes it back",
}
INCIDENT_MEANING = {
    IncidentStep.REPORT: "Reported, within 1 h (text)",
    IncidentStep.PLAN: "A first plan, within 4 h (text)",
    IncidentStep.ANSWER: "A clear answer to the customer, within 24 h (text)",
    IncidentStep.CLOSE: "Nothing is left to do",
}


def add(router: APIRouter, reads: Reads, work: WorkReads) -> None:
    """Add the routes."""
    _add_complaints(router, reads, work)
    _add_incidents(router, reads, work)


def _add_complaints(router: APIRouter, reads: Reads, work: WorkReads) -> None:
    @router.get("/complaints", tags=["complaints"], summary="List complaints, newest first")
    def list_complaints(
        state: Which = "open", vin: VinQuery = None, cursor: Cursor = None, limit: Limit = 50
    ) -> Page[ComplaintBody]:
        return work.complaints(open_only=state == "open", vin=vin, cursor=cursor, limit=limit)

    @router.get(
        "/complaints/{complaint_id}",
        tags=["complaints"],
        summary="One complaint with its promises and history",
        responses=documented("not-found"),
    )
    def get_complaint(complaint_id: uuid.UUID) -> ComplaintBody:
        return work.complaint(complaint_id)

    @router.put(
        "/complaints/by-reference/{reference}",
        tags=["complaints"],
        summary="The CRM tells a complaint, as often as it likes",
        responses=documented(*PROBLEMS),
    )
    def tell_complaint(reference: Key, body: ComplaintTold) -> ComplaintBody:
        taken = act(reads.clock, body.actor, body.reason, None)
        told = complaint_steps.tell(reads.pool, reference, body, taken)
        return work.complaint(told.complaint_id)

    def mover(step: ComplaintStep) -> Callable[..., ComplaintBody]:
        def take_step(
            complaint_id: uuid.UUID, body: ComplaintMoveBody, key: IdempotencyKey = None
        ) -> ComplaintBody:
            taken = act(reads.clock, body.actor, body.reason, key)
            complaint_steps.move_complaint(
                reads.pool, complaint_id, step, taken, proof=body.proof, owner=body.owner
            )
            return work.complaint(complaint_id)

        return take_step

    add_steps(
        router, "/complaints/{complaint_id}", "complaint", "complaints", COMPLAINT_MEANING, mover
    )


def _add_incidents(router: APIRouter, reads: Reads, work: WorkReads) -> None:
    @router.get("/incidents", tags=["incidents"], summary="List incidents, newest first")
    def list_incidents(
        state: Which = "open", vin: VinQuery = None, cursor: Cursor = None, limit: Limit = 50
    ) -> Page[IncidentBody]:
        return work.incidents(open_only=state == "open", vin=vin, cursor=cursor, limit=limit)

    @router.get(
        "/incidents/{incident_id}",
        tags=["incidents"],
        summary="One incident with its promises and history",
        responses=documented("not-found"),
    )
    def get_incident(incident_id: uuid.UUID) -> IncidentBody:
        return work.incident(incident_id)

    @router.post(
        "/incidents",
        tags=["incidents"],
        summary="A person reports an incident",
        responses=documented(*PROBLEMS),
    )
    def open_incident(body: IncidentOpenBody, key: IdempotencyKey = None) -> IncidentBody:
        taken = act(reads.clock, body.actor, body.reason, key)
        return work.incident(complaint_steps.report_incident(reads.pool, body, taken))

    def mover(step: IncidentStep) -> Callable[..., IncidentBody]:
        def take_step(
            incident_id: uuid.UUID, body: IncidentMoveBody, key: IdempotencyKey = None
        ) -> IncidentBody:
            taken = act(reads.clock, body.actor, body.reason, key)
            complaint_steps.move_incident(
                reads.pool, incident_id, step, taken, text=body.text, owner=body.owner
            )
            return work.incident(incident_id)

        return take_step

    add_steps(router, "/incidents/{incident_id}", "incident", "incidents", INCIDENT_MEANING, mover)
