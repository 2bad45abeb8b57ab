"""The incident: reported, planned, answered in 1, 4 and 24 hours. Pure (domain.md 6.6)."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from dispatch.machine import Machine
from model.complaint import CLOSED_INCIDENTS, Incident, IncidentState


class IncidentStep(StrEnum):
    """What people do with an incident."""

    REPORT = "report"
    PLAN = "plan"
    ANSWER = "answer"
    CLOSE = "close"


S, V = IncidentState, IncidentStep

TABLE: dict[tuple[IncidentState, IncidentStep], IncidentState] = {
    (S.NEW, V.REPORT): S.REPORTED,
    (S.REPORTED, V.PLAN): S.PLANNED,
    (S.PLANNED, V.PLAN): S.PLANNED,  # a better plan
    (S.PLANNED, V.ANSWER): S.ANSWERED,
    (S.ANSWERED, V.CLOSE): S.CLOSED,
}

MACHINE = Machine(
    noun="incident",
    first={S.NEW: "severity 4, cluster, third repeat, person"},
    last=CLOSED_INCIDENTS,
    table=TABLE,
)
#: The text each step must bring, and where it is kept.
TEXTS = {V.REPORT: "report", V.PLAN: "plan", V.ANSWER: "answer"}


def step(
    incident: Incident,
    verb: IncidentStep,
    *,
    now: datetime,
    text: str = "",
    owner: str | None = None,
) -> Incident:
    """The incident after one step. Raises TransitionError and changes nothing when not allowed."""
    why = f"the {TEXTS[verb]} is empty" if verb in TEXTS and not text.strip() else ""
    state = MACHINE.after(incident.state, verb, why)
    changes: dict[str, object] = {"state": state, "changed_at": now}
    changes |= {"version": incident.version + 1, "owner": owner or incident.owner}
    if verb in TEXTS:
        changes[TEXTS[verb]] = text
    if state in CLOSED_INCIDENTS:
        changes["closed_at"] = now
    return incident.model_copy(update=changes)
