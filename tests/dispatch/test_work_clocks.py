"""Which step starts and stops which clock; every kind is one the profiles know."""

from __future__ import annotations

import pytest

from dispatch import clocks, work_clocks
from dispatch.work_clocks import OPENED, turn
from dispatch.work_order import OrderStep
from model.complaint import ComplaintState, IncidentState
from model.work_order import WorkOrderState

S, V = WorkOrderState, OrderStep


@pytest.mark.parametrize(
    ("verb", "state", "starts", "runs"),
    [
        (V.REQUEST, S.REQUESTED, {"pick_up"}, {"pick_up"}),
        (V.BOOK, S.BOOKED, set(), set()),
        (V.APPROVE, S.APPROVED, {"promised_ready"}, {"promised_ready", "repair_days"}),
        (V.CHECK_IN, S.CHECKED_IN, {"repair_days"}, {"repair_days"}),
        (V.QUOTE, S.QUOTED, set(), {"repair_days"}),
        (
            V.START_REPAIR,
            S.IN_REPAIR,
            {"progress"},
            {"progress", "promised_ready", "extra_item", "repair_days"},
        ),
        (
            V.WAIT_FOR_PARTS,
            S.WAITING_PARTS,
            {"parts", "progress"},
            {"parts", "progress", "promised_ready", "extra_item", "repair_days"},
        ),
        (V.TELL_EXTRA, S.IN_REPAIR, set(), {"progress", "promised_ready", "repair_days"}),
        (V.PASS_QUALITY, S.READY, set(), {"repair_days"}),
        (V.HAND_OVER, S.HANDED_OVER, {"return_visit", "verify"}, {"return_visit", "verify"}),
        (V.VISIT, S.VERIFYING, set(), {"verify"}),
        (V.PASS_VERIFICATION, S.CLOSED, set(), {"return_visit"}),
        (V.CANCEL, S.CANCELLED, set(), set()),
    ],
)
def test_a_visit(verb: OrderStep, state: WorkOrderState, starts: set[str], runs: set[str]) -> None:
    found = turn(work_clocks.WORK_ORDER, verb, state)
    assert {*found.start, *found.restart} == starts
    assert {rule.kind for rule in work_clocks.WORK_ORDER} - set(found.stop) == runs


def test_complaints_and_incidents_start_with_all_their_promises() -> None:
    assert set(turn(work_clocks.COMPLAINT, OPENED, ComplaintState.NEW).start) == {
        "complaint_respond", "complaint_solution", "complaint_close",
    }  # fmt: skip
    assert set(turn(work_clocks.INCIDENT, OPENED, IncidentState.NEW).start) == {
        "incident_report", "incident_plan", "incident_answer",
    }  # fmt: skip


def test_every_kind_is_known_to_the_profiles() -> None:
    tables = (
        work_clocks.WORK_ORDER,
        work_clocks.DIAGNOSIS_CASE,
        work_clocks.COMPLAINT,
        work_clocks.INCIDENT,
    )
    used = {rule.kind for table in tables for rule in table}
    known = {kind for brand in ("", *clocks.brands()) for kind in clocks.kinds(brand)}
    assert used <= known


def test_repair_days_pause_while_the_owner_is_waited_for() -> None:
    paused = clocks.promise(clocks.REPAIR_DAYS).pause_states
    assert paused == {str(state) for state in work_clocks.OWNERS_TURN}
