"""What rules can say at all about the vehicles of this worker, for Prometheus.

A rule that is not for a vehicle, or whose signals its profile does not have, is not "OK".
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from prometheus_client import Gauge

from model.signals import SignalTable
from roadcall.arrival import arrival_table
from roadcall.pipeline import VehicleMemory
from rules.applicability import Standing, standings
from rules.bundle import Bundle
from rules.plan import Plan

#: Rules of the bundle times three standings: bounded.
VEHICLES = Gauge(
    "roadcall_rule_vehicles", "Vehicles by what a rule can say about them", ["rule", "standing"]
)


class Applicability:
    """Counts vehicles by rule and standing. Vehicles of one kind are judged once."""

    def __init__(self) -> None:
        self._bundle: Bundle | None = None
        #: By identity; plan and table are kept so that no other can take it.
        self._found: dict[tuple[int, int], tuple[Plan, SignalTable, dict[str, Standing]]] = {}

    def show(self, bundle: Bundle, vehicles: Iterable[VehicleMemory]) -> None:
        """Set the gauge."""
        if bundle is not self._bundle:
            self._bundle, self._found = bundle, {}
        kinds = Counter(self._kind(bundle, memory) for memory in vehicles)
        total: Counter[tuple[str, Standing]] = Counter()
        for kind, count in kinds.items():
            for row in self._found[kind][2].items():
                total[row] += count
        VEHICLES.clear()
        for (rule, standing), count in total.items():
            VEHICLES.labels(rule, standing.value).set(count)

    def _kind(self, bundle: Bundle, memory: VehicleMemory) -> tuple[int, int]:
        plan, table = bundle.plan(memory.vehicle), arrival_table(memory.decoder.plan.table)
        key = id(plan), id(table)
        if key not in self._found:
            names = frozenset(table.names)
            self._found[key] = plan, table, standings(bundle, memory.vehicle, names)
        return key
