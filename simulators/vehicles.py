"""Seeded, physically plausible vehicles on an event-time axis.

A vehicle is computed in blocks of ten minutes at 1 Hz; a block needs only the last values of the
one before, so any moment can be reached and comes out the same however it was asked for. Columns
carry catalogue names, or `Message.Signal` where the catalogue has no such quantity.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from model.catalogue import element_name
from model.vehicle import Vehicle
from simulators.motion import Floats, TripPlan, move, place, relax
from simulators.scenarios import Columns, Scenario

#: Grid points of a block: seconds 0..600, the last one is the first of the next block.
BLOCK_S = 600
#: A parked vehicle keeps talking this long, then its buses sleep.
AFTER_RUN_S = 20.0
CELLS, PROBES = 96, 24
PACK_KWH = 62.0
CHARGE_KW = 60.0
FULL_PERCENT = 90.0


@dataclass(slots=True)
class VehicleModel:
    """One vehicle's physics. `columns(block)` is deterministic in (seed, vehicle, block)."""

    vehicle: Vehicle
    scenario: Scenario
    seed: tuple[int, int]
    centre: tuple[float, float]
    odometer_km: float
    _plan: TripPlan = field(init=False)
    _ambient_c: float = field(init=False)
    _spread: Floats = field(init=False)
    _states: list[dict[str, float]] = field(init=False)
    _blocks: dict[int, Columns] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        rng = np.random.default_rng([*self.seed, 0])
        self._plan = _plan(rng, self.scenario, self.vehicle.powertrain == "electric")
        self._ambient_c = float(rng.uniform(12, 28))
        self._spread = rng.uniform(-1, 1, CELLS)
        x_m, y_m = rng.uniform(-4000, 4000, 2)
        self._states = [
            {
                "speed_kmh": 0.0,
                "odometer_km": self.odometer_km,
                "x_m": float(x_m),
                "y_m": float(y_m),
                "engine_coolant_temp_c": 88.0,
                "engine_oil_temp_c": 92.0,
                "fuel_level_percent": float(rng.uniform(55, 95)),
                "TireStatus.TireTemperature": self._ambient_c + 8,
                "motor_temp_c": self._ambient_c + 20,
                "battery_temp_c": self._ambient_c + 6,
                "state_of_charge_percent": float(rng.uniform(45, 75)),
            }
        ]
        if self.scenario.starts == "charging":
            self._states[0]["state_of_charge_percent"] = 25.0

    def columns(self, block: int) -> Columns:
        """All columns of seconds 600 * block .. 600 * block + 600, 601 points."""
        if block not in self._blocks:
            for missing in range(len(self._states) - 1, block):
                self._compute(missing)
            self._compute(block)
        return self._blocks[block]

    def _compute(self, block: int) -> None:
        rng = np.random.default_rng([*self.seed, 1, block])
        t_s = np.arange(BLOCK_S + 1, dtype=np.float64) + block * BLOCK_S
        state = self._states[block]
        columns = self._common(t_s, state, rng)
        {"demo_car": self._car, "demo_truck": self._truck, "demo_ev": self._ev}[
            self.vehicle.profile
        ](columns, state, rng)
        if block + 1 == len(self._states):
            self._states.append({name: float(columns[name][-1]) for name in state})
        if self.scenario.overlay is not None:
            since = np.maximum(t_s - self.scenario.onset_s, 0.0)
            self.scenario.overlay(columns, since)
        columns["latitude_deg"], columns["longitude_deg"] = place(
            columns["x_m"], columns["y_m"], self.centre
        )
        if len(self._blocks) >= 2:
            del self._blocks[min(self._blocks)]
        self._blocks[block] = columns

    def _common(self, t_s: Floats, state: dict[str, float], rng: np.random.Generator) -> Columns:
        into, driving = self._plan.seconds(t_s)
        left = np.where(driving, self._plan.drive_s - into, 0.0)
        top = 90.0 if self.vehicle.profile == "demo_truck" else 72.0
        c: Columns = {name: np.full(len(t_s), value) for name, value in state.items()}
        c |= move(state, rng, driving, left, top)
        on = driving.astype(np.float64)
        acceleration = np.gradient(c["speed_kmh"]) / 3.6
        c["into_s"], c["ignition_on"] = into, on
        c["awake"] = np.maximum(on, into < AFTER_RUN_S)
        c["ambient_temp_c"] = self._ambient_c + 3 * np.sin(t_s / 9000)
        c["acceleration"] = acceleration
        c["acceleration_long_m_s2"] = acceleration
        c["accelerator_percent"] = (
            on * np.clip(0.35 * c["speed_kmh"] + 26 * acceleration, 0, 100) * (c["speed_kmh"] > 1)
        )
        self._tyres(c)
        return c

    def _tyres(self, c: Columns) -> None:
        """Gauge pressure at constant volume: placard at 20 degC, rising with temperature."""
        warm = relax(
            float(c["TireStatus.TireTemperature"][0]),
            c["ambient_temp_c"] + 0.35 * c["speed_kmh"],
            600.0,
            1.0,
        )
        c["TireStatus.TireTemperature"] = warm
        for i, wheel in enumerate(("fl", "fr", "rl", "rr")):
            cold = self.vehicle.tire_placard_kpa * (1 + 0.02 * self._spread[i]) + 101.3
            c[f"tire_pressure_{wheel}_kpa"] = cold * (warm + 273.15) / 293.15 - 101.3

    def _engine(self, c: Columns, kmh_per_krpm: Floats, idle_rpm: float) -> None:
        """Gear, speed, load and heat of a combustion engine."""
        on, speed = c["ignition_on"], c["speed_kmh"]
        steps = kmh_per_krpm * 1.9
        gear = np.searchsorted(steps, speed)
        gear = np.minimum(gear, len(steps) - 1)
        turning = np.maximum(idle_rpm, speed / kmh_per_krpm[gear] * 1000)
        cranking = (c["into_s"] < 1) & (on > 0)
        c["gear"] = np.where(on > 0, gear + 1.0, 0.0) * (speed > 0.5)
        c["engine_speed_rpm"] = np.where(cranking, 220.0, on * turning)
        c["cranking"] = cranking.astype(np.float64)
        c["engine_load_percent"] = on * np.clip(
            18 + 0.3 * speed + 30 * np.maximum(c["acceleration"], -0.4), 5, 95
        )
        c["engine_torque_percent"] = on * (c["engine_load_percent"] - 10)
        running = on > 0
        heat = np.where(running, 89 + 0.08 * c["engine_load_percent"], c["ambient_temp_c"])
        for name, extra in (("engine_coolant_temp_c", 0.0), ("engine_oil_temp_c", 6.0)):
            tau = np.where(running, 240.0, 3600.0)
            c[name] = relax(float(c[name][0]), heat + extra * running, tau, 1.0)
        c["run_time_s"] = np.where(running, np.minimum(c["into_s"], 65_535), 0.0)

    def _car(self, c: Columns, state: dict[str, float], rng: np.random.Generator) -> None:
        self._engine(c, np.array([8.0, 14.0, 21.0, 29.0, 38.0, 46.0]), 780.0)
        on, n = c["ignition_on"], len(c["ignition_on"])
        for wheel, slip in zip(("fl", "fr", "rl", "rr"), self._spread, strict=False):
            c[f"wheel_speed_{wheel}_kmh"] = c["speed_kmh"] * (1 + 0.002 * slip)
        load = c["engine_load_percent"]
        c["engine_running"] = (c["engine_speed_rpm"] > 400).astype(np.float64)
        c["throttle_percent"] = np.clip(load * 0.8, 0, 100)
        c["intake_manifold_pressure_kpa"] = np.where(on > 0, 25 + 0.7 * load, 101.0)
        c["mass_air_flow_g_s"] = on * (1.2 + 0.3 * load)
        c["fuel_rate_l_h"] = on * (0.5 + 0.1 * load)
        c["fuel_level_percent"] = state["fuel_level_percent"] - np.cumsum(c["fuel_rate_l_h"]) / 1980
        c["intake_temp_c"] = c["ambient_temp_c"] + 8 * on
        c["barometric_pressure_kpa"] = np.full(n, 101.0)
        charge = np.where(on > 0, 14.1, 12.6) + rng.normal(0, 0.03, n)
        c["battery_voltage_v"] = np.where(c["cranking"] > 0, 10.3, charge)
        c["cabin_temp_c"] = np.full(n, 23.0)
        c["brake_pressed"] = (c["acceleration"] < -0.5).astype(np.float64)
        c["distance_since_clear_km"] = np.minimum(
            c["odometer_km"] - self.odometer_km + 1800, 65_535
        )
        for name in (
            "engine_oil_pressure_alert",
            "mil_lamp",
            "confirmed_dtc_count",
            "distance_with_mil_km",
            "BodyStatus.DoorOpen",
        ):
            c[name] = np.zeros(n)

    def _truck(self, c: Columns, state: dict[str, float], rng: np.random.Generator) -> None:
        self._engine(c, np.array([6.0, 10.0, 16.0, 24.0, 34.0, 46.0, 58.0]), 620.0)
        on, load = c["ignition_on"], c["engine_load_percent"]
        c["fuel_rate_l_h"] = on * (2.0 + 0.35 * load)
        economy = c["speed_kmh"] / np.maximum(c["fuel_rate_l_h"], 0.1)
        c["instant_fuel_economy_km_l"] = np.minimum(economy, 125.0)
        c["fuel_level_percent"] = (
            state["fuel_level_percent"] - np.cumsum(c["fuel_rate_l_h"]) / 14400
        )
        c["engine_oil_pressure_kpa"] = on * (180 + 0.12 * c["engine_speed_rpm"])
        c["engine_hours_h"] = 4000 + (c["odometer_km"] - self.odometer_km) / 40
        c["intake_temp_c"] = c["ambient_temp_c"] + 12 * on
        c["barometric_pressure_kpa"] = np.full(len(on), 101.0)
        c["throttle_percent"] = c["accelerator_percent"]

    def _ev(self, c: Columns, state: dict[str, float], rng: np.random.Generator) -> None:
        on, speed = c["ignition_on"], c["speed_kmh"]
        power_kw = on * (0.6 + 0.12 * speed + 0.5 * speed * c["acceleration"])
        soc = self._charge(c, state["state_of_charge_percent"], power_kw)
        lfp = self.vehicle.battery_chemistry == "LFP"
        open_v = 3.22 + 0.0012 * soc if lfp else 3.42 + 0.0065 * soc
        into_a = (c["charging"] * CHARGE_KW - power_kw) * 1000 / (open_v * CELLS)
        mean_v = open_v + into_a * 0.0007
        cells = mean_v + 0.006 * self._spread[:, np.newaxis]
        c |= {element_name("cell_voltage_v", i + 1): cells[i] for i in range(CELLS)}
        c["pack_voltage_v"], c["pack_current_a"] = cells.sum(axis=0), into_a
        c["cell_voltage_max_v"], c["cell_voltage_min_v"] = cells.max(axis=0), cells.min(axis=0)
        c["cell_voltage_max_number"] = cells.argmax(axis=0) + 1.0
        c["cell_voltage_min_number"] = cells.argmin(axis=0) + 1.0
        heat = c["ambient_temp_c"] + 6 + 0.05 * np.minimum(np.abs(into_a), 250)
        mean_c = relax(state["battery_temp_c"], heat, 900.0, 1.0)
        c["battery_temp_c"], c["CellVoltages.ModuleTemperature"] = mean_c, mean_c.copy()
        c["battery_temp_max_c"], c["battery_temp_min_c"] = mean_c + 2.2, mean_c - 2.4
        # The first module is the warmest, the last, next to the coolant inlet, the coolest.
        for i, above in enumerate(np.linspace(2.2, -2.4, PROBES)):
            c[element_name("cell_temp_c", i + 1)] = mean_c + above
        c["battery_coolant_inlet_c"] = mean_c - 4
        c["motor_speed_rpm"] = speed * 85
        c["motor_torque_nm"] = np.clip(power_kw * 60, -300, 300) * (speed > 1)
        warm = c["ambient_temp_c"] + 12 + 0.4 * np.abs(power_kw)
        c["motor_temp_c"] = relax(state["motor_temp_c"], warm, 400.0, 1.0)
        c["inverter_temp_c"] = c["motor_temp_c"] - 6
        self._ev_body(c, rng)

    def _charge(self, c: Columns, start_percent: float, power_kw: Floats) -> Floats:
        """State of charge; parked vehicles charge until full and stay awake for it."""
        parked = c["ignition_on"] == 0
        used = power_kw / 3600 / PACK_KWH * 100
        gained = CHARGE_KW / 3600 / PACK_KWH * 100
        free = start_percent + np.cumsum(np.where(parked, gained, -used))
        over = np.maximum.accumulate(np.maximum(free - FULL_PERCENT, 0.0))
        soc = np.maximum(free - over, 5.0)
        c["charging"] = (parked & (soc < FULL_PERCENT - 1e-6)).astype(np.float64)
        total = np.cumsum(c["charging"])
        lately = total - np.concatenate([np.zeros(int(AFTER_RUN_S)), total[: -int(AFTER_RUN_S)]])
        c["awake"] = np.maximum(c["awake"], lately > 0)
        c["state_of_charge_percent"] = soc
        return soc

    def _ev_body(self, c: Columns, rng: np.random.Generator) -> None:
        n = len(c["ignition_on"])
        soc = c["state_of_charge_percent"]
        c["insulation_kohm"] = 2600 + 400 * self._spread[5] + rng.normal(0, 20, n)
        c["Insulation.MeasurementValid"] = np.ones(n)
        c["PackStatus.ContactorState"] = np.maximum(c["ignition_on"], c["charging"])
        c["charge_power_kw"] = c["charging"] * CHARGE_KW
        c["pack_energy_kwh"] = soc / 100 * PACK_KWH
        c["pack_capacity_kwh"] = np.full(n, PACK_KWH)
        c["battery_voltage_v"] = np.where(c["awake"] > 0, 13.6, 12.7) + rng.normal(0, 0.02, n)
        c["gear"] = (c["speed_kmh"] > 0.5).astype(np.float64)


def _plan(rng: np.random.Generator, scenario: Scenario, electric: bool) -> TripPlan:
    drive, phase = rng.uniform(1500, 2700), rng.uniform(0.1, 0.6)
    stop = rng.uniform(1200, 2400) if electric else rng.uniform(300, 900)
    if scenario.name == "healthy":
        return TripPlan(drive, stop, phase * drive)
    if scenario.starts == "charging":
        return TripPlan(drive, 4500.0, drive)
    return TripPlan(6 * 3600.0, 600.0, phase * 900)
