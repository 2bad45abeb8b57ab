"""Which crew goes: eligibility and ranking, against a plain reading of domain.md 2.4."""

from __future__ import annotations

import math
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatch import rescue_choice
from dispatch.geodesy import great_circle_km
from dispatch.terms import load_terms
from model.coverage import Polygon
from model.rescue import Candidate, CaseState, RescueCase
from model.severity import Severity
from model.vehicle import Zone

NOW = datetime(2025, 3, 1, 8, 0, tzinfo=UTC)
TERMS = load_terms()
CASE = RescueCase(
    case_id=uuid.UUID(int=1),
    alert_id=None,
    vin="LRDCALL0000000001",
    severity=Severity.STOP,
    state=CaseState.CONFIRMED,
    latitude_deg=30.0,
    longitude_deg=120.0,
    zone=Zone.CITY,
    requested_at=NOW,
)
PLACE = (30.0, 120.0)


def box(half_deg: float) -> Polygon:
    west, east, south, north = 120 - half_deg, 120 + half_deg, 30 - half_deg, 30 + half_deg
    ring = ((west, south), (east, south), (east, north), (west, north), (west, south))
    return Polygon(coordinates=(ring,))


def unit(unit_id: str = "u", latitude: float = 30.1, **more: object) -> Candidate:
    facts: dict[str, object] = {"capabilities": frozenset({"tow"})}
    return Candidate(
        unit_id, "s", "n", latitude_deg=latitude, longitude_deg=120.0, **(facts | more)
    )  # type: ignore[arg-type]


def order(*units: Candidate, **more: object) -> list[str]:
    return [c.unit.unit_id for c in rescue_choice.rank(CASE, units, **more)]  # type: ignore[arg-type]


def test_eta_then_load_then_stars() -> None:
    near, far = unit("near", 30.05), unit("far", 30.2)
    assert order(far, near) == ["near", "far"]
    # 0.01 degrees are 1.1 km, 2.3 min; 0.001 degrees 14 s: within the same minute
    busy, idle = unit("busy", 30.1, load=3), unit("idle", 30.1001, load=1)
    assert order(busy, idle) == ["idle", "busy"]
    plain, starred = unit("plain", 30.1, stars=3), unit("starred", 30.1001, stars=5)
    assert order(plain, starred) == ["starred", "plain"]


def test_who_may_not_go() -> None:
    assert order(unit(capabilities=frozenset({"jump"}))) == []
    case = CASE.model_copy(update={"declined_by": ("u",)})
    assert rescue_choice.rank(case, [unit()]) == []
    hv = frozenset({"high_voltage"})
    assert order(unit(certificates=frozenset()), certificates=hv) == []
    assert order(unit(certificates=hv), certificates=hv) == ["u"]
    assert order(unit(), certificates=hv) == []  # its crew is not named: nothing is proved
    assert order(unit()) == ["u"]
    assert order(unit(coverage=box(0.01))) == ["u"]
    away = Polygon(coordinates=(((0, 0), (1, 0), (1, 1), (0, 0)),))
    assert order(unit(coverage=away)) == []
    assert order(unit(latitude=30 + 151 / 111.195)) == []  # 150 km without an area
    assert order(unit(latitude=30 + 149 / 111.195)) == ["u"]


def test_a_promise_that_nobody_can_keep() -> None:
    slow, left = unit(latitude=30.5), timedelta(minutes=10)
    (choice,) = rescue_choice.rank(CASE, [slow], promise_left=left)
    assert not choice.keeps_promise
    strict = TERMS.model_copy(update={"offer_late": False})
    assert order(slow, promise_left=left, terms=strict) == []
    assert order(slow, unit("near", 30.01), promise_left=left, terms=strict) == ["near"]


def test_an_electric_car_and_a_thermal_event_need_trained_people() -> None:
    assert rescue_choice.needs(CASE, "combustion", TERMS) == ({"tow"}, set())
    electric = ({"tow", "hv"}, {"high_voltage"})
    assert rescue_choice.needs(CASE, "electric", TERMS) == electric
    burning = CASE.model_copy(update={"thermal": True, "needed": ("jump",)})
    wanted = ({"tow", "hv", "jump"}, {"high_voltage"})
    assert rescue_choice.needs(burning, "combustion", TERMS) == wanted


class Roads:
    """A river between; `None` for places it does not know."""

    def __init__(self, *, known: bool = True) -> None:
        self._known = known

    def seconds(
        self, from_deg: Sequence[tuple[float, float]], to_deg: tuple[float, float]
    ) -> list[float] | None:
        assert to_deg == PLACE
        ways = {30.1: 3600.0, 30.3: 60.0, 30.05: math.inf}
        return [ways[place[0]] for place in from_deg] if self._known else None


def test_a_routing_engine_replaces_the_estimate() -> None:
    crews = unit("near", 30.1), unit("far", 30.3)
    assert order(*crews, router=Roads()) == ["far", "near"]
    assert order(*crews, unit("island", 30.05), router=Roads()) == ["far", "near"]
    assert order(*crews, router=Roads(known=False)) == ["near", "far"]
    assert order(router=Roads()) == []


units = st.builds(
    Candidate,
    unit_id=st.integers(0, 30).map("u{}".format),
    station_id=st.just("s"),
    name=st.just("n"),
    capabilities=st.frozensets(st.sampled_from(["tow", "hv", "jump"])),
    latitude_deg=st.floats(28, 32),
    longitude_deg=st.floats(118, 122),
    certificates=st.frozensets(st.sampled_from(["high_voltage", "rescue"])),
    coverage=st.none() | st.sampled_from([box(0.5), box(2)]),
    load=st.integers(0, 3),
    stars=st.integers(0, 5),
)


@given(
    st.lists(units, max_size=12, unique_by=lambda u: u.unit_id),
    st.frozensets(st.sampled_from(["tow", "hv"])),
    st.frozensets(st.sampled_from(["high_voltage"])),
    st.frozensets(st.integers(0, 30).map("u{}".format)),
    st.integers(1, 400),
    st.booleans(),
)
def test_everybody_ranked_is_eligible_and_everybody_eligible_is_ranked(
    fleet: list[Candidate],
    capabilities: frozenset[str],
    certificates: frozenset[str],
    declined: frozenset[str],
    minutes: int,
    offer_late: bool,
) -> None:
    terms = TERMS.model_copy(update={"offer_late": offer_late})
    case = CASE.model_copy(update={"declined_by": tuple(sorted(declined))})
    left = timedelta(minutes=minutes)

    def found(candidates: list[Candidate]) -> list[Candidate]:
        ranked = rescue_choice.rank(
            case, candidates, capabilities=capabilities, certificates=certificates,
            promise_left=left, terms=terms,
        )  # fmt: skip
        return [choice.unit for choice in ranked]

    def in_reach(u: Candidate) -> bool:
        if u.coverage is not None:
            return u.coverage.contains(*PLACE)
        return great_circle_km((u.latitude_deg, u.longitude_deg), PLACE) <= terms.radius_km

    def in_time(u: Candidate) -> bool:
        km = great_circle_km((u.latitude_deg, u.longitude_deg), PLACE)
        return km * terms.road_factor / terms.speed_kmh * 60 <= minutes

    eligible = {
        u.unit_id
        for u in fleet
        if capabilities <= u.capabilities
        and certificates <= u.certificates
        and u.unit_id not in declined
        and in_reach(u)
        and (offer_late or in_time(u))
    }
    ranked = found(fleet)
    assert {u.unit_id for u in ranked} == eligible
    assert found(fleet[::-1]) == ranked
    if ranked:
        best = rescue_choice.eta_s(case, ranked[0], terms)
        nearest = min(rescue_choice.eta_s(case, u, terms) for u in ranked)
        assert best < nearest + terms.eta_step_s


@pytest.mark.parametrize("step_s", [60.0, 300.0])
def test_the_step_of_etas_is_a_parameter(step_s: float) -> None:
    terms = TERMS.model_copy(update={"eta_step_s": step_s})
    # 30.05 is 11.7 min away, 30.06 14.0 min: apart by minutes, together by five minutes
    units_ = unit("near", 30.05, load=2), unit("idle", 30.06)
    assert order(*units_, terms=terms)[0] == ("near" if step_s == 60 else "idle")
