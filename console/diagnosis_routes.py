"""Diagnosis cases and their repair plans: /v1/diagnosis-cases …, POST /v1/alerts/{id}/diagnosis."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Annotated, Literal

from fastapi import APIRouter, Query

from console import plan_steps, work_openings, work_steps
from console.bodies import Page, StepBody
from console.parameters import Cursor, IdempotencyKey, Limit, VinQuery, act
from console.problems import documented
from console.reads import Reads
from console.step_routes import PROBLEMS, add_steps
from console.work_bodies import (
    CaseMoveBody,
    DiagnosisCaseBody,
    DiagnosisCaseDetail,
    OrderRequestBody,
    PlanDraftBody,
    PlanEditBody,
    WorkOrderDetail,
    order_facts,
)
from console.work_reads import WorkReads
from dispatch.diagnosis_case import CaseFacts, CaseStep
from model.repair_plan import RepairPlan

TAG = "diagnosis and repair plans"
Which = Annotated[Literal["open", "all"], Query(description="`open`: not yet solved.")]
StationQuery = Annotated[
    str | None, Query(max_length=80, pattern=r"^[^\x00]+$", description="Only this station's.")
]

#: Steps people take, and what they mean. Planning comes with an approval, the rest with the order.
MEANING = {
    CaseStep.TRIAGE: "How grave it is, and whether the car may be driven",
    CaseStep.ARRIVE: "The car is at the station",
    CaseStep.SOLVE_REMOTELY: "Solved without a visit",
    CaseStep.ESCALATE: "Level 2: an engineer of the region or of headquarters helps",
    CaseStep.CALL_EXPERT: "Level 3: an expert helps",
    CaseStep.RAISE_INCIDENT: "Headquarters must answer for it",
    CaseStep.FINISH: "The fault is gone",
}


def add(router: APIRouter, reads: Reads, work: WorkReads) -> None:
    """Add the routes."""

    @router.get("/diagnosis-cases", tags=[TAG], summary="List diagnosis cases, newest first")
    def list_diagnosis_cases(
        state: Which = "open",
        vin: VinQuery = None,
        station_id: StationQuery = None,
        cursor: Cursor = None,
        limit: Limit = 50,
    ) -> Page[DiagnosisCaseBody]:
        return work.cases(
            open_only=state == "open", vin=vin, station_id=station_id, cursor=cursor, limit=limit
        )

    @router.get(
        "/diagnosis-cases/{case_id}",
        tags=[TAG],
        summary="One case with its plan, work order, promises and history",
        responses=documented("not-found"),
    )
    def get_diagnosis_case(case_id: uuid.UUID) -> DiagnosisCaseDetail:
        return work.case(case_id)

    @router.post(
        "/alerts/{alert_id}/diagnosis",
        tags=[TAG],
        summary="Open the diagnosis case of an alert, or find it",
        responses=documented(*PROBLEMS),
    )
    def open_diagnosis_case(
        alert_id: uuid.UUID, body: StepBody, key: IdempotencyKey = None
    ) -> DiagnosisCaseDetail:
        taken = act(reads.clock, body.actor, body.reason, key)
        return work.case(work_openings.case_of_alert(reads.pool, alert_id, taken).case_id)

    add_steps(
        router,
        "/diagnosis-cases/{case_id}",
        "diagnosis_case",
        TAG,
        MEANING,
        lambda step: _mover(reads, work, step),
    )

    @router.post(
        "/diagnosis-cases/{case_id}/work-order",
        tags=["work orders"],
        summary="Request the visit of a case, or find it",
        responses=documented(*PROBLEMS),
    )
    def request_work_order(
        case_id: uuid.UUID, body: OrderRequestBody, key: IdempotencyKey = None
    ) -> WorkOrderDetail:
        taken = act(reads.clock, body.actor, body.reason, key)
        facts = order_facts(body)
        order = work_openings.order_of_case(reads.pool, case_id, taken, facts)
        return work.order(order.work_order_id)

    _add_plans(router, reads, work)


def _add_plans(router: APIRouter, reads: Reads, work: WorkReads) -> None:
    @router.get(
        "/diagnosis-cases/{case_id}/plans",
        tags=[TAG],
        summary="Every version of a case's repair plan, the first one first",
        responses=documented("not-found"),
    )
    def list_plans(case_id: uuid.UUID) -> list[RepairPlan]:
        return work.plans(case_id)

    @router.put(
        "/diagnosis-cases/{case_id}/plan",
        tags=[TAG],
        summary="Write the next version of a repair plan",
        responses=documented(*PROBLEMS),
    )
    def edit_plan(case_id: uuid.UUID, body: PlanEditBody, key: IdempotencyKey = None) -> RepairPlan:
        taken = act(reads.clock, body.actor, body.reason, key)
        return plan_steps.edit(reads.pool, case_id, body.body, body.base_version, taken)

    @router.post(
        "/diagnosis-cases/{case_id}/plan/draft",
        tags=[TAG],
        summary="Draft the next version from the templates of the rule and of codes read by hand",
        responses=documented(*PROBLEMS),
    )
    def draft_plan(
        case_id: uuid.UUID, body: PlanDraftBody, key: IdempotencyKey = None
    ) -> RepairPlan:
        taken = act(reads.clock, body.actor, body.reason, key)
        return plan_steps.redraft(reads.pool, case_id, body.codes, taken)

    @router.post(
        "/diagnosis-cases/{case_id}/plan/{version}/approve",
        tags=[TAG],
        summary="A person with the certificates approves the newest version (`actor` = person_id)",
        responses=documented(*PROBLEMS),
    )
    def approve_plan(
        case_id: uuid.UUID, version: int, body: StepBody, key: IdempotencyKey = None
    ) -> DiagnosisCaseDetail:
        taken = act(reads.clock, body.actor, body.reason, key)
        plan_steps.approve(reads.pool, case_id, version, taken)
        return work.case(case_id)


def _mover(reads: Reads, work: WorkReads, step: CaseStep) -> Callable[..., DiagnosisCaseDetail]:
    """The endpoint of one step."""

    def take_step(
        case_id: uuid.UUID, body: CaseMoveBody, key: IdempotencyKey = None
    ) -> DiagnosisCaseDetail:
        taken = act(reads.clock, body.actor, body.reason, key)
        facts = CaseFacts.model_validate(body.model_dump(exclude={"actor", "reason"}))
        work_steps.move_case(reads.pool, case_id, step, taken, facts)
        return work.case(case_id)

    return take_step
