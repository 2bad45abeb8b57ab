"""The dispatcher's turns over diagnosis cases, repairs and incidents, on rows alone."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from console import plan_steps, work_openings, work_steps
from console.acts import Act
from dispatch.diagnosis_case import CaseFacts, CaseStep
from dispatch.repair_plan import draft
from dispatch.work_order import OrderFacts, OrderStep
from model.alerts import AlertState, AlertTransition, alert_id
from model.clock import ns_of
from model.diagnosis_case import DiagnosisCase
from model.errors import TransitionError
from model.severity import Severity
from model.vehicle import Vehicle
from model.work_order import WorkOrder
from roadcall.dispatcher_work import WorkTurns
from store import alerts, diagnosis_cases, masters, work_orders
from store.database import transaction

VIN = "LRDCALL0000000001"
CAUSE = "thermostat"
#: How a visit goes from the request to the hand-over.
VISIT: list[tuple[OrderStep, dict[str, Any]]] = [
    (OrderStep.CHECK_IN, {}),
    (OrderStep.DIAGNOSE, {}),
    (OrderStep.QUOTE, {}),
    (OrderStep.APPROVE, {"promised_at": True}),
    (OrderStep.START_REPAIR, {}),
    (OrderStep.CHECK_QUALITY, {}),
    (OrderStep.PASS_QUALITY, {}),
    (OrderStep.HAND_OVER, {"confirmed_cause": CAUSE, "odometer_km": 10_000.0}),
]
PEOPLE = """
insert into person (person_id, station_id, role, skill_level) values
    ('chief', 'hz', 'technician', 3);
insert into certificate (person_id, kind, valid_from) values
    ('chief', 'plan_approval', '2020-01-01');
"""


class Shop:
    """A world, the turns, and what its people do."""

    def __init__(self, world: Any) -> None:
        self.world, self.turns = world, WorkTurns(world.pool, world.clock)
        with transaction(world.pool) as conn:
            conn.execute(PEOPLE)

    def run(self) -> None:
        """Every turn until nothing is left to do at this moment."""
        while self.turns():
            pass

    def hit(
        self,
        severity: Severity = Severity.STOP,
        *,
        vin: str = VIN,
        rule: str = "ice.coolant.overtemp",
        state: AlertState = AlertState.FIRING,
        at_ns: int | None = None,
    ) -> AlertTransition:
        """A step of an alert, as the pipeline writes it."""
        now_ns = self.world.clock.now_ns()
        started_ns = now_ns if at_ns is None else at_ns
        told = AlertTransition(
            alert_id=alert_id(rule, vin, "", started_ns), rule_id=rule, rule_version=1, vin=vin,
            instance="", state=state, severity=severity, started_ns=started_ns, at_ns=now_ns,
            fired_ns=started_ns, worst_ns=started_ns, evidence={"engine_coolant_temp_c": 119.0},
        )  # fmt: skip
        with transaction(self.world.pool) as conn:
            alerts.write(conn, [told])
        return told

    def clear(self, told: AlertTransition) -> None:
        """The fault is gone."""
        self.hit(told.severity, state=AlertState.CLEARED, at_ns=told.started_ns)

    def case(self, told: AlertTransition) -> DiagnosisCase:
        with transaction(self.world.pool) as conn:
            found = diagnosis_cases.of_alert(conn, told.alert_id)
        assert found is not None
        return found

    def order(self, key: uuid.UUID) -> WorkOrder:
        with transaction(self.world.pool) as conn:
            return work_orders.ROWS.find(conn, key)

    def act(self, reason: str = "") -> Act:
        return replace(self.world.act("chief"), reason=reason)

    def repair(self, case: DiagnosisCase, told: AlertTransition) -> WorkOrder:
        """Plan, visit, hand-over; the fault goes away in the workshop."""
        pool = self.world.pool
        drivable = CaseFacts(drivable=False)
        work_steps.move_case(pool, case.case_id, CaseStep.TRIAGE, self.act(), drivable)
        plan_steps.approve(pool, case.case_id, 1, self.act())
        order = work_openings.order_of_case(pool, case.case_id, self.act(), OrderFacts())
        self.clear(told)
        for verb, more in VISIT:
            self.world.clock.advance(60)
            promised = {"promised_at": self.world.now() + timedelta(hours=4)}
            facts = OrderFacts.model_validate(promised if "promised_at" in more else more)
            work_steps.move_order(pool, order.work_order_id, verb, self.act(), facts)
        return self.order(order.work_order_id)

    def drive(self, odometer_km: float) -> None:
        """What the car says last."""
        now = self.world.now()
        with transaction(self.world.pool) as conn:
            vehicle_id = masters.vehicles(conn, [VIN])[VIN].vehicle_id
            conn.execute(
                "insert into signal (name, unit) values ('odometer_km', 'km')"
                " on conflict do nothing"
            )
            conn.execute(
                "insert into vehicle_state select %s, 0, %s, %s, %s, array[signal_id],"
                " array[%s::float8], array[%s::bigint], '{}' from signal"
                " where name = 'odometer_km' on conflict (vehicle_id) do update"
                " set observed_at = excluded.observed_at, vals = excluded.vals",
                [vehicle_id, now, ns_of(now), now, odometer_km, ns_of(now)],
            )

    def kinds(self) -> list[str]:
        rows = self.world.rows("select kind from outbox where kind !~ '^(rescue|clock)' order by 1")
        return [str(kind) for (kind,) in rows]


def test_a_serious_alert_gets_one_case_with_a_plan(world: Any) -> None:
    shop = Shop(world)
    told = shop.hit()
    shop.hit(Severity.REMIND, rule="mild.rule")
    shop.hit(Severity.UNKNOWN, rule="odd.rule")
    shop.run()
    assert shop.case(told).fault_key == "ice.coolant.overtemp"
    rules = world.rows("select rule_id from diagnosis_case order by 1")
    assert rules == [("ice.coolant.overtemp",), ("odd.rule",)]
    assert world.rows("select count(*) from repair_plan") == [(2,)]
    world.clock.advance(1)
    again = shop.hit()  # another alert of the same fault, its case still open
    shop.run()
    assert shop.case(again).case_id == shop.case(told).case_id


def test_a_plan_that_does_not_come_is_escalated_once(world: Any) -> None:
    shop = Shop(world)
    told, odd = shop.hit(), shop.hit(rule="odd.rule")
    shop.run()
    world.clock.advance(2 * 3600 - 1)
    shop.run()
    assert shop.case(odd).level == 1
    world.clock.advance(1)
    shop.run()
    assert (shop.case(odd).level, shop.case(told).level) == (2, 1)  # no hypothesis in 2 h
    world.clock.advance(22 * 3600)
    shop.run()
    assert shop.case(told).level == 2
    assert shop.kinds() == ["case.escalated", "case.escalated"]


def test_the_stream_proves_a_repair(world: Any) -> None:
    shop = Shop(world)
    told = shop.hit()
    shop.run()
    order = shop.repair(shop.case(told), told)
    assert order.state == "handed_over"
    shop.drive(10_010)
    shop.run()
    assert shop.order(order.work_order_id).state == "verifying"
    world.clock.advance(7 * 86_400)
    shop.drive(10_199)
    shop.run()
    assert shop.order(order.work_order_id).state == "verifying"  # 200 km are wanted
    world.clock.advance(3600)
    shop.drive(10_200)
    shop.run()
    closed = shop.order(order.work_order_id)
    assert (closed.state, closed.verified_at) == ("closed", world.now())
    case = shop.case(told)
    assert (case.state, case.closed_odometer_km) == ("done", 10_200)
    assert world.rows("select handling from alert") == [("resolved",)]


def test_a_fault_that_comes_back_climbs_to_an_incident(world: Any) -> None:
    """Once while it is verified, once after it was closed."""
    shop = Shop(world)
    told = shop.hit()
    shop.run()
    order = shop.repair(shop.case(told), told)
    shop.run()
    world.clock.advance(86_400)
    again = shop.hit()
    shop.run()
    case, back = shop.case(again), shop.order(order.work_order_id)
    assert (case.case_id, case.repeat_no, case.level) == (shop.case(told).case_id, 2, 2)
    assert (back.state, back.repeat_no, back.priority_lane) == ("reopened", 2, True)
    assert shop.kinds() == [
        "case.escalated", "case.repeated", "plan.approved", "work_order.reopened",
    ]  # fmt: skip

    key, pool = order.work_order_id, world.pool
    work_steps.move_case(pool, case.case_id, CaseStep.TRIAGE, shop.act(), CaseFacts(drivable=True))
    shop.clear(again)
    shop.clear(told)
    with pytest.raises(TransitionError, match="the repair plan is not approved"):  # guess again
        work_steps.move_order(pool, key, OrderStep.START_REPAIR, shop.act(), OrderFacts())
    body, _ = draft("ice.coolant.overtemp", (), {})
    plan_steps.edit(pool, case.case_id, body, 1, shop.act())
    plan_steps.approve(pool, case.case_id, 2, shop.act())
    for verb, more in VISIT[4:]:
        world.clock.advance(60)
        facts = OrderFacts.model_validate(more)
        work_steps.move_order(pool, key, verb, shop.act(), facts)
    world.clock.advance(8 * 86_400)
    shop.drive(10_400)
    shop.run()
    assert shop.order(key).state == "closed"

    world.clock.advance(86_400)
    third = shop.hit()
    shop.run()
    fresh, reopened = shop.case(third), shop.order(key)
    assert (fresh.repeat_no, fresh.level, fresh.state) == (3, 3, "incident")
    assert fresh.repeat_of == case.case_id
    assert (reopened.state, reopened.case_id, reopened.repeat_no) == ("reopened", fresh.case_id, 3)
    incidents = world.rows("select cause, case_id from incident")
    assert incidents == [("repeat", fresh.case_id)]
    steps = world.rows(
        f"select step from step_history where noun_id = '{fresh.case_id}' order by version, step"
    )
    assert [s for (s,) in steps] == ["opened", "call_expert", "raise_incident"]


def test_late_data_closes_a_case_nobody_has_begun(world: Any) -> None:
    shop = Shop(world)
    told = shop.hit()
    shop.run()
    shop.hit(state=AlertState.RETRACTED, at_ns=told.started_ns)
    shop.run()
    assert shop.case(told).state == "remote_solved"
    world.clock.advance(60)
    real = shop.hit()
    shop.run()
    assert shop.case(real).repeat_no == 1  # what was none is not repeated


def test_an_emergency_is_an_incident_once(world: Any) -> None:
    shop = Shop(world)
    told = shop.hit(Severity.EMERGENCY)
    shop.run()
    case = shop.case(told)
    assert (case.state, case.level) == ("incident", 2)
    assert world.rows("select cause from incident") == [("emergency",)]
    world.clock.advance(60)
    shop.run()
    assert shop.kinds() == ["case.escalated", "incident.opened"]


def test_a_case_follows_its_alert_upwards(world: Any) -> None:
    shop = Shop(world)
    told = shop.hit(Severity.VISIT_SOON)
    shop.run()
    assert shop.case(told).severity is Severity.VISIT_SOON
    shop.hit(Severity.EMERGENCY, at_ns=told.started_ns)
    shop.run()
    case = shop.case(told)
    assert (case.severity, case.level, case.state) == (Severity.EMERGENCY, 2, "incident")


def test_an_incident_is_helped_too(world: Any) -> None:
    shop = Shop(world)
    told = shop.hit(Severity.VISIT_SOON)
    shop.run()
    key, why = shop.case(told).case_id, shop.act("burnt smell")
    work_steps.move_case(world.pool, key, CaseStep.RAISE_INCIDENT, why, CaseFacts())
    shop.hit(Severity.EMERGENCY, at_ns=told.started_ns)
    shop.run()
    assert (shop.case(told).level, shop.case(told).state) == (2, "incident")


def test_two_cars_of_a_model_at_one_station_are_a_cluster(world: Any) -> None:
    shop = Shop(world)
    vins = [f"LRDCALL00000000{n:02}" for n in range(10, 14)]
    models = ["EC7", "EC7", "EC8", "EC7"]
    stations = ["hz", "hz", "hz", "hz"]
    with transaction(world.pool) as conn:
        masters.upsert_vehicles(
            conn,
            [
                Vehicle(vin=v, profile="demo_car", brand="Geely", model=m, preferred_station=s)
                for v, m, s in zip(vins, models, stations, strict=True)
            ],
        )
    shop.hit(vin=vins[0])
    shop.hit(vin=vins[2])
    shop.hit(Severity.VISIT_SOON, vin=vins[3])
    world.clock.advance(61)
    shop.run()
    assert world.rows("select cause from incident") == []
    shop.hit(vin=vins[1])
    world.clock.advance(61)
    shop.run()
    assert world.rows("select cause, station_id, rule_id from incident") == [
        ("cluster", "hz", "ice.coolant.overtemp")
    ]
    world.clock.advance(61)
    shop.run()
    assert world.rows("select count(*) from incident") == [(1,)]


def test_many_dispatchers_open_one_case(world: Any) -> None:
    shop = Shop(world)
    for n in range(6):
        world.clock.advance(0.001)
        shop.hit(rule=f"rule.{n % 2}")
    crews = [WorkTurns(world.pool, world.clock) for _ in range(3)]

    def work(turns: WorkTurns) -> None:
        while turns():
            pass

    with ThreadPoolExecutor(3) as crowd:
        list(crowd.map(work, crews))
    assert world.rows("select count(*) from diagnosis_case") == [(2,)]
    assert world.rows("select count(*) from diagnosis_case_alert") == [(6,)]
    assert world.rows("select count(*) from clock where kind = 'plan'") == [(2,)]
