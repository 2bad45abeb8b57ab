"""Vehicles are plausible, healthy ones never reach a limit, faults do.

Limits: docs/domain rules E01-E22 and N05-N14 (SAE P02xx set conditions, FMVSS 138, GB/T 45688).
"""

from __future__ import annotations

import numpy as np
import pytest

from simulators.fleet import Fleet
from simulators.scenarios import SCENARIOS

TWO_HOURS = 12  # blocks of ten minutes


def track(model, blocks: int = TWO_HOURS) -> dict[str, np.ndarray]:
    parts = [model.columns(b) for b in range(blocks)]
    return {n: np.concatenate([p[n][:-1] for p in parts]) for n in parts[0]}


def holds(condition: np.ndarray, seconds: int) -> np.ndarray:
    """Indices (seconds) at which a condition has been true for so long."""
    runs = np.convolve(condition, np.ones(seconds + 1), "valid") == seconds + 1
    return np.flatnonzero(runs) + seconds


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_healthy_vehicles_stay_within_every_limit(seed: int) -> None:
    for model in Fleet(8, seed)._models:
        c = track(model)
        awake = c["awake"] > 0.5
        check = {"demo_car": check_car, "demo_truck": check_truck, "demo_ev": check_ev}
        check[model.vehicle.profile](c, model.vehicle)
        off = c["ignition_on"] == 0
        assert c["speed_kmh"][off].max(initial=0) == 0  # D04
        step_km = np.diff(c["odometer_km"])
        assert step_km.min() >= 0
        assert (c["odometer_km"][30:] - c["odometer_km"][:-30]).max() < 4  # D03
        assert awake[c["ignition_on"] > 0].all()  # D01: silent only when switched off


def check_tyres(c, vehicle) -> None:
    for wheel in ("fl", "fr", "rl", "rr"):
        pressure = c[f"tire_pressure_{wheel}_kpa"]
        assert pressure.min() > 0.8 * vehicle.tire_placard_kpa  # E21: 75 %
        assert pressure.max() < 1.25 * vehicle.tire_placard_kpa
        assert (pressure[:-60] - pressure[60:]).max() < 10  # E22: 30 kPa/min


def check_engine(c) -> None:
    running = c["engine_speed_rpm"] > 400
    assert c["engine_coolant_temp_c"].max() < 107  # E01: 107-110 degC
    assert c["engine_coolant_temp_c"][running].max() > 85  # but warm
    assert c["engine_speed_rpm"].max() < 6500


def check_car(c, vehicle) -> None:
    check_engine(c)
    check_tyres(c, vehicle)
    running = c["engine_speed_rpm"] > 400
    volts = c["battery_voltage_v"]
    assert volts[running].min() > 13  # E15: 11 V
    assert volts[running].max() < 15.5  # E16: 16 V
    assert volts[c["engine_speed_rpm"] == 0].min() > 12.0
    assert not c["engine_oil_pressure_alert"].any()
    assert not c["mil_lamp"].any()
    assert not c["confirmed_dtc_count"].any()


def check_truck(c, vehicle) -> None:
    check_engine(c)
    assert c["engine_oil_pressure_kpa"][c["engine_speed_rpm"] > 400].min() > 100


def check_ev(c, vehicle) -> None:
    check_tyres(c, vehicle)
    limit_c, high_v, low_v = {"NCM": (60, 4.4, 1.8), "LFP": (65, 3.7, 1.5)}[
        vehicle.battery_chemistry
    ]
    assert c["battery_temp_max_c"].max() < limit_c - 5  # N05, N06
    assert (c["battery_temp_min_c"] < c["battery_temp_max_c"]).all()
    assert c["cell_voltage_max_v"].max() < high_v - 0.1  # N07
    assert c["cell_voltage_min_v"].min() > low_v + 0.5  # N08
    ohm_per_v = c["insulation_kohm"] * 1000 / c["pack_voltage_v"]
    assert ohm_per_v.min() > 500  # N11: 100, N12: 500
    assert c["motor_temp_c"].max() < 80  # N13
    cells = sum(c[f"cell_voltage_v[{i}]"] for i in range(1, 97))
    assert np.abs(c["pack_voltage_v"] - cells).max() < 5  # D05
    assert c["state_of_charge_percent"].min() >= 5
    assert c["state_of_charge_percent"].max() <= 90.1
    assert not (c["charging"] * c["ignition_on"]).any()


def test_vehicles_move_like_vehicles() -> None:
    for model in Fleet(6, 4)._models:
        c = track(model)
        metres_per_s = c["speed_kmh"] / 3.6
        north = np.diff(c["latitude_deg"]) * 111_320
        east = np.diff(c["longitude_deg"]) * 111_320 * np.cos(np.radians(model.centre[0]))
        assert np.hypot(north, east).max() < metres_per_s.max() + 1
        assert np.abs(c["latitude_deg"] - model.centre[0]).max() < 0.1
        acceleration = np.abs(np.diff(metres_per_s))
        assert acceleration.max() < 4.5  # m/s2: a hard but ordinary stop
        distance_km = c["odometer_km"][-1] - c["odometer_km"][0]
        assert distance_km == pytest.approx(metres_per_s.sum() / 1000, abs=0.1)
        assert 5 < distance_km < 150


#: scenario -> what the rule asks for, and for how many seconds it must hold
CROSSINGS = {
    "overheating": (lambda c: (c["engine_coolant_temp_c"] >= 118) & (c["engine_speed_rpm"] > 400),
                    10),
    "oil_pressure": (lambda c: (c["engine_oil_pressure_alert"] == 1)
                     & (c["engine_speed_rpm"] > 400), 2),
    "low_voltage": (lambda c: (c["battery_voltage_v"] < 11) & (c["engine_speed_rpm"] > 400), 5),
    "tyre_leak": (lambda c: c["tire_pressure_rl_kpa"] <= 0.75 * 240, 60),
    "mil_on": (lambda c: (c["mil_lamp"] == 1) & (c["confirmed_dtc_count"] >= 1), 1),
    "ev_thermal": (lambda c: (c["battery_temp_max_c"] > 65) & (c["charging"] == 1), 1),
    "ev_cell_low": (lambda c: (c["cell_voltage_min_v"] < 1.5) & (c["pack_current_a"] < 0), 1),
    "insulation": (lambda c: c["insulation_kohm"] * 1000 <= 100 * c["pack_voltage_v"], 5),
    "silence": (lambda c: (c["awake"] == 0) & (c["ignition_on"] == 1), 90),
}  # fmt: skip


@pytest.mark.parametrize("name", CROSSINGS)
@pytest.mark.parametrize("seed", [1, 9])
def test_a_fault_crosses_its_limit_in_time_and_not_before(name: str, seed: int) -> None:
    condition, seconds = CROSSINGS[name]
    scenario = SCENARIOS[name]
    model = next(m for m in Fleet(8, seed, [name])._models if m.scenario.name == name)
    true_at = holds(condition(track(model, 3)).astype(float), seconds)
    assert true_at.size
    assert scenario.onset_s < true_at[0] < scenario.onset_s + scenario.within_s


def test_a_slow_leak_is_not_a_burst() -> None:
    (model,) = list(Fleet(1, 3, ["tyre_leak"])._models)
    pressure = track(model, 3)["tire_pressure_rl_kpa"]
    assert (pressure[:-60] - pressure[60:]).max() < 30  # E22
    assert pressure.min() > 0.5 * 240


def test_a_due_service_is_passed_in_time() -> None:
    fleet = Fleet(4, 6, ["service_due"], 10**18)
    (fault,) = fleet.seeded_faults()
    model = next(m for m in fleet._models if m.vehicle.vin == fault.vin)
    item = next(i for i in fleet.maintenance_items() if i.vin == fault.vin)
    odometer = track(model, 6)["odometer_km"]
    passed = np.flatnonzero(odometer >= item.base_odometer_km + item.interval_km)
    assert 0 < passed[0] * 10**9 + 10**18 < fault.until_ns


def test_every_scenario_but_healthy_says_what_it_must_raise() -> None:
    assert {n for n, s in SCENARIOS.items() if not s.expects} == {"healthy"}
