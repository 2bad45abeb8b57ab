"""One rule's view of a vehicle: the points in event time at which its truth can change.

The timeline is the union of sample times of the signals the rule uses, and of the moments at which
a sample gets too old to be believed. Between points nothing changes. At a point each signal has its
newest value, unless that is not good (unknown at once) or older than `max_gap` (expired).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from rules.expression import ANY, universe
from rules.nodes import Bools, Code, Count, Floats, Truth
from rules.plan import Instance
from rules.samples import NEVER, Chunk, Holds, Named, Times

FOREVER = 2**62
#: Per code predicate: report times, whether each names it, all of one ECU.
CodeSeries = list[tuple[Times, Bools]]


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
    """Everything known from the watermark to the frontier, and what is held from before."""

    chunks: Sequence[Chunk]
    held: Holds
    named: Named
    from_ns: int
    frontier_ns: int
    _series: dict[tuple[int, int | None], Series] = field(default_factory=dict)

    def sources(self, signal: int) -> set[int]:
        """Sources that sent a signal, now or before."""
        here = {
            s for c in self.chunks for i, s in zip(c.signal, c.source, strict=True) if i == signal
        }
        return here | {source for i, source in self.held if i == signal}

    def series(self, signal: int, source: int | None) -> Series:
        """One signal of one source, or (None) of all sources merged."""
        found = self._series.get((signal, source))
        if found is None:
            found = self._series[signal, source] = self._merge(signal, source)
        return found

    def _merge(self, signal: int, source: int | None) -> Series:
        holds = [
            (s, h)
            for (i, s), h in self.held.items()
            if i == signal and (source is None or s == source)
        ]
        runs = [
            (c.source[i], c, slice(int(c.start[i]), int(c.start[i + 1])))
            for c in self.chunks
            for i, index in enumerate(c.signal)
            if index == signal and (source is None or c.source[i] == source)
        ]
        times = np.concatenate(
            [np.array([h.observed_ns for _, h in holds], np.int64)]
            + [c.times[run] for _, c, run in runs]
        )
        values = np.concatenate(
            [np.array([h.value for _, h in holds])] + [c.values[run] for _, c, run in runs]
        )
        if len(holds) + len(runs) > 1:
            sources = [np.array([s for s, _ in holds], np.int64)]
            sources += [np.full(run.stop - run.start, s) for s, _, run in runs]
            order = np.lexsort((values, np.concatenate(sources), times))
            times, values = times[order], values[order]
        good = np.where(np.isnan(values), NEVER, times)
        earlier = max((h.good_ns for _, h in holds), default=NEVER)
        good = np.maximum(np.maximum.accumulate(good), earlier) if len(good) else good
        last = np.append(times[1:] != times[:-1], True) if len(times) else np.zeros(0, np.bool_)
        return Series(times[last], values[last], good[last])

    def code_series(self, code: Code) -> CodeSeries:
        """Reports of each ECU that ever named a code."""
        rows: dict[str, dict[int, bool]] = {
            ecu: {time: True} for (ecu, text), time in self.named.items() if text == code.text
        }
        fresh = sorted(n for c in self.chunks for n in c.namings if n.observed_ns >= self.from_ns)
        for naming in fresh:
            row = rows.setdefault(naming.ecu, {})
            named = code.text in naming.named or row.get(naming.observed_ns, False)
            row[naming.observed_ns] = named
        return [
            (np.array(list(row), np.int64), np.array(list(row.values()), np.bool_))
            for row in rows.values()
            if any(row.values())
        ]


class Timeline:
    """The points of one rule instance and its columns along them (see rules.nodes.Columns)."""

    def __init__(
        self,
        instance: Instance,
        sight: Sight,
        source: int | None,
        counted: Sequence[tuple[int, ...]],
    ) -> None:
        self.instance, self._sight, self._source = instance, sight, source
        self._counted = counted
        self._codes = {code.text: sight.code_series(code) for code in instance.codes}
        self._numbers: dict[int, Floats] = {}
        self._counts: dict[str, Times] = {}
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
            for times, named in rows:
                ends = np.append(times[1:], FOREVER)
                told_before = np.append(False, named[:-1])
                parts.append(times[named | told_before])
                parts.append((times + gap + 1)[named & (ends > times + gap)])
        if not parts:
            return np.zeros(0, np.int64)
        points = np.unique(np.concatenate(parts))
        inside = (points >= self._sight.from_ns) & (points <= self._sight.frontier_ns)
        return points[inside]

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
                return ~gone
            gone |= (place < 0) | (self.points - series.good[place] > gap)
        for code in self.instance.codes:
            true, false = self.code(code)
            gone |= ~true & ~false
        return gone

    def code(self, code: Code) -> Truth:
        """True: some ECU's newest report names it. Unknown: one that did fell silent."""
        true = np.zeros(len(self.points), np.bool_)
        silent = np.zeros(len(self.points), np.bool_)
        for times, named in self._codes[code.text]:
            place = np.searchsorted(times, self.points, "right") - 1
            naming = (place >= 0) & named[place]
            fresh = self.points - times[place] <= self.instance.max_gap_ns
            true |= naming & fresh
            silent |= naming & ~fresh
        return true, ~true & ~silent

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

    def evidence(self, row: int) -> dict[str, float]:
        """What the rule saw at a point: known values, and codes named."""
        names = universe()
        values = {names[s]: float(self.number(s)[row]) for s in self.instance.signals}
        seen = {name: value for name, value in values.items() if value == value}  # noqa: PLR0124
        for code in self.instance.codes:
            if self.code(code)[0][row]:
                seen[code.text] = 1.0
        for absent in self.instance.absents:
            series = self._series(absent.signal)
            place = int(series.place(self.points[row : row + 1])[0])
            if place >= 0 and series.good[place] > NEVER:
                name = "silent" if absent.signal == ANY else f"{names[absent.signal]}_silent"
                seen[f"{name}_s"] = float(self.points[row] - series.good[place]) / 1e9
        return seen


def _expiry(good: Times, age_ns: int) -> Times:
    """Good times that nothing good follows within `age_ns`, plus that age."""
    distinct = np.unique(good[good > NEVER])
    following = np.append(distinct[1:], FOREVER)[: len(distinct)]
    ends: Times = distinct[following > distinct + age_ns] + age_ns
    return ends


def _first_after(good: Times, ends: Times) -> Times:
    """The first good time after each end, where there is one."""
    distinct = np.unique(good[good > NEVER])
    place = np.searchsorted(distinct, ends, "right")
    return distinct[place[place < len(distinct)]]
