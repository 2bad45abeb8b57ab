"""One rule's view of a vehicle: the points in event time at which its truth can change.

The timeline is the union of sample times of the signals the rule uses, and of the moments at which
a sample gets too old to be believed. Between points nothing changes. At a point each signal has its
newest value, unless that is not good (unknown at once) or older than `max_gap` (expired).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from rules.arrays import derive
from rules.asked import Asked, Windows
from rules.expression import ANY, derived_of, universe
from rules.fact_nodes import DAY_NS, Recurred, Since
from rules.facts import NO_FACTS, VehicleFacts
from rules.nodes import Bools, Code, Count, Floats, Signal, Truth
from rules.samples import NEVER, Chunk, Holds, Named, Times, distinct
from rules.windows import Window

FOREVER = 2**62
#: Per list of an ECU: report times, and whether each names a code.
CodeSeries = dict[str, tuple[Times, Bools]]


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """All samples of one signal in time order, one a moment; `good` = newest good time so far."""

    times: Times
    values: Floats
    good: Times

    def place(self, points: Times) -> NDArray[np.intp]:
        """Row in force at each point, -1 before the first."""
        return np.searchsorted(self.times, points, "right") - 1


@dataclass(frozen=True, slots=True, eq=False)
class Sight:
    """Everything known up to the frontier. `held` and `named` stand at `base_ns`, chunks hold
    everything since; what is looked at begins at `from_ns`."""

    chunks: Sequence[Chunk]
    held: Holds
    named: Named
    base_ns: int
    from_ns: int
    frontier_ns: int
    facts: VehicleFacts = NO_FACTS
    #: Whether rules ask for functions of arrays.
    arrays: bool = False
    _series: dict[tuple[int, int | None], Series] = field(default_factory=dict)

    def sources(self, signal: int) -> set[int]:
        """Sources that sent a signal, now or before."""
        here = {source for c in self.chunks for source, _ in c.runs(signal)}
        return here | {source for i, source in self.held if i == signal}

    def series(self, signal: int, source: int | None) -> Series:
        """One signal of one source, or (None) of all sources merged."""
        found = self._series.get((signal, source))
        if found is None:
            found = self._series[signal, source] = self._merge(signal, source)
        return found

    def _derive(self, signal: int) -> Series:
        derived, array = derived_of()[signal]
        runs = [
            (source, c.times[run], c.values[run])
            for c in self.chunks
            for source, run in c.runs(array)
        ]
        width = max((c.widths.get(array, 0) for c in self.chunks), default=0)
        times, values = derive(derived, runs, width)
        good = np.where(np.isnan(values), NEVER, times)
        return Series(times, values, np.maximum.accumulate(good) if len(good) else good)

    def _merge(self, signal: int, source: int | None) -> Series:
        if signal in derived_of():
            return self._derive(signal)
        holds = [
            (s, h)
            for (i, s), h in self.held.items()
            if i == signal and (source is None or s == source)
        ]
        runs = [
            (s, c, run)
            for c in self.chunks
            for s, run in c.runs(signal)
            if source is None or s == source
        ]
        times = np.concatenate(
            [np.array([h.observed_ns for _, h in holds], np.int64)]
            + [c.times[run] for _, c, run in runs]
        )
        values = np.concatenate(
            [np.array([h.value for _, h in holds])] + [c.values[run] for _, c, run in runs]
        )
        rising = not (times[1:] <= times[:-1]).any()
        if not rising:
            sources = [np.array([s for s, _ in holds], np.int64)]
            sources += [np.full(run.stop - run.start, s) for s, _, run in runs]
            order = np.lexsort((values, np.concatenate(sources), times))
            times, values = times[order], values[order]
        good, unknown = times, np.isnan(values)
        if unknown.any():
            earlier = max((h.good_ns for _, h in holds), default=NEVER)
            good = np.maximum(np.maximum.accumulate(np.where(unknown, NEVER, times)), earlier)
        if rising:
            return Series(times, values, good)
        last = np.append(times[1:] != times[:-1], True)
        return Series(times[last], values[last], good[last])

    def code_series(self, code: Code) -> CodeSeries:
        """Reports of each ECU that ever named a code."""
        rows: dict[str, dict[int, bool]] = {
            ecu: {time: True} for (ecu, text), time in self.named.items() if text == code.text
        }
        fresh = sorted(n for c in self.chunks for n in c.namings if n.observed_ns >= self.base_ns)
        for naming in fresh:
            row = rows.setdefault(naming.ecu, {})
            named = code.text in naming.named or row.get(naming.observed_ns, False)
            row[naming.observed_ns] = named
        return {
            ecu: (np.array(list(row), np.int64), np.array(list(row.values()), np.bool_))
            for ecu, row in rows.items()
            if any(row.values())
        }


class Timeline:
    """The points of one rule instance and its columns along them (see rules.nodes.Columns).

    `first_ns`: a point to put before all others, where what was in force before them is read.
    """

    def __init__(
        self,
        instance: Asked,
        sight: Sight,
        source: int | None,
        counted: Sequence[tuple[int, ...]],
        views: Windows | None = None,
        first_ns: int | None = None,
    ) -> None:
        self.instance, self._sight, self._source = instance, sight, source
        self._counted, self._views, self._first_ns = counted, views, first_ns
        self._codes = {code.text: sight.code_series(code) for code in instance.codes}
        self._numbers: dict[int, Floats] = {}
        self._counts: dict[str, Times] = {}
        self._windows: dict[str, Floats] = {}
        self.points = self._collect()

    def _series(self, signal: int) -> Series:
        filtered = signal == self.instance.by_source
        return self._sight.series(signal, self._source if filtered else None)

    def _collect(self) -> Times:
        gap = self.instance.max_gap_ns
        parts: list[Times] = []
        for signal in self.instance.signals:
            series = self._series(signal)
            parts += [series.times, _expiry(series.good, gap) + 1]
        for absent in self.instance.absents:
            good = self._series(absent.signal).good
            after = _expiry(good, absent.silence_ns)
            parts += [after, _first_after(good, after)]
        for rows in self._codes.values():
            for times, named in rows.values():
                ends = np.append(times[1:], FOREVER)
                parts.append(_telling(times, named))
                parts.append((times + gap + 1)[named & (ends > times + gap)])
        for window in self.instance.windows:
            if window.segment is not None and self._views is not None:
                parts.append(self._views.segment(window.segment).moments())
        return self._in_sight(parts)

    def _in_sight(self, parts: Sequence[Times]) -> Times:
        points = distinct(np.concatenate([np.zeros(0, np.int64), *parts]))
        inside = (points >= self._sight.from_ns) & (points <= self._sight.frontier_ns)
        first = [] if self._first_ns is None else [self._first_ns]
        return np.concatenate([np.array(first, np.int64), points[inside]])

    def add(self, moments: Times) -> None:
        """Look at these moments, too. Before anything else is asked."""
        self.points = self._in_sight([self.points, moments])

    def sampled(self) -> Bools:
        """Points at which a signal has a sample, or an ECU names a code or no longer does."""
        parts = [self._series(signal).times for signal in self.instance.signals]
        parts += [_telling(*row) for rows in self._codes.values() for row in rows.values()]
        found = np.zeros(len(self.points), np.bool_)
        for times in parts:
            if len(times):
                place = np.searchsorted(times, self.points, "right") - 1
                found |= times[place] == self.points
        return found

    def window(self, window: Window) -> Floats:
        """A function over time at each point."""
        assert self._views is not None, "a window inside a window"
        found = self._windows.get(window.key)
        if found is None:
            inner = window.inner
            now = self.number(inner.index) if isinstance(inner, Signal) else None
            found = self._views.column(window, self._source, self.points, now)
            self._windows[window.key] = found
        return found

    def number(self, signal: int) -> Floats:
        """The value in force at each point, NaN where unknown or expired."""
        found = self._numbers.get(signal)
        if found is None:
            series = self._series(signal)
            place = series.place(self.points)
            believed = place >= 0
            if len(series.times):
                believed &= self.points - series.good[place] <= self.instance.max_gap_ns
                found = np.where(believed, series.values[place], np.nan)
            else:
                found = np.full(len(self.points), np.nan)
            self._numbers[signal] = found
        return found

    def expired(self) -> Bools:
        """Points at which some input has had no good sample for longer than `max_gap`."""
        gap = self.instance.max_gap_ns
        gone = np.zeros(len(self.points), np.bool_)
        for signal in self.instance.signals:
            series = self._series(signal)
            place = series.place(self.points)
            if not len(series.times):
                return np.ones_like(gone)
            gone |= (place < 0) | (self.points - series.good[place] > gap)
        for code in self.instance.codes:
            true, false = self.code(code)
            gone |= ~true & ~false
        return gone

    def code(self, code: Code) -> Truth:
        """True: some ECU's newest report names it. Unknown: one that did fell silent."""
        true = np.zeros(len(self.points), np.bool_)
        silent = np.zeros(len(self.points), np.bool_)
        for times, named in self._codes[code.text].values():
            place = np.searchsorted(times, self.points, "right") - 1
            naming = (place >= 0) & named[place]
            fresh = self.points - times[place] <= self.instance.max_gap_ns
            true |= naming & fresh
            silent |= naming & ~fresh
        return true, ~true & ~silent

    def ecus(self, code: Code) -> Floats:
        """How many ECUs name it at each point, NaN where one that did fell silent."""
        count: dict[str, Floats] = {}
        for listed, (times, named) in self._codes[code.text].items():
            place = np.searchsorted(times, self.points, "right") - 1
            naming = (place >= 0) & named[place]
            fresh = self.points - times[place] <= self.instance.max_gap_ns
            one = np.where(naming, np.where(fresh, 1.0, np.nan), 0.0)
            ecu = listed.rpartition(".")[0]
            count[ecu] = np.fmax(count.get(ecu, one), one) if ecu in count else one
        return np.asarray(sum(count.values(), np.zeros(len(self.points))), np.float64)

    def absent(self, signal: int, silence_ns: int) -> Truth:
        """Whether the newest good sample is at least this old."""
        series = self._series(signal)
        place = series.place(self.points)
        if not len(series.times):
            nothing = np.zeros(len(self.points), np.bool_)
            return nothing, nothing
        good = series.good[place]
        known = (place >= 0) & (good > NEVER)
        silent = self.points - good >= silence_ns
        return known & silent, known & ~silent

    def enough(self, count: Count) -> Truth:
        """Whether the window that ends at each point holds enough true samples."""
        times = self.counted(count)
        upto = np.searchsorted(times, self.points, "right")
        before = np.searchsorted(times, self.points - count.window_ns, "right")
        enough = upto - before >= count.least
        return enough, ~enough

    def counted(self, count: Count) -> Times:
        """Moments counted so far: the first true sample of each stretch."""
        found = self._counts.get(count.text)
        if found is None:
            kept = np.array(self._counted[self.instance.counts.index(count)], np.int64)
            true, _ = count.inner.truth(self)
            series = self._series(count.first)
            sampled = np.isin(self.points, series.times[~np.isnan(series.values)])
            fresh = self.points[true & sampled]
            stretch = fresh // count.every_ns
            first = np.append(True, stretch[1:] != stretch[:-1]) if len(fresh) else stretch > 0
            if len(kept):
                first &= stretch != kept[-1] // count.every_ns
            found = self._counts[count.text] = np.concatenate([kept, fresh[first]])
        return found

    def since(self, node: Since) -> Floats:
        """A counter since an item was done, NaN before it ever was."""
        done = node.baselines(self._sight.facts)
        place = np.searchsorted([at for at, _ in done], self.points, "right") - 1
        base = np.array([math.nan, *(base for _, base in done)])[place + 1]
        if node.kind == "days_since":
            return np.asarray(self.points / DAY_NS - base, np.float64)
        return np.asarray(self.number(node.counter.index) - base, np.float64)

    def recurred(self, node: Recurred) -> Truth:
        """Whether a work order of the rule was closed shortly before."""
        true = np.zeros(len(self.points), np.bool_)
        unknown = true.copy()
        for closed in self._sight.facts.closed:
            if (closed.rule_id, closed.kind) != (node.rule_id, "work_order"):
                continue
            age = self.points - closed.at_ns
            recent = (age >= 0) & (age <= node.within_ns)
            if node.within_km is None:
                true |= recent
                continue
            base = math.nan if closed.odometer_km is None else closed.odometer_km
            driven = self.number(node.counter.index) - base
            true |= recent & (driven <= node.within_km)
            unknown |= recent & np.isnan(driven)
        return true, ~true & ~unknown

    def evidence(self, row: int) -> dict[str, float]:
        """What the rule saw at a point: known values, and codes named."""
        names = universe()
        values = {names[s]: float(self.number(s)[row]) for s in self.instance.signals}
        seen = {name: value for name, value in values.items() if value == value}  # noqa: PLR0124
        for code in self.instance.codes:
            if self.code(code)[0][row]:
                seen[code.text] = 1.0
        for window in self.instance.windows:
            value = float(self.window(window)[row])
            if value == value:  # noqa: PLR0124
                seen[window.text] = value
        for absent in self.instance.absents:
            series = self._series(absent.signal)
            place = int(series.place(self.points[row : row + 1])[0])
            if place >= 0 and series.good[place] > NEVER:
                name = "silent" if absent.signal == ANY else f"{names[absent.signal]}_silent"
                seen[f"{name}_s"] = float(self.points[row] - series.good[place]) / 1e9
        return seen


def _telling(times: Times, named: Bools) -> Times:
    """Reports of an ECU that name a code, and each first one that no longer does. Others say
    nothing: whether they count must not depend on what the ECU says later."""
    told: Times = times[named | np.append(False, named[:-1])]
    return told


def _expiry(good: Times, age_ns: int) -> Times:
    """Good times (in order) that nothing good follows within `age_ns`, plus that age."""
    moments = good[good > NEVER]
    alone = np.ones(len(moments), np.bool_)
    np.greater(moments[1:] - moments[:-1], age_ns, out=alone[:-1])
    ends: Times = moments[alone] + age_ns
    return ends


def _first_after(good: Times, ends: Times) -> Times:
    """The first good time after each end, where there is one."""
    moments = good[good > NEVER]
    place = np.searchsorted(moments, ends, "right")
    return moments[place[place < len(moments)]]
