"""The rescue case: from a request to a cleared road side. Pure; one table holds every step.

The diagram in docs/state-machines.md is drawn from the same table.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from enum import StrEnum

from dispatch.machine import Machine
from dispatch.rescue_choice import choose, eta_s
from dispatch.rescue_request import request_by_person, request_for, zone_at
from dispatch.terms import Terms, load_terms
from model.errors import TransitionError
from model.rescue import CALL_CENTRE, CaseState, RescueCase
from model.severity import Severity

__all__ = [
    "CLOSED",
    "ENGAGED",
    "SYSTEM",
    "TABLE",
    "Step",
    "choose",
    "diagram",
    "engaged_units",
    "eta_s",
    "offer_ends",
    "request_by_person",
    "request_for",
    "step",
    "zone_at",
]

#: The actor of steps nobody took by hand.
SYSTEM = "system"


class Step(StrEnum):
    """What people and the dispatcher do with a case."""

    LOCATE = "locate"
    CONFIRM = "confirm"
    OFFER = "offer"
    BROADCAST = "broadcast"
    ACCEPT = "accept"
    DECLINE = "decline"
    EXPIRE = "expire"
    GIVE_UP = "give_up"
    DEPART = "depart"
    ASK_SECOND = "ask_second"
    JOIN = "join"
    LEAVE = "leave"
    HAND_OVER = "hand_over"
    ARRIVE = "arrive"
    FIX = "fix"
    TOW = "tow"
    DELIVER = "deliver"
    CLEAR = "clear"
    GONE = "gone"
    CANCEL = "cancel"
    KILL = "kill"


S = CaseState

_ALONE: dict[tuple[CaseState, Step], CaseState] = {
    (S.REQUESTED, Step.LOCATE): S.GEOCODED,
    (S.GEOCODED, Step.LOCATE): S.GEOCODED,
    (S.REQUESTED, Step.CONFIRM): S.CONFIRMED,
    (S.GEOCODED, Step.CONFIRM): S.CONFIRMED,
    (S.CONFIRMED, Step.OFFER): S.OFFERED,
    (S.CONFIRMED, Step.BROADCAST): S.BROADCAST,
    (S.CONFIRMED, Step.GIVE_UP): S.NO_UNIT,
    (S.OFFERED, Step.ACCEPT): S.ACCEPTED,
    (S.OFFERED, Step.DECLINE): S.CONFIRMED,
    (S.OFFERED, Step.EXPIRE): S.CONFIRMED,
    (S.BROADCAST, Step.ACCEPT): S.ACCEPTED,  # the first one to say yes
    (S.BROADCAST, Step.DECLINE): S.BROADCAST,
    (S.BROADCAST, Step.GIVE_UP): S.NO_UNIT,
    (S.NO_UNIT, Step.CONFIRM): S.CONFIRMED,  # the call centre has every crew asked again
    (S.NO_UNIT, Step.CLEAR): S.CLEARED,  # an outside provider helped
    (S.ACCEPTED, Step.DEPART): S.EN_ROUTE,
    (S.ACCEPTED, Step.ARRIVE): S.ON_SCENE,
    (S.EN_ROUTE, Step.ARRIVE): S.ON_SCENE,
    (S.ACCEPTED, Step.DECLINE): S.CONFIRMED,  # the crew cannot come after all
    (S.EN_ROUTE, Step.DECLINE): S.CONFIRMED,
    (S.ON_SCENE, Step.FIX): S.FIXED_ON_SITE,
    (S.ON_SCENE, Step.TOW): S.TOWING,
    (S.ON_SCENE, Step.GONE): S.GONE_ON_ARRIVAL,
    (S.ON_SCENE, Step.CLEAR): S.CLEARED,
    (S.TOWING, Step.DELIVER): S.AT_STATION,
    (S.FIXED_ON_SITE, Step.CLEAR): S.CLEARED,
    (S.AT_STATION, Step.CLEAR): S.CLEARED,
}
#: A second crew beside the one that will be late; whoever comes first stays.
_SECOND = {
    (state, verb): state
    for state in (S.ACCEPTED, S.EN_ROUTE)
    for verb in (Step.ASK_SECOND, Step.JOIN, Step.LEAVE)
} | {(S.ACCEPTED, Step.HAND_OVER): S.ACCEPTED, (S.EN_ROUTE, Step.HAND_OVER): S.ACCEPTED}
_BEFORE_ARRIVAL = (
    S.REQUESTED, S.GEOCODED, S.CONFIRMED, S.OFFERED, S.BROADCAST, S.ACCEPTED, S.EN_ROUTE, S.NO_UNIT,
)  # fmt: skip
_WITHOUT_CREW = (S.REQUESTED, S.GEOCODED, S.CONFIRMED, S.NO_UNIT)

#: Every step there is; whatever is not listed is refused.
TABLE: dict[tuple[CaseState, Step], CaseState] = (
    _ALONE
    | _SECOND
    | {(state, Step.CANCEL): S.CANCELLED for state in _BEFORE_ARRIVAL}
    | {(state, Step.KILL): S.KILLED for state in _WITHOUT_CREW}
)

#: A unit named by a case in one of these states is not free.
ENGAGED = frozenset(
    {S.OFFERED, S.ACCEPTED, S.EN_ROUTE, S.ON_SCENE, S.FIXED_ON_SITE, S.TOWING, S.AT_STATION}
)
CLOSED = frozenset({S.CLEARED, S.CANCELLED, S.KILLED, S.GONE_ON_ARRIVAL})

MACHINE = Machine(
    noun="rescue case",
    first={S.REQUESTED: "severity 3, a person", S.CONFIRMED: "severity 4"},
    last=CLOSED,
    table=TABLE,
)


def diagram() -> str:
    """The table as a Mermaid state diagram."""
    return MACHINE.diagram()


def engaged_units(case: RescueCase) -> frozenset[str]:
    """The units that work for a case or have its offer: one, or two where a second was asked."""
    if case.state not in ENGAGED:
        return frozenset()
    return frozenset(u for u in (case.unit_id, case.second_unit_id) if u is not None)


def step(
    case: RescueCase,
    verb: Step,
    *,
    actor: str,
    now: datetime,
    unit_id: str | None = None,
    terms: Terms | None = None,
) -> RescueCase:
    """The case after one step. Raises TransitionError and changes nothing when it is not allowed.

    `unit_id` is the crew that acts: a crew may only answer an offer made to itself. Where a step
    needs more (position, ETA, who is asked), the caller adds it to the case it gets back.
    """
    terms = terms or load_terms()
    target = TABLE.get((case.state, verb))
    objection = _OBJECTIONS.get(verb, _not_this_crew)
    why = "" if target is None else objection(case, actor, now, unit_id, terms)
    if target is None or why:
        raise TransitionError(noun=MACHINE.noun, state=case.state, step=verb, why=why)
    changes: dict[str, object] = {"state": target, "version": case.version + 1}
    if target in CLOSED:
        changes["closed_at"] = now
    changes |= _CHANGES.get(verb, _nothing)(case, now, unit_id)
    return case.model_copy(update=changes)


def offer_ends(case: RescueCase, terms: Terms) -> datetime:
    """When a standing offer passes to the next crew."""
    assert case.offered_at is not None, "only an offered case has an offer"
    return case.offered_at + timedelta(seconds=terms.offer_s)


# Objections: why a step that the table allows is refused all the same; empty when it is not. ------

_Objection = Callable[[RescueCase, str, datetime, str | None, Terms], str]


def _not_this_crew(
    case: RescueCase, actor: str, now: datetime, unit_id: str | None, terms: Terms
) -> str:
    if unit_id is None or unit_id == case.unit_id:
        return ""
    if case.state is S.BROADCAST:
        return "" if unit_id in case.asked else "the case is not offered to this unit"
    return "the case is not offered to this unit"


def _confirm(case: RescueCase, actor: str, now: datetime, unit_id: str | None, terms: Terms) -> str:
    if actor == SYSTEM and case.severity < Severity.EMERGENCY:
        return f"severity {int(case.severity)} is confirmed by a person"
    return ""


def _offer(case: RescueCase, actor: str, now: datetime, unit_id: str | None, terms: Terms) -> str:
    if unit_id is None:
        return "no unit named"
    return "the unit has declined before" if unit_id in case.declined_by else ""


def _accept(case: RescueCase, actor: str, now: datetime, unit_id: str | None, terms: Terms) -> str:
    if case.state is S.BROADCAST and unit_id is None:
        return "no unit named"
    return _not_this_crew(case, actor, now, unit_id, terms)


def _expire(case: RescueCase, actor: str, now: datetime, unit_id: str | None, terms: Terms) -> str:
    return "the offer still stands" if now < offer_ends(case, terms) else ""


def _arrive(case: RescueCase, actor: str, now: datetime, unit_id: str | None, terms: Terms) -> str:
    if unit_id == case.second_unit_id and case.second_joined:
        return ""
    return _not_this_crew(case, actor, now, unit_id, terms)


def _ask_second(
    case: RescueCase, actor: str, now: datetime, unit_id: str | None, terms: Terms
) -> str:
    if unit_id is None:
        return "no unit named"
    if case.second_unit_id is not None:
        return "a second crew was asked already"
    taken = unit_id == case.unit_id or unit_id in case.declined_by
    return "the unit has this case or has declined it" if taken else ""


def _join(case: RescueCase, actor: str, now: datetime, unit_id: str | None, terms: Terms) -> str:
    if case.second_unit_id is None or (unit_id is not None and unit_id != case.second_unit_id):
        return "the case is not offered to this unit"
    return "the unit comes already" if case.second_joined else ""


def _leave(case: RescueCase, actor: str, now: datetime, unit_id: str | None, terms: Terms) -> str:
    if case.second_unit_id is None or (unit_id is not None and unit_id != case.second_unit_id):
        return "the unit is not the second crew"
    return ""


def _hand_over(
    case: RescueCase, actor: str, now: datetime, unit_id: str | None, terms: Terms
) -> str:
    if not case.second_joined:
        return "no second crew comes"
    return _not_this_crew(case, actor, now, unit_id, terms)


_OBJECTIONS: dict[Step, _Objection] = {
    Step.CONFIRM: _confirm,
    Step.OFFER: _offer,
    Step.ACCEPT: _accept,
    Step.EXPIRE: _expire,
    Step.ARRIVE: _arrive,
    Step.ASK_SECOND: _ask_second,
    Step.JOIN: _join,
    Step.LEAVE: _leave,
    Step.HAND_OVER: _hand_over,
}

# What a step changes beside the state. ------------------------------------------------------------

_Change = Callable[[RescueCase, datetime, str | None], dict[str, object]]
_NO_SECOND: dict[str, object] = {"second_unit_id": None, "second_at": None, "second_joined": False}


def _nothing(case: RescueCase, now: datetime, unit_id: str | None) -> dict[str, object]:
    return {}


def _confirmed(case: RescueCase, now: datetime, unit_id: str | None) -> dict[str, object]:
    return {"declined_by": (), "asked": (), "confirmed_at": now}


def _offered(case: RescueCase, now: datetime, unit_id: str | None) -> dict[str, object]:
    return {"unit_id": unit_id, "offered_at": now}


def _declined(case: RescueCase, now: datetime, unit_id: str | None) -> dict[str, object]:
    """The crew that has it, or the one that answers a broadcast, is not asked again."""
    crew = case.unit_id or unit_id
    refusals = case.declined_by if crew is None else (*case.declined_by, crew)
    if case.state is S.BROADCAST:
        return {"declined_by": refusals, "asked": tuple(u for u in case.asked if u != crew)}
    gone = {"unit_id": None, "offered_at": None, "promised_at": None, "eta_at": None}
    return {"declined_by": refusals, **gone, **_NO_SECOND}


def _accepted(case: RescueCase, now: datetime, unit_id: str | None) -> dict[str, object]:
    return {"unit_id": case.unit_id or unit_id, "offered_at": case.offered_at or now, "asked": ()}


def _given_up(case: RescueCase, now: datetime, unit_id: str | None) -> dict[str, object]:
    return {"owner": CALL_CENTRE, "asked": ()}


def _asked_second(case: RescueCase, now: datetime, unit_id: str | None) -> dict[str, object]:
    asked = case.seconds_asked + 1
    return {"second_unit_id": unit_id, "second_at": now, "seconds_asked": asked}


def _left(case: RescueCase, now: datetime, unit_id: str | None) -> dict[str, object]:
    return {"declined_by": (*case.declined_by, case.second_unit_id), **_NO_SECOND}


def _handed_over(case: RescueCase, now: datetime, unit_id: str | None) -> dict[str, object]:
    refusals = (*case.declined_by, case.unit_id)
    return {"unit_id": case.second_unit_id, "declined_by": refusals, "eta_at": None, **_NO_SECOND}


def _arrived(case: RescueCase, now: datetime, unit_id: str | None) -> dict[str, object]:
    """Whoever is there stays; the other crew turns back."""
    second = case.second_joined and unit_id == case.second_unit_id
    crew = case.second_unit_id if second else case.unit_id
    return {"unit_id": crew, "arrived_at": now, **_NO_SECOND}


_CHANGES: dict[Step, _Change] = {
    Step.CONFIRM: _confirmed,
    Step.OFFER: _offered,
    Step.ACCEPT: _accepted,
    Step.DECLINE: _declined,
    Step.EXPIRE: _declined,
    Step.GIVE_UP: _given_up,
    Step.ASK_SECOND: _asked_second,
    Step.JOIN: lambda case, now, unit_id: {"second_joined": True},
    Step.LEAVE: _left,
    Step.HAND_OVER: _handed_over,
    Step.ARRIVE: _arrived,
}
