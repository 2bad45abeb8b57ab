"""The heart: one upload of one vehicle in, everything that must become true together out.

Pure: no database, no log, no clock. Memory goes in and comes out as a new value, so that a failed
transaction leaves nothing behind.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import orjson

from decoders.decode import Decoded, Decoder, Tails
from dispatch.rescue import request_for
from model.alerts import AlertState, AlertTransition
from model.clock import NS
from model.codes import CodeReport
from model.effects import Effects, LastValues, VehicleSnapshot
from model.frames import FrameBatch
from model.log import BatchKey
from model.rescue import RescueCase
from model.severity import Severity
from model.signals import Quality, SignalBatch
from model.vehicle import Station, Vehicle
from roadcall.arrival import decode_upload
from roadcall.shadow import Shadow, follow
from rules import lane
from rules.bundle import Bundle
from rules.lane import Step, VehicleRules
from rules.remembrance import remembered
from rules.switch import Bundles, finished, instance_of, without

#: Older than any sample.
NEVER = -(2**63)
#: A serious alert waits this long for a position; `request_for` decides whether it still counts.
WAITING_LIMIT_NS = 24 * 3600 * 1_000_000_000
#: A position older than this does not say where the car is now.
POSITION_MAX_AGE_NS = 15 * 60 * 1_000_000_000


@dataclass(frozen=True, slots=True)
class World:
    """What is the same for every vehicle: rules, stations, policy."""

    bundle: Bundle
    stations: tuple[Station, ...]
    dispatch_max_age_s: float | None = None
    lateness_ns: int = lane.LATENESS_NS
    #: A bundle on trial: looked at, told to nobody.
    shadow: Bundle | None = None
    #: The bundle with earlier rules that open alerts of some vehicles still need.
    bundles: Bundles | None = None

    def bundle_for(self, memory: VehicleMemory) -> Bundle:
        """The rules for a vehicle as it stands."""
        if not memory.finishing or self.bundles is None:
            return self.bundle
        return self.bundles.of(memory.finishing)

    def changes(self, memory: VehicleMemory) -> bool:
        """Whether a vehicle has alerts, or some pending, that other rules now judge."""
        return memory.bundle_hash != self.bundle.hash and bool(memory.rules.states)


@dataclass(frozen=True, slots=True, eq=False)
class VehicleMemory:
    """What the pipeline remembers of one vehicle between uploads."""

    vehicle_id: int
    vehicle: Vehicle
    decoder: Decoder
    tails: Tails
    rules: VehicleRules
    last: LastValues
    observed_ns: int
    received_ns: int
    #: Serious alerts whose car has not said where it is.
    waiting: tuple[AlertTransition, ...] = ()
    #: Whether the rules' buffer is as it was before a restart.
    refilled: bool = True
    #: The bundle it was looked at with ('' = not known), and rules of earlier ones whose alerts
    #: are not over: rule id -> hash of their bundle.
    bundle_hash: str = ""
    finishing: Mapping[str, str] = field(default_factory=dict)
    #: Ends of alerts whose rules are no more, to be said with the next step.
    parting: tuple[AlertTransition, ...] = ()
    shadow: Shadow | None = None

    @property
    def due_ns(self) -> int:
        """Wall clock before which a tick has nothing to do."""
        shadow_ns = self.shadow.rules.due_ns if self.shadow else self.rules.due_ns
        return min(self.rules.due_ns, shadow_ns)

    def snapshot(self) -> VehicleSnapshot:
        """What is written back."""
        memory: dict[str, Any] = {  # JSON has no closed type
            "rules": self.rules.to_memory(),
            "tails": self.tails.to_memory(),
            "waiting": [_waiting_to_memory(t) for t in self.waiting],
            "bundle": self.bundle_hash,
        }
        if self.finishing:
            memory["finishing"] = dict(self.finishing)
        if self.shadow:
            memory["shadow"] = self.shadow.to_memory()
        return VehicleSnapshot(
            self.vehicle_id, self.observed_ns, self.received_ns, self.last, memory
        )


def begun_with(vehicle_id: int, memory: dict[str, Any]) -> VehicleSnapshot:
    """A vehicle of which nothing is known but what a rule remembered (`Evidence.memory`)."""
    rules = VehicleRules.from_memory(memory)
    return VehicleSnapshot(
        vehicle_id,
        rules.newest_ns,
        rules.received_ns,
        LastValues(),
        {"rules": memory, "tails": Tails().to_memory()},
    )


@dataclass(frozen=True, slots=True, eq=False)
class Advanced:
    """One upload's outcome. `late_from_ns` asks for the vehicle's history to be run again."""

    memory: VehicleMemory
    effects: Effects
    late_from_ns: int | None


def advance(world: World, memory: VehicleMemory, key: BatchKey, batch: FrameBatch) -> Advanced:
    """Decode, apply the rules, open cases."""
    decoded = decode_upload(memory.decoder, batch, memory.tails)
    signals = decoded.signals

    def run(bundle: Bundle, rules: VehicleRules) -> Step:
        reports, received_ns = decoded.reports, batch.received_ns
        return lane.advance(
            bundle, rules, memory.vehicle, signals, reports, received_ns, world.lateness_ns
        )

    step = said(world, memory, run(world.bundle_for(memory), memory.rules))
    observed_ns = int(batch.observed_ns.max()) if len(batch) else 0
    after = replace(
        memory,
        tails=decoded.tails,
        last=merge_last(memory.last, signals),
        observed_ns=max(memory.observed_ns, observed_ns),
        received_ns=max(memory.received_ns, batch.received_ns),
        shadow=follow(world.shadow, memory.shadow, run, memory.rules.facts),
    )
    after, cases = settle(world, after, step, batch.received_ns)
    effects = _effects(after, key, batch, decoded, step.transitions, cases)
    return Advanced(after, effects, step.late_from_ns)


def said(world: World, memory: VehicleMemory, step: Step) -> Step:
    """The step with its origin: which rules and which decoding it came from."""
    bundle, plan = world.bundle_for(memory), memory.decoder.plan
    told = []
    for t in step.transitions:
        instance = instance_of(bundle, memory.vehicle, t.rule_id, t.instance)
        told.append(
            replace(
                t,
                bundle_hash=memory.finishing.get(t.rule_id, world.bundle.hash),
                profile_hash=plan.hash,
                lead_s=instance.reach_ns / NS if instance else t.lead_s,
                memory=_memory_before(bundle, memory, t),
            )
        )
    return replace(step, transitions=(*memory.parting, *told))


def _memory_before(
    bundle: Bundle, memory: VehicleMemory, t: AlertTransition
) -> tuple[int, str] | None:
    """What the rule of a live alert remembered before this step, if its frames are not enough."""
    if t.state is not AlertState.FIRING or t.history:
        return None
    before = remembered(bundle.plan(memory.vehicle), memory.rules, t.rule_id)
    if before is None:
        return None
    return before.watermark_ns, orjson.dumps(before.to_memory()).decode()


def settle(
    world: World, memory: VehicleMemory, step: Step, now_ns: int
) -> tuple[VehicleMemory, tuple[RescueCase, ...]]:
    """Take over the rules' new memory and open a case for each serious alert with a position."""
    waiting = {t.alert_id: t for t in memory.waiting}
    for transition in step.transitions:
        waiting.pop(transition.alert_id, None)
        if _is_serious(transition):
            waiting[transition.alert_id] = transition
    waiting = {i: t for i, t in waiting.items() if t.at_ns >= now_ns - WAITING_LIMIT_NS}
    place = position(memory.last, memory.observed_ns)
    cases: tuple[RescueCase, ...] = ()
    if place is not None and waiting:
        wanted = waiting.values()
        found = (
            request_for(t, place, world.stations, now_ns, world.dispatch_max_age_s) for t in wanted
        )
        cases = tuple(case for case in found if case is not None)
        waiting = {}
    after = replace(memory, rules=step.rules, waiting=tuple(waiting.values()), parting=())
    return _finish(after), cases


def _finish(memory: VehicleMemory) -> VehicleMemory:
    """Alerts under earlier rules that are over now: those rules begin anew as they are today."""
    still = finished(memory.rules, memory.finishing)
    over = memory.finishing.keys() - still.keys()
    if not over:
        return memory
    rules = replace(without(memory.rules, over), chunks=())
    return replace(memory, rules=rules, finishing=still, refilled=False)


def _is_serious(transition: AlertTransition) -> bool:
    firing = transition.state is AlertState.FIRING and not transition.history
    return firing and transition.severity >= Severity.STOP


def merge_last(last: LastValues, signals: SignalBatch) -> LastValues:
    """Newest GOOD sample of each signal, old and new; of equal times the later one."""
    if not len(signals):
        return last
    starts, counts = signals.run_start[:-1], np.diff(signals.run_start)
    assert counts.all(), "a run has samples"
    times = np.where(signals.quality == Quality.GOOD, signals.observed_ns, NEVER)
    newest = np.maximum.reduceat(times, starts)
    rows = np.where(times == np.repeat(newest, counts), np.arange(len(times)), -1)
    row = np.maximum.reduceat(rows, starts)
    values, names = dict(last.values), signals.table.names
    found = zip(
        signals.run_signal.tolist(), newest.tolist(), signals.value[row].tolist(), strict=True
    )
    for signal, observed_ns, value in found:
        known = values.get(names[signal])
        if observed_ns != NEVER and (known is None or known[1] <= observed_ns):
            values[names[signal]] = (value, observed_ns)
    return LastValues(values)


def position(last: LastValues, observed_ns: int) -> tuple[float, float] | None:
    """Latitude and longitude in degrees, unless unknown or too old."""
    latitude = last.values.get("latitude_deg")
    longitude = last.values.get("longitude_deg")
    if latitude is None or longitude is None:
        return None
    if min(latitude[1], longitude[1]) < observed_ns - POSITION_MAX_AGE_NS:
        return None
    return latitude[0], longitude[0]


def _effects(
    memory: VehicleMemory,
    key: BatchKey,
    batch: FrameBatch,
    decoded: Decoded,
    transitions: tuple[AlertTransition, ...],
    cases: tuple[RescueCase, ...],
) -> Effects:
    reports: tuple[CodeReport, ...] = decoded.reports
    return Effects(
        vehicle_id=memory.vehicle_id,
        key=key,
        frames=batch,
        signals=decoded.signals,
        reports=reports,
        transitions=transitions,
        cases=cases,
        outbox=(),
        snapshot=memory.snapshot(),
        facts=decoded.facts,
        shadow=memory.shadow.said if memory.shadow else (),
    )


def _waiting_to_memory(transition: AlertTransition) -> dict[str, str | int]:
    return {
        "alert": str(transition.alert_id),
        "rule": transition.rule_id,
        "version": transition.rule_version,
        "instance": transition.instance,
        "severity": int(transition.severity),
        "started_ns": transition.started_ns,
        "at_ns": transition.at_ns,
        "fired_ns": transition.fired_ns,
        "worst_ns": transition.worst_ns,
    }


def waiting_from_memory(vin: str, row: dict[str, str | int]) -> AlertTransition:
    """A serious alert that waits for a position, as it was before a restart."""
    return AlertTransition(
        alert_id=uuid.UUID(str(row["alert"])),
        rule_id=str(row["rule"]),
        rule_version=int(row["version"]),
        vin=vin,
        instance=str(row["instance"]),
        state=AlertState.FIRING,
        severity=Severity(int(row["severity"])),
        started_ns=int(row["started_ns"]),
        at_ns=int(row["at_ns"]),
        fired_ns=int(row["fired_ns"]),
        worst_ns=int(row["worst_ns"]),
    )
