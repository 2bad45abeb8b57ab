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
from model.rescue import Candidate, CaseSource, CaseState, RescueCase, case_id
from model.severity import Severity
from model.vehicle import Station, Zone

NOW = datetime(2025, 3, 1, 8, 0, tzinfo=UTC)
ALERT = uuid.UUID(int=7)
ROOT = Path(__file__).parents[2]

#: domain.md 6.5, written out by hand; the test below compares the program's table with it.
SECOND = {"ask_second": "=", "join": "=", "leave": "=", "hand_over": "accepted"}
OFF = {"cancel": "cancelled", "kill": "killed"}
ALLOWED: dict[str, dict[str, str]] = {
    "requested": {"locate": "geocoded", "confirm": "confirmed", **OFF},
    "geocoded": {"locate": "geocoded", "confirm": "confirmed", **OFF},
    "confirmed": {"offer": "offered", "broadcast": "broadcast", "give_up": "no_unit", **OFF},
    "offered": {
        "accept": "accepted",
        "decline": "confirmed",
        "expire": "confirmed",
        "cancel": "cancelled",
    },
    "broadcast": {
        "accept": "accepted",
        "decline": "broadcast",
        "give_up": "no_unit",
        "cancel": "cancelled",
    },
    "accepted": {
        "depart": "en_route",
        "arrive": "on_scene",
        "decline": "confirmed",
        "cancel": "cancelled",
        **SECOND,
    },
    "en_route": {
        "arrive": "on_scene",
        "decline": "confirmed",
        "cancel": "cancelled",
        **SECOND,
    },
    "on_scene": {
        "fix": "fixed_on_site",
        "tow": "towing",
        "gone": "gone_on_arrival",
        "clear": "cleared",
    },
    "fixed_on_site": {"clear": "cleared"},
    "towing": {"deliver": "at_station"},
    "at_station": {"clear": "cleared"},
    "no_unit": {"confirm": "confirmed", "clear": "cleared", **OFF},
    "cleared": {},
    "cancelled": {},
    "killed": {},
    "gone_on_arrival": {},
}
EVERY = [(state, verb) for state in CaseState for verb in Step]


def case_in(state: CaseState, **changes: object) -> RescueCase:
    engaged = state in rescue.ENGAGED
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
    if verb is Step.OFFER or (verb is Step.ACCEPT and case.state is CaseState.BROADCAST):
        given["unit_id"] = "u1"
    if verb is Step.ASK_SECOND:
        given["unit_id"] = "u2"
    return rescue.step(case, verb, **(given | more))  # type: ignore[arg-type]


def ready_for(verb: Step, case: RescueCase) -> RescueCase:
    """What must have happened before so that only the table decides."""
    changes: dict[str, object] = {}
    if case.state is CaseState.BROADCAST:
        changes = {"asked": ("u1", "u2")}
    if verb in (Step.JOIN, Step.LEAVE, Step.HAND_OVER):
        joined = verb is Step.HAND_OVER
        changes = {"second_unit_id": "u2", "second_at": NOW, "second_joined": joined}
    return case.model_copy(update=changes)


@pytest.mark.parametrize(("state", "verb"), EVERY, ids=str)
def test_each_step_in_each_state(state: CaseState, verb: Step) -> None:
    case = ready_for(verb, case_in(state))
    target = {"=": state}.get(ALLOWED[state].get(verb, ""), ALLOWED[state].get(verb))
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


def test_a_broadcast_goes_to_the_first_that_says_yes() -> None:
    case = case_in(CaseState.BROADCAST, asked=("u1", "u2", "u3"))
    less = take(case, Step.DECLINE, unit_id="u2")
    assert (less.state, less.asked, less.declined_by) == ("broadcast", ("u1", "u3"), ("u2",))
    with pytest.raises(TransitionError, match="not offered to this unit"):
        take(less, Step.ACCEPT, unit_id="u2")
    with pytest.raises(TransitionError, match="no unit named"):
        take(less, Step.ACCEPT, unit_id=None)
    won = take(less, Step.ACCEPT, unit_id="u3")
    assert (won.unit_id, won.asked, won.offered_at) == ("u3", (), NOW + timedelta(seconds=90))


def test_two_crews_only_where_a_second_was_asked() -> None:
    case = case_in(CaseState.EN_ROUTE)
    assert rescue.engaged_units(case) == {"u1"}
    asked = take(case, Step.ASK_SECOND, unit_id="u2")
    assert rescue.engaged_units(asked) == {"u1", "u2"} and asked.seconds_asked == 1
    with pytest.raises(TransitionError, match="a second crew was asked already"):
        take(asked, Step.ASK_SECOND, unit_id="u3")
    with pytest.raises(TransitionError, match="not offered to this unit"):
        take(asked, Step.ARRIVE, unit_id="u2")  # it has not said yes
    joined = take(asked, Step.JOIN, unit_id="u2")
    there = take(joined, Step.ARRIVE, unit_id="u2")
    assert (there.unit_id, rescue.engaged_units(there)) == ("u2", {"u2"})
    first = take(joined, Step.ARRIVE, unit_id="u1")
    assert (first.unit_id, rescue.engaged_units(first)) == ("u1", {"u1"})
    over = take(joined, Step.HAND_OVER, unit_id="u1")
    assert (over.state, over.unit_id, over.declined_by) == ("accepted", "u2", ("u1",))
    with pytest.raises(TransitionError, match="no second crew comes"):
        take(asked, Step.HAND_OVER, unit_id="u1")
    left = take(asked, Step.LEAVE, unit_id="u2")
    assert rescue.engaged_units(left) == {"u1"} and left.declined_by == ("u2",)
    with pytest.raises(TransitionError, match="the unit has this case or has declined it"):
        take(left, Step.ASK_SECOND, unit_id="u2")


def test_giving_up_hands_the_case_to_the_call_centre() -> None:
    case = take(case_in(CaseState.CONFIRMED, owner="hz"), Step.GIVE_UP)
    assert case.owner == "call_centre"


def test_a_closed_case_says_when() -> None:
    done = take(case_in(CaseState.AT_STATION), Step.CLEAR)
    assert done.closed_at == NOW + timedelta(seconds=90)


@given(st.lists(st.tuples(st.sampled_from(list(Step)), st.sampled_from(["u1", "u2", "u3"]))))
def test_whatever_people_press_a_case_keeps_its_sense(
    pressed: list[tuple[Step, str]],
) -> None:
    case = case_in(CaseState.CONFIRMED)
    for verb, unit_id in pressed:
        try:
            case = take(case, verb, unit_id=unit_id, now=NOW + timedelta(seconds=91))
        except TransitionError:
            continue
        if case.state is CaseState.BROADCAST and verb is Step.BROADCAST:
            case = case.model_copy(update={"asked": ("u1", "u2", "u3")})
        units = rescue.engaged_units(case)
        assert case.owner
        assert bool(units) == (case.state in rescue.ENGAGED)
        assert len(units) <= 1 or (case.second_unit_id and case.seconds_asked)
        assert (case.closed_at is not None) == (case.state in rescue.CLOSED)


def test_the_call_centre_has_every_crew_asked_again() -> None:
    case = case_in(CaseState.NO_UNIT, declined_by=("u1", "u2"))
    assert take(case, Step.CONFIRM).declined_by == ()


def test_diagram_in_the_docs_is_the_table() -> None:
    page = (ROOT / "docs" / "state-machines.md").read_text("utf-8")
    assert f"```mermaid\n{rescue.diagram()}```" in page
    assert len(TABLE) == sum(map(len, ALLOWED.values()))
    assert set(ALLOWED) == set(CaseState)


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
    fired_ns=ns_of(NOW),
    worst_ns=ns_of(NOW),
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
    assert case is not None
    assert (case.zone, case.owner) == (Zone.PROVINCE, "call_centre")


def square(station_id: str, zone: Zone, latitude: float, half: float, **more: object) -> Station:
    """A station at (latitude, 120) whose area is a square around it."""
    ring = [[120 - half, latitude - half], [120 + half, latitude - half],
            [120 + half, latitude + half], [120 - half, latitude + half]]  # fmt: skip
    facts = {"station_id": station_id, "name": "站", "latitude_deg": latitude}
    facts |= {"longitude_deg": 120, "zone": zone, "coverage": ring}
    return Station.model_validate(facts | more)


def test_the_area_that_holds_a_place_decides_its_promise() -> None:
    near = square("near", Zone.CITY, 30.1, 0.05)
    wide = square("wide", Zone.COUNTY, 30.6, 1.0)
    terms = load_terms()
    assert rescue.zone_at((30.1, 120), [near, wide], terms) is Zone.CITY
    assert rescue.zone_at((30.0, 120), [near, wide], terms) is Zone.COUNTY
    assert rescue.zone_at((28.0, 120), [near, wide], terms) is Zone.CITY  # outside both: nearest
    shut = square("shut", Zone.CITY, 30.0, 0.5, active=False)
    assert rescue.zone_at((30.0, 120), [shut, wide], terms) is Zone.COUNTY


def test_a_thermal_event_is_known_by_its_rule_or_by_who_calls() -> None:
    hit = replace(HIT, rule_id="nev.thermal_event", severity=Severity.EMERGENCY)
    told = rescue.request_for(hit, HERE, STATIONS, ns_of(NOW))
    assert told is not None and told.thermal
    number = uuid.uuid4()
    called = rescue.request_by_person(
        number, CaseSource.DRIVER, HIT.vin, HERE, STATIONS, NOW, thermal=True
    )
    assert (called.state, called.severity, called.alert_id) == ("confirmed", 4, None)
    asked = rescue.request_by_person(number, CaseSource.DRIVER, HIT.vin, HERE, STATIONS, NOW)
    assert (asked.state, asked.owner) == ("requested", "near")
    spoken = rescue.request_by_person(number, CaseSource.CALL_CENTRE, HIT.vin, HERE, (), NOW)
    assert (spoken.state, spoken.confirmed_at) == ("confirmed", NOW)


def test_the_profile_may_let_an_emergency_wait_for_a_person() -> None:
    terms = load_terms().model_copy(update={"auto_confirm_s": 60})
    emergency = replace(HIT, severity=Severity.EMERGENCY)
    case = rescue.request_for(emergency, HERE, STATIONS, ns_of(NOW), terms=terms)
    assert case is not None and case.state is CaseState.REQUESTED


# Which crew ----------------------------------------------------------------------------------


def test_eta_is_distance_times_factor_over_speed() -> None:
    # one degree of a meridian is 111.195 km; 1.4 x that at 40 km/h is 3.8918 h
    unit = Candidate("u", "s", "n", frozenset(), 31.0, 120.0)
    eta = rescue.eta_s(case_in(CaseState.CONFIRMED), unit, load_terms())
    assert eta == pytest.approx(111.195 * 1.4 / 40 * 3600, rel=1e-5)


def test_offers_end_when_the_profile_says() -> None:
    assert rescue.offer_ends(case_in(CaseState.OFFERED), load_terms()) == utc(ns_of(NOW) + 90 * NS)
