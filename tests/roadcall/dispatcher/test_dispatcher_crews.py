"""Broadcasts and second crews: one wins, the others hear of it. On a real database."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

from console import steps
from dispatch.rescue_choice import Place
from model.errors import TransitionError
from model.rescue import CaseState
from model.severity import Severity
from model.vehicle import RescueUnit
from roadcall.dispatcher import Dispatcher
from store import masters
from store.database import transaction

World = Any  # tests/roadcall/dispatcher/conftest.py


def rescue_only(said: list[Any]) -> list[Any]:
    """Without what the clocks say."""
    return [record for record in said if not record.kind.startswith("clock.")]


def unit(number: int, latitude_deg: float, station_id: str) -> RescueUnit:
    return RescueUnit(
        unit_id=f"u{number}",
        station_id=station_id,
        name=f"{number} 队",
        capabilities=frozenset({"tow"}),
        on_duty=True,
        latitude_deg=latitude_deg,
        longitude_deg=120.0,
    )


def test_a_broadcast_is_won_by_one_crew(world: World) -> None:
    case = world.alert(Severity.EMERGENCY)
    world.drain()
    # Nobody answers: the second offer runs out 180 s after the confirmation, then all are asked.
    world.clock.advance(91)
    world.drain()
    with transaction(world.pool) as conn:  # three more crews come on duty
        masters.upsert_units(conn, [unit(n, 30.3, station_id="hz") for n in (6, 7, 8)])
    world.clock.advance(91)
    said = [r for r in world.drain() if r.kind == "rescue.offer"]
    assert [r.body["unit_id"] for r in said] == ["u3", "u6", "u7", "u8"]
    assert len({r.key for r in said}) == 4
    assert world.case(case.case_id).asked == ("u3", "u6", "u7", "u8")
    start = threading.Barrier(3)

    def accept(unit_id: str) -> bool:
        start.wait()
        try:
            steps.accept(world.pool, case.case_id, world.act("crew"), unit_id)
        except TransitionError:
            return False
        return True

    with ThreadPoolExecutor(3) as crews:
        won = list(crews.map(accept, ["u6", "u7", "u8"]))
    assert won.count(True) == 1
    winner = ["u6", "u7", "u8"][won.index(True)]
    assert world.case(case.case_id).unit_id == winner
    told = {r.body["unit_id"] for r in world.drain() if r.kind == "rescue.withdrawn"}
    assert told == {"u3", "u6", "u7", "u8"} - {winner}
    engaged = world.rows("select unit_id from rescue_unit where case_id is not null")
    assert engaged == [(winner,)]


def test_a_broadcast_in_vain_goes_to_the_call_centre(world: World) -> None:
    case = world.alert(Severity.EMERGENCY)
    for _ in range(5):
        world.drain()
        world.clock.advance(91)
    world.drain()
    after = world.case(case.case_id)
    assert (after.state, after.owner, after.asked) == (CaseState.NO_UNIT, "call_centre", ())
    steps.clear(world.pool, case.case_id, world.act("call.centre"))  # an outside provider helped
    answers = world.rows("select answer, count(*) from rescue_offer group by 1 order by 1")
    assert dict(answers) == {"expired": 2, "withdrawn": 1}


def second_asked(world: World) -> Any:
    """A case whose crew is silent: 80 % of the promise is used, u2 is asked beside u1."""
    case = world.alert(Severity.EMERGENCY)
    world.drain()
    steps.accept(world.pool, case.case_id, world.act("crew"), "u1")
    world.clock.advance(24 * 60)
    said = rescue_only(world.drain())
    assert [(r.kind, r.body.get("unit_id")) for r in said] == [
        ("rescue.late", None),
        ("rescue.second", "u2"),
    ]
    assert "another crew was asked too" in said[0].body["en"]
    return world.case(case.case_id)


def test_a_crew_that_will_be_late_gets_company(world: World) -> None:
    case = second_asked(world)
    assert (case.unit_id, case.second_unit_id, case.second_joined) == ("u1", "u2", False)
    joined = steps.accept(world.pool, case.case_id, world.act("crew"), "u2")
    assert joined.second_joined
    there = steps.arrive(world.pool, case.case_id, world.act("crew"), "u2")
    assert (there.unit_id, there.second_unit_id) == ("u2", None)
    said = rescue_only(world.drain())
    assert [(r.kind, r.body["unit_id"]) for r in said] == [("rescue.withdrawn", "u1")]
    engaged = world.rows("select unit_id from rescue_unit where case_id is not null")
    assert engaged == [("u2",)]


def test_a_second_crew_may_say_no_and_is_not_replaced(world: World) -> None:
    case = second_asked(world)
    steps.decline(world.pool, case.case_id, world.act("crew"), "u2")
    assert world.case(case.case_id).second_unit_id is None
    assert rescue_only(world.drain()) == []


def test_a_silent_second_crew_is_let_go(world: World) -> None:
    case = second_asked(world)
    world.clock.advance(91)
    said = rescue_only(world.drain())
    assert [(r.kind, r.body["unit_id"]) for r in said] == [("rescue.withdrawn", "u2")]
    assert world.case(case.case_id).second_unit_id is None
    assert world.case(case.case_id).unit_id == "u1"


def test_the_first_crew_may_hand_over_to_the_second(world: World) -> None:
    case = second_asked(world)
    steps.accept(world.pool, case.case_id, world.act("crew"), "u2")
    after = steps.decline(world.pool, case.case_id, world.act("crew", key="d1"), "u1")
    assert (after.state, after.unit_id, after.second_unit_id) == (CaseState.ACCEPTED, "u2", None)
    again = steps.decline(world.pool, case.case_id, world.act("crew", key="d1"), "u1")
    assert again == world.case(case.case_id)
    assert rescue_only(world.drain()) == []


def test_a_routing_engine_decides_who_is_asked_and_what_is_promised(world: World) -> None:
    """u1 and u2 are nearer, but the road from u3 is quick."""

    class Roads:
        def seconds(self, from_deg: Sequence[Place], to_deg: Place) -> list[float]:
            return [240.0 if place == (30.2, 120.0) else 1800.0 for place in from_deg]

    case = world.alert(Severity.EMERGENCY)
    router = Dispatcher(world.pool, [world.receiver], world.clock, router=Roads())
    router.drain()
    router.close()
    (offer,) = [r for r in world.receiver.take() if r.kind == "rescue.offer"]
    assert (offer.body["unit_id"], offer.body["eta_min"]) == ("u3", 4)
    steps.accept(world.pool, case.case_id, world.act("u3"), "u3")
    taken = world.case(case.case_id)
    assert taken.promised_at == world.act("u3").now + timedelta(seconds=240)
