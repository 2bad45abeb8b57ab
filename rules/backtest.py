"""What rules would have said: recorded drives through the lane, and the figures of it. Pure.

Drives come in the order of time, so nothing is late; silence between uploads is told by the clock
as it would have been. The same drives give the same figures, however they are cut.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import median
from typing import Any

from model.alerts import AlertState, AlertTransition
from model.codes import CodeReport
from model.severity import Severity
from model.signals import SignalBatch
from model.vehicle import Vehicle
from rules.bundle import Bundle
from rules.evaluate import Step
from rules.lane import LATENESS_NS, VehicleRules, advance, tick
from rules.outcome import outcome
from rules.state import NO_RUN

DAY_NS = 86_400 * 10**9
#: The same fault again so soon after it was over is a flap (our own).
FLAP_NS = 600 * 10**9
#: Help that came later than this had another reason (our own).
LEAD_NS = 30 * DAY_NS

Alerts = dict[uuid.UUID, AlertTransition]


class Run:
    """One bundle over one vehicle's drive."""

    def __init__(self, bundle: Bundle, vehicle: Vehicle, lateness_ns: int = LATENESS_NS) -> None:
        self._bundle, self._vehicle, self._lateness_ns = bundle, vehicle, lateness_ns
        self._rules = VehicleRules.fresh()
        self._said: list[AlertTransition] = []

    def take(self, signals: SignalBatch, reports: Sequence[CodeReport], received_ns: int) -> None:
        """One upload, and the silence before it."""
        while self._rules.newest_ns > 0 and self._rules.due_ns < received_ns:
            due_ns = self._rules.due_ns
            self._tick(due_ns)
            if self._rules.due_ns in (due_ns, NO_RUN):
                break
        lateness_ns = self._lateness_ns
        self._keep(
            advance(
                self._bundle, self._rules, self._vehicle, signals, reports, received_ns, lateness_ns
            )
        )

    def end(self) -> Alerts:
        """All alerts; what waits for the watermark is told."""
        self._tick(self._rules.received_ns + self._lateness_ns)
        return outcome(self._said)

    def _tick(self, now_ns: int) -> None:
        self._keep(tick(self._bundle, self._rules, self._vehicle, now_ns, self._lateness_ns))

    def _keep(self, step: Step) -> None:
        self._rules = step.rules
        self._said += step.transitions


@dataclass(slots=True)
class Mileage:
    """What was driven: a vehicle-day is a UTC day on which a vehicle sent anything."""

    frames: int = 0
    days: set[tuple[str, int]] = field(default_factory=set)

    @property
    def vehicles(self) -> int:
        return len({vin for vin, _ in self.days})


@dataclass(frozen=True, slots=True)
class Figures:
    """What one bundle came to."""

    alerts: int
    by_severity: dict[str, int]
    by_rule: dict[str, int]
    per_1000_vehicle_days: float
    #: Severity 3 and worse: what a budget is about.
    serious_per_1000_vehicle_days: float
    flaps: int
    median_duration_s: float | None
    #: From the alert to the first work order or rescue of that vehicle.
    median_lead_h: float | None
    dispatched: list[str]


def figures(alerts: Alerts, days: int, helped_ns: Mapping[str, Sequence[int]]) -> Figures:
    """The figures of one bundle over so many vehicle-days."""
    told = sorted(alerts.values(), key=lambda t: (t.vin, t.rule_id, t.instance, t.fired_ns))
    serious = [t for t in told if t.severity >= Severity.STOP]
    over = [t.at_ns - t.fired_ns for t in told if t.state is AlertState.CLEARED]
    leads = [lead for t in told if (lead := _lead_ns(t, helped_ns)) is not None]
    return Figures(
        alerts=len(told),
        by_severity=_counted(str(int(t.severity)) for t in told),
        by_rule=_counted(t.rule_id for t in told),
        per_1000_vehicle_days=_per_1000(len(told), days),
        serious_per_1000_vehicle_days=_per_1000(len(serious), days),
        flaps=_flaps(told),
        median_duration_s=round(median(over) / 1e9, 3) if over else None,
        median_lead_h=round(median(leads) / 3.6e12, 3) if leads else None,
        dispatched=sorted({t.vin for t in serious}),
    )


def listed(alerts: Iterable[AlertTransition]) -> list[dict[str, Any]]:  # rows of a JSON line
    """Alerts as rows, in a fixed order."""
    rows = [
        {
            "alert_id": str(t.alert_id),
            "vin": t.vin,
            "rule": f"{t.rule_id}@{t.rule_version}",
            "instance": t.instance,
            "severity": int(t.severity),
            "fired_ns": t.fired_ns,
        }
        for t in alerts
    ]
    return sorted(
        rows, key=lambda row: (str(row["vin"]), str(row["fired_ns"]), str(row["alert_id"]))
    )


def _counted(names: Iterable[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for name in sorted(names):
        found[name] = found.get(name, 0) + 1
    return found


def _per_1000(count: int, days: int) -> float:
    return round(count * 1000 / days, 3) if days else 0.0


def _flaps(told: Sequence[AlertTransition]) -> int:
    """Alerts that came up again soon after the same one was over; `told` in order."""
    flaps = 0
    for before, after in pairwise(told):
        same = (before.vin, before.rule_id, before.instance) == (
            after.vin,
            after.rule_id,
            after.instance,
        )
        over = before.state is AlertState.CLEARED
        flaps += same and over and after.fired_ns - before.at_ns <= FLAP_NS
    return flaps


def _lead_ns(t: AlertTransition, helped_ns: Mapping[str, Sequence[int]]) -> int | None:
    later = [ns - t.fired_ns for ns in helped_ns.get(t.vin, ()) if ns >= t.fired_ns]
    return min(later) if later and min(later) <= LEAD_NS else None
