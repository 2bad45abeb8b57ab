"""Cases from alert to cleared road side, on a real database."""

from __future__ import annotations

import threading
import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from typing import Any

import pytest

from console import steps
from console.steps import KeyReusedError
from dispatch.delivery import Outcome
from model.alerts import AlertState, Handling
from model.clock import NS
from model.errors import TransitionError
from model.masters import CertificateSpan, Person
from model.rescue import CaseState
from model.severity import Severity
from model.vehicle import Vehicle
from roadcall.dispatcher import Dispatcher
from store import alerts, audit, masters
from store.database import UnknownRowError, open_pool, transaction
from store.master_kinds import KINDS

World = Any  # tests/roadcall/dispatcher/conftest.py


def handling(world: World, alert_id: uuid.UUID) -> Handling:
    with transaction(world.pool) as conn:
        return alerts.find(conn, alert_id).handling


def trail(world: World, case_id: uuid.UUID) -> list[tuple[str, str]]:
    with transaction(world.pool) as conn:
        return [(line.step, line.actor) for line in audit.of(conn, "rescue_case", str(case_id))]


def test_the_whole_story_of_a_severity_3_alert(world: World) -> None:
    case = world.alert()
    (asked,) = world.drain()
    assert (asked.kind, asked.key) == ("rescue.confirm", f"case/{case.case_id}/confirm")
    assert world.case(case.case_id).state is CaseState.REQUESTED

    steps.confirm(world.pool, case.case_id, world.act())
    (offer,) = world.drain()
    assert (offer.kind, offer.body["unit_id"]) == ("rescue.offer", "u1")
    assert offer.body["en"].startswith("Rescue offered: 浙A12345 (Geely EC7), coolant overheating")
    assert world.case(case.case_id).offered_at == world.now()

    steps.accept(world.pool, case.case_id, world.act("crew"), "u1")
    assert handling(world, case.alert_id) is Handling.IN_PROGRESS
    world.clock.advance(600)
    steps.arrive(world.pool, case.case_id, world.act("crew"), "u1")
    arrived_at = world.now()
    world.clock.advance(3600)
    steps.clear(world.pool, case.case_id, world.act("crew"), "u1")

    assert world.drain() == []
    assert world.case(case.case_id).state is CaseState.CLEARED
    assert handling(world, case.alert_id) is Handling.RESOLVED
    ((started, due, stopped, warned),) = world.rows(
        "select started_at, due_at, stopped_at, warned_percent from clock where kind = 'arrival'"
    )
    assert (due - started).total_seconds() == 1800
    assert (stopped, warned) == (arrived_at, 0)
    assert trail(world, case.case_id) == [
        ("request", "system"),
        ("confirm", "li.wei"),
        ("offer", "system"),
        ("accept", "crew"),
        ("arrive", "crew"),
        ("clear", "crew"),
    ]


def test_severity_4_is_offered_without_a_person(world: World) -> None:
    case = world.alert(Severity.EMERGENCY)
    assert [r.kind for r in world.drain()] == ["rescue.offer"]
    assert world.case(case.case_id).unit_id == "u1"


def test_crews_are_asked_in_turn_then_all_then_the_call_centre(world: World) -> None:
    case = world.alert(Severity.EMERGENCY)
    world.drain()
    steps.decline(world.pool, case.case_id, world.act("crew"), "u1")
    (offer,) = world.drain()
    assert offer.body["unit_id"] == "u2"

    world.clock.advance(91)
    said = rescue_only(world.drain())
    assert [(r.kind, r.body["unit_id"], r.body.get("broadcast")) for r in said] == [
        ("rescue.offer", "u3", True),  # after two refusals everybody who is left
        ("rescue.withdrawn", "u2", None),
    ]
    assert world.case(case.case_id).state is CaseState.BROADCAST
    with pytest.raises(TransitionError, match="the case is not offered to this unit"):
        steps.accept(world.pool, case.case_id, world.act("crew"), "u2")

    steps.decline(world.pool, case.case_id, world.act("crew"), "u3")
    (given_up,) = rescue_only(world.drain())
    assert given_up.kind == "rescue.no_unit"
    after = world.case(case.case_id)
    assert (after.declined_by, after.owner) == (("u1", "u2", "u3"), "call_centre")

    steps.confirm(world.pool, case.case_id, world.act("call.centre"))
    (again,) = rescue_only(world.drain())
    assert again.body["unit_id"] == "u1"
    keys = world.rows("select key from outbox where kind like 'rescue.%'")
    assert len({row[0] for row in keys}) == 6


def rescue_only(said: list[Any]) -> list[Any]:
    """Without what the clocks say."""
    return [record for record in said if not record.kind.startswith("clock.")]


def test_a_crew_on_another_case_is_not_asked(world: World) -> None:
    first = world.alert(Severity.EMERGENCY)
    world.drain()
    world.clock.advance(1)
    second = world.alert(Severity.EMERGENCY, vin=world.car(1))
    world.drain()
    assert world.case(first.case_id).unit_id == "u1"
    assert world.case(second.case_id).unit_id == "u2"
    steps.accept(world.pool, first.case_id, world.act(), "u1")
    steps.cancel(world.pool, first.case_id, world.act())
    assert [r.kind for r in world.drain()] == ["rescue.withdrawn"]
    steps.decline(world.pool, second.case_id, world.act(), "u2")
    world.drain()
    assert world.case(second.case_id).unit_id == "u1"


def test_nobody_goes_for_an_alert_that_was_undone(world: World) -> None:
    case = world.alert()
    world.drain()
    at_ns = world.clock.now_ns()
    undone = world.undo(case, at_ns + NS)
    assert undone is AlertState.RETRACTED
    steps.confirm(world.pool, case.case_id, world.act())
    assert world.drain() == []
    assert world.case(case.case_id).state is CaseState.CANCELLED
    assert trail(world, case.case_id)[-1] == ("cancel", "system")


def test_a_refused_step_changes_nothing(world: World) -> None:
    case = world.alert()
    world.drain()
    before = trail(world, case.case_id)
    with pytest.raises(TransitionError, match="rescue case in state requested cannot arrive"):
        steps.arrive(world.pool, case.case_id, world.act(key="k1"))
    assert trail(world, case.case_id) == before
    assert world.case(case.case_id) == case
    steps.confirm(world.pool, case.case_id, world.act(key="k1"))  # the key is still free
    with pytest.raises(UnknownRowError):
        steps.confirm(world.pool, uuid.uuid4(), world.act())


def test_a_repeat_under_the_same_key_changes_nothing(world: World) -> None:
    case = world.alert()
    first = steps.confirm(world.pool, case.case_id, world.act(key="k1"))
    assert steps.confirm(world.pool, case.case_id, world.act(key="k1")) == first
    with pytest.raises(KeyReusedError):
        steps.cancel(world.pool, case.case_id, world.act(key="k1"))
    with pytest.raises(TransitionError):
        steps.confirm(world.pool, case.case_id, world.act(key="k2"))
    assert [step for step, _ in trail(world, case.case_id)] == ["confirm"]


def test_many_repeats_at_once_are_one_step(world: World) -> None:
    case, start = world.alert(), threading.Barrier(6)

    def press() -> CaseState:
        start.wait()
        return CaseState(steps.confirm(world.pool, case.case_id, world.act(key="k1")).state)

    with ThreadPoolExecutor(6) as people:
        answers = [person.result() for person in [people.submit(press) for _ in range(6)]]
    assert answers == [CaseState.CONFIRMED] * 6
    assert [step for step, _ in trail(world, case.case_id)] == ["confirm"]


def test_acknowledging_an_alert(world: World) -> None:
    case = world.alert()
    steps.acknowledge(world.pool, case.alert_id, world.act(key="a1"))
    steps.acknowledge(world.pool, case.alert_id, world.act(key="a1"))
    assert handling(world, case.alert_id) is Handling.ACKNOWLEDGED
    with pytest.raises(TransitionError, match="alert in state acknowledged cannot acknowledge"):
        steps.acknowledge(world.pool, case.alert_id, world.act(key="a2"))


def arrivals_of(world: World) -> list[Any]:
    return [r for r in world.receiver.take() if r.kind.startswith("clock.arrival")]


def test_each_share_of_the_arrival_promise_is_announced_once(world: World, dsn: str) -> None:
    case = world.alert()
    world.drain()
    other_pool = open_pool(dsn, 8)
    other = Dispatcher(other_pool, [world.receiver], world.clock)
    said: list[tuple[str, int]] = []
    for _ in range(40):
        world.clock.advance(60)
        with ThreadPoolExecutor(2) as both:
            list(both.map(lambda d: d.drain(), [world.dispatcher, other]))
        said += [(r.kind, r.body["percent"]) for r in arrivals_of(world)]
    other.close()
    other_pool.close()
    assert said == [("clock.arrival", 50), ("clock.arrival", 80), ("clock.arrival.missed", 100)]
    assert world.case(case.case_id).state is CaseState.REQUESTED
    assert world.rows("select warned_percent, next_check_at from clock where kind = 'arrival'") == [
        (100, None)
    ]


def test_a_stopped_clock_is_quiet(world: World) -> None:
    case = world.alert(Severity.EMERGENCY)
    world.drain()
    steps.accept(world.pool, case.case_id, world.act(), "u1")
    steps.arrive(world.pool, case.case_id, world.act(), "u1")
    world.clock.advance(7200)
    assert [r.kind for r in world.drain() if r.kind.startswith("clock.arrival")] == []


@pytest.mark.parametrize("round_", range(3))
def test_two_cases_never_get_one_unit(world: World, dsn: str, round_: int) -> None:
    """Twelve emergencies, three able crews, four dispatchers in sessions of their own."""
    opened = []
    for number in range(12):
        world.clock.advance(0.001)
        opened.append(world.alert(Severity.EMERGENCY, vin=world.car(number)).case_id)
    pools = [open_pool(dsn, 4) for _ in range(4)]
    dispatchers = [Dispatcher(pool, [world.receiver], world.clock) for pool in pools]
    start = threading.Barrier(4)

    def dispatch(dispatcher: Dispatcher) -> None:
        start.wait()
        dispatcher.drain()

    with ThreadPoolExecutor(4) as crowd:
        list(crowd.map(dispatch, dispatchers))
    for dispatcher, pool in zip(dispatchers, pools, strict=True):
        dispatcher.close()
        pool.close()
    found = [world.case(case_id) for case_id in opened]
    assert Counter(c.state for c in found) == {CaseState.OFFERED: 3, CaseState.NO_UNIT: 9}
    assert sorted(c.unit_id for c in found if c.unit_id) == ["u1", "u2", "u3"]
    kinds = Counter(r.kind for r in world.receiver.take())
    assert kinds == {"rescue.offer": 3, "rescue.no_unit": 9}
    with transaction(world.pool) as conn:
        assert [u.unit_id for u in masters.free_units(conn)] == ["u5"]  # cannot tow
    assert all(n == 1 for n in Counter(trail_steps(world)).values())


def trail_steps(world: World) -> list[tuple[object, ...]]:
    return list(world.rows("select noun_id, step from audit"))


def test_a_receiver_that_is_down_is_tried_again_under_the_same_id(world: World) -> None:
    world.receiver.answer = Outcome.RETRY
    world.alert()
    (first,) = world.drain()
    assert world.drain() == []  # not before its time
    world.receiver.answer = Outcome.SENT
    world.clock.advance(3)
    (second,) = world.drain()
    assert second == first
    world.clock.advance(3600)
    assert "rescue.confirm" not in [r.kind for r in world.drain()]


def test_a_message_nobody_takes_is_given_up(world: World) -> None:
    world.receiver.answer = Outcome.RETRY
    case = world.alert()
    assert case.alert_id is not None
    steps.acknowledge(world.pool, case.alert_id, world.act())  # its notice is not said again
    tries = Counter[str]()
    for _ in range(40):
        tries.update(r.key for r in world.drain())
        world.clock.advance(601)
    assert set(tries.values()) == {12}
    dead = world.rows("select attempts, last_error, sent_at from outbox where dead_at is not null")
    assert set(dead) == {(12, "http 503", None)}
    assert world.rows("select count(*) from outbox where next_attempt_at is not null") == [(0,)]


def test_one_car_has_one_rescue_unless_it_gets_worse(world: World) -> None:
    opened = []
    for severity in (Severity.STOP, Severity.STOP, Severity.EMERGENCY, Severity.STOP):
        world.clock.advance(1)
        opened.append(world.alert(severity).case_id)
    kept = world.rows("select case_id, severity from rescue_case order by requested_at")
    assert kept == [(opened[0], 3), (opened[2], 4)]


def test_only_a_trained_crew_goes_to_an_electric_car(world: World) -> None:
    vin = "LRDCALL0000000002"
    trained = frozenset({"tow", "hv"})
    with transaction(world.pool) as conn:
        masters.upsert_vehicles(conn, [Vehicle(vin=vin, profile="demo_ev", powertrain="electric")])
    case = world.alert(Severity.EMERGENCY, vin=vin)
    assert [r.kind for r in world.drain()] == ["rescue.no_unit"]
    with transaction(world.pool) as conn:
        far = next(u.unit for u in masters.units(conn) if u.unit.unit_id == "u3")
        crew = frozenset({"wang"})
        trained_unit = far.model_copy(update={"capabilities": trained, "crew": crew})
        masters.upsert_units(conn, [trained_unit])
    steps.confirm(world.pool, case.case_id, world.act("call.centre"))
    assert [r.kind for r in world.drain()] == ["rescue.no_unit"]  # nobody has proved it
    with transaction(world.pool) as conn:
        span = CertificateSpan(kind="high_voltage", valid_from=date(2024, 1, 1))
        wang = Person(
            person_id="wang", station_id=far.station_id, role="crew", certificates=(span,)
        )
        KINDS["person"].write(conn, KINDS["person"], [wang])
    steps.confirm(world.pool, case.case_id, world.act("call.centre"))
    (offer,) = world.drain()
    assert (offer.kind, offer.body["unit_id"]) == ("rescue.offer", "u3")
