"""The work order: from request to verified repair. Pure; one table holds every step.

The diagram in docs/state-machines.md is drawn from the same table.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from pydantic import AwareDatetime, Field

from dispatch.machine import Machine
from model.record import Key, Label, Prose, Record
from model.work_order import CLOSED_ORDERS, ExtraItem, PartLine, WorkOrder, WorkOrderState


class OrderStep(StrEnum):
    """What people, their systems and the dispatcher do with a work order."""

    REQUEST = "request"
    BOOK = "book"
    DECLINE = "decline"
    MISS = "miss"
    CANCEL = "cancel"
    CHECK_IN = "check_in"
    DIAGNOSE = "diagnose"
    QUOTE = "quote"
    APPROVE = "approve"
    START_REPAIR = "start_repair"
    WAIT_FOR_PARTS = "wait_for_parts"
    PARTS_ARRIVED = "parts_arrived"
    REPORT_PROGRESS = "report_progress"
    FIND_EXTRA = "find_extra"
    TELL_EXTRA = "tell_extra"
    CHECK_QUALITY = "check_quality"
    FAIL_QUALITY = "fail_quality"
    PASS_QUALITY = "pass_quality"  # noqa: S105 - not a password
    HAND_OVER = "hand_over"
    VISIT = "visit"
    VERIFY = "verify"
    PASS_VERIFICATION = "pass_verification"  # noqa: S105
    FAIL_VERIFICATION = "fail_verification"
    CLOSE_UNVERIFIED = "close_unverified"
    RECUR = "recur"


S, V = WorkOrderState, OrderStep
#: The car is in the workshop and somebody waits for it.
WORKING = (S.DIAGNOSING, S.IN_REPAIR, S.WAITING_PARTS, S.QUALITY_CHECK)
BEFORE_ARRIVAL = (S.DRAFT, S.REQUESTED, S.BOOKED, S.NO_SHOW)

TABLE: dict[tuple[WorkOrderState, OrderStep], WorkOrderState] = {
    (S.DRAFT, V.REQUEST): S.REQUESTED,
    (S.REQUESTED, V.BOOK): S.BOOKED,
    (S.BOOKED, V.BOOK): S.BOOKED,  # another date
    (S.NO_SHOW, V.BOOK): S.BOOKED,
    (S.REOPENED, V.BOOK): S.BOOKED,
    (S.REQUESTED, V.DECLINE): S.DECLINED,
    (S.BOOKED, V.DECLINE): S.DECLINED,
    (S.QUOTED, V.DECLINE): S.DECLINED,
    (S.BOOKED, V.MISS): S.NO_SHOW,
    **{(state, V.CANCEL): S.CANCELLED for state in (*BEFORE_ARRIVAL, S.REOPENED)},
    **{
        (state, V.CHECK_IN): S.CHECKED_IN
        for state in (S.REQUESTED, S.BOOKED, S.NO_SHOW, S.REOPENED)
    },
    (S.CHECKED_IN, V.DIAGNOSE): S.DIAGNOSING,
    (S.REOPENED, V.DIAGNOSE): S.DIAGNOSING,
    (S.DIAGNOSING, V.QUOTE): S.QUOTED,
    (S.QUOTED, V.APPROVE): S.APPROVED,
    (S.APPROVED, V.START_REPAIR): S.IN_REPAIR,
    (S.REOPENED, V.START_REPAIR): S.IN_REPAIR,  # found at the quality check: the car is here
    (S.APPROVED, V.WAIT_FOR_PARTS): S.WAITING_PARTS,
    (S.IN_REPAIR, V.WAIT_FOR_PARTS): S.WAITING_PARTS,
    (S.WAITING_PARTS, V.PARTS_ARRIVED): S.IN_REPAIR,
    (S.IN_REPAIR, V.REPORT_PROGRESS): S.IN_REPAIR,
    (S.WAITING_PARTS, V.REPORT_PROGRESS): S.WAITING_PARTS,
    **{(state, V.FIND_EXTRA): state for state in WORKING},
    **{(state, V.TELL_EXTRA): state for state in WORKING},
    (S.IN_REPAIR, V.CHECK_QUALITY): S.QUALITY_CHECK,
    (S.QUALITY_CHECK, V.FAIL_QUALITY): S.REOPENED,
    (S.QUALITY_CHECK, V.PASS_QUALITY): S.READY,
    (S.READY, V.HAND_OVER): S.HANDED_OVER,
    (S.HANDED_OVER, V.VISIT): S.HANDED_OVER,
    (S.VERIFYING, V.VISIT): S.VERIFYING,
    (S.CLOSED, V.VISIT): S.CLOSED,
    (S.HANDED_OVER, V.VERIFY): S.VERIFYING,
    (S.VERIFYING, V.PASS_VERIFICATION): S.CLOSED,
    (S.VERIFYING, V.FAIL_VERIFICATION): S.REOPENED,
    (S.VERIFYING, V.CLOSE_UNVERIFIED): S.CLOSED,  # a person says so, the stream does not
    (S.CLOSED, V.RECUR): S.REOPENED,
}

MACHINE = Machine(
    noun="work order",
    first={S.DRAFT: "opened", S.REQUESTED: "requested"},
    last=CLOSED_ORDERS,
    table=TABLE,
)
#: Steps nobody takes without saying why.
WITH_REASON = frozenset(
    {V.DECLINE, V.CANCEL, V.FAIL_QUALITY, V.FAIL_VERIFICATION, V.CLOSE_UNVERIFIED, V.RECUR}
)
#: Steps an outside system takes by telling the state it told before: progress, another date.
TOLD_AGAIN = frozenset({V.REPORT_PROGRESS, V.BOOK})
#: What must be known once a step is taken: given with it or before.
NEEDS: dict[OrderStep, tuple[str, ...]] = {
    V.BOOK: ("appointment_at",),
    V.APPROVE: ("promised_at",),
    V.WAIT_FOR_PARTS: ("parts",),
    V.HAND_OVER: ("confirmed_cause", "odometer_km"),
}
#: Fields that hold when a step was taken last.
STAMPS: dict[OrderStep, str] = {
    V.CHECK_IN: "checked_in_at",
    V.PASS_QUALITY: "ready_at",
    V.HAND_OVER: "handed_over_at",
    V.VISIT: "visited_at",
    V.PASS_VERIFICATION: "verified_at",
}
CLOSING = frozenset({S.CLOSED, S.DECLINED, S.CANCELLED})


class OrderFacts(Record):
    """What may come with a step; what is not given stays as it was."""

    owner: Key | None = None
    station_id: Key | None = None
    complaint: Prose | None = None
    confirmed_cause: Prose | None = None
    correction: Prose | None = None
    items: tuple[Label, ...] | None = Field(None, max_length=200)
    parts: tuple[PartLine, ...] | None = Field(None, max_length=200)
    photos_ref: tuple[Prose, ...] | None = Field(None, max_length=200)
    odometer_km: float | None = Field(None, ge=0, le=4_000_000)
    appointment_at: AwareDatetime | None = None
    promised_at: AwareDatetime | None = None
    loaner_needed: bool | None = None
    #: The work that was found (find_extra).
    extra_item: Label | None = Field(None, min_length=1)
    #: When it was done, where another system tells it later.
    at: AwareDatetime | None = None


def step(
    order: WorkOrder,
    verb: OrderStep,
    *,
    now: datetime,
    reason: str = "",
    facts: OrderFacts | None = None,
    plan_approved: bool = True,
) -> WorkOrder:
    """The order after one step. Raises TransitionError and changes nothing when it is not allowed.

    `plan_approved` is False where its diagnosis case has no approved plan.
    """
    facts = facts or OrderFacts()
    at = facts.at or max(now, order.changed_at)
    given = facts.model_dump(exclude_none=True, exclude={"at", "extra_item"})
    told = order.model_copy(update={name: getattr(facts, name) for name in given})
    objection = _objection(told, verb, now=now, reason=reason, facts=facts)
    if not objection and verb is V.START_REPAIR and not plan_approved:
        objection = "the repair plan is not approved"
    state = MACHINE.after(order.state, verb, objection)
    changes: dict[str, object] = {"state": state, "changed_at": at, "version": order.version + 1}
    if verb in STAMPS:
        changes[STAMPS[verb]] = at
    if state in CLOSING and order.state is not state:
        changes["closed_at"] = at
    changes |= _more(told, verb, at, facts)
    return told.model_copy(update=changes)


def _more(order: WorkOrder, verb: OrderStep, at: datetime, facts: OrderFacts) -> dict[str, object]:
    """What a step changes beyond state, stamps and given facts."""
    match verb:
        case V.FIND_EXTRA:
            assert facts.extra_item is not None, "the objection has asked for it"
            return {
                "extra_items": (*order.extra_items, ExtraItem(text=facts.extra_item, found_at=at))
            }
        case V.TELL_EXTRA:
            told = [
                i if i.told_at else i.model_copy(update={"told_at": at}) for i in order.extra_items
            ]
            return {"extra_items": tuple(told)}
        case V.PASS_QUALITY:
            late = order.promised_at is not None and at > order.promised_at
            return {"overrun": order.overrun or late}
        case V.FAIL_QUALITY:
            return {"priority_lane": True}
        case V.FAIL_VERIFICATION | V.RECUR:
            again = {"priority_lane": True, "repeat_no": order.repeat_no + 1}
            return again | {"closed_at": None, "verified_at": None}
    return {}


def _objection(
    order: WorkOrder,
    verb: OrderStep,
    *,
    now: datetime,
    reason: str,
    facts: OrderFacts,
) -> str:
    """Why a step that the table allows is refused all the same; empty when it is not."""
    if verb in WITH_REASON and not reason:
        return "a reason is needed"
    if facts.at is not None and facts.at > now:
        return "it has not happened yet"
    if facts.at is not None and facts.at < order.changed_at:
        return "a later step is known already"
    for name in NEEDS.get(verb, ()):
        if getattr(order, name) in (None, "", ()):
            return f"{name} is needed"
    if verb is V.FIND_EXTRA and facts.extra_item is None:
        return "extra_item is needed"
    if verb is V.TELL_EXTRA and all(item.told_at for item in order.extra_items):
        return "no extra item waits to be told"
    if verb is V.PASS_QUALITY and not all(item.told_at for item in order.extra_items):
        return "the customer does not know of an extra item"
    return ""


def priority(order: WorkOrder) -> tuple[bool, datetime]:
    """Sorts the queue of a workshop: the priority lane first, then as they came."""
    return not order.priority_lane, order.opened_at
