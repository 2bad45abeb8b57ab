"""All rules of one vehicle, from the old watermark to the frontier. Pure.

Quiet rules that cannot become true, judged by bounds alone, are passed over; this is almost every
rule of almost every upload.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from model.alerts import AlertTransition
from rules.bounds import Bounds
from rules.memory import Key, VehicleRules, forget, state_for, wanted_holds
from rules.plan import Instance, Plan
from rules.samples import hold, hold_codes, merge
from rules.state import RuleState, RuleStep, chart, releases
from rules.telling import Voice
from rules.timeline import Sight, Timeline
from rules.window_memory import FOLD_NS, Ledger
from rules.window_views import Views

#: More uploads than this above one watermark are joined into one chunk.
MAX_CHUNKS = 64


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """What came of one upload, one tick, or one rebuild.

    `replaced`: alerts retracted from history because the same fault was found with another start.
    """

    rules: VehicleRules
    transitions: tuple[AlertTransition, ...]
    late_from_ns: int | None = None
    replaced: tuple[tuple[uuid.UUID, uuid.UUID], ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Finding:
    """What one busy rule instance came to."""

    instance: Instance
    key: Key
    before: RuleState
    after: RuleState
    #: As it stands at the frontier, if what was heard above the watermark is all there is.
    ahead: RuleState
    sure: list[RuleStep]
    likely: list[RuleStep]

    def voice(self, vin: str, ids: dict[int, uuid.UUID] | None = None) -> Voice:
        """Who says its steps; `ids` of alerts by start where the start is not known exactly."""
        return Voice(self.instance, self.key[1], vin, ids or {})


def sight_of(rules: VehicleRules, frontier_ns: int, *, arrays: bool) -> Sight:
    """Everything from the watermark on."""
    old = rules.ledger
    return Sight(
        rules.chunks,
        old.held,
        old.named,
        old.folded_ns,
        rules.watermark_ns,
        frontier_ns,
        rules.facts,
        arrays,
    )


def find(
    plan: Plan,
    rules: VehicleRules,
    frontier_ns: int,
    watermark_ns: int,
    begins: Mapping[str, int] | None = None,
) -> Iterator[Finding]:
    """Look closer at every rule that is busy or could become true.

    `begins`: rules that judge nothing before a moment.
    """
    sight = sight_of(rules, frontier_ns, arrays=plan.array_ns > 0)
    bounds = Bounds(sight, rules.ledger)
    views = Views(rules.ledger, rules.chunks, frontier_ns)
    busy = {rule_id for rule_id, _ in rules.states}
    worth = set(bounds.possible(plan.screen))
    if busy:
        worth.update(i for i, instance in enumerate(plan.instances) if instance.rule_id in busy)
    for instance in (plan.instances[i] for i in sorted(worth)):
        for key, source in _keys(instance, rules, sight, bounds):
            known = rules.states.get(key)
            if known is None or known.quiet:
                counted = known.counted if known else ()
                if not bounds.may_fire(instance, counted):
                    continue
            before = state_for(instance, known)
            timeline = Timeline(instance, sight, source, before.counted, views)
            course = chart(instance, timeline, releases(instance, key[1], rules.facts))
            end = len(timeline.points)
            cut = int(np.searchsorted(timeline.points, watermark_ns))
            first = 0
            if begins and instance.rule_id in begins:
                first = min(cut, int(np.searchsorted(timeline.points, begins[instance.rule_id])))
            after, sure = course.walk(before, slice(first, cut), watermark_ns - 1)
            ahead, likely = course.walk(after, slice(cut, end), frontier_ns)
            counted = tuple(_recent(timeline, i, watermark_ns) for i in range(len(instance.counts)))
            after = replace(after, counted=counted)
            yield Finding(instance, key, before, after, ahead, sure, likely)


def _keys(
    instance: Instance, rules: VehicleRules, sight: Sight, bounds: Bounds
) -> list[tuple[Key, int | None]]:
    if instance.by_source is None:
        return [((instance.rule_id, instance.name), None)]
    sources = {source_of(name) for rule, name in rules.states if rule == instance.rule_id}
    if bounds.may_fire(instance, ()):
        sources |= sight.sources(instance.by_source)
    return [((instance.rule_id, source_name(s)), s) for s in sorted(sources)]


def source_name(source: int) -> str:
    """Instance name of a J1939 source address."""
    return f"sa{source}" if source >= 0 else ""


def source_of(name: str) -> int:
    """Undo `source_name`."""
    return int(name[2:]) if name else -1


def _recent(timeline: Timeline, place: int, watermark_ns: int) -> tuple[int, ...]:
    count = timeline.instance.counts[place]
    moments = timeline.counted(count)
    kept = moments[(moments < watermark_ns) & (moments > watermark_ns - count.window_ns)]
    return tuple(kept[-count.least :].tolist())


def settle(
    plan: Plan, rules: VehicleRules, findings: list[Finding], watermark_ns: int
) -> VehicleRules:
    """Move the memory to the new watermark."""
    states = dict(rules.states)
    for finding in findings:
        if finding.after.quiet and not any(finding.after.counted):
            states.pop(finding.key, None)
        else:
            states[finding.key] = finding.after
    ledger = fold(plan, rules, states, watermark_ns)
    chunks = rules.chunks
    if ledger is not rules.ledger:
        floor_ns = ledger.folded_ns - plan.array_ns
        chunks = tuple(c for c in chunks if c.newest_ns >= floor_ns)
    return replace(
        rules,
        watermark_ns=watermark_ns,
        states=states,
        chunks=merge(chunks) if len(chunks) > MAX_CHUNKS else chunks,
        ledger=ledger,
        array_ns=plan.array_ns,
    )


def fold(
    plan: Plan, rules: VehicleRules, states: dict[Key, RuleState], watermark_ns: int
) -> Ledger:
    """What was heard below the watermark as windows, newest samples and codes, if it is time."""
    old, silent = rules.ledger, watermark_ns > rules.newest_ns
    due = watermark_ns - old.folded_ns >= FOLD_NS or silent
    if not due or watermark_ns <= old.folded_ns:
        return old
    views = Views(old, rules.chunks, watermark_ns)
    bounds = Bounds(sight_of(rules, watermark_ns, arrays=plan.array_ns > 0), old)
    cells = views.fold(plan.windows, watermark_ns, bounds)
    passed = [c for c in rules.chunks if c.oldest_ns < watermark_ns]
    wanted = wanted_holds(plan, states)
    held = hold(old.held, passed, watermark_ns, wanted | plan.windowed_ns.keys())
    named = hold_codes(old.named, passed, old.folded_ns, watermark_ns)
    return Ledger(watermark_ns, forget(plan, held, watermark_ns, wanted), named, cells)
