"""Which step starts which clock, and where it runs: one table a noun. Pure.

A clock is stopped as soon as its subject leaves `runs_in`, or by a step in `stops`. It starts again
in its next round where it ran before; `resets` also starts it over while it runs. Targets and the
chain of who is told are the brand's: dispatch/clocks.toml.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from dispatch import clocks
from dispatch.work_order import WORKING, OrderStep
from model.complaint import ComplaintState, IncidentState
from model.diagnosis_case import CLOSED_CASES, DiagnosisState
from model.work_order import WorkOrderState

#: What stands for the first step of a noun.
OPENED = "opened"


@dataclass(frozen=True, slots=True)
class ClockRule:
    """One clock of one noun."""

    kind: str
    starts: frozenset[str]
    runs_in: frozenset[str]
    stops: frozenset[str] = frozenset()
    resets: bool = False


@dataclass(frozen=True, slots=True)
class Turn:
    """What a step does to the clocks of its subject."""

    stop: tuple[str, ...]
    start: tuple[str, ...]
    restart: tuple[str, ...]


def _rule(
    kind: str,
    starts: Sequence[str],
    runs_in: Sequence[StrEnum],
    *,
    stops: Sequence[str] = (),
    resets: bool = False,
) -> ClockRule:
    return ClockRule(kind, frozenset(starts), frozenset(runs_in), frozenset(stops), resets)


S, V = WorkOrderState, OrderStep
IN_HAND = (S.APPROVED, S.IN_REPAIR, S.WAITING_PARTS, S.QUALITY_CHECK, S.REOPENED)

#: The car is with the workshop: from hand-in to hand-over.
HERE = (S.CHECKED_IN, S.DIAGNOSING, S.QUOTED, *IN_HAND, S.READY)
#: There the owner is waited for: for the approval, or to fetch the car. `pause_in` names them too.
OWNERS_TURN = (S.QUOTED, S.READY)

WORK_ORDER = (
    _rule(clocks.PICK_UP, [V.REQUEST], [S.REQUESTED]),
    _rule(clocks.PARTS, [V.WAIT_FOR_PARTS], [S.WAITING_PARTS]),
    _rule(
        clocks.PROGRESS,
        [V.START_REPAIR, V.WAIT_FOR_PARTS, V.PARTS_ARRIVED, V.REPORT_PROGRESS],
        [S.IN_REPAIR, S.WAITING_PARTS],
        resets=True,
    ),
    _rule(clocks.EXTRA_ITEM, [V.FIND_EXTRA], [*WORKING, S.REOPENED], stops=[V.TELL_EXTRA]),
    _rule(clocks.PROMISED_READY, [V.APPROVE], IN_HAND),
    _rule(
        clocks.RETURN_VISIT,
        [V.HAND_OVER],
        [S.HANDED_OVER, S.VERIFYING, S.CLOSED, S.REOPENED],
        stops=[V.VISIT],
    ),
    _rule(clocks.VERIFY, [V.HAND_OVER], [S.HANDED_OVER, S.VERIFYING]),
    _rule(clocks.REPAIR_DAYS, [V.CHECK_IN], HERE),
)

C = DiagnosisState
DIAGNOSIS_CASE = (
    _rule(clocks.PLAN, [OPENED, "repeat"], [s for s in C if s not in CLOSED_CASES], stops=["plan"]),
)

M = ComplaintState
UNSOLVED = (M.NEW, M.ANSWERED, M.PLAN, M.WAITING_CUSTOMER)
COMPLAINT = (
    _rule(clocks.COMPLAINT_RESPOND, [OPENED], [M.NEW]),
    _rule(clocks.COMPLAINT_SOLUTION, [OPENED], UNSOLVED),
    _rule(clocks.COMPLAINT_CLOSE, [OPENED], [*UNSOLVED, M.SOLVED]),
)

N = IncidentState
INCIDENT = (
    _rule(clocks.INCIDENT_REPORT, [OPENED], [N.NEW]),
    _rule(clocks.INCIDENT_PLAN, [OPENED], [N.NEW, N.REPORTED]),
    _rule(clocks.INCIDENT_ANSWER, [OPENED], [N.NEW, N.REPORTED, N.PLANNED]),
)


def turn(rules: Sequence[ClockRule], verb: str, state: StrEnum) -> Turn:
    """What a step that led to `state` does to the clocks."""
    starting = [r for r in rules if verb in r.starts and state in r.runs_in]
    return Turn(
        stop=tuple(r.kind for r in rules if state not in r.runs_in or verb in r.stops),
        start=tuple(r.kind for r in starting if not r.resets),
        restart=tuple(r.kind for r in starting if r.resets),
    )
