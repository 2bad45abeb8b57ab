"""One vehicle's rules, driven by uploads and by the clock. Pure.

    watermark = newest sample - lateness. Samples below it are final, those above may be reordered.
    Serious levels (`emit: on_arrival`, default for severity >= 3) are told when found, all others
    when the watermark passes them. Samples older than the watermark are history:
    `Step.late_from_ns` asks the caller to `rebuild` from stored frames, see rules/history.py.

The result does not depend on arrival order within the lateness, on repetition, on how samples are
cut into uploads, or on restarts (`from_memory`, then `refill`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from model.alerts import AlertTransition
from model.codes import CodeReport
from model.signals import SignalBatch
from model.vehicle import Vehicle
from rules.bundle import Bundle
from rules.evaluate import Finding, Step, find, settle
from rules.history import StoredAlert, history_start, rebuild
from rules.memory import VehicleRules
from rules.plan import Plan
from rules.samples import cut_upload
from rules.state import NO_RUN
from rules.telling import reconcile

#: Platforms count more than 30 s as delayed (domain rules, data quality checks).
LATENESS_NS = 30 * 10**9
#: A sample this far ahead of its arrival has a wrong clock and would make all others late.
MAX_SKEW_NS = 60 * 10**9

__all__ = [
    "LATENESS_NS",
    "Step",
    "StoredAlert",
    "VehicleRules",
    "advance",
    "history_start",
    "rebuild",
    "refill",
    "tick",
]


def advance(
    bundle: Bundle,
    rules: VehicleRules,
    vehicle: Vehicle,
    signals: SignalBatch,
    reports: Sequence[CodeReport],
    received_ns: int,
    lateness_ns: int = LATENESS_NS,
) -> Step:
    """Take one upload. Samples far in the future of `received_ns` are not looked at."""
    plan = bundle.plan(vehicle)
    limit_ns = received_ns + MAX_SKEW_NS
    cut = cut_upload(plan, signals, reports, rules.watermark_ns, limit_ns)
    received_ns = max(rules.received_ns, received_ns)
    if cut.chunk is None:
        return Step(replace(rules, received_ns=received_ns), (), cut.late_from_ns)
    newest_ns = max(rules.newest_ns, cut.chunk.newest_ns)
    chunks = (*rules.chunks, cut.chunk)
    rules = replace(rules, received_ns=received_ns, newest_ns=newest_ns, chunks=chunks)
    watermark_ns = max(rules.watermark_ns, newest_ns - lateness_ns)
    step = _run(plan, vehicle.vin, rules, newest_ns, watermark_ns, lateness_ns)
    return step if cut.late_from_ns is None else replace(step, late_from_ns=cut.late_from_ns)


def refill(
    bundle: Bundle,
    rules: VehicleRules,
    vehicle: Vehicle,
    batches: Iterable[tuple[SignalBatch, Sequence[CodeReport]]],
) -> VehicleRules:
    """After `from_memory`: feed what was stored at or above `since_ns`. Says nothing.

    Samples outside since..newest are ignored, so reading a little more frames is harmless.
    """
    plan = bundle.plan(vehicle)
    chunks = list(rules.chunks)
    for signals, reports in batches:
        cut = cut_upload(plan, signals, reports, rules.since_ns, rules.newest_ns)
        if cut.chunk is not None:
            chunks.append(cut.chunk)
    return replace(rules, chunks=tuple(chunks))


def tick(
    bundle: Bundle,
    rules: VehicleRules,
    vehicle: Vehicle,
    now_ns: int,
    lateness_ns: int = LATENESS_NS,
) -> Step:
    """Let the clock speak for a vehicle that does not: call about once a second.

    After a silence of `lateness_ns` everything received is final; from then on silence itself is
    told (stale alerts, `absent`), to be taken back if the missing samples arrive after all.
    """
    if now_ns < rules.due_ns or not rules.newest_ns:
        return Step(rules, ())
    silent_ns = max(0, now_ns - rules.received_ns)
    flushed = silent_ns >= lateness_ns
    watermark_ns = rules.newest_ns + 1 if flushed else rules.watermark_ns
    frontier_ns = rules.newest_ns + silent_ns
    plan = bundle.plan(vehicle)
    return _run(plan, vehicle.vin, rules, frontier_ns, watermark_ns, lateness_ns)


def _run(
    plan: Plan,
    vin: str,
    rules: VehicleRules,
    frontier_ns: int,
    watermark_ns: int,
    lateness_ns: int,
) -> Step:
    watermark_ns = max(watermark_ns, rules.watermark_ns)
    findings: list[Finding] = []
    transitions: list[AlertTransition] = []
    for found in find(plan, rules, frontier_ns, watermark_ns):
        spoken, told = reconcile(
            [found.before.open] if found.before.open else [],
            found.before.told,
            found.sure,
            found.likely,
            all_likely=watermark_ns > rules.newest_ns,
        )
        findings.append(replace(found, after=replace(found.after, told=told)))
        voice = found.voice(vin)
        transitions += [voice.say(step) for step in spoken]
    after = settle(plan, rules, findings, watermark_ns)
    due_ns = next_due(plan, after, findings, frontier_ns, lateness_ns)
    return Step(replace(after, due_ns=due_ns), tuple(transitions))


def next_due(
    plan: Plan,
    rules: VehicleRules,
    findings: Sequence[Finding],
    frontier_ns: int,
    lateness_ns: int,
) -> int:
    """Wall clock at which silence alone will change something."""
    if rules.watermark_ns <= rules.newest_ns:
        return rules.received_ns + lateness_ns
    moments: list[int] = []
    for instance in plan.instances:
        for absent in instance.absents:
            good = [h.good_ns for (i, _), h in rules.ledger.held.items() if i == absent.signal]
            moments += [time + absent.silence_ns for time in good]
    busy = [found for found in findings if found.ahead.open is not None]
    moments += [found.ahead.known_ns + found.instance.stale_after_ns for found in busy]
    ahead = [moment for moment in moments if moment > frontier_ns]
    return rules.received_ns + min(ahead) - rules.newest_ns if ahead else NO_RUN
