"""The complaint: from told to confirmed. Pure; one table holds every step (domain.md 6.6)."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from dispatch.machine import Machine
from model.complaint import CLOSED_COMPLAINTS, Complaint, ComplaintState


class ComplaintStep(StrEnum):
    """What people do with a complaint."""

    ANSWER = "answer"
    PLAN = "plan"
    WAIT_FOR_CUSTOMER = "wait_for_customer"
    RESUME = "resume"
    SOLVE = "solve"
    CONFIRM = "confirm"
    DISPUTE = "dispute"
    ESCALATE = "escalate"
    WITHDRAW = "withdraw"


class Proof(StrEnum):
    """What a brand takes as proof that a complaint is over."""

    CALLBACK = "callback"  # headquarters rang the customer
    CUSTOMER = "customer"  # the customer says so
    SIGNATURES = "signatures"  # both advisors signed
    THREE_ZEROS = "three_zeros"  # no complaint, no management, no technical fault left


S, V = ComplaintState, ComplaintStep
RUNNING = (S.NEW, S.ANSWERED, S.PLAN, S.WAITING_CUSTOMER, S.SOLVED)

TABLE: dict[tuple[ComplaintState, ComplaintStep], ComplaintState] = {
    (S.NEW, V.ANSWER): S.ANSWERED,
    (S.ANSWERED, V.PLAN): S.PLAN,
    (S.ANSWERED, V.WAIT_FOR_CUSTOMER): S.WAITING_CUSTOMER,
    (S.PLAN, V.WAIT_FOR_CUSTOMER): S.WAITING_CUSTOMER,
    (S.WAITING_CUSTOMER, V.RESUME): S.ANSWERED,
    (S.WAITING_CUSTOMER, V.PLAN): S.PLAN,
    (S.PLAN, V.SOLVE): S.SOLVED,
    (S.SOLVED, V.CONFIRM): S.CONFIRMED,
    (S.SOLVED, V.DISPUTE): S.PLAN,  # the customer is not content
    **{(state, V.ESCALATE): state for state in RUNNING},
    **{(state, V.WITHDRAW): S.WITHDRAWN for state in RUNNING},
}

MACHINE = Machine(noun="complaint", first={S.NEW: "told"}, last=CLOSED_COMPLAINTS, table=TABLE)
#: Steps nobody takes without saying why. Waiting stops the clocks, so it needs evidence.
WITH_REASON = frozenset({V.WAIT_FOR_CUSTOMER, V.DISPUTE, V.ESCALATE, V.WITHDRAW})
HIGHEST_LEVEL = 3


def step(
    complaint: Complaint,
    verb: ComplaintStep,
    *,
    now: datetime,
    reason: str = "",
    proof: Proof | None = None,
    needed_proof: Proof | None = None,
    owner: str | None = None,
) -> Complaint:
    """The complaint after one step. Raises TransitionError and changes nothing when not allowed.

    `needed_proof` is what the brand's profile takes as proof; None takes any.
    """
    why = _objection(complaint, verb, reason, proof, needed_proof)
    state = MACHINE.after(complaint.state, verb, why)
    changes: dict[str, object] = {"state": state, "changed_at": now}
    changes |= {"version": complaint.version + 1, "owner": owner or complaint.owner}
    if verb is V.ANSWER:
        changes["first_reply_at"] = now
    elif verb is V.ESCALATE:
        changes["level"] = complaint.level + 1
    elif state in CLOSED_COMPLAINTS:
        changes |= {"closed_at": now, "proof": str(proof or "")}
    return complaint.model_copy(update=changes)


def _objection(
    complaint: Complaint,
    verb: ComplaintStep,
    reason: str,
    proof: Proof | None,
    needed_proof: Proof | None,
) -> str:
    """Why a step that the table allows is refused all the same; empty when it is not."""
    if verb in WITH_REASON and not reason:
        return "a reason is needed"
    if verb is V.ESCALATE and complaint.level >= HIGHEST_LEVEL:
        return "nobody is above"
    if verb is V.CONFIRM and proof is None:
        return "a proof is needed"
    if verb is V.CONFIRM and needed_proof is not None and proof is not needed_proof:
        return f"the brand takes only {needed_proof} as proof"
    return ""
