"""A seeded fleet: uploads of frames by slice of event time, and the demo's maintenance items."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from dbc.profile import load_profile
from model.clock import NS, utc
from model.frames import FrameBatch
from model.maintenance import MaintenanceItem
from model.severity import Severity
from model.vehicle import Vehicle
from simulators.encode import MessagePlan, compile_messages
from simulators.framing import Framing
from simulators.masters import demo_vehicle, stations
from simulators.scenarios import SCENARIOS, Scenario
from simulators.vehicles import VehicleModel

#: The mix: half cars, a quarter each of EVs and trucks.
MIX = ("demo_car", "demo_ev", "demo_car", "demo_truck")
SERVICE_KM, SERVICE_DAYS = 5000.0, 183.0
SHORTEST_CYCLE_NS = 1_000_000


@dataclass(frozen=True, slots=True)
class SeededFault:
    """What one vehicle's scenario must raise, and by when at the latest (event time)."""

    vin: str
    scenario: str
    rule: str
    severity: Severity
    onset_ns: int
    until_ns: int


class Fleet:
    """`vehicles` simulated vehicles; the first free vehicle that fits takes each scenario.

    Uploads depend only on (seed, scenarios, start, slice length, rate) and the slice's number:
    they may be asked for in any order and again after an interruption. `rate` multiplies the
    frame rate of every message (1 = as in a real car, 100-150 frames/s).
    """

    def __init__(
        self,
        vehicles: int,
        seed: int,
        scenarios: Sequence[str] = (),
        start_ns: int = 0,
        *,
        slice_s: float = 10.0,
        rate: float = 1.0,
    ) -> None:
        self.seed, self.start_ns, self.rate = seed, start_ns, rate
        self.slice_ns = round(slice_s * NS)
        chosen = _assign(vehicles, scenarios)
        content = repr((vehicles, seed, tuple(scenarios), start_ns, self.slice_ns, rate))
        self._run = hashlib.sha256(content.encode()).hexdigest()[:8]  # another history, other ids
        homes = stations()
        rng = np.random.default_rng([seed, 7])
        self.vehicles: tuple[Vehicle, ...] = tuple(
            demo_vehicle(profile, i, homes[i % len(homes)]) for i, (profile, _) in enumerate(chosen)
        )
        self._models = tuple(
            VehicleModel(
                vehicle,
                scenario,
                (seed, i),
                (homes[i % len(homes)].latitude_deg, homes[i % len(homes)].longitude_deg),
                float(np.round(rng.uniform(8_000, 90_000), 1)),
            )
            for i, (vehicle, (_, scenario)) in enumerate(zip(self.vehicles, chosen, strict=True))
        )

    def upload(self, number: int) -> list[FrameBatch]:
        """One batch per vehicle that had its buses awake in slice `number` (from 0)."""
        batches = (self.upload_of(i, number) for i in range(len(self.vehicles)))
        return [b for b in batches if len(b)]

    def upload_of(self, index: int, number: int) -> FrameBatch:
        """The batch of vehicle `index` for slice `number`; may be empty."""
        model = self._models[index]
        start, stop = number * self.slice_ns, (number + 1) * self.slice_ns
        framing = Framing(model, self.start_ns)
        for order, plan in enumerate(_plans(model.vehicle.profile, model.scenario.name)):
            cycle = max(round(plan.cycle_ns / self.rate), SHORTEST_CYCLE_NS)
            framing.add(plan, order, cycle, start, stop)
        if model.vehicle.profile == "demo_truck":
            framing.add_dm1(start, stop)
        vin = model.vehicle.vin
        return framing.batch(vin, f"sim-{self.seed}-{self._run}-{vin}-{number}")

    def seeded_faults(self) -> tuple[SeededFault, ...]:
        """Everything the fleet's scenarios must raise."""
        return tuple(
            SeededFault(
                m.vehicle.vin,
                m.scenario.name,
                e.rule,
                e.severity,
                self.start_ns + round(m.scenario.onset_s * NS),
                self.start_ns + round((m.scenario.onset_s + m.scenario.within_s) * NS),
            )
            for m in self._models
            for e in m.scenario.expects
        )

    def maintenance_items(self) -> tuple[MaintenanceItem, ...]:
        """A service for every vehicle: one is due soon, a `service_due` one passes its interval."""
        items = []
        soon = next((m for m in self._models if m.scenario.name == "healthy"), None)
        for i, m in enumerate(self._models):
            used = 300.0 + (i * 917) % 3500
            used = SERVICE_KM - 350.0 if m is soon else used
            used = SERVICE_KM - 1.5 if m.scenario.name == "service_due" else used
            items.append(
                MaintenanceItem(
                    vin=m.vehicle.vin,
                    kind="service",
                    interval_km=SERVICE_KM,
                    interval_days=SERVICE_DAYS,
                    base_odometer_km=m.odometer_km - used,
                    base_at=utc(self.start_ns - 60 * 86_400 * NS),
                )
            )
        return tuple(items)


def _assign(vehicles: int, scenarios: Sequence[str]) -> list[tuple[str, Scenario]]:
    """Profile and scenario of every vehicle. Raises ValueError naming what does not fit."""
    unknown = sorted(set(scenarios) - SCENARIOS.keys())
    if unknown:
        raise ValueError(f"unknown scenario {', '.join(unknown)}; known: {', '.join(SCENARIOS)}")
    if len(scenarios) > vehicles:
        raise ValueError(f"{len(scenarios)} scenarios need as many vehicles, got {vehicles}")
    chosen = [(MIX[i % len(MIX)], SCENARIOS["healthy"]) for i in range(vehicles)]
    free = list(range(vehicles))
    for scenario in map(SCENARIOS.__getitem__, scenarios):
        fits = [i for i in free if chosen[i][0] in scenario.profiles]
        index = (fits or free)[0]
        free.remove(index)
        profile = chosen[index][0] if fits else scenario.profiles[0]
        chosen[index] = (profile, scenario)
    return chosen


@cache
def _plans(profile: str, scenario: str) -> tuple[MessagePlan, ...]:
    """Encoding plans for what a vehicle of this profile can say; a fault may have more to say."""
    probe = VehicleModel(
        demo_vehicle(profile, 0, stations()[0]), SCENARIOS[scenario], (0, 0), (30.0, 120.0), 1e4
    )
    return compile_messages(load_profile(profile), frozenset(probe.columns(0)))
