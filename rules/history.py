"""The history lane: rules run again over stored frames when samples come in too late.

    start = history_start(bundle, vehicle, late_from_ns, stored alerts)
    read every stored frame from `start` on, decode, rebuild(...)

What is found below the watermark is marked `history`: stored, never dispatched. Stored alerts that
overlap the range and are not found again are retracted. Above the watermark the live lane goes on.

How far left: the longest hold, gap and clear time of the vehicle's rules before the late sample,
moved further left where that would cut through the pending or clearing of a stored alert. An alert
that fired before the start is taken over as it is stored; one that started less than
`EXACT_NS` before is run again from its own start, and so are the tenths of windows and the trips
that the late sample belongs to. What was counted before the start is taken over from memory.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from model.alerts import AlertState, AlertTransition
from model.codes import CodeReport
from model.severity import Severity
from model.signals import SignalBatch
from model.vehicle import Vehicle
from rules.bundle import Bundle
from rules.evaluate import Finding, Step, find, settle
from rules.memory import Key, VehicleRules, state_for
from rules.plan import Instance, Plan
from rules.samples import cut_upload
from rules.state import RuleState, RuleStep, fresh_state
from rules.telling import Voice, reconcile
from rules.window_memory import Ledger, begun_before, known_again, ledger_at, trips_known_from

EXACT_NS = 3600 * 10**9
_TICK_NS = 1000


@dataclass(frozen=True, slots=True)
class StoredAlert:
    """One alert as the store has it; times may be floored to microseconds."""

    alert_id: uuid.UUID
    rule_id: str
    instance: str
    state: AlertState
    severity: Severity
    started_ns: int
    fired_ns: int
    worst_ns: int
    changed_ns: int
    evidence: Mapping[str, float]
    cleared_ns: int | None = None

    def overlaps(self, start_ns: int, end_ns: int) -> bool:
        """Whether it fired before the end and was not over before the start."""
        over = self.cleared_ns is not None and self.cleared_ns < start_ns
        return self.fired_ns < end_ns and not over and self.state is not AlertState.RETRACTED


def history_start(
    bundle: Bundle,
    vehicle: Vehicle,
    late_from_ns: int,
    stored: Sequence[StoredAlert],
    ledger: Ledger | None = None,
) -> int:
    """From where frames must be read. `stored`: the vehicle's alerts not cleared long before.

    With `ledger`, what windows remember, from the beginning of the tenths and trips that late
    samples belong to, where that is less than `EXACT_NS` before.
    """
    plan = bundle.plan(vehicle)
    start_ns = late_from_ns - max((i.reach_ns for i in plan.instances), default=0)
    for begun_ns in begun_before(plan.windows, ledger, late_from_ns) if ledger else ():
        if late_from_ns - EXACT_NS <= begun_ns < start_ns:
            start_ns = begun_ns
    moved = True
    while moved:
        moved = False
        for alert in stored:
            instance = _instance(plan, alert.rule_id, alert.instance)
            if instance is None or alert.state is AlertState.RETRACTED:
                continue
            for left, right in _delicate(instance, alert, start_ns):
                if left < start_ns <= right:
                    start_ns, moved = left, True
    return max(0, start_ns)


def _delicate(instance: Instance, alert: StoredAlert, start_ns: int) -> Iterable[tuple[int, int]]:
    """Spans of an alert that a fresh memory must not start within."""
    gap = 2 * instance.max_gap_ns
    yield alert.started_ns - gap, alert.worst_ns + _TICK_NS
    if alert.cleared_ns is not None:
        yield alert.cleared_ns - instance.clear_hold_ns - gap, alert.cleared_ns + _TICK_NS
    if alert.state is AlertState.STALE:
        yield alert.changed_ns - instance.stale_after_ns - gap, alert.changed_ns + _TICK_NS
    if alert.changed_ns >= start_ns > alert.started_ns >= start_ns - EXACT_NS:
        yield alert.started_ns - gap, alert.changed_ns


def _instance(plan: Plan, rule_id: str, name: str) -> Instance | None:
    for instance in plan.instances:
        by_name = instance.by_source is not None or instance.name == name
        if instance.rule_id == rule_id and by_name:
            return instance
    return None


def rebuild(
    bundle: Bundle,
    rules: VehicleRules,
    vehicle: Vehicle,
    batches: Iterable[tuple[SignalBatch, Sequence[CodeReport]]],
    start_ns: int,
    stored: Sequence[StoredAlert],
    floors: Mapping[str, int] | None = None,
) -> Step:
    """Evaluate stored history from `start_ns` to the newest sample with fresh memory.

    `rules` is the live memory (after the late upload), `batches` everything stored from `start_ns`
    on in any order, `stored` the vehicle's alerts that overlap it. `floors`: rules that judge
    nothing before a moment; alerts that were over by then stay as they are.
    """
    plan, end_ns = bundle.plan(vehicle), rules.watermark_ns
    cuts = [cut_upload(plan, s, r, start_ns, rules.newest_ns) for s, r in batches]
    begins = _begins(plan, rules, start_ns, floors or {})
    past = [a for a in stored if a.overlaps(begins.get(a.rule_id, start_ns), end_ns)]
    # What windows have not taken in yet stays in sight where the run starts after it.
    unfolded = rules.chunks if start_ns > rules.ledger.folded_ns else ()
    fresh = VehicleRules(
        newest_ns=rules.newest_ns,
        watermark_ns=start_ns,
        received_ns=rules.received_ns,
        states=_seeds(plan, rules, past, start_ns, begins),
        chunks=(*(cut.chunk for cut in cuts if cut.chunk is not None), *unfolded),
        ledger=ledger_at(plan.windows, rules.ledger, start_ns),
        facts=rules.facts,
    )
    told_ns = [step.at_ns for state in rules.states.values() for step in state.told]
    findings = list(find(plan, fresh, max([rules.newest_ns, *told_ns]), end_ns, begins))
    live, findings = _live(plan, rules, findings, past, vehicle.vin)
    account = _Account(plan, vehicle.vin, past, end_ns)
    for finding in findings:
        account.check(finding)
    gone = {t.alert_id for t in live if t.state is AlertState.RETRACTED}
    transitions = [*account.transitions, *account.retract(gone), *live]
    after = settle(plan, fresh, findings, end_ns)
    if after.ledger.folded_ns >= rules.ledger.folded_ns:
        after = replace(after, ledger=known_again(plan.windows, after.ledger, rules.ledger))
    replaced = tuple(_replaced(transitions, findings, past, vehicle.vin))
    return Step(after, tuple(transitions), replaced=replaced)


def _begins(
    plan: Plan, rules: VehicleRules, start_ns: int, floors: Mapping[str, int]
) -> dict[str, int]:
    """From where rules judge that do not from the start: given floors, or a trip half seen."""
    begins = {rule_id: floor_ns for rule_id, floor_ns in floors.items() if floor_ns > start_ns}
    for instance in plan.instances:
        known_ns = trips_known_from(instance.windows, rules.ledger, start_ns)
        if known_ns > begins.get(instance.rule_id, start_ns):
            begins[instance.rule_id] = known_ns
    return begins


def _seeds(
    plan: Plan,
    rules: VehicleRules,
    past: Sequence[StoredAlert],
    start_ns: int,
    begins: Mapping[str, int],
) -> dict[Key, RuleState]:
    """Rule states where they begin: alerts open then, and what was counted before."""
    seeds: dict[Key, RuleState] = {}
    for key, state in rules.states.items():
        instance = _instance(plan, *key)
        counted = tuple(tuple(t for t in moments if t < start_ns) for moments in state.counted)
        if instance is not None and any(counted):
            seeds[key] = state_for(instance, replace(fresh_state(instance), counted=counted))
    for alert in past:
        instance = _instance(plan, alert.rule_id, alert.instance)
        begin_ns = begins.get(alert.rule_id, start_ns)
        if instance is None or alert.fired_ns >= begin_ns:
            continue
        key = (alert.rule_id, alert.instance)
        known = rules.states.get(key)
        opened = _opened(alert, known.open if known else None, begin_ns)
        base = seeds.get(key) or fresh_state(instance)
        seeds[key] = replace(base, open=opened, known_ns=begin_ns)
    return seeds


def _opened(alert: StoredAlert, exact: RuleStep | None, start_ns: int) -> RuleStep:
    """A stored alert's newest step before the start, with its nanoseconds where memory has them."""
    changed = alert.changed_ns < start_ns
    stale = alert.state is AlertState.STALE and changed
    step = RuleStep(
        AlertState.STALE if stale else AlertState.FIRING,
        alert.severity,
        alert.started_ns,
        alert.changed_ns if changed else alert.worst_ns,
        alert.fired_ns,
        alert.worst_ns,
        early=False,
        evidence=dict(alert.evidence),
    )
    if exact is None or exact.started_ns // _TICK_NS != alert.started_ns // _TICK_NS:
        return step
    times = ("at_ns", "fired_ns", "worst_ns")
    sharp = {t: getattr(exact, t) for t in times if _same_us(getattr(exact, t), getattr(step, t))}
    return replace(step, started_ns=exact.started_ns, **sharp)


def _live(
    plan: Plan,
    rules: VehicleRules,
    findings: list[Finding],
    past: Sequence[StoredAlert],
    vin: str,
) -> tuple[list[AlertTransition], list[Finding]]:
    """Steps above the watermark against what was told live."""
    flushed = rules.watermark_ns > rules.newest_ns
    transitions: list[AlertTransition] = []
    settled: list[Finding] = []
    for finding in findings:
        known = rules.states.get(finding.key)
        spoken, told = reconcile(
            _below(finding),
            known.told if known else (),
            (),
            finding.likely,
            all_likely=flushed,
        )
        voice = _voice(finding, past, vin)
        transitions += [voice.say(s, history=s.at_ns < rules.watermark_ns) for s in spoken]
        settled.append(replace(finding, after=replace(finding.after, told=told)))
    found = {finding.key for finding in findings}
    for key, state in rules.states.items():
        instance = _instance(plan, *key)
        if key not in found and state.told and instance is not None:
            spoken, _ = reconcile((), state.told, (), (), all_likely=False)
            transitions += [Voice(instance, key[1], vin).say(step) for step in spoken]
    return transitions, settled


def _below(finding: Finding) -> list[RuleStep]:
    """All true steps below the watermark that the rebuild knows of."""
    seed = finding.before.open
    return ([seed] if seed else []) + finding.sure


def _voice(finding: Finding, past: Sequence[StoredAlert], vin: str) -> Voice:
    """A seed's id is the stored one: its start may have lost its nanoseconds."""
    seed = finding.before.open
    started_ns = seed.started_ns if seed else None
    mine = [a for a in past if (a.rule_id, a.instance, a.started_ns) == (*finding.key, started_ns)]
    return finding.voice(vin, {a.started_ns: a.alert_id for a in mine})


class _Account:
    """Found alerts held against stored ones."""

    def __init__(self, plan: Plan, vin: str, past: Sequence[StoredAlert], end_ns: int) -> None:
        self._plan, self._vin, self._past, self._end_ns = plan, vin, past, end_ns
        self._stored = {alert.alert_id: alert for alert in past}
        self._found: set[uuid.UUID] = set()
        self.transitions: list[AlertTransition] = []

    def check(self, finding: Finding) -> None:
        """Say what differs from the store, marked as history."""
        voice = _voice(finding, self._past, self._vin)
        last = {step.started_ns: step for step in [*_below(finding), *finding.after.told]}
        for started_ns in dict.fromkeys(step.started_ns for step in _below(finding)):
            found_id = voice.id_of(started_ns)
            self._found.add(found_id)
            stored = self._stored.get(found_id)
            if stored is None or not _same(stored, last[started_ns]):
                self.transitions.append(voice.say(last[started_ns], history=True))

    def retract(self, gone: set[uuid.UUID]) -> list[AlertTransition]:
        """Stored alerts that were not found again, but for those retracted already."""
        transitions = []
        for alert in self._past:
            instance = _instance(self._plan, alert.rule_id, alert.instance)
            if alert.alert_id in self._found or alert.alert_id in gone or instance is None:
                continue
            opened = _opened(alert, None, self._end_ns)
            step = replace(opened, state=AlertState.RETRACTED, at_ns=self._end_ns)
            ids = {alert.started_ns: alert.alert_id}
            voice = Voice(instance, alert.instance, self._vin, ids)
            transitions.append(voice.say(step, history=True))
        return transitions


def _replaced(
    transitions: Sequence[AlertTransition],
    findings: Sequence[Finding],
    past: Sequence[StoredAlert],
    vin: str,
) -> Iterable[tuple[uuid.UUID, uuid.UUID]]:
    """Retracted alerts and the first found one of the same rule that was not over by then."""
    spans: dict[Key, dict[uuid.UUID, int]] = {}
    for finding in findings:
        ends = spans.setdefault(finding.key, {})
        for step in [*_below(finding), *finding.after.told]:
            over = step.state is AlertState.CLEARED
            ends[_voice(finding, past, vin).id_of(step.started_ns)] = step.at_ns if over else 2**62
    for t in transitions:
        ends = spans.get((t.rule_id, t.instance), {})
        if t.state is AlertState.RETRACTED and t.alert_id not in ends:
            heirs = [found for found, end_ns in ends.items() if end_ns >= t.started_ns]
            yield from [(t.alert_id, heirs[0])] if heirs else []


def _same(stored: StoredAlert, last: RuleStep) -> bool:
    times = (
        (stored.fired_ns, last.fired_ns),
        (stored.worst_ns, last.worst_ns),
        (stored.changed_ns, last.at_ns),
    )
    return (
        stored.state is last.state
        and stored.severity == last.severity
        and all(_same_us(a, b) for a, b in times)
        and stored.evidence == last.evidence
    )


def _same_us(a_ns: int, b_ns: int) -> bool:
    """A database keeps microseconds."""
    return a_ns // _TICK_NS == b_ns // _TICK_NS
