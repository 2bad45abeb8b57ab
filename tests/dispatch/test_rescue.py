"""The rescue table: every step that is allowed, and every other refused."""

from __future__ import annotations

import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatch import rescue
from dispatch.rescue import SYSTEM, TABLE, Step
from dispatch.terms import load_terms
from model.alerts import AlertState, AlertTransition
from model.clock import NS, ns_of, utc
from model.errors import TransitionError
from model.rescue import CaseState, RescueCase, case_id
from model.severity import Severity
from model.vehicle import RescueUnit, Station, Zone

NOW = datetime(2025, 3, 1, 8, 0, tzinfo=UTC)
ALERT = uuid.UUID(int=7)
ROOT = Path(__file__).parents[2]

#: domain.md 6.5, written out by hand; the test below compares the program's table with it.
ALLOWED = {
    "requested": {"confirm": "confirmed", "cancel": "cancelled"},
    "confirmed": {"offer": "offered", "give_up": "no_unit", "cancel": "cancelled"},
    "offered": {
        "accept": "accepted",
        "decline": "confirmed",
        "expire": "confirmed",
        "cancel": "cancelled",
    },
    "accepted": {"decline": "confirmed", "arrive": "on_scene", "cancel": "cancelled"},
    "on_scene": {"clear": "cleared"},
    "no_unit": {"confirm": "confirmed", "clear": "cleared", "cancel": "cancelled"},
    "cleared": {},
    "cancelled": {},
}
EVERY = [(state, verb) for state in CaseState for verb in Step]


def case_in(state: CaseState, **changes: object) -> RescueCase:
    engaged = state in (CaseState.OFFERED, CaseState.ACCEPTED, CaseState.ON_SCENE)
    case = RescueCase(
        case_id=case_id(ALERT),
        alert_id=ALERT,
        vin="LRDCALL0000000001",
        severity=Severity.STOP,
        state=state,
        latitude_deg=30.0,
        longitude_deg=120.0,
        zone=Zone.CITY,
        requested_at=NOW,
        unit_id="u1" if engaged else None,
        offered_at=NOW if engaged else None,
        version=4,
    )
    return case.model_copy(update=changes)


def take(case: RescueCase, verb: Step, **more: object) -> RescueCase:
    given: dict[str, object] = {"actor": "li.wei", "now": NOW + timedelta(seconds=90)}
    if verb is Step.OFFER:
        given["unit_id"] = "u1"
    return rescue.step(case, verb, **(given | more))  # type: ignore[arg-type]


@pytest.mark.parametrize(("state", "verb"), EVERY, ids=str)
def test_each_step_in_each_state(state: CaseState, verb: Step) -> None:
    case = case_in(state)
    target = ALLOWED[state].get(verb)
    if target is None:
        with pytest.raises(TransitionError) as refused:
            take(case, verb)
        assert str(refused.value) == f"rescue case in state {state} cannot {verb}"
        assert (refused.value.state, refused.value.step) == (state, verb)
    else:
        after = take(case, verb)
        assert after.state == target
        assert after.version == 5
        assert RescueCase.model_validate(after.model_dump()) == after


def test_offer_names_the_unit_and_a_decline_is_remembered() -> None:
    offered = take(case_in(CaseState.CONFIRMED), Step.OFFER, unit_id="u9")
    assert (offered.unit_id, offered.offered_at) == ("u9", NOW + timedelta(seconds=90))
    declined = take(offered, Step.DECLINE, unit_id="u9")
    assert (declined.unit_id, declined.offered_at, declined.declined_by) == (None, None, ("u9",))
    with pytest.raises(TransitionError, match="cannot offer: the unit has declined before"):
        take(declined, Step.OFFER, unit_id="u9")
    with pytest.raises(TransitionError, match="cannot offer: no unit named"):
        take(declined, Step.OFFER, unit_id=None)


@pytest.mark.parametrize("verb", [Step.ACCEPT, Step.DECLINE])
def test_a_crew_cannot_answer_an_offer_to_another(verb: Step) -> None:
    with pytest.raises(TransitionError, match="the case is not offered to this unit"):
        take(case_in(CaseState.OFFERED), verb, unit_id="u2")


def test_an_offer_stands_for_its_time() -> None:
    case = case_in(CaseState.OFFERED)
    with pytest.raises(TransitionError, match="cannot expire: the offer still stands"):
        take(case, Step.EXPIRE, now=NOW + timedelta(seconds=89.999))
    assert take(case, Step.EXPIRE, now=NOW + timedelta(seconds=90)).declined_by == ("u1",)


def test_severity_3_is_confirmed_by_a_person() -> None:
    with pytest.raises(TransitionError, match="severity 3 is confirmed by a person"):
        take(case_in(CaseState.REQUESTED), Step.CONFIRM, actor=SYSTEM)


def test_the_call_centre_has_every_crew_asked_again() -> None:
    case = case_in(CaseState.NO_UNIT, declined_by=("u1", "u2"))
    assert take(case, Step.CONFIRM).declined_by == ()


def test_diagram_in_the_docs_is_the_table() -> None:
    page = (ROOT / "docs" / "state-machines.md").read_text("utf-8")
    assert f"```mermaid\n{rescue.diagram()}```" in page
    assert len(TABLE) == sum(map(len, ALLOWED.values()))


# From an alert to a case ---------------------------------------------------------------------

HIT = AlertTransition(
    alert_id=ALERT,
    rule_id="ice.coolant.overtemp",
    rule_version=1,
    vin="LRDCALL0000000001",
    instance="",
    state=AlertState.FIRING,
    severity=Severity.STOP,
    started_ns=ns_of(NOW) - 10 * NS,
    at_ns=ns_of(NOW),
)
STATIONS = (
    Station(station_id="far", name="远", latitude_deg=31, longitude_deg=121, zone=Zone.COUNTY),
    Station(station_id="near", name="近", latitude_deg=30.1, longitude_deg=120, zone=Zone.CITY),
)
HERE = (30.0, 120.0)


def test_a_severity_3_alert_asks_for_a_person() -> None:
    case = rescue.request_for(HIT, HERE, STATIONS, ns_of(NOW) + NS)
    assert case is not None
    assert (case.state, case.zone) == (CaseState.REQUESTED, Zone.CITY)
    assert case.case_id == case_id(ALERT)
    assert case.requested_at == NOW + timedelta(seconds=1)
    assert (case.latitude_deg, case.longitude_deg) == HERE


def test_severity_4_confirms_itself() -> None:
    emergency = replace(HIT, severity=Severity.EMERGENCY)
    case = rescue.request_for(emergency, HERE, STATIONS, ns_of(NOW))
    assert case is not None and case.state is CaseState.CONFIRMED


@pytest.mark.parametrize(
    "hit",
    [
        replace(HIT, severity=Severity.VISIT_SOON),
        replace(HIT, history=True),
        replace(HIT, state=AlertState.CLEARED),
        replace(HIT, state=AlertState.RETRACTED),
        replace(HIT, at_ns=HIT.at_ns - 601 * NS),
    ],
    ids=["mild", "history", "cleared", "retracted", "old"],
)
def test_no_truck_rolls(hit: AlertTransition) -> None:
    assert rescue.request_for(hit, HERE, STATIONS, ns_of(NOW)) is None


def test_age_and_position_decide() -> None:
    old = replace(HIT, at_ns=HIT.at_ns - 600 * NS)
    assert rescue.request_for(old, HERE, STATIONS, ns_of(NOW)) is not None
    assert rescue.request_for(old, HERE, STATIONS, ns_of(NOW), 599) is None
    assert rescue.request_for(HIT, None, STATIONS, ns_of(NOW)) is None


def test_far_from_every_station_the_promise_is_the_widest() -> None:
    case = rescue.request_for(HIT, HERE, (), ns_of(NOW))
    assert case is not None and case.zone is Zone.PROVINCE
    promises = {zone: load_terms().promise(zone) for zone in Zone}
    assert [p.total_seconds() / 60 for p in promises.values()] == [30, 60, 360]


# Which crew ----------------------------------------------------------------------------------

units = st.builds(
    RescueUnit,
    unit_id=st.integers(0, 30).map("u{}".format),
    station_id=st.just("s"),
    name=st.just("n"),
    capabilities=st.frozensets(st.sampled_from(["tow", "hv", "jump"])),
    on_duty=st.booleans(),
    latitude_deg=st.floats(29, 31),
    longitude_deg=st.floats(119, 121),
)
fleets = st.lists(units, max_size=12, unique_by=lambda u: u.unit_id)


@given(
    fleets,
    st.frozensets(st.sampled_from(["tow", "hv"])),
    st.frozensets(st.integers(0, 30).map("u{}".format)),
    st.frozensets(st.integers(0, 30).map("u{}".format)),
)
def test_the_chosen_unit_is_able_free_willing_and_nobody_is_closer(
    fleet: list[RescueUnit],
    needed: frozenset[str],
    busy: frozenset[str],
    declined: frozenset[str],
) -> None:
    case = case_in(CaseState.CONFIRMED, declined_by=tuple(sorted(declined)))
    terms = load_terms()
    chosen = rescue.choose(case, fleet, needed=needed, busy=busy)

    def able(unit: RescueUnit) -> bool:
        taken = unit.unit_id in busy | declined
        return unit.on_duty and not taken and needed.issubset(unit.capabilities)

    candidates = [unit for unit in fleet if able(unit)]
    if chosen is None:
        assert not candidates
    else:
        assert chosen in candidates
        nearest = min(rescue.eta_s(case, unit, terms) for unit in candidates)
        assert rescue.eta_s(case, chosen, terms) == nearest
    assert rescue.choose(case, reversed(fleet), needed=needed, busy=busy) == chosen


def test_eta_is_distance_times_factor_over_speed() -> None:
    # one degree of a meridian is 111.195 km; 1.4 x that at 40 km/h is 3.8918 h
    unit = RescueUnit(unit_id="u", station_id="s", name="n", latitude_deg=31.0, longitude_deg=120.0)
    eta = rescue.eta_s(case_in(CaseState.CONFIRMED), unit, load_terms())
    assert eta == pytest.approx(111.195 * 1.4 / 40 * 3600, rel=1e-5)


def test_an_electric_car_needs_high_voltage_training() -> None:
    terms = load_terms()
    assert terms.needed("combustion") == {"tow"}
    assert terms.needed("electric") == terms.needed("hybrid") == {"tow", "hv"}


def test_offers_end_when_the_profile_says() -> None:
    assert rescue.offer_ends(case_in(CaseState.OFFERED), load_terms()) == utc(ns_of(NOW) + 90 * NS)
