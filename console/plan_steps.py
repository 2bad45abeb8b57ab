"""Drafts, edits and approves repair plans, each as one transaction."""

from __future__ import annotations

import uuid

from console.acts import Act, append, seen
from console.work_steps import take_case
from console.work_trail import CASE, PLAN, brand_of, or_logged, vehicle_of
from dispatch import clocks, work_messages
from dispatch.diagnosis_case import CaseStep
from dispatch.repair_plan import Approver, codes_in, draft, objection
from dispatch.work_terms import load_work_terms
from model.diagnosis_case import CLOSED_CASES, DiagnosisCase
from model.errors import TransitionError
from model.repair_plan import PlanBody, RepairPlan
from model.vehicle import Vehicle
from store import alerts, diagnosis_cases, outbox, repair_plans, roster, work_orders
from store import clocks as clock_rows
from store.alerts import StoredAlert
from store.database import Connection, Pool, UnknownRowError, transaction

EDIT, APPROVE = "edit", "approve"


def draft_plan(
    conn: Connection, case: DiagnosisCase, alert: StoredAlert, act: Act, codes: tuple[str, ...] = ()
) -> RepairPlan:
    """The next version of a case's plan, drafted from the templates of its rule and codes.

    The clock for a hypothesis runs while nobody has one.
    """
    body, used = draft(
        case.rule_id,
        (*codes, *codes_in(alert.evidence)),
        alert.evidence,
        similar=work_orders.similar(conn, case.vin, case.fault_key),
    )
    before = repair_plans.versions(conn, case.case_id)
    plan = RepairPlan(
        case_id=case.case_id,
        version=len(before) + 1,
        body=body,
        templates=used,
        author=act.actor,
        created_at=act.now,
    )
    keep_plan(conn, plan, vehicle_of(conn, case.vin), act)
    return plan


def keep_plan(conn: Connection, plan: RepairPlan, vehicle: Vehicle, act: Act) -> None:
    """Write a version of a plan; the clock for a hypothesis stops when it has one."""
    repair_plans.insert(conn, plan)
    noun_id = str(plan.case_id)
    if plan.body.hypotheses:
        clock_rows.stop(conn, CASE, noun_id, act.now, kinds=[clocks.PLAN_HYPOTHESIS])
    elif plan.version == 1:
        promise = clocks.promise(clocks.PLAN_HYPOTHESIS, vehicle.brand)
        clock_rows.start(conn, promise, CASE, noun_id, act.now, facts={"vin": vehicle.vin})


def redraft(pool: Pool, case_id: uuid.UUID, codes: tuple[str, ...], act: Act) -> RepairPlan:
    """Draft a plan anew, with codes a person has read. Raises as `edit` does."""
    with transaction(pool) as conn:
        case = _open_case(conn, case_id)
        if seen(conn, PLAN, str(case_id), EDIT, act):
            return repair_plans.latest(conn, case_id)
        plan = draft_plan(conn, case, alerts.find(conn, case.alert_id), act, codes)
        append(conn, PLAN, str(case_id), EDIT, act, plan=plan.version, codes=list(codes))
        return plan


def edit(pool: Pool, case_id: uuid.UUID, body: PlanBody, base_version: int, act: Act) -> RepairPlan:
    """Write the next version of a plan. `base_version` is the one the author has seen.

    Raises UnknownRowError, TransitionError when somebody has written a newer one or the case is
    closed, and KeyReusedError.
    """
    with transaction(pool) as conn:
        case = _open_case(conn, case_id)
        latest = repair_plans.latest(conn, case_id)
        if seen(conn, PLAN, str(case_id), EDIT, act):
            return latest
        if latest.version != base_version:
            raise TransitionError(
                noun="repair plan", state=f"version {latest.version}", step=EDIT,
                why=f"it was made from version {base_version}",
            )  # fmt: skip
        plan = RepairPlan(
            case_id=case_id,
            version=latest.version + 1,
            body=with_stock(conn, body),
            templates=latest.templates,
            author=act.actor,
            created_at=act.now,
        )
        keep_plan(conn, plan, vehicle_of(conn, case.vin), act)
        append(conn, PLAN, str(case_id), EDIT, act, plan=plan.version)
        return plan


def approve(pool: Pool, case_id: uuid.UUID, version: int, act: Act) -> DiagnosisCase:
    """A person with the certificates approves the newest version; the workshop hears of it.

    Raises UnknownRowError, TransitionError and KeyReusedError.
    """
    with transaction(pool) as conn:
        case = _open_case(conn, case_id)
        if seen(conn, PLAN, str(case_id), APPROVE, act):
            return case
        versions = {plan.version: plan for plan in repair_plans.versions(conn, case_id)}
        if version not in versions:
            raise UnknownRowError("repair plan")
        vehicle = vehicle_of(conn, case.vin)
        why = _why_not(conn, versions[version], max(versions), vehicle, act)
        or_logged(PLAN, case_id, lambda: _refuse(versions[version], why))
        repair_plans.approve(conn, case_id, version, act.actor, act.now)
        append(conn, PLAN, str(case_id), APPROVE, act, plan=version)
        after = take_case(conn, case, CaseStep.PLAN, Act(act.actor, act.now, act.reason))
        outbox.add(conn, work_messages.planned(after, vehicle, versions[version]))
        return after


def _why_not(conn: Connection, plan: RepairPlan, latest: int, vehicle: Vehicle, act: Act) -> str:
    if plan.version != latest:
        return f"version {latest} is newer"
    if plan.approved_by is not None:
        return "it is approved already"
    found = roster.approver(conn, act.actor, act.now.date())
    approver = None if found is None else Approver.model_validate(found)
    return objection(approver, plan.body, load_work_terms(brand_of(vehicle)))


def _refuse(plan: RepairPlan, why: str) -> None:
    if why:
        state = f"version {plan.version}"
        raise TransitionError(noun="repair plan", state=state, step=APPROVE, why=why)


def _open_case(conn: Connection, case_id: uuid.UUID) -> DiagnosisCase:
    """The locked case of a plan that may still change."""
    case = diagnosis_cases.ROWS.lock(conn, case_id)
    if case.state in CLOSED_CASES:
        raise TransitionError(noun="diagnosis case", state=case.state, step="change its plan")
    return case


def with_stock(conn: Connection, body: PlanBody) -> PlanBody:
    """The plan with what the parts system said last about its part numbers."""
    stock = repair_plans.stock(conn, [p.part_no for p in body.parts if p.part_no])
    parts = [
        p.model_copy(update=dict(zip(("in_stock", "eta_h"), stock[p.part_no], strict=True)))
        if p.part_no in stock
        else p
        for p in body.parts
    ]
    return body.model_copy(update={"parts": tuple(parts)})
