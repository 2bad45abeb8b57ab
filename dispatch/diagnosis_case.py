"""The diagnosis case: from a serious alert to a solved fault. Pure; one table holds every step.

Escalation only ever raises the level; the work goes on from wherever it is, so a car that is at the
station stays there. The diagram in docs/state-machines.md is drawn from the same table.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum

from dispatch.machine import Machine
from dispatch.work_terms import RepeatTerms
from model.diagnosis_case import (
    CLOSED_CASES,
    ENGINEER_LEVEL,
    EXPERT_LEVEL,
    DiagnosisCase,
    DiagnosisState,
)
from model.record import Key, Record
from model.severity import Severity


class CaseStep(StrEnum):
    """What people and the dispatcher do with a diagnosis case."""

    TRIAGE = "triage"
    PLAN = "plan"
    AWAIT = "await"
    ARRIVE = "arrive"
    FINISH = "finish"
    SOLVE_REMOTELY = "solve_remotely"
    ESCALATE = "escalate"
    CALL_EXPERT = "call_expert"
    RAISE_INCIDENT = "raise_incident"
    REPEAT = "repeat"
    WORSEN = "worsen"


S, V = DiagnosisState, CaseStep
#: States in which somebody above the station helps.
HELPED = (S.ESCALATED_L2, S.ESCALATED_L3, S.INCIDENT)
UNHELPED = (S.OPEN, S.TRIAGED, S.PLANNED, S.AWAITING_VEHICLE, S.AT_STATION)

TABLE: dict[tuple[DiagnosisState, CaseStep], DiagnosisState] = {
    (S.OPEN, V.TRIAGE): S.TRIAGED,
    (S.OPEN, V.ARRIVE): S.AT_STATION,  # the car was faster than we
    (S.TRIAGED, V.PLAN): S.PLANNED,
    (S.TRIAGED, V.ARRIVE): S.AT_STATION,
    (S.PLANNED, V.PLAN): S.PLANNED,  # a newer version is approved
    (S.PLANNED, V.AWAIT): S.AWAITING_VEHICLE,
    (S.PLANNED, V.ARRIVE): S.AT_STATION,
    (S.AWAITING_VEHICLE, V.PLAN): S.AWAITING_VEHICLE,
    (S.AWAITING_VEHICLE, V.ARRIVE): S.AT_STATION,
    (S.AT_STATION, V.TRIAGE): S.AT_STATION,
    (S.AT_STATION, V.PLAN): S.AT_STATION,
    (S.AT_STATION, V.FINISH): S.DONE,
    **{(state, V.WORSEN): state for state in (*UNHELPED, *HELPED)},
    **{(state, V.REPEAT): S.OPEN for state in UNHELPED},  # the repair has not held
    **{(state, V.REPEAT): state for state in HELPED},
    **{(state, V.TRIAGE): state for state in HELPED},
    **{(state, V.PLAN): S.PLANNED for state in HELPED},
    **{(state, V.ARRIVE): S.AT_STATION for state in HELPED},
    **{(state, V.FINISH): S.DONE for state in HELPED},
    **{
        (state, V.SOLVE_REMOTELY): S.REMOTE_SOLVED
        for state in (S.OPEN, S.TRIAGED, S.PLANNED, S.AWAITING_VEHICLE, *HELPED)
    },
    **{(state, V.ESCALATE): S.ESCALATED_L2 for state in UNHELPED},
    **{(state, V.CALL_EXPERT): S.ESCALATED_L3 for state in (*UNHELPED, S.ESCALATED_L2)},
    (S.INCIDENT, V.ESCALATE): S.INCIDENT,  # it stays headquarters' whoever helps
    (S.INCIDENT, V.CALL_EXPERT): S.INCIDENT,
    **{
        (state, V.RAISE_INCIDENT): S.INCIDENT
        for state in (*UNHELPED, S.ESCALATED_L2, S.ESCALATED_L3)
    },
}

MACHINE = Machine(
    noun="diagnosis case",
    first={S.OPEN: "serious alert"},
    last=CLOSED_CASES,
    table=TABLE,
)
#: Steps nobody takes without saying why.
WITH_REASON = frozenset({V.ESCALATE, V.CALL_EXPERT, V.SOLVE_REMOTELY, V.RAISE_INCIDENT})
LEVELS = {V.ESCALATE: ENGINEER_LEVEL, V.CALL_EXPERT: EXPERT_LEVEL}


class CaseFacts(Record):
    """What may come with a step."""

    severity: Severity | None = None
    drivable: bool | None = None
    #: Who helps from here on (escalation).
    owner: Key | None = None
    odometer_km: float | None = None


def step(
    case: DiagnosisCase, verb: CaseStep, *, now: datetime, reason: str, facts: CaseFacts
) -> DiagnosisCase:
    """The case after one step. Raises TransitionError and changes nothing when not allowed."""
    state = MACHINE.after(case.state, verb, _objection(case, verb, reason, facts))
    changes: dict[str, object] = {"state": state, "version": case.version + 1, "changed_at": now}
    match verb:
        case V.TRIAGE:
            changes |= {"drivable": facts.drivable, "severity": facts.severity or case.severity}
        case V.WORSEN:
            changes |= {"severity": facts.severity or case.severity}
        case V.PLAN:
            changes |= {"planned_at": case.planned_at or now}
        case V.ESCALATE | V.CALL_EXPERT:
            changes |= {"level": LEVELS[verb], "owner": facts.owner or case.owner}
        case V.REPEAT:
            changes |= {"repeat_no": case.repeat_no + 1, "planned_at": None}
        case V.FINISH | V.SOLVE_REMOTELY:
            changes |= {"closed_at": now, "closed_odometer_km": facts.odometer_km}
    return case.model_copy(update=changes)


def _objection(case: DiagnosisCase, verb: CaseStep, reason: str, facts: CaseFacts) -> str:
    """Why a step that the table allows is refused all the same; empty when it is not."""
    if verb in WITH_REASON and not reason:
        return "a reason is needed"
    if verb is V.TRIAGE and facts.drivable is None:
        return "say whether the car may be driven"
    if verb is V.TRIAGE and facts.severity is not None and facts.severity < case.severity:
        return f"severity never falls below {int(case.severity)}"
    if LEVELS.get(verb, EXPERT_LEVEL) < case.level:
        return f"level {case.level} helps already"
    return ""


def is_repeat(
    earlier: DiagnosisCase, at: datetime, odometer_km: float | None, terms: RepeatTerms
) -> bool:
    """Whether the same fault at `at` is the old one come back.

    Within the days or within the distance: a car that stood for two months comes back unrepaired
    too. Without an odometer the days decide alone.
    """
    if earlier.closed_at is None or at < earlier.closed_at:
        return False
    if at - earlier.closed_at <= timedelta(days=terms.days):
        return True
    then = earlier.closed_odometer_km
    return then is not None and odometer_km is not None and 0 <= odometer_km - then <= terms.km


def wanted_level(case: DiagnosisCase, terms: RepeatTerms) -> tuple[int, str]:
    """The help level a fresh case begins with, and why; level 1 needs no reason."""
    if case.repeat_no >= terms.incident_at:
        return EXPERT_LEVEL, f"the same fault for the {case.repeat_no}. time"
    if case.repeat_no >= terms.escalate_at:
        return ENGINEER_LEVEL, f"the same fault for the {case.repeat_no}. time"
    if case.severity >= Severity.EMERGENCY:
        return ENGINEER_LEVEL, "severity 4"
    return case.level, ""
