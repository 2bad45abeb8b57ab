"""What a unit's position means: where it is, when it will be there, and that it is there.

Each report is one transaction. Older reports than the last are dropped: a feed may come late.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from console.acts import Act
from console.case_steps import apply
from dispatch.geodesy import great_circle_km
from dispatch.rescue import SYSTEM, Step
from dispatch.rescue_choice import router_of
from dispatch.terms import ArrivalTerms, Terms, load_terms
from model.rescue import CaseState, RescueCase
from store import cases, notify, rescue_units
from store.database import Connection, Pool, transaction
from store.rescue_units import PlacedUnit, Position

ON_THE_WAY = frozenset({CaseState.ACCEPTED, CaseState.EN_ROUTE})
#: States in which a proof still counts: the button may have been quicker than the position.
PROVABLE = ON_THE_WAY | {CaseState.ON_SCENE}


def report(pool: Pool, unit_id: str, position: Position, *, now: datetime) -> bool:
    """Take a unit's position; False when a newer one is known. Raises UnknownRowError.

    While the unit goes to a case its ETA follows; standing beside the vehicle long enough proves
    the arrival, and is the arrival where the crew forgot its button.
    """
    with transaction(pool) as conn:
        # The case first, then the unit: the order every step takes them in.
        known = rescue_units.find(conn, unit_id)
        case = None if known.case_id is None else cases.lock(conn, known.case_id)
        before = rescue_units.lock(conn, unit_id)
        if before.position is not None and before.position.at >= position.at:
            return False
        if case is None or before.case_id != case.case_id:
            rescue_units.move(conn, unit_id, position, near_since=None)
            return True
        terms = load_terms()
        km = _km(case, position)
        near = _near_since(before, position, km, terms.arrival)
        rescue_units.move(conn, unit_id, position, near_since=near)
        _observe(conn, case, unit_id, position, near, now, terms)
        return True


def _observe(
    conn: Connection,
    case: RescueCase,
    unit_id: str,
    position: Position,
    near: datetime | None,
    now: datetime,
    terms: Terms,
) -> None:
    """The ETA of the first crew, the proof of whoever is there.

    The ETA is the profile's own estimate: no report waits for a routing engine.
    """
    comes = unit_id == case.unit_id or (unit_id == case.second_unit_id and case.second_joined)
    if not comes or case.state not in PROVABLE:
        return
    stood = near is not None and position.at - near >= timedelta(seconds=terms.arrival.for_s)
    proven_at = position.at if stood and case.proven_at is None else None
    if proven_at and case.state in ON_THE_WAY:
        act = Act(SYSTEM, now, "proven by position")
        case = apply(conn, case, Step.ARRIVE, act, unit_id)
    eta_at = case.eta_at
    if case.state in ON_THE_WAY and unit_id == case.unit_id:
        here = (position.latitude_deg, position.longitude_deg)
        there = (case.latitude_deg, case.longitude_deg)
        eta_at = position.at + timedelta(seconds=router_of(terms).seconds([here], there)[0])
    if proven_at or eta_at != case.eta_at:
        cases.observe(conn, case.case_id, eta_at=eta_at, proven_at=proven_at)
        notify.case(conn, case.case_id)


def _near_since(
    before: PlacedUnit, position: Position, km: float, terms: ArrivalTerms
) -> datetime | None:
    """Since when the unit stands beside the vehicle; None while it does not."""
    if km * 1000 > terms.radius_m or _speed_kmh(before, position) >= terms.below_kmh:
        return None
    return before.near_since or position.at


def _speed_kmh(before: PlacedUnit, position: Position) -> float:
    """As the feed says, or from the report before."""
    if position.speed_kmh is not None:
        return position.speed_kmh
    last = before.position
    if last is None:
        return 0.0
    here, there = (
        (position.latitude_deg, position.longitude_deg),
        (last.latitude_deg, last.longitude_deg),
    )
    return great_circle_km(here, there) / ((position.at - last.at).total_seconds() / 3600)


def _km(case: RescueCase, position: Position) -> float:
    here = (position.latitude_deg, position.longitude_deg)
    return great_circle_km(here, (case.latitude_deg, case.longitude_deg))
