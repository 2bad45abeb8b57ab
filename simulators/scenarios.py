"""What can go wrong with a simulated vehicle, as overlays on a healthy one.

Each scenario says what it must raise, so that a demo or a test can check that every seeded fault
was found. Thresholds are those of the built-in rules (docs: domain rules E, N, D and M).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

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


def _ev_cell_low(c: Columns, since: NDArray[np.float64]) -> None:
    """Cell 17 collapses to 1.2 V; the pack loses the same."""
    cell = c["CellVoltages.Cell17"]
    low = np.where(since > 0, np.maximum(cell - 0.01 * since, 1.2), cell)
    c["pack_voltage_v"] += low - cell
    c["CellVoltages.Cell17"] = low
    weakest = low < c["cell_voltage_min_v"]
    c["CellExtremes.CellIndexMin"][weakest] = 17.0
    c["cell_voltage_min_v"] = np.minimum(c["cell_voltage_min_v"], low)


def _insulation(c: Columns, since: NDArray[np.float64]) -> None:
    c["insulation_kohm"] = np.maximum(c["insulation_kohm"] * np.exp(-since / 50.0), 22.0)


CAR, TRUCK, EV = "demo_car", "demo_truck", "demo_ev"
VISIT, STOP = Severity.VISIT_SOON, Severity.STOP

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
    Scenario("silence", (CAR, TRUCK, EV), (Expected("D01", Severity.INFO),), overlay=_silence),
    Scenario("service_due", (CAR, TRUCK, EV), (Expected("M02", Severity.REMIND),)),
)
SCENARIOS = {s.name: s for s in _ALL}
