"""The memory of a vehicle stays small, and clocks that are wrong do no harm."""

from __future__ import annotations

import json

from model.alerts import AlertState
from model.vehicle import Vehicle
from rules.bundle import load_bundle
from rules.expression import universe
from rules.lane import VehicleRules, advance, history_start, rebuild, tick
from tests.rules.build import T0, Report, Row, S, Sample, upload
from tests.rules.kept import kept, stored_alerts

BUNDLE = load_bundle()
CAR = Vehicle(vin="LRC00000000000001", profile="made")
EV = Vehicle(vin="LRC00000000000002", profile="made", powertrain="electric")
HEALTHY = {
    "engine_speed_rpm": 1500.25,
    "engine_coolant_temp_c": 90.625,
    "engine_oil_pressure_alert": 0.0,
    "battery_voltage_v": 14.125,
    "mil_lamp": 0.0,
    "red_stop_lamp": 0.0,
    "amber_warning_lamp": 0.0,
    "confirmed_dtc_count": 0.0,
    "ignition_on": 1.0,
    **{f"tire_pressure_{wheel}_kpa": 240.5 for wheel in ("fl", "fr", "rl", "rr")},
}


def drive(car: Vehicle, values: dict[str, float], seconds: int, ecus: int = 1) -> VehicleRules:
    rules = VehicleRules.fresh()
    for t in range(seconds):
        at = T0 + t * S
        rows: list[Row] = [
            Sample(at, name, value, source)
            for name, value in values.items()
            for source in (range(ecus) if name.endswith("lamp") else [-1])
        ]
        rows += [Report(at, ecu, ("0/0",)) for ecu in range(ecus)]
        rules = advance(BUNDLE, rules, car, *upload(rows), at).rules
    return rules


def size(rules: VehicleRules) -> int:
    return len(json.dumps(rules.to_memory()))


def test_a_healthy_vehicle_is_under_one_kilobyte() -> None:
    assert size(drive(CAR, HEALTHY, 60)) < 1000


def test_a_truck_with_eight_ecus_and_everything_wrong_is_under_two() -> None:
    broken = HEALTHY | {
        "engine_coolant_temp_c": 125.0,
        "engine_oil_pressure_alert": 1.0,
        "battery_voltage_v": 10.0,
        "tire_pressure_fl_kpa": 100.0,
    }
    assert size(drive(CAR, HEALTHY, 60, ecus=8)) < 2000
    assert size(drive(CAR, broken, 120)) < 3000


def test_fresh_memory_survives_a_round_trip() -> None:
    empty = VehicleRules.from_memory(VehicleRules.fresh().to_memory())
    assert empty.to_memory() == VehicleRules.fresh().to_memory()
    assert VehicleRules.from_memory({}).newest_ns == 0


def test_a_sample_far_in_the_future_makes_nobody_late() -> None:
    rows: list[Row] = [Sample(T0 + t * S, "battery_voltage_v", 14.0) for t in range(5)]
    rows.append(Sample(T0 + 86_400 * S, "battery_voltage_v", 14.0))
    step = advance(BUNDLE, VehicleRules.fresh(), CAR, *upload(rows), T0 + 5 * S)
    assert step.rules.newest_ns == T0 + 4 * S


def test_samples_no_rule_asks_for_are_never_late() -> None:
    plan = BUNDLE.plan(CAR)
    name = next(n for i, n in enumerate(universe()) if i and not plan.wanted[i])
    first = advance(BUNDLE, VehicleRules.fresh(), CAR, *upload([Sample(T0, name, 1)]), T0)
    late = advance(BUNDLE, first.rules, CAR, *upload([Sample(T0 - 900 * S, name, 1)]), T0)
    assert late.late_from_ns is None


def test_a_tick_with_nothing_to_do_changes_nothing() -> None:
    rules = drive(CAR, HEALTHY | {"ignition_on": 0.0, "engine_speed_rpm": 0.0}, 60)
    rules = tick(BUNDLE, rules, CAR, rules.received_ns + 31 * S).rules
    rules = tick(BUNDLE, rules, CAR, rules.received_ns + 3600 * S).rules
    step = tick(BUNDLE, rules, CAR, rules.received_ns + 7200 * S)
    assert step.rules is rules
    assert step.transitions == ()


def test_an_alert_raised_by_silence_goes_stale_in_the_end() -> None:
    rows: list[Row] = [Sample(T0, "ignition_on", 1.0)]
    rules = advance(BUNDLE, VehicleRules.fresh(), CAR, *upload(rows), T0).rules
    said = []
    for days in (1, 2, 60, 90):
        step = tick(BUNDLE, rules, CAR, T0 + days * 86_400 * S)
        rules, said = step.rules, [*said, *step.transitions]
    # max_gap after the last sample nothing is known any more; then stale_after of the rule
    stale_ns = T0 + 11 * 60 * S + 1 + 30 * 86_400 * S
    assert [(t.state, t.at_ns) for t in said] == [
        (AlertState.FIRING, T0 + 90 * S),
        (AlertState.FIRING, T0 + 600 * S),
        (AlertState.STALE, stale_ns),
    ]


def test_history_keeps_the_id_of_an_alert_that_began_long_before() -> None:
    """A database floors times to microseconds; the id was made from nanoseconds."""
    odd = 123
    rows: list[Row] = [
        Sample(T0 + t * S + odd, name, value)
        for t in range(7200)
        for name, value in (("engine_speed_rpm", 800.0), ("engine_coolant_temp_c", 112.0))
    ]
    step = advance(BUNDLE, VehicleRules.fresh(), CAR, *upload(rows), T0 + 7200 * S)
    transition = step.transitions[0]
    stored = stored_alerts(kept(step.transitions))
    assert [alert.alert_id for alert in stored] == [transition.alert_id]
    late_ns = T0 + 7000 * S
    start = history_start(BUNDLE, CAR, late_ns, stored)
    assert late_ns - 6000 * S < start < late_ns
    recent = [row for row in rows if row.at_ns >= start]
    again = rebuild(BUNDLE, step.rules, CAR, [upload(recent)], start, stored)
    assert again.transitions == ()
    assert again.rules.to_memory() == step.rules.to_memory()


def test_insulation_counts_only_what_is_remembered() -> None:
    at = T0
    rules = VehicleRules.fresh()
    for _ in range(4):
        rows = [
            Sample(at, "pack_voltage_v", 400.0),
            Sample(at, "pack_current_a", -10.0),
            Sample(at, "insulation_kohm", 20.0),
        ]
        rules = advance(BUNDLE, rules, EV, *upload(rows), at).rules
        at += 3600 * S
    rules = VehicleRules.from_memory(json.loads(json.dumps(rules.to_memory())))
    rows = [
        Sample(at, "pack_voltage_v", 400.0),
        Sample(at, "pack_current_a", -10.0),
        Sample(at, "insulation_kohm", 20.0),
    ]
    # the newest reading before the restart was above the watermark and is not fed again here
    step = advance(BUNDLE, rules, EV, *upload(rows), at)
    assert step.transitions == ()
    step = advance(
        BUNDLE, step.rules, EV, *upload([*rows, Sample(at + 20 * S, "insulation_kohm", 20.0)]), at
    )
    assert [t.state for t in step.transitions] == [AlertState.FIRING]
