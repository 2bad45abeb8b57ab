"""The rescue case: from an alert to a cleared road side. Pure; one table holds every step.

The diagram in docs/state-machines.md is drawn from the same table.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta
from enum import StrEnum

from dispatch.geodesy import great_circle_km
from dispatch.terms import Terms, load_terms
from model.alerts import AlertState, AlertTransition
from model.clock import NS, utc
from model.errors import TransitionError
from model.rescue import CaseState, RescueCase, case_id
from model.severity import Severity
from model.vehicle import RescueUnit, Station, Zone

#: The actor of steps nobody took by hand.
SYSTEM = "system"


class Step(StrEnum):
    """What people and the dispatcher do with a case."""

    CONFIRM = "confirm"
    OFFER = "offer"
    ACCEPT = "accept"
    DECLINE = "decline"
    EXPIRE = "expire"
    GIVE_UP = "give_up"
    ARRIVE = "arrive"
    CLEAR = "clear"
    CANCEL = "cancel"


S = CaseState

#: Every step there is; whatever is not listed is refused.
TABLE: dict[tuple[CaseState, Step], CaseState] = {
    (S.REQUESTED, Step.CONFIRM): S.CONFIRMED,
    (S.REQUESTED, Step.CANCEL): S.CANCELLED,
    (S.CONFIRMED, Step.OFFER): S.OFFERED,
    (S.CONFIRMED, Step.GIVE_UP): S.NO_UNIT,
    (S.CONFIRMED, Step.CANCEL): S.CANCELLED,
    (S.OFFERED, Step.ACCEPT): S.ACCEPTED,
    (S.OFFERED, Step.DECLINE): S.CONFIRMED,
    (S.OFFERED, Step.EXPIRE): S.CONFIRMED,
    (S.OFFERED, Step.CANCEL): S.CANCELLED,
    (S.ACCEPTED, Step.DECLINE): S.CONFIRMED,  # the crew cannot come after all
    (S.ACCEPTED, Step.ARRIVE): S.ON_SCENE,
    (S.ACCEPTED, Step.CANCEL): S.CANCELLED,
    (S.ON_SCENE, Step.CLEAR): S.CLEARED,
    (S.NO_UNIT, Step.CONFIRM): S.CONFIRMED,  # the call centre has every crew asked again
    (S.NO_UNIT, Step.CLEAR): S.CLEARED,  # an outside provider helped
    (S.NO_UNIT, Step.CANCEL): S.CANCELLED,
}

#: A unit named by a case in one of these states is not free.
ENGAGED = frozenset({S.OFFERED, S.ACCEPTED, S.ON_SCENE})
CLOSED = frozenset({S.CLEARED, S.CANCELLED})


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

    `unit_id` is the crew that acts: a crew may only answer an offer made to itself.
    """
    target = TABLE.get((case.state, verb))
    why = (
        ""
        if target is None
        else _objection(case, verb, actor=actor, now=now, unit_id=unit_id, terms=terms)
    )
    if target is None or why:
        raise TransitionError(noun="rescue case", state=case.state, step=verb, why=why)
    changes: dict[str, object] = {"state": target, "version": case.version + 1}
    if verb is Step.OFFER:
        changes |= {"unit_id": unit_id, "offered_at": now}
    elif verb in (Step.DECLINE, Step.EXPIRE):
        declined_by = (*case.declined_by, case.unit_id)
        changes |= {"unit_id": None, "offered_at": None, "declined_by": declined_by}
    elif verb is Step.CONFIRM:
        changes |= {"declined_by": ()}
    return case.model_copy(update=changes)


def _objection(
    case: RescueCase,
    verb: Step,
    *,
    actor: str,
    now: datetime,
    unit_id: str | None,
    terms: Terms | None,
) -> str:
    """Why a step that the table allows is refused all the same; empty when it is not."""
    if verb is Step.CONFIRM and actor == SYSTEM and case.severity < Severity.EMERGENCY:
        return f"severity {int(case.severity)} is confirmed by a person"
    if verb is Step.OFFER:
        if unit_id is None:
            return "no unit named"
        return "the unit has declined before" if unit_id in case.declined_by else ""
    if unit_id is not None and unit_id != case.unit_id:
        return "the case is not offered to this unit"
    if verb is Step.EXPIRE and now < offer_ends(case, terms or load_terms()):
        return "the offer still stands"
    return ""


def offer_ends(case: RescueCase, terms: Terms) -> datetime:
    """When a standing offer passes to the next crew."""
    assert case.offered_at is not None, "only an offered case has an offer"
    return case.offered_at + timedelta(seconds=terms.offer_s)


def request_for(
    transition: AlertTransition,
    position: tuple[float, float] | None,
    stations: Sequence[Station],
    now_ns: int,
    max_age_s: float | None = None,
    *,
    terms: Terms | None = None,
) -> RescueCase | None:
    """The case a firing alert opens, or None: too mild, too old, found in history, no position.

    `position` is (latitude, longitude) in degrees; `max_age_s` replaces the profile's. Severity 4
    confirms itself.
    """
    terms = terms or load_terms()
    max_age_ns = round((terms.max_age_s if max_age_s is None else max_age_s) * NS)
    dispatches = (
        transition.state is AlertState.FIRING
        and transition.severity >= Severity.STOP
        and not transition.history
        and now_ns - transition.at_ns <= max_age_ns
    )
    if not dispatches or position is None:
        return None
    emergency = transition.severity >= Severity.EMERGENCY
    return RescueCase(
        case_id=case_id(transition.alert_id),
        alert_id=transition.alert_id,
        vin=transition.vin,
        severity=transition.severity,
        state=CaseState.CONFIRMED if emergency else CaseState.REQUESTED,
        latitude_deg=position[0],
        longitude_deg=position[1],
        zone=zone_at(position, stations, terms),
        requested_at=utc(now_ns),
    )


def zone_at(position: tuple[float, float], stations: Iterable[Station], terms: Terms) -> Zone:
    """The promise class of a place: that of the nearest station."""
    nearest = min(
        stations,
        key=lambda s: (great_circle_km(position, (s.latitude_deg, s.longitude_deg)), s.station_id),
        default=None,
    )
    return terms.zone_without_station if nearest is None else nearest.zone


def eta_s(case: RescueCase, unit: RescueUnit, terms: Terms) -> float:
    """Estimated seconds until the unit is at the vehicle."""
    here, there = (unit.latitude_deg, unit.longitude_deg), (case.latitude_deg, case.longitude_deg)
    return great_circle_km(here, there) * terms.road_factor / terms.speed_kmh * 3600


def choose(
    case: RescueCase,
    units: Iterable[RescueUnit],
    *,
    needed: frozenset[str] = frozenset({"tow"}),
    busy: Collection[str] = (),
    terms: Terms | None = None,
) -> RescueUnit | None:
    """The eligible unit that is there first, or None.

    Eligible: on duty, free, able, and not one that declined. If any unit can keep what is left of
    the promise, the first one there does, so the promise needs no term of its own in the ranking.
    """
    terms = terms or load_terms()
    eligible = (
        unit
        for unit in units
        if unit.on_duty
        and unit.unit_id not in busy
        and unit.unit_id not in case.declined_by
        and needed <= unit.capabilities
    )
    return min(eligible, key=lambda u: (eta_s(case, u, terms), u.unit_id), default=None)


def diagram() -> str:
    """The table as a Mermaid state diagram."""
    first = [f"    [*] --> {S.REQUESTED}: severity 3", f"    [*] --> {S.CONFIRMED}: severity 4"]
    arrows = [f"    {before} --> {after}: {verb}" for (before, verb), after in TABLE.items()]
    last = [f"    {state} --> [*]" for state in sorted(CLOSED)]
    return "\n".join(["stateDiagram-v2", *first, *arrows, *last]) + "\n"
