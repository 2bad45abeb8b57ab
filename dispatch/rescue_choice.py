"""Which crew goes: who is eligible, who is best, and how long it takes. Pure.

Eligible (domain.md 2.4): on duty and free (candidates are), able, certified, inside its coverage,
not one that declined, and there before the promise ends. Where nobody can keep the promise a late
crew is better than none, unless the profile says otherwise (`offer_late`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from math import isfinite
from typing import Protocol

from dispatch.geodesy import great_circle_km
from dispatch.terms import Terms, load_terms
from model.rescue import Candidate, RescueCase
from model.vehicle import RescueUnit

Place = tuple[float, float]


class Router(Protocol):
    """How long crews take on the road. A routing engine may stand behind it (dispatch/osrm.py)."""

    def seconds(self, from_deg: Sequence[Place], to_deg: Place) -> Sequence[float] | None:
        """Seconds from each place; infinite where no road leads; None: ask somebody else."""


@dataclass(frozen=True, slots=True)
class GreatCircleRouter:
    """Great circle x factor / speed: the fall-back that needs no map."""

    road_factor: float
    speed_kmh: float

    def seconds(self, from_deg: Sequence[Place], to_deg: Place) -> list[float]:
        """Estimated seconds from (latitude, longitude) points to another."""
        per_km = self.road_factor / self.speed_kmh * 3600
        return [great_circle_km(place, to_deg) * per_km for place in from_deg]


@dataclass(frozen=True, slots=True)
class Choice:
    """A crew and its estimate."""

    unit: Candidate
    eta_s: float
    keeps_promise: bool


def router_of(terms: Terms) -> GreatCircleRouter:
    """The profile's own estimate."""
    return GreatCircleRouter(terms.road_factor, terms.speed_kmh)


def eta_s(case: RescueCase, unit: RescueUnit | Candidate, terms: Terms) -> float:
    """Estimated seconds until the unit is at the vehicle."""
    here, there = (unit.latitude_deg, unit.longitude_deg), (case.latitude_deg, case.longitude_deg)
    return router_of(terms).seconds([here], there)[0]


def needs(case: RescueCase, powertrain: str, terms: Terms) -> tuple[frozenset[str], frozenset[str]]:
    """Capabilities and certificates a crew must have for this case."""
    capabilities = terms.needed(powertrain) | frozenset(case.needed)
    certificates = terms.certificates(powertrain)
    if case.thermal:
        capabilities |= terms.thermal.capabilities
        certificates |= terms.thermal.certificates
    return capabilities, certificates


def rank(
    case: RescueCase,
    units: Iterable[Candidate],
    *,
    capabilities: frozenset[str] = frozenset({"tow"}),
    certificates: frozenset[str] = frozenset(),
    promise_left: timedelta | None = None,
    terms: Terms | None = None,
    router: Router | None = None,
) -> list[Choice]:
    """The eligible units, the best first: ETA, then the load of its station, then its stars.

    ETAs in one step of `eta_step_s` count as equal. `promise_left` None: any ETA will do. Without
    a router, or where it has no answer, the profile's own estimate holds.
    """
    terms = terms or load_terms()
    place = (case.latitude_deg, case.longitude_deg)
    left_s = None if promise_left is None else promise_left.total_seconds()
    able = [
        unit
        for unit in units
        if unit.unit_id not in case.declined_by
        and capabilities <= unit.capabilities
        and certificates <= unit.certificates
        and _covers(unit, place, terms)
    ]
    found = [
        Choice(unit, seconds, left_s is None or seconds <= left_s)
        for unit, seconds in zip(able, _etas(able, place, terms, router), strict=True)
        if isfinite(seconds)
    ]
    if not terms.offer_late:
        found = [choice for choice in found if choice.keeps_promise]
    return sorted(found, key=lambda c: _order(c, terms.eta_step_s))


def choose(
    case: RescueCase,
    units: Iterable[Candidate],
    *,
    needed: frozenset[str] = frozenset({"tow"}),
    busy: Collection[str] = (),
    terms: Terms | None = None,
) -> Candidate | None:
    """The eligible unit that is best, or None; see `rank`."""
    free = (unit for unit in units if unit.unit_id not in busy)
    ranked = rank(case, free, capabilities=needed, terms=terms)
    return ranked[0].unit if ranked else None


def _etas(
    units: Sequence[Candidate], place: Place, terms: Terms, router: Router | None
) -> Sequence[float]:
    here = [(unit.latitude_deg, unit.longitude_deg) for unit in units]
    asked = router.seconds(here, place) if router and units else None
    return router_of(terms).seconds(here, place) if asked is None else asked


def _order(choice: Choice, step_s: float) -> tuple[object, ...]:
    unit = choice.unit
    steps = int(choice.eta_s // step_s)
    return not choice.keeps_promise, steps, unit.load, -unit.stars, choice.eta_s, unit.unit_id


def _covers(unit: Candidate, place: Place, terms: Terms) -> bool:
    """Inside the station's area; without one, within the radius of the profile."""
    if unit.coverage is not None:
        return unit.coverage.contains(*place)
    return great_circle_km((unit.latitude_deg, unit.longitude_deg), place) <= terms.radius_km
