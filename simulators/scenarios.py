"""What can go wrong with a simulated vehicle, as overlays on a healthy one.

Each scenario says what it must raise, so that a demo or a test can check that every seeded fault
was found. Thresholds are those of the built-in rules (docs: domain rules E, N, D and M).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.catalogue import element_name
from model.severity import Severity

Columns = dict[str, NDArray[np.float64]]
#: Changes columns in place; the array holds seconds since the onset, 0 before it.
Overlay = Callable[[Columns, NDArray[np.float64]], None]


@dataclass(frozen=True, slots=True)
class Expected:
    """One thing a scenario must raise: a rule of the built-in set and the severity it reaches."""

    rule: str
    severity: Severity


@dataclass(frozen=True, slots=True)
class DiagnosticCode:
    """One J1939 code to send in DM1."""

    spn: int
    fmi: int
    occurrence_count: int = 1


@dataclass(frozen=True, slots=True)
class Scenario:
    """A named fault. `within_s` bounds the event time from onset until all of `expects` is true."""

    name: str
    profiles: tuple[str, ...]
    expects: tuple[Expected, ...] = ()
    within_s: float = 900.0
    onset_s: float = 180.0
    starts: str = "driving"  # driving | charging
    overlay: Overlay | None = None
    lamp: str = ""  # DM1: red | amber
    codes: tuple[DiagnosticCode, ...] = ()


def _overheating(c: Columns, since: NDArray[np.float64]) -> None:
    c["engine_coolant_temp_c"] += 38.0 * (1 - np.exp(-since / 150.0))


def _oil_pressure(c: Columns, since: NDArray[np.float64]) -> None:
    c["engine_oil_pressure_alert"][since > 0] = 1.0


def _low_voltage(c: Columns, since: NDArray[np.float64]) -> None:
    """The alternator is dead: the battery alone carries the car and sags."""
    failed = since > 0
    sag = np.maximum(12.4 - 0.008 * since, 10.2)
    c["battery_voltage_v"] = np.where(
        failed, np.minimum(c["battery_voltage_v"], sag), c["battery_voltage_v"]
    )


def _tyre_leak(c: Columns, since: NDArray[np.float64]) -> None:
    """9 kPa a minute: far below the 30 kPa a minute of a burst, down to two thirds of placard."""
    pressure = c["tire_pressure_rl_kpa"]
    leaking = np.maximum(pressure - 0.15 * since, 158.0)
    c["tire_pressure_rl_kpa"] = np.where(since > 0, leaking, pressure)


def _mil_on(c: Columns, since: NDArray[np.float64]) -> None:
    on = since > 0
    c["mil_lamp"][on] = 1.0
    c["confirmed_dtc_count"][on] = 2.0


def _silence(c: Columns, since: NDArray[np.float64]) -> None:
    c["awake"][since > 0] = 0.0


def _ev_thermal(c: Columns, since: NDArray[np.float64]) -> None:
    """6 K a minute in the hottest module."""
    c["battery_temp_max_c"] += np.minimum(0.1 * since, 45.0)
    c["CellVoltages.ModuleTemperature"] += np.minimum(0.1 * since, 45.0)
    for probe in range(1, 7):
        c[element_name("cell_temp_c", probe)] += np.minimum(0.1 * since, 45.0)


def _ev_cell_low(c: Columns, since: NDArray[np.float64]) -> None:
    """Cell 17 collapses to 1.2 V; the pack loses the same."""
    name = element_name("cell_voltage_v", 17)
    cell = c[name]
    low = np.where(since > 0, np.maximum(cell - 0.01 * since, 1.2), cell)
    c["pack_voltage_v"] += low - cell
    c[name] = low
    weakest = low < c["cell_voltage_min_v"]
    c["cell_voltage_min_number"][weakest] = 17.0
    c["cell_voltage_min_v"] = np.minimum(c["cell_voltage_min_v"], low)


def _insulation(c: Columns, since: NDArray[np.float64]) -> None:
    c["insulation_kohm"] = np.maximum(c["insulation_kohm"] * np.exp(-since / 50.0), 22.0)


def _tyre_burst(c: Columns, since: NDArray[np.float64]) -> None:
    """60 kPa a minute, down to a quarter of placard."""
    pressure = c["tire_pressure_fr_kpa"]
    c["tire_pressure_fr_kpa"] = np.where(since > 0, np.maximum(pressure - since, 60.0), pressure)


def _over_voltage(c: Columns, since: NDArray[np.float64]) -> None:
    c["battery_voltage_v"][since > 0] = 16.8


def _flag(name: str) -> Overlay:
    """A flag the healthy vehicle does not send at all."""

    def overlay(c: Columns, since: NDArray[np.float64]) -> None:
        c[name] = (since > 0).astype(np.float64)

    return overlay


def _engine_care(c: Columns, since: NDArray[np.float64]) -> None:
    """What shares a message with the coolant level and the transmission, in good order."""
    c["oil_life_percent"] = np.full_like(since, 70.0)
    c["engine_oil_level_state"] = np.zeros_like(since)
    c["engine_coolant_level_state"] = np.zeros_like(since)
    c["transmission_oil_temp_c"] = np.full_like(since, 85.0)
    c["catalyst_temp_b1s1_c"] = np.full_like(since, 450.0)


def _coolant_low(c: Columns, since: NDArray[np.float64]) -> None:
    _engine_care(c, since)
    c["engine_coolant_level_state"] = np.where(since > 60, -2.0, np.where(since > 0, -1.0, 0.0))


def _transmission_hot(c: Columns, since: NDArray[np.float64]) -> None:
    _engine_care(c, since)
    c["transmission_oil_temp_c"] += np.minimum(0.3 * since, 55.0)


def _pack_health(c: Columns, since: NDArray[np.float64]) -> None:
    """What shares a message with the interlock, in good order."""
    c["state_of_health_percent"] = np.full_like(since, 96.0)
    c["state_of_charge_bms_percent"] = c["state_of_charge_percent"].copy()
    c["discharge_limit_kw"] = np.full_like(since, 150.0)
    c["charge_limit_kw"] = np.full_like(since, 80.0)
    c["electric_range_km"] = c["state_of_charge_percent"] * 4


def _ev_interlock(c: Columns, since: NDArray[np.float64]) -> None:
    _pack_health(c, since)
    c["hv_interlock_open"] = (since > 0).astype(np.float64)


def _ev_runaway(c: Columns, since: NDArray[np.float64]) -> None:
    _pack_health(c, since)
    c["battery_thermal_runaway"] = (since > 0).astype(np.float64)


def _ev_motor_hot(c: Columns, since: NDArray[np.float64]) -> None:
    c["motor_temp_c"] += np.minimum(0.5 * since, 150.0)


def _ev_dcdc_open(c: Columns, since: NDArray[np.float64]) -> None:
    """The converter opens; the low-voltage battery sags alone."""
    c["dcdc_state"] = np.where(since > 0, 2.0, 1.0)
    c["dcdc_output_v"] = np.where(since > 0, 0.0, 13.6)
    c["dcdc_output_a"] = np.where(since > 0, 0.0, 30.0)
    c["dcdc_temp_c"] = np.full_like(since, 45.0)
    sag = np.maximum(12.4 - 0.01 * since, 10.0)
    c["battery_voltage_v"] = np.where(since > 0, sag, c["battery_voltage_v"])


def _ev_cell_high(c: Columns, since: NDArray[np.float64]) -> None:
    c["cell_voltage_max_v"] = np.where(since > 0, 4.55, c["cell_voltage_max_v"])


def _ev_inlet_hot(c: Columns, since: NDArray[np.float64]) -> None:
    c["charge_inlet_temp_c"] = 40.0 + np.minimum(0.5 * since, 60.0)
    c["charger_temp_c"] = np.full_like(since, 50.0)


CAR, TRUCK, EV = "demo_car", "demo_truck", "demo_ev"
VISIT, STOP = Severity.VISIT_SOON, Severity.STOP
EMERGENCY = Severity.EMERGENCY

_ALL = (
    Scenario("healthy", (CAR, TRUCK, EV)),
    Scenario(
        "overheating",
        (CAR,),
        (Expected("E01", VISIT), Expected("E02", STOP)),
        overlay=_overheating,
    ),
    Scenario("oil_pressure", (CAR,), (Expected("E04", STOP),), overlay=_oil_pressure),
    Scenario("low_voltage", (CAR,), (Expected("E15", VISIT),), overlay=_low_voltage),
    Scenario("tyre_leak", (CAR, EV), (Expected("E21", VISIT),), overlay=_tyre_leak),
    Scenario("mil_on", (CAR,), (Expected("E08", VISIT),), overlay=_mil_on),
    Scenario(
        "truck_red_lamp",
        (TRUCK,),
        (Expected("E10", STOP),),
        lamp="red",
        # low oil level, most severe, and hot coolant, moderately severe: two codes need BAM
        codes=(DiagnosticCode(98, 1), DiagnosticCode(110, 16, 3)),
    ),
    Scenario(
        "truck_amber_lamp",
        (TRUCK,),
        (Expected("E11", VISIT),),
        lamp="amber",
        codes=(DiagnosticCode(3251, 16, 2),),
    ),
    Scenario("ev_thermal", (EV,), (Expected("N05", STOP),), starts="charging", overlay=_ev_thermal),
    Scenario("ev_cell_low", (EV,), (Expected("N08", STOP),), overlay=_ev_cell_low),
    Scenario("insulation", (EV,), (Expected("N11", STOP),), overlay=_insulation),
    Scenario("tyre_burst", (CAR, EV), (Expected("E22", STOP),), overlay=_tyre_burst),
    Scenario("brake_fluid", (CAR,), (Expected("E23", STOP),), overlay=_flag("brake_fluid_low")),
    Scenario("mil_flashing", (CAR,), (Expected("E06", STOP),), overlay=_flag("mil_flashing")),
    Scenario("over_voltage", (CAR,), (Expected("E16", VISIT),), overlay=_over_voltage),
    Scenario("coolant_low", (CAR,), (Expected("E03", STOP),), overlay=_coolant_low),
    Scenario("transmission_hot", (CAR,), (Expected("E25", VISIT),), overlay=_transmission_hot),
    Scenario(
        "truck_oil_pressure",
        (TRUCK,),
        (Expected("E04", STOP), Expected("E10", STOP)),
        lamp="red",
        codes=(DiagnosticCode(100, 1, 2),),
    ),
    Scenario(
        "truck_particulate_filter",
        (TRUCK,),
        (Expected("E28", VISIT), Expected("E11", VISIT)),
        lamp="amber",
        codes=(DiagnosticCode(3251, 0, 4),),
    ),
    # A code before any lamp: the failure mode alone says how bad it is.
    Scenario(
        "truck_code_without_lamp",
        (TRUCK,),
        (Expected("E13", STOP),),
        codes=(DiagnosticCode(175, 0),),
    ),
    Scenario("ev_hot_driving", (EV,), (Expected("N06", STOP),), overlay=_ev_thermal),
    Scenario("ev_interlock", (EV,), (Expected("N18", STOP),), overlay=_ev_interlock),
    Scenario("ev_runaway", (EV,), (Expected("N01", EMERGENCY),), overlay=_ev_runaway),
    Scenario("ev_motor_hot", (EV,), (Expected("N14", STOP),), overlay=_ev_motor_hot),
    Scenario("ev_dcdc_open", (EV,), (Expected("N17", STOP),), overlay=_ev_dcdc_open),
    Scenario(
        "ev_cell_high", (EV,), (Expected("N07", VISIT),), starts="charging", overlay=_ev_cell_high
    ),
    Scenario(
        "ev_inlet_hot", (EV,), (Expected("N05", VISIT),), starts="charging", overlay=_ev_inlet_hot
    ),
    Scenario("silence", (CAR, TRUCK, EV), (Expected("D01", Severity.INFO),), overlay=_silence),
    Scenario("service_due", (CAR, TRUCK, EV), (Expected("M02", Severity.REMIND),)),
)
SCENARIOS = {s.name: s for s in _ALL}
