"""The samples rules look at: one chunk per upload, and what is held from before the watermark.

A chunk keeps only signals some rule asks for, one run per (signal, source), canonically ordered by
(time, value), unknown last, so that every arrival order and every repetition reads the same. One
run is the pseudo signal `any`: the first and last sample of any signal in each stretch of 10 s,
which is enough to see every silence of 30 s and more exactly.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from model.codes import CodeReport
from model.signals import SignalBatch
from rules.expression import ANY, universe
from rules.nodes import NO_FAULT, Code, Floats
from rules.plan import Plan

Times = NDArray[np.int64]
BEAT_NS = 10 * 10**9
NEVER = -(2**62)
#: Sources are -1 .. 255; (signal, source + 1) is packed in one number.
_SOURCES = 65536


@dataclass(frozen=True, slots=True, order=True)
class Naming:
    """One code report as rules see it: which predicates it makes true for its ECU."""

    observed_ns: int
    ecu: str
    named: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Chunk:
    """Rule-relevant samples of one upload; NaN = not good."""

    signal: list[int]
    source: list[int]
    start: NDArray[np.intp]
    times: Times
    values: Floats
    lo: Floats
    hi: Floats
    namings: tuple[Naming, ...]
    #: Every predicate some report makes true.
    named: frozenset[str]
    oldest_ns: int
    newest_ns: int
    #: How many elements each array has, by its place.
    widths: dict[int, int]
    #: First and last sample of any signal (0, 0 without any), and the longest silence between.
    beats: tuple[int, int, int]
    _runs: dict[int, list[tuple[int, slice]]] = field(default_factory=dict, repr=False)

    def runs(self, signal: int) -> list[tuple[int, slice]]:
        """Sources of a signal, with their samples."""
        if not self._runs:
            starts = self.start.tolist()
            for i, (index, source) in enumerate(zip(self.signal, self.source, strict=True)):
                run = source, slice(starts[i], starts[i + 1])
                self._runs.setdefault(index, []).append(run)
        return self._runs.get(signal, [])


@dataclass(frozen=True, slots=True)
class Cut:
    """What one upload came to: its chunk, and how far its late part reaches back."""

    chunk: Chunk | None
    late_from_ns: int | None


@dataclass(frozen=True, slots=True)
class Held:
    """The newest sample of one (signal, source) before the watermark, and the newest good one."""

    observed_ns: int
    value: float
    good_ns: int


def cut_upload(
    plan: Plan,
    signals: SignalBatch,
    reports: Sequence[CodeReport],
    floor_ns: int,
    limit_ns: int,
) -> Cut:
    """Samples of `floor_ns <= time <= limit_ns` as a chunk; earlier ones are late."""
    namings = [n for r in reports if (n := _name(plan.codes, plan.scopes, r)) is not None]
    late = [n.observed_ns for n in namings if n.observed_ns < floor_ns]
    namings = [n for n in namings if floor_ns <= n.observed_ns <= limit_ns]
    known = plan.columns_of(signals.table)
    times, index = signals.observed_ns, known.place[signals.run_signal]
    lengths = np.diff(signals.run_start)
    keep = np.repeat(index >= 0, lengths)
    first_ns, last_ns = (int(times.min()), int(times.max())) if len(times) else (floor_ns, floor_ns)
    if first_ns < floor_ns or last_ns > limit_ns:
        inside = (times >= floor_ns) & (times <= limit_ns)
        too_old = keep & (times < floor_ns)
        if too_old.any():
            late.append(int(times[too_old].min()))
        keep &= inside
        beats = _beats(times[inside])
        lengths = np.diff(np.append(0, np.cumsum(keep))[signals.run_start])
    else:
        beats = _beats(times)
        lengths = np.where(index >= 0, lengths, 0)
    late_from_ns = min(late, default=None)
    if not len(beats) and not namings:
        return Cut(None, late_from_ns)
    rows = np.flatnonzero(keep)
    values = signals.value[rows]
    if signals.quality.any():
        values = np.where(signals.quality[rows] != 0, np.nan, values)
    source = signals.run_source.astype(np.int64)
    if known.widths:
        element = known.element[signals.run_signal]
        source = np.where(element > 0, element, source)
    group = index.astype(np.int64) * _SOURCES + source + 1
    runs = _Runs(group[lengths > 0], lengths[lengths > 0], times[rows], values)
    chunk = _build(runs, beats, tuple(sorted(namings)), known.widths)
    return Cut(chunk, late_from_ns)


def _name(codes: tuple[Code, ...], scopes: frozenset[str], report: CodeReport) -> Naming | None:
    """What a report says to the rules; None where nobody asks for its list."""
    if report.scope not in scopes:
        return None
    # What follows runs once a second for each ECU that has nothing to say.
    ecu = f"{report.protocol}.{report.bus}.{report.ecu}.{report.scope}"
    if any(code.code != NO_FAULT for code in report.codes):
        named = tuple(c.text for c in codes if c.says(report))
    elif report.lamps is not None:
        named = tuple(c.text for c in codes if c.lamp and c.says(report))
    else:
        named = ()
    return Naming(report.observed_ns, ecu, named)


@dataclass(frozen=True, slots=True, eq=False)
class _Runs:
    """Samples by (signal, source): the group and length of each run, then all samples."""

    group: NDArray[np.int64]
    length: NDArray[np.int64]
    times: Times
    values: Floats

    def led_by(self, beats: Times) -> _Runs:
        """The same after the run of beats."""
        return _Runs(
            np.concatenate([[ANY], self.group]),
            np.concatenate([[len(beats)], self.length]),
            np.concatenate([beats, self.times]),
            np.concatenate([np.ones(len(beats)), self.values]),
        )

    def ordered(self) -> _Runs:
        """One run a group, in order of time and value."""
        bad = self.times[1:] <= self.times[:-1]
        bad[np.cumsum(self.length)[:-1] - 1] = False
        again = (self.group[1:] == self.group[:-1]).any()
        if not again and not bad.any():
            return self
        groups = np.repeat(self.group, self.length)
        order = np.lexsort((self.values, self.times, groups))
        groups = groups[order]
        edge = np.concatenate([[0], np.flatnonzero(np.diff(groups)) + 1])
        length = np.diff(edge, append=len(groups))
        return _Runs(groups[edge], length, self.times[order], self.values[order])


def _build(runs: _Runs, beats: Times, namings: tuple[Naming, ...], widths: dict[int, int]) -> Chunk:
    if len(beats):
        runs = runs.led_by(beats).ordered()
    start = np.concatenate([[0], np.cumsum(runs.length)])
    signal = runs.group // _SOURCES
    lo, hi = np.full((2, len(universe())), np.nan)
    if len(signal):
        np.fmin.at(lo, signal, np.fmin.reduceat(runs.values, start[:-1]))
        np.fmax.at(hi, signal, np.fmax.reduceat(runs.values, start[:-1]))
    moments = [n.observed_ns for n in namings] + beats[[0, -1][: len(beats)]].tolist()
    return Chunk(
        signal=signal.tolist(),
        source=(runs.group % _SOURCES - 1).tolist(),
        start=start,
        times=runs.times,
        values=runs.values,
        lo=lo,
        hi=hi,
        namings=namings,
        named=frozenset(text for n in namings for text in n.named),
        oldest_ns=min(moments),
        newest_ns=max(moments),
        beats=_silence(beats),
        widths=widths,
    )


def _silence(beats: Times) -> tuple[int, int, int]:
    if not len(beats):
        return 0, 0, 0
    longest = int(np.diff(beats).max()) if len(beats) > 1 else 0
    return int(beats[0]), int(beats[-1]), longest


def merge(chunks: Sequence[Chunk]) -> tuple[Chunk, ...]:
    """Many chunks as one, repeated samples once."""
    keys = [
        np.array(c.signal, np.int64) * _SOURCES + np.array(c.source, np.int64) + 1 for c in chunks
    ]
    groups = np.concatenate(
        [np.repeat(k, np.diff(c.start)) for k, c in zip(keys, chunks, strict=True)]
    )
    times = np.concatenate([c.times for c in chunks])
    values = np.concatenate([c.values for c in chunks])
    order = np.lexsort((values, times, groups))
    groups, times, values = groups[order], times[order], values[order]
    same = (np.diff(groups) == 0) & (np.diff(times) == 0)
    same &= (values[1:] == values[:-1]) | (np.isnan(values[1:]) & np.isnan(values[:-1]))
    keep = np.append(True, ~same)[: len(groups)]
    groups, times, values = groups[keep], times[keep], values[keep]
    beats = times[groups == ANY]
    groups, times, values = groups[len(beats) :], times[len(beats) :], values[len(beats) :]
    edge = np.flatnonzero(np.diff(groups, prepend=ANY))
    runs = _Runs(groups[edge], np.diff(edge, append=len(groups)), times, values)
    widths = {place: width for c in chunks for place, width in c.widths.items()}
    namings = tuple(sorted({n for c in chunks for n in c.namings}))
    return (_build(runs, beats, namings, widths),)


def _beats(times: Times) -> Times:
    """First and last of each stretch of 10 s."""
    if not len(times):
        return times
    first, last = int(times.min()), int(times.max())
    if first // BEAT_NS == last // BEAT_NS:
        return np.array([first, last] if last > first else [first], np.int64)
    if last // BEAT_NS == first // BEAT_NS + 1:
        later = times >= last // BEAT_NS * BEAT_NS
        ends = times[~later], times[later]
        return distinct(np.array([end for part in ends for end in (part.min(), part.max())]))
    ordered = np.sort(times)
    stretch = ordered // BEAT_NS
    edge = np.flatnonzero(np.diff(stretch))
    return distinct(ordered[np.concatenate([[0], edge, edge + 1, [len(ordered) - 1]])])


def distinct(times: Times) -> Times:
    """Every moment once, in order. (np.unique hashes, which is slower on what is almost sorted.)"""
    ordered = np.sort(times, kind="stable")
    keep = np.ones(len(ordered), np.bool_)
    np.not_equal(ordered[1:], ordered[:-1], out=keep[1:])
    once: Times = ordered[keep]
    return once


Holds = dict[tuple[int, int], Held]
#: (ecu, predicate) -> time of the newest report, which names it.
Named = dict[tuple[str, str], int]


def hold(held: Holds, chunks: Sequence[Chunk], before_ns: int, wanted: Collection[int]) -> Holds:
    """What is held at a moment: the newest samples before it, of the wanted signals."""
    after = dict(held)
    for chunk in chunks:
        ends = chunk.start[1:]
        if chunk.newest_ns >= before_ns:
            below = np.add.reduceat(chunk.times < before_ns, chunk.start[:-1], dtype=np.intp)
            ends = chunk.start[:-1] + below
        counts = (ends - chunk.start[:-1]).tolist()
        times, values = chunk.times[ends - 1].tolist(), chunk.values[ends - 1].tolist()
        found = zip(chunk.signal, chunk.source, counts, times, values, strict=True)
        for i, (signal, source, count, time, value) in enumerate(found):
            if not count or signal not in wanted:
                continue
            known = value == value  # noqa: PLR0124
            good = time if known else _last_good(chunk, int(ends[i]) - 1, count)
            old = after.get((signal, source))
            fresh = Held(time, value, good)
            newer = old is None or old.observed_ns < time == good
            after[signal, source] = fresh if old is None or newer else _newer(old, fresh)
    return after


def _newer(old: Held, found: Held) -> Held:
    good = max(old.good_ns, found.good_ns)
    newer = max(old, found, key=lambda h: (h.observed_ns, _rank(h.value)))
    return newer if newer.good_ns == good else replace(newer, good_ns=good)


def _rank(value: float) -> tuple[bool, float]:
    """Sort key of a value: unknown last, as NumPy sorts it."""
    return (True, 0.0) if math.isnan(value) else (False, value)


def _last_good(chunk: Chunk, row: int, count: int) -> int:
    values = chunk.values[row - count + 1 : row + 1]
    good = np.flatnonzero(~np.isnan(values))
    return int(chunk.times[row - count + 1 + good[-1]]) if len(good) else NEVER


def hold_codes(named: Named, chunks: Sequence[Chunk], from_ns: int, watermark_ns: int) -> Named:
    """Codes named by the newest report of their ECU before the watermark, which was `from_ns`."""
    if not named and not any(c.named for c in chunks):
        return named
    due = sorted(n for c in chunks for n in c.namings if from_ns <= n.observed_ns < watermark_ns)
    if not due:
        return named
    after = dict(named)
    for (time, ecu), same in groupby(due, lambda n: (n.observed_ns, n.ecu)):
        # Reports of one ECU in one moment are one report.
        texts = {text for naming in same for text in naming.named}
        for key in [key for key in after if key[0] == ecu and key[1] not in texts]:
            del after[key]
        after |= {(ecu, text): time for text in texts}
    return after
