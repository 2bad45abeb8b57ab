"""False alarms and missed faults, over simulated vehicles and all built-in rules.

A healthy day is a compressed one: a cold start, two drives of half an hour, rests with the buses
asleep (EVs charge), a heartbeat of the low-voltage battery every ten minutes between them. Signals
go in at 1 Hz; what the simulator does not know but the profile can say stands at a healthy value.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from dbc.profile import load_profile
from decoders.decode import Decoder, Tails
from decoders.plan import Plan, compile_plan
from model.alerts import AlertState, AlertTransition
from model.catalogue import catalogue, find_signal
from model.severity import Severity
from model.signals import SignalBatch, SignalTable
from rules.bundle import load_bundle
from rules.lane import LATENESS_NS, VehicleRules, advance, tick
from simulators.fleet import Fleet
from simulators.motion import TripPlan
from simulators.scenarios import SCENARIOS
from simulators.vehicles import BLOCK_S, VehicleModel

S = 10**9
DAY = 1_704_067_200 * S
BUNDLE = load_bundle()
VEHICLES, SHARDS = 100, 4
#: Parts of a day: hours since midnight, and how many blocks of ten minutes.
PARTS = ((7, 5), (17, 5))
#: Healthy values of what the simulator does not produce; flags stand at 0.
HEALTHY = {
    "fuel_range_km": 420, "def_level_percent": 70, "dpf_delta_pressure_kpa": 6,
    "transmission_oil_temp_c": 88, "engine_coolant_level_state": 0, "engine_oil_level_state": 0,
    "oil_life_percent": 60, "brake_pad_wear_fl_percent": 30, "brake_pad_wear_rl_percent": 25,
    "dcdc_state": 1, "dcdc_temp_c": 55, "charge_inlet_temp_c": 38, "state_of_health_percent": 96,
    "cells_in_pack": 96, "gbt_alarm_level": 0,
    "gateway_delay_s": 2, "gateway_clock_offset_s": 0.4, "unknown_frames_percent": 0.5,
    "wrong_length_frames_percent": 0,
}  # fmt: skip
#: Flags that a healthy vehicle says "on" to, or that the simulator says itself.
NOT_FLAGS = {"ignition_on", "charging", "vehicle_moving", "tires_non_winter"}


@cache
def flags() -> tuple[str, ...]:
    """Every flag of the catalogue that some rule asks about; healthy means 0."""
    asked = " ".join(f"{rule.conditions()} {rule.for_each}" for rule in BUNDLE.rules)
    return tuple(
        name
        for name, signal in catalogue().items()
        if (signal.unit, signal.minimum, signal.maximum) == ("", 0, 1)
        and name not in NOT_FLAGS
        and (name in asked or name.startswith("tire_pressure_low"))
    )


def day(index: int) -> tuple[VehicleModel, list[SignalBatch]]:
    """A vehicle's healthy day as uploads of ten minutes."""
    fleet = Fleet(4, seed=index)
    base = fleet._models[index % 4]
    rng = np.random.default_rng([index, 5])
    ambient_c = float(rng.uniform(-25, 38))
    uploads = []
    odometer_km = base.odometer_km
    for part, (hour, blocks) in enumerate(PARTS):
        model = VehicleModel(
            base.vehicle, base.scenario, (index, 10 + part), base.centre, odometer_km
        )
        model._ambient_c = ambient_c
        state = model._states[0]
        for name, above in (
            ("engine_coolant_temp_c", 0),
            ("engine_oil_temp_c", 0),
            ("TireStatus.TireTemperature", 0),
            ("motor_temp_c", 0),
            ("battery_temp_c", 3),
        ):
            state[name] = ambient_c + above
        model._plan = TripPlan(float(rng.uniform(1500, 2100)), 3600.0, 0.0)
        start_ns = DAY + hour * 3600 * S
        uploads += [batch(model, block, start_ns) for block in range(blocks)]
        odometer_km = float(model.columns(blocks - 1)["odometer_km"][-1])
        uploads += [heartbeat(start_ns + (blocks + n) * BLOCK_S * S) for n in range(1, 30)]
    return model, uploads


def batch(model: VehicleModel, block: int, start_ns: int) -> SignalBatch:
    columns = model.columns(block)
    awake = columns["awake"][:-1] > 0.5
    times = start_ns + (block * BLOCK_S + np.flatnonzero(awake)) * S
    known = {n: c[:-1][awake] for n, c in columns.items() if find_signal(n) is not None}
    extra = dict.fromkeys(flags(), 0.0) | HEALTHY
    for name, value in extra.items():
        known.setdefault(name, np.full(len(times), float(value)))
    return packed(known, times)


def heartbeat(at_ns: int) -> SignalBatch:
    times = np.array([at_ns], np.int64)
    return packed({"battery_voltage_v": np.array([12.6]), "ignition_on": np.array([0.0])}, times)


def packed(known: dict[str, np.ndarray], times: np.ndarray) -> SignalBatch:
    names, n = tuple(known), len(times)
    return SignalBatch(
        table=table(names),
        run_signal=np.arange(len(names), dtype=np.uint16),
        run_source=np.full(len(names), -1, np.int16),
        run_start=np.arange(len(names) + 1, dtype=np.int64) * n,
        observed_ns=np.tile(times, len(names)),
        value=np.concatenate([*known.values(), np.zeros(0)]),
        quality=np.zeros(n * len(names), np.uint8),
        frame_status=np.zeros(0, np.uint8),
    )


@cache
def table(names: tuple[str, ...]) -> SignalTable:
    return SignalTable("made", names, ("",) * len(names))


@pytest.mark.slow
@pytest.mark.parametrize("shard", range(SHARDS))
def test_a_hundred_healthy_days_raise_nothing_serious(shard: int) -> None:
    raised: dict[str, int] = {}
    for index in range(shard, VEHICLES, SHARDS):
        model, uploads = day(index)
        vehicle, rules = model.vehicle, VehicleRules.fresh()
        if model.vehicle.profile == "demo_truck":  # 24 V, as its row of the electrics pack says
            uploads = [scaled(u, "battery_voltage_v", 2.0) for u in uploads]
        for upload in uploads:
            if not len(upload.value):
                continue
            received_ns = int(upload.observed_ns.max()) + S
            step = advance(BUNDLE, rules, vehicle, upload, (), received_ns)
            rules = step.rules
            count(raised, step.transitions)
        count(raised, tick(BUNDLE, rules, vehicle, received_ns + LATENESS_NS + S).transitions)
    assert raised == {}  # not even a reminder


@pytest.mark.slow
def test_the_budget_sees_what_is_wrong() -> None:
    """The same day with a hot transmission is not quiet: the test above can fail."""
    model, uploads = day(0)
    raised: dict[str, int] = {}
    rules = VehicleRules.fresh()
    for upload in uploads:
        hot = scaled(upload, "transmission_oil_temp_c", 1.6)
        if len(hot.value):
            received_ns = int(hot.observed_ns.max()) + S
            step = advance(BUNDLE, rules, model.vehicle, hot, (), received_ns)
            rules = step.rules
            count(raised, step.transitions)
    assert raised.keys() == {"transmission.overtemp"}


def scaled(upload: SignalBatch, name: str, factor: float) -> SignalBatch:
    if name in upload.table.names:
        place = upload.table.names.index(name)
        upload.value[upload.run_start[place] : upload.run_start[place + 1]] *= factor
    return upload


def count(raised: dict[str, int], transitions: tuple[AlertTransition, ...]) -> None:
    for t in transitions:
        if t.state is AlertState.FIRING and t.severity >= Severity.REMIND:
            raised[t.rule_id] = raised.get(t.rule_id, 0) + 1


FAULTS = [n for n, s in SCENARIOS.items() if any(e.rule[0] in "EN" for e in s.expects)]
SLICE_S = 20.0


@cache
def plan_of(profile: str) -> Plan:
    return compile_plan(load_profile(profile))


@pytest.mark.slow
@pytest.mark.parametrize("name", FAULTS)
def test_every_seeded_fault_is_found_within_its_hold_and_one_upload(name: str) -> None:
    scenario = SCENARIOS[name]
    profile = scenario.profiles[0]
    fleet = Fleet(8, 3, [name], DAY, slice_s=SLICE_S, rate=0.25)
    index = next(i for i, m in enumerate(fleet._models) if m.scenario.name == name)
    vehicle, decoder = fleet.vehicles[index], Decoder(plan_of(profile))
    rules, tails = VehicleRules.fresh(), Tails()
    missing = {(e.rule, e.severity) for e in scenario.expects}
    first = int(scenario.onset_s // SLICE_S) - 1
    for number in range(first, int((scenario.onset_s + scenario.within_s) / SLICE_S) + 3):
        upload = fleet.upload_of(index, number)
        decoded = decoder.decode(upload, tails)
        tails = decoded.tails
        received_ns = DAY + round((number + 1) * SLICE_S * S)
        step = advance(BUNDLE, rules, vehicle, decoded.signals, decoded.reports, received_ns)
        rules = step.rules
        for t in step.transitions:
            rule = BUNDLE.rule(t.rule_id)
            assert t.started_ns >= DAY + round(scenario.onset_s * S), (
                t.rule_id,
                "before the onset",
            )
            told = {(d, s) for d, s in missing if d in rule.domain and t.severity >= s}
            if told:
                level = next(lv for lv in rule.levels if lv.severity == t.severity)
                late_ns = 0 if level.early else LATENESS_NS
                assert received_ns - t.worst_ns <= round(SLICE_S * S) + late_ns, t.rule_id
            missing -= told
        if not missing:
            return
    assert not missing
