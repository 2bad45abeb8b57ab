"""Four state tables, each compared with one written out by hand from domain.md 6.3, 6.4 and 6.6.

Every step that is allowed is taken, every other refused; the documents show the same tables.
"""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from pathlib import Path

import pytest

from dispatch import complaint, diagnosis_case, incident, work_order
from dispatch.complaint import ComplaintStep, Proof
from dispatch.diagnosis_case import CaseFacts, CaseStep
from dispatch.incident import IncidentStep
from dispatch.work_order import OrderFacts, OrderStep
from model.complaint import (
    Complaint,
    ComplaintState,
    Incident,
    IncidentCause,
    IncidentState,
)
from model.diagnosis_case import DiagnosisCase, DiagnosisState
from model.errors import TransitionError
from model.severity import Severity
from model.work_order import ExtraItem, OrderSource, PartLine, WorkOrder, WorkOrderState

NOW = datetime(2025, 3, 1, 8, 0, tzinfo=UTC)
KEY = uuid.UUID(int=5)
VIN = "LRDCALL0000000001"
DOCS = Path(__file__).parents[2] / "docs" / "state-machines.md"

CASE = {
    "open": "triage>triaged arrive>at_station",
    "triaged": "plan>planned arrive>at_station",
    "planned": "plan>planned await>awaiting_vehicle arrive>at_station",
    "awaiting_vehicle": "plan>awaiting_vehicle arrive>at_station",
    "at_station": "triage>at_station plan>at_station finish>done",
    "done": "",
    "remote_solved": "",
}
for _state in ("open", "triaged", "planned", "awaiting_vehicle", "at_station"):
    CASE[_state] += (
        " escalate>escalated_l2 call_expert>escalated_l3 raise_incident>incident repeat>open"
    )
    CASE[_state] += f" worsen>{_state}"
for _state in ("open", "triaged", "planned", "awaiting_vehicle"):
    CASE[_state] += " solve_remotely>remote_solved"
for _state in ("escalated_l2", "escalated_l3", "incident"):
    CASE[_state] = (
        f"triage>{_state} plan>planned arrive>at_station finish>done repeat>{_state}"
        f" worsen>{_state} solve_remotely>remote_solved"
    )
CASE["escalated_l2"] += " call_expert>escalated_l3 raise_incident>incident"
CASE["incident"] += " escalate>incident call_expert>incident"
CASE["escalated_l3"] += " raise_incident>incident"

ORDER = {
    "draft": "request>requested cancel>cancelled",
    "requested": "book>booked check_in>checked_in decline>declined cancel>cancelled",
    "booked": "book>booked check_in>checked_in decline>declined miss>no_show cancel>cancelled",
    "no_show": "book>booked check_in>checked_in cancel>cancelled",
    "checked_in": "diagnose>diagnosing",
    "diagnosing": "quote>quoted find_extra>diagnosing tell_extra>diagnosing",
    "quoted": "approve>approved decline>declined",
    "approved": "start_repair>in_repair wait_for_parts>waiting_parts",
    "in_repair": "wait_for_parts>waiting_parts report_progress>in_repair find_extra>in_repair"
    " tell_extra>in_repair check_quality>quality_check",
    "waiting_parts": "parts_arrived>in_repair report_progress>waiting_parts"
    " find_extra>waiting_parts tell_extra>waiting_parts",
    "quality_check": "fail_quality>reopened pass_quality>ready find_extra>quality_check"
    " tell_extra>quality_check",
    "ready": "hand_over>handed_over",
    "handed_over": "verify>verifying visit>handed_over",
    "verifying": "pass_verification>closed fail_verification>reopened close_unverified>closed"
    " visit>verifying",
    "closed": "recur>reopened visit>closed",
    "reopened": "book>booked check_in>checked_in diagnose>diagnosing start_repair>in_repair"
    " cancel>cancelled",
    "declined": "",
    "cancelled": "",
}

COMPLAINT = {
    "new": "answer>answered",
    "answered": "plan>plan wait_for_customer>waiting_customer",
    "plan": "solve>solved wait_for_customer>waiting_customer",
    "waiting_customer": "resume>answered plan>plan",
    "solved": "confirm>confirmed dispute>plan",
    "confirmed": "",
    "withdrawn": "",
}
for _state in ("new", "answered", "plan", "waiting_customer", "solved"):
    COMPLAINT[_state] += f" escalate>{_state} withdraw>withdrawn"

INCIDENT = {
    "new": "report>reported",
    "reported": "plan>planned",
    "planned": "plan>planned answer>answered",
    "answered": "close>closed",
    "closed": "",
}


def allowed(table: dict[str, str]) -> dict[tuple[str, str], str]:
    """(state, step) -> state."""
    rows = [(state, *word.split(">")) for state, line in table.items() for word in line.split()]
    return {(state, step): after for state, step, after in rows}


def take_case(state: str, verb: str) -> str:
    case = DiagnosisCase(
        case_id=KEY, vin=VIN, alert_id=KEY, fault_key="r", rule_id="r", severity=Severity.STOP,
        state=DiagnosisState(state), owner="hz", opened_at=NOW, changed_at=NOW,
    )  # fmt: skip
    facts = CaseFacts(drivable=False)
    after = diagnosis_case.step(case, CaseStep(verb), now=NOW, reason="why", facts=facts)
    assert after.version == 1
    return after.state


def take_order(state: str, verb: str) -> str:
    extra = ExtraItem(text="pads", found_at=NOW, told_at=None if verb == "tell_extra" else NOW)
    order = WorkOrder(
        work_order_id=KEY, vin=VIN, source=OrderSource.ALERT, owner="hz", opened_at=NOW,
        changed_at=NOW, state=WorkOrderState(state), extra_items=(extra,),
    )  # fmt: skip
    facts = OrderFacts(
        appointment_at=NOW, promised_at=NOW, parts=(PartLine(part_no="p"),), odometer_km=9,
        confirmed_cause="worn", extra_item="belt",
    )  # fmt: skip
    after = work_order.step(order, OrderStep(verb), now=NOW, reason="why", facts=facts)
    assert after.version == 1
    return after.state


def take_complaint(state: str, verb: str) -> str:
    row = Complaint(
        complaint_id=KEY, vin=VIN, brand="geely", owner="hz", state=ComplaintState(state),
        opened_at=NOW, changed_at=NOW,
    )  # fmt: skip
    after = complaint.step(row, ComplaintStep(verb), now=NOW, reason="why", proof=Proof.CUSTOMER)
    assert after.version == 1
    return after.state


def take_incident(state: str, verb: str) -> str:
    row = Incident(
        incident_id=KEY, vin=VIN, cause=IncidentCause.PERSON, severity=Severity.STOP, owner="hq",
        state=IncidentState(state), opened_at=NOW, changed_at=NOW,
    )  # fmt: skip
    after = incident.step(row, IncidentStep(verb), now=NOW, text="said")
    assert after.version == 1
    return after.state


MACHINES = [
    (diagnosis_case.MACHINE, CASE, DiagnosisState, CaseStep, take_case),
    (work_order.MACHINE, ORDER, WorkOrderState, OrderStep, take_order),
    (complaint.MACHINE, COMPLAINT, ComplaintState, ComplaintStep, take_complaint),
    (incident.MACHINE, INCIDENT, IncidentState, IncidentStep, take_incident),
]
EVERY = [
    pytest.param(
        machine.noun, allowed(table), state, verb, take, id=f"{machine.noun}-{state}-{verb}"
    )
    for machine, table, states, verbs, take in MACHINES
    for state in states
    for verb in verbs
]


@pytest.mark.parametrize(("noun", "table", "state", "verb", "take"), EVERY)
def test_each_step_in_each_state(noun, table, state, verb, take) -> None:  # type: ignore[no-untyped-def]
    target = table.get((state, verb))
    if target is not None:
        assert take(state, verb) == target
        return
    with pytest.raises(TransitionError) as refused:
        take(state, verb)
    assert str(refused.value) == f"{noun} in state {state} cannot {verb}"


@pytest.mark.parametrize("which", range(4))
def test_the_documents_show_the_table(which: int) -> None:
    machine, table, states, _, _ = MACHINES[which]
    assert f"```mermaid\n{machine.diagram()}```" in DOCS.read_text("utf-8")
    assert len(machine.table) == len(allowed(table))
    assert set(table) == set(states)


@pytest.mark.parametrize("which", range(4))
def test_a_closed_state_is_left_only_where_the_fault_comes_back(which: int) -> None:
    machine = MACHINES[which][0]
    leaving = {
        (before, verb)
        for (before, verb), after in machine.table.items()
        if before in machine.last and after is not before
    }
    assert leaving == ({("closed", "recur")} if machine.noun == "work order" else set())


# What must come with a step ---------------------------------------------------------------------


def order(state: WorkOrderState, **more: object) -> WorkOrder:
    facts: dict[str, object] = {
        "work_order_id": KEY, "vin": VIN, "source": OrderSource.ALERT, "owner": "hz",
        "opened_at": NOW, "changed_at": NOW, "state": state,
    }  # fmt: skip
    return WorkOrder.model_validate(facts | more)


@pytest.mark.parametrize(
    ("state", "verb", "why"),
    [
        ("requested", "book", "appointment_at is needed"),
        ("quoted", "approve", "promised_at is needed"),
        ("in_repair", "wait_for_parts", "parts is needed"),
        ("in_repair", "find_extra", "extra_item is needed"),
        ("in_repair", "tell_extra", "no extra item waits to be told"),
        ("ready", "hand_over", "confirmed_cause is needed"),
        ("booked", "decline", "a reason is needed"),
        ("quality_check", "fail_quality", "a reason is needed"),
        ("closed", "recur", "a reason is needed"),
    ],
)
def test_a_step_without_what_it_needs_is_refused(state: str, verb: str, why: str) -> None:
    with pytest.raises(TransitionError, match=f"in state {state} cannot {verb}: {why}"):
        work_order.step(order(WorkOrderState(state)), OrderStep(verb), now=NOW)


def test_a_repair_waits_for_its_plan() -> None:
    approved = order(WorkOrderState.APPROVED)
    with pytest.raises(TransitionError, match="cannot start_repair: the repair plan is not approv"):
        work_order.step(approved, OrderStep.START_REPAIR, now=NOW, plan_approved=False)


def test_steps_are_told_in_their_order() -> None:
    later = NOW.replace(hour=9)
    booked = order(WorkOrderState.BOOKED, changed_at=later)
    told = OrderFacts(at=NOW)
    with pytest.raises(TransitionError, match="a later step is known already"):
        work_order.step(booked, OrderStep.CHECK_IN, now=later, facts=told)
    with pytest.raises(TransitionError, match="it has not happened yet"):
        told = OrderFacts(at=later.replace(hour=10))
        work_order.step(booked, OrderStep.CHECK_IN, now=later, facts=told)


def test_the_promised_time_is_kept_or_overrun() -> None:
    checked = order(WorkOrderState.QUALITY_CHECK, promised_at=NOW)
    assert not work_order.step(checked, OrderStep.PASS_QUALITY, now=NOW).overrun
    assert work_order.step(checked, OrderStep.PASS_QUALITY, now=NOW.replace(hour=9)).overrun


def test_a_recurred_order_goes_first_and_is_no_longer_verified() -> None:
    closed = order(WorkOrderState.CLOSED, closed_at=NOW, verified_at=NOW)
    again = work_order.step(closed, OrderStep.RECUR, now=NOW, reason="again")
    assert (again.repeat_no, again.priority_lane) == (2, True)
    assert (again.closed_at, again.verified_at) == (None, None)
    ordinary = order(WorkOrderState.REQUESTED)
    assert min([ordinary, again], key=work_order.priority) is again


def test_a_brand_takes_only_its_proof() -> None:
    row = Complaint(
        complaint_id=KEY, vin=VIN, brand="changan", owner="hz", state=ComplaintState.SOLVED,
        opened_at=NOW, changed_at=NOW,
    )  # fmt: skip
    confirm = ComplaintStep.CONFIRM
    with pytest.raises(TransitionError, match="the brand takes only callback as proof"):
        complaint.step(row, confirm, now=NOW, proof=Proof.CUSTOMER, needed_proof=Proof.CALLBACK)
    with pytest.raises(TransitionError, match="a proof is needed"):
        complaint.step(row, confirm, now=NOW, needed_proof=Proof.CALLBACK)
    done = complaint.step(row, confirm, now=NOW, proof=Proof.CALLBACK, needed_proof=Proof.CALLBACK)
    assert (done.state, done.proof, done.closed_at) == ("confirmed", "callback", NOW)


def test_severity_and_level_never_fall() -> None:
    case = DiagnosisCase(
        case_id=KEY, vin=VIN, alert_id=KEY, fault_key="r", rule_id="r", severity=Severity.STOP,
        owner="hz", level=3, opened_at=NOW, changed_at=NOW,
    )  # fmt: skip
    with pytest.raises(TransitionError, match="level 3 helps already"):
        diagnosis_case.step(
            case, CaseStep.ESCALATE, now=NOW, reason="help", facts=CaseFacts(owner="eng")
        )
    milder = CaseFacts(drivable=True, severity=Severity.REMIND)
    with pytest.raises(TransitionError, match="severity never falls below 3"):
        diagnosis_case.step(case, CaseStep.TRIAGE, now=NOW, reason="", facts=milder)
