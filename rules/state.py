"""What a rule remembers of a vehicle, and how it moves along a timeline.

Per instance, at each point p in event time:

    a level's run    starts at the first point where it is true; ends where it is false, or unknown
                     because an input expired; unknown for another reason keeps it
    idle             a level true at p whose run is at least `hold` old -> FIRING at the highest
                     such severity; the alert started where the earliest run began
    firing           known = a level is true, or clear is true or false;
                     nothing known for `stale_after` -> STALE at that moment, known again -> FIRING;
                     a higher level's run old enough -> FIRING, same alert;
                     else clear true at p, its run at least its hold old, and released by people
                     where the rule latches -> CLEARED, runs forgotten
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from model.alerts import AlertState
from model.severity import Severity
from rules.facts import VehicleFacts
from rules.nodes import Bools, Condition, Truth
from rules.plan import Instance
from rules.samples import Times
from rules.timeline import Timeline

#: A run that does not exist. Later than any time, so that it never is old enough.
NO_RUN = 2**62


@dataclass(frozen=True, slots=True)
class RuleStep:
    """One step of one alert and the whole alert with it, as `AlertTransition` says."""

    state: AlertState
    severity: Severity
    started_ns: int
    at_ns: int
    fired_ns: int
    worst_ns: int
    early: bool
    evidence: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RuleState:
    """Memory of one rule instance at the watermark."""

    #: Start of each level's run.
    pending: tuple[int, ...] = ()
    clear_since_ns: int = NO_RUN
    #: The newest step of the open alert; None = idle.
    open: RuleStep | None = None
    #: The newest point with a known truth, while an alert is open.
    known_ns: int = 0
    #: Moments counted, per count().
    counted: tuple[tuple[int, ...], ...] = ()
    #: Steps above the watermark that were told to people already.
    told: tuple[RuleStep, ...] = ()

    @property
    def quiet(self) -> bool:
        """Nothing pending, open or told."""
        return self.open is None and not self.told and all(p == NO_RUN for p in self.pending)


def fresh_state(instance: Instance) -> RuleState:
    """A rule that has seen nothing."""
    return RuleState(pending=(NO_RUN,) * len(instance.levels), counted=((),) * len(instance.counts))


@dataclass(frozen=True, slots=True, eq=False)
class Track:
    """A condition along the timeline: truth, and where a run of it ends."""

    true: Bools
    known: Bools
    reset: Bools
    hold_ns: int

    def runs(self, points: Times, rows: slice, carried_ns: int) -> Times:
        """Start of the run in force at each row, NO_RUN where there is none."""
        true, reset = self.true[rows], self.reset[rows]
        n = len(true)
        rank = np.arange(n)
        last_reset = np.maximum.accumulate(np.where(reset, rank, -1))
        following = np.minimum.accumulate(np.where(true, rank, n)[::-1])[::-1]
        first = np.append(following, n)[last_reset + 1]
        begun = np.append(points[rows], NO_RUN)[np.where(first <= rank, first, n)]
        if carried_ns != NO_RUN:
            begun = np.where(last_reset < 0, carried_ns, begun)
        return begun

    def ripe(self, points: Times, rows: slice, begun: Times) -> Bools:
        """Rows at which the condition is true and has been for its hold."""
        ripe: Bools = self.true[rows] & (points[rows] - begun >= self.hold_ns)
        return ripe


@dataclass(frozen=True, slots=True, eq=False)
class Course:
    """One instance evaluated along its timeline, ready to be walked."""

    instance: Instance
    timeline: Timeline
    levels: tuple[Track, ...]
    clear: Track
    known: Bools
    #: Moments at which people released a latched alert; None = not latched.
    released: Times | None

    def walk(
        self, state: RuleState, rows: slice, until_ns: int
    ) -> tuple[RuleState, list[RuleStep]]:
        """State after the rows and after every silence that ends at `until_ns` or before."""
        steps: list[RuleStep] = []
        row = rows.start
        while True:
            before = len(steps)
            if state.open is None:
                state, row = self._idle(state, slice(row, rows.stop), steps)
            else:
                state, row = self._firing(state, slice(row, rows.stop), until_ns, steps)
            if len(steps) == before:
                return state, steps

    def _idle(self, state: RuleState, rows: slice, steps: list[RuleStep]) -> tuple[RuleState, int]:
        points = self.timeline.points
        begun = [t.runs(points, rows, p) for t, p in zip(self.levels, state.pending, strict=True)]
        ripe = [t.ripe(points, rows, b) for t, b in zip(self.levels, begun, strict=True)]
        fired = np.flatnonzero(np.logical_or.reduce(ripe))
        if not len(fired):
            if rows.stop > rows.start:
                state = replace(state, pending=tuple(int(b[-1]) for b in begun))
            return state, rows.stop
        at = int(fired[0])
        winners = [lv for lv, r in zip(self.instance.levels, ripe, strict=True) if r[at]]
        severity = max(level.severity for level in winners)
        step = RuleStep(
            AlertState.FIRING,
            severity,
            started_ns=min(int(b[at]) for b in begun),
            at_ns=int(points[rows.start + at]),
            fired_ns=int(points[rows.start + at]),
            worst_ns=int(points[rows.start + at]),
            early=any(level.early for level in winners if level.severity == severity),
            evidence=self.timeline.evidence(rows.start + at),
        )
        steps.append(step)
        after = replace(
            state,
            pending=self._above(severity, begun, at),
            clear_since_ns=NO_RUN,
            open=step,
            known_ns=step.at_ns,
        )
        return after, rows.start + at + 1

    def _firing(
        self, state: RuleState, rows: slice, until_ns: int, steps: list[RuleStep]
    ) -> tuple[RuleState, int]:
        opened = state.open
        assert opened is not None
        points, known = self.timeline.points, np.flatnonzero(self.known[rows])
        begun = [t.runs(points, rows, p) for t, p in zip(self.levels, state.pending, strict=True)]
        clearing = self.clear.runs(points, rows, state.clear_since_ns)
        n = rows.stop - rows.start

        def at_row(row: int) -> RuleState:
            """Memory before the given row of this stretch is looked at."""
            if row == 0:
                return state
            seen = known[known < row]
            return replace(
                state,
                pending=self._above(opened.severity, begun, row - 1),
                clear_since_ns=int(clearing[row - 1]),
                known_ns=int(points[rows.start + seen[-1]]) if len(seen) else state.known_ns,
            )

        if opened.state is AlertState.STALE:
            if not len(known):
                return at_row(n), rows.stop
            row = int(known[0])
            step = self._later(opened, AlertState.FIRING, int(points[rows.start + row]))
            steps.append(step)
            return replace(at_row(row), open=step, known_ns=step.at_ns), rows.start + row
        escalation, severity, early = self._escalation(opened, rows, begun)
        over = self.clear.ripe(points, rows, clearing)
        if self.released is not None:
            freed = np.append(self.released[self.released >= opened.started_ns], NO_RUN)
            over &= points[rows] >= freed[0]
        cleared = np.flatnonzero(over)
        clear = int(cleared[0]) if len(cleared) else n
        stale_ns, stale = self._silence(state, rows, known, until_ns)
        if stale <= min(escalation, clear) and stale_ns <= until_ns:
            step = self._later(opened, AlertState.STALE, stale_ns)
            steps.append(step)
            return replace(at_row(stale), open=step), rows.start + stale
        if escalation <= clear and escalation < n:
            at_ns = int(points[rows.start + escalation])
            step = replace(
                opened,
                severity=severity,
                at_ns=at_ns,
                worst_ns=at_ns,
                early=early,
                evidence=self.timeline.evidence(rows.start + escalation),
            )
            steps.append(step)
            return replace(at_row(escalation + 1), open=step), rows.start + escalation + 1
        if clear < n:
            at_ns = int(points[rows.start + clear])
            steps.append(self._later(opened, AlertState.CLEARED, at_ns))
            after = fresh_state(self.instance)
            return replace(after, counted=state.counted), rows.start + clear + 1
        return at_row(n), rows.stop

    def _above(self, severity: Severity, begun: list[Times], row: int) -> tuple[int, ...]:
        """Runs that can still make an open alert worse; the others are of no more use."""
        levels = zip(self.instance.levels, begun, strict=True)
        return tuple(int(b[row]) if lv.severity > severity else NO_RUN for lv, b in levels)

    def _escalation(
        self, opened: RuleStep, rows: slice, begun: list[Times]
    ) -> tuple[int, Severity, bool]:
        """First row at which a higher level is ripe, its severity, and whether it is told early."""
        best = rows.stop - rows.start
        severity, early = opened.severity, False
        for level, track, starts in zip(self.instance.levels, self.levels, begun, strict=True):
            if level.severity <= opened.severity:
                continue
            ripe = np.flatnonzero(track.ripe(self.timeline.points, rows, starts))
            row = int(ripe[0]) if len(ripe) else rows.stop - rows.start
            if row < best or (row == best and len(ripe) and level.severity > severity):
                best, severity, early = row, level.severity, level.early
        return best, severity, early

    def _silence(
        self, state: RuleState, rows: slice, known: NDArray[np.intp], until_ns: int
    ) -> tuple[int, int]:
        """When nothing known for `stale_after` is first noticed, and the first row after that."""
        limit = self.instance.stale_after_ns
        points = self.timeline.points[rows]
        moments = np.concatenate([[state.known_ns], points[known], [NO_RUN]])
        gap = int(np.flatnonzero(np.diff(moments) > limit)[0])
        stale_ns = int(moments[gap]) + limit
        return stale_ns, int(np.searchsorted(points, stale_ns, "right"))

    def _later(self, opened: RuleStep, state: AlertState, at_ns: int) -> RuleStep:
        return replace(opened, state=state, at_ns=at_ns, early=False)


def releases(instance: Instance, name: str, facts: VehicleFacts) -> Times | None:
    """When people released what a rule latched; None for a rule that does not latch."""
    if instance.latch == "none":
        return None
    kinds = ("ack", "work_order") if instance.latch == "ack" else ("work_order",)
    moments = [
        row.at_ns
        for row in facts.closed
        if (row.rule_id, row.kind in kinds) == (instance.rule_id, True)
        and row.instance in ("", name)
    ]
    return np.array(sorted(moments), np.int64)


def chart(instance: Instance, timeline: Timeline, released: Times | None = None) -> Course:
    """Evaluate an instance's conditions along its timeline."""
    n = len(timeline.points)
    expired = timeline.expired() if n else np.zeros(0, np.bool_)

    def track(node: Condition, hold_ns: int) -> Track:
        true, false = _full(node.truth(timeline), n)
        known = true | false
        return Track(true, known, false | (~known & expired), hold_ns)

    levels = tuple(track(level.node, level.hold_ns) for level in instance.levels)
    clear = track(instance.clear, instance.clear_hold_ns)
    known = np.logical_or.reduce([*(t.true for t in levels), clear.known])
    return Course(instance, timeline, levels, clear, known, released)


def _full(truth: Truth, n: int) -> Truth:
    true, false = truth
    return np.broadcast_to(true, n), np.broadcast_to(false, n)
