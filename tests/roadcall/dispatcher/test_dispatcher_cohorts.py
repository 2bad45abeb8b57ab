"""Scheduled rules on a real database; every count is by hand."""

from __future__ import annotations

import json
import uuid
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from model.clock import NS, ns_of
from model.vehicle import Vehicle
from roadcall.dispatcher_cohorts import CohortTurn
from store import alerts, masters
from store.database import transaction

HOUR, DAY = 3600, 86_400


class Fleet:
    """A world, the turn, and vehicles in it."""

    def __init__(self, world: Any) -> None:
        self.world, self.turn = world, CohortTurn(world.pool, world.clock)
        self.start = world.now()

    def car(self, number: int, **facts: Any) -> int:
        vin = f"LRDCALL2{number:09d}"
        row = {"powertrain": "electric", "brand": "Geely", "model": "EX5", **facts}
        with transaction(self.world.pool) as conn:
            made = masters.upsert_vehicles(conn, [Vehicle(vin=vin, profile="demo_car", **row)])
        return made[vin]

    def heard(self, car: int, before_s: float, **values: float) -> None:
        """The vehicle was last heard so long ago, with these newest values."""
        at = self.world.now() - timedelta(seconds=before_s)
        with transaction(self.world.pool) as conn:
            numbers = []
            for name in values:
                conn.execute(
                    "insert into signal (name, unit) values (%s, '') on conflict do nothing", [name]
                )
                row = conn.execute("select signal_id from signal where name = %s", [name])
                numbers += [number for (number,) in row]
            conn.execute("delete from vehicle_state where vehicle_id = %s", [car])
            conn.execute(
                "insert into vehicle_state values (%s, 0, %s, %s, %s, %s, %s, %s, '{}')",
                [
                    car,
                    at,
                    ns_of(at),
                    at,
                    numbers,
                    [float(v) for v in values.values()],
                    [ns_of(at)] * len(values),
                ],
            )

    def run(self, seconds: float = HOUR) -> None:
        self.world.clock.advance(seconds)
        while self.turn():
            pass

    def said(self, rule: str) -> list[tuple[object, ...]]:
        return self.world.rows(  # type: ignore[no-any-return]
            "select vehicle_id, instance, severity, state from alert"
            f" where rule_id = '{rule}' order by 1, 2"
        )

    def visits(self, car: int, days: list[float], key: str = "x", severity: int = 2) -> None:
        """Repairs of one fault, one after the other, each so many days in the workshop."""
        at = self.start - timedelta(days=100)
        with transaction(self.world.pool) as conn:
            for length in days:
                alert, case, order = uuid.uuid4(), uuid.uuid4(), uuid.uuid4()
                conn.execute(
                    "insert into alert (alert_id, vehicle_id, rule_id, rule_version, instance,"
                    " severity, state, history, started_at, fired_at, changed_at, evidence,"
                    " evidence_at, thresholds, grouped) values (%s, %s, %s, 1, '', 1, 'cleared',"
                    " true, %s, %s, %s, '{}', %s, '{}', true)",
                    [alert, car, key, at, at, at, at],
                )
                conn.execute(
                    "insert into diagnosis_case (case_id, vehicle_id, alert_id, fault_key, rule_id,"
                    " severity, state, level, owner, repeat_no, opened_at, changed_at, closed_at,"
                    " version) values (%s, %s, %s, %s, %s, %s, 'done', 1, 'hz', 1, %s, %s, %s, 1)",
                    [case, car, alert, key, key, severity, at, at, at],
                )
                out = at + timedelta(days=length)
                conn.execute(
                    "insert into work_order (work_order_id, vehicle_id, case_id, source,"
                    " priority_lane, loaner_needed, owner, state, complaint, confirmed_cause,"
                    " correction, items, parts, extra_items, photos_ref, repeat_no, opened_at,"
                    " changed_at, checked_in_at, ready_at, handed_over_at, closed_at, overrun,"
                    " version) values (%s, %s, %s, 'alert', false, false, 'hz', 'closed', '', '',"
                    " '', '{}', '[]', '[]', '{}', 1, %s, %s, %s, %s, %s, %s, false, 3)",
                    [order, car, case, at, out, at, out, out, out],
                )
                for version, (step, moment) in enumerate((("check_in", at), ("pass_quality", out))):
                    detail = {"version": version, "from": "x", "state": "y"}
                    conn.execute(
                        "insert into audit (noun, noun_id, step, actor, detail)"
                        " values ('work_order', %s, %s, 'chief', %s)",
                        [str(order), step, json.dumps({**detail, "at": moment.isoformat()})],
                    )
                at = out + timedelta(hours=1)


@pytest.fixture
def fleet(world: Any) -> Fleet:
    return Fleet(world)


def test_silence_after_moving_and_after_stopping(fleet: Fleet) -> None:
    moving, stopped, gone = fleet.car(1), fleet.car(2), fleet.car(3)
    fleet.heard(fleet.car(4), 0)  # somebody is heard
    fleet.heard(moving, 3 * HOUR + 1, speed_kmh=50)  # 4 h 1 s when asked
    fleet.heard(stopped, 22 * HOUR, speed_kmh=0)  # 23 h
    fleet.heard(gone, 23 * HOUR, speed_kmh=0)  # 24 h
    fleet.world.clock.advance(HOUR)
    fleet.heard(fleet.car(4), 0)
    fleet.run(0)
    assert fleet.said("fleet.silent") == [(moving, "", 0, "firing"), (gone, "", 0, "firing")]
    fleet.run(0)  # a second look changes nothing
    fleet.turn = CohortTurn(fleet.world.pool, fleet.world.clock)
    assert fleet.turn() == 0
    fleet.world.clock.advance(HOUR)
    fleet.heard(moving, 0, speed_kmh=50)
    fleet.run(0)
    found = fleet.said("fleet.silent")
    assert found[0] == (moving, "", 0, "cleared")
    assert (stopped, "", 0, "firing") in found  # 24 h by now


def test_a_parked_car_that_wakes_up_daily_is_silent_once(fleet: Fleet) -> None:
    somebody, parked = fleet.car(1), fleet.car(2)
    fleet.heard(somebody, 0)
    fleet.heard(parked, 24 * HOUR, speed_kmh=0)
    fleet.run()
    (first,) = fleet.world.rows("select alert_id, started_at from alert")
    for _ in range(3):
        fleet.heard(parked, 0, speed_kmh=0)
        fleet.run()
        assert fleet.said("fleet.silent") == [(parked, "", 0, "cleared")]
        fleet.world.clock.advance(24 * HOUR)
        fleet.heard(somebody, 0)
        fleet.run(0)
        assert fleet.said("fleet.silent") == [(parked, "", 0, "firing")]
    assert fleet.world.rows("select alert_id, started_at from alert") == [first]
    episodes = fleet.world.rows("select count(*) from fault_episode where code = 'fleet.silent'")
    fleet.world.rows(
        "insert into trip values ({}, '{}', '{}', 1, 0, 0, null) returning 1".format(
            parked, *(fleet.world.now() + timedelta(minutes=m) for m in (1, 5))
        )
    )
    fleet.heard(parked, 0, speed_kmh=0)
    fleet.run()
    fleet.world.clock.advance(24 * HOUR)
    fleet.heard(somebody, 0)
    fleet.run(0)
    said = [(parked, "", 0, "cleared"), (parked, "", 0, "firing")]
    assert sorted(fleet.said("fleet.silent")) == said  # it drove: another silence
    assert episodes == [(1,)]


def test_contact_for_hours_ends_a_silence(fleet: Fleet) -> None:
    somebody, parked = fleet.car(1), fleet.car(2)
    fleet.heard(somebody, 0)
    fleet.heard(parked, 24 * HOUR, speed_kmh=0)
    fleet.run()
    for _ in range(5):  # a repaired gateway: still there three hours after the alert ended
        fleet.heard(parked, 0, speed_kmh=0)
        fleet.run()
    fleet.world.clock.advance(24 * HOUR)
    fleet.heard(somebody, 0)
    fleet.run(0)
    assert [row[3] for row in fleet.said("fleet.silent")].count("cleared") == 1
    assert len(fleet.said("fleet.silent")) == 2


def test_an_operators_file_changes_a_scheduled_rule(fleet: Fleet, tmp_path: Path) -> None:
    own = tmp_path / "own.toml"
    own.write_text('["fleet.silent"]\nseverity = 1\nparams = { stopped_h = 48 }\n')
    fleet.turn = CohortTurn(fleet.world.pool, fleet.world.clock, [own])
    short, long = fleet.car(1), fleet.car(2)
    fleet.heard(fleet.car(3), 0)
    fleet.heard(short, 30 * HOUR, speed_kmh=0)
    fleet.heard(long, 50 * HOUR, speed_kmh=0)
    fleet.run(0)
    assert fleet.said("fleet.silent") == [(long, "", 1, "firing")]


def test_nobody_is_silent_when_nobody_is_heard(fleet: Fleet) -> None:
    fleet.heard(fleet.car(1), 30 * HOUR)
    fleet.run()
    assert fleet.said("fleet.silent") == []


def test_off_line_for_months(fleet: Fleet) -> None:
    private, taxi = fleet.car(1), fleet.car(2, use="commercial")
    fuel = fleet.car(3, powertrain="combustion")
    for car in (private, taxi, fuel):
        fleet.heard(car, 61 * DAY)
    fleet.run(0)
    assert fleet.said("fleet.offline") == [(taxi, "", 1, "firing")]
    fleet.run(30 * DAY)  # 91 d
    assert fleet.said("fleet.offline") == [(private, "", 1, "firing"), (taxi, "", 1, "firing")]
    episodes = fleet.world.rows("select code, is_open from fault_episode order by vehicle_id")
    assert episodes == [("fleet.offline", True)] * 2
    fleet.world.drain()  # every other turn takes it like any alert
    assert len(fleet.said("fleet.offline")) == 2


def test_a_hundred_full_cars_within_half_a_kilometre(fleet: Fleet) -> None:
    cars = [fleet.car(n) for n in range(100)]
    with transaction(fleet.world.pool) as conn:
        for car in cars:
            conn.execute(
                "insert into trip values (%s, %s, %s, 1, 0, 0, null)",
                [car, *(fleet.start - timedelta(days=d) for d in (62, 61))],
            )
    for n, car in enumerate(cars):  # 99 in one place, the last 0.0054 deg = 600 m north of it
        lat = 30.0 if n < 99 else 30.0054
        fleet.heard(car, 0, latitude_deg=lat, longitude_deg=120, state_of_charge_percent=81)
    fleet.run(0)
    assert fleet.said("fleet.crowded_parking") == []
    fleet.heard(cars[99], 0, latitude_deg=30.0044, longitude_deg=120, state_of_charge_percent=81)
    fleet.run()  # 489 m
    assert len(fleet.said("fleet.crowded_parking")) == 100
    fleet.heard(cars[0], 0, latitude_deg=30, longitude_deg=120, state_of_charge_percent=80)
    fleet.run()  # not above 80 %
    assert {row[3] for row in fleet.said("fleet.crowded_parking")} == {"cleared"}


def test_one_of_twenty_is_five_percent(fleet: Fleet) -> None:
    cars = [fleet.car(n) for n in range(21)]

    def level_3(car: int) -> None:
        with transaction(fleet.world.pool) as conn:
            at = fleet.world.now()
            conn.execute(
                "insert into alert (alert_id, vehicle_id, rule_id, rule_version, instance,"
                " severity, state, history, started_at, fired_at, changed_at, evidence,"
                " evidence_at, thresholds) values (gen_random_uuid(), %s, 'ev.alarm.level', 1, '',"
                " 3, 'firing', false, %s, %s, %s, '{}', %s, '{}')",
                [car, at, at, at, at],
            )

    level_3(cars[0])
    level_3(cars[0])  # the same vehicle counts once: 1 of 21 = 4.8 %
    asked = "select rule_id, cause, severity, state from incident"
    fleet.run(0)
    assert fleet.world.rows(asked) == []
    level_3(cars[1])  # 2 of 21 = 9.5 %
    fleet.run()
    assert fleet.world.rows(asked) == [("fleet.level_3_share", "cohort", 3, "new")]
    fleet.run()
    level_3(cars[2])
    fleet.run(300 * DAY)  # still the same finding
    assert len(fleet.world.rows(asked)) == 1


def test_a_code_that_is_back_within_a_week(fleet: Fleet) -> None:
    car = fleet.car(1)
    fleet.visits(car, [98.0])  # handed over 2 d ago
    done = ns_of(fleet.start - timedelta(days=2))

    def seen(code: str, days: float, status: int | None, scope: str = "confirmed") -> None:
        ns = done + int(days * DAY) * NS
        with transaction(fleet.world.pool) as conn:
            conn.execute(
                "insert into code_sighting values (%s, 0, 'uds', %s, -1, %s, %s, %s, %s, 1, %s, %s,"
                " 1, 0, -1, -1, null, null)",
                [car, code, scope, ns // (600 * NS), ns, ns, status, status],
            )

    seen("P0301", -20, 0x08)
    seen("P0301", 1, 0x08)  # back
    seen("P0302", 1, 0x08)  # never there before
    seen("P0303", -20, 0x08)
    seen("P0303", 1, 0x50)  # bits 4 and 6 only: not tested since
    seen("P0304", -31, 0x08)  # too long ago
    seen("P0304", 1, 0x08)
    seen("P0305", -1, None, "permanent")
    seen("P0305", 1, None, "permanent")  # it was permanent already
    seen("P0306", -1, None)
    seen("P0306", 1, None, "permanent")
    fleet.run(0)
    found = fleet.said("fleet.repair_recurred")
    assert found == [(car, "0:P0301", 1, "firing"), (car, "0:P0306", 1, "firing")]


def test_the_three_guarantees_are_counted(fleet: Fleet) -> None:
    near, far, severe, few = (fleet.car(n) for n in range(4))
    fleet.visits(near, [10, 5, 5])  # 3 x the same, 20 d
    fleet.visits(far, [7, 7, 7, 7, 3])  # 5 x the same, 31 d
    fleet.visits(severe, [1], key="a", severity=3)
    fleet.visits(severe, [1], key="b", severity=3)
    fleet.visits(few, [19])
    taxi, old = fleet.car(5, use="commercial"), fleet.car(6, warranty_start="2020-01-01")
    for car in (taxi, old):  # the law is for families, and for two years
        fleet.visits(car, [40])
    fleet.run(0)
    assert fleet.said("fleet.three_guarantees") == [
        (near, "days", 1, "firing"),
        (near, "same:x", 1, "firing"),
        (far, "days", 2, "firing"),
        (far, "same:x", 2, "firing"),
        (severe, "severe", 2, "firing"),
    ]
    with transaction(fleet.world.pool) as conn:
        found = [a for a in alerts.overlapping(conn, far, fleet.start) if a.instance == "days"]
    assert found[0].evidence == {"repair_days": 31.0}
