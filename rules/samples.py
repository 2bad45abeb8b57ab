"""The samples rules look at: one chunk per upload, and what is held from before the watermark.

A chunk keeps only signals some rule asks for, one run per (signal, source), canonically ordered by
(time, value), unknown last, so that every arrival order and every repetition reads the same. One
run is the pseudo signal `any`: the first and last sample of any signal in each stretch of 10 s,
which is enough to see every silence of 30 s and more exactly.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from model.codes import CodeReport
from model.signals import SignalBatch
from rules.expression import ANY, universe
from rules.nodes import Code, Floats
from rules.plan import Plan

Times = NDArray[np.int64]
BEAT_NS = 10 * 10**9
#: Lists of codes that say what is wrong now; absence from `pending` or `previous` says nothing.
ACTIVE_SCOPES = frozenset({"active", "confirmed"})
NO_FAULT = "0/0"
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
    namings = [n for r in reports if (n := _name(plan.codes, r)) is not None]
    late = [n.observed_ns for n in namings if n.observed_ns < floor_ns]
    namings = [n for n in namings if floor_ns <= n.observed_ns <= limit_ns]
    times, index = signals.observed_ns, plan.columns_of(signals.table)[signals.run_signal]
    lengths = np.diff(signals.run_start)
    keep = np.repeat(index >= 0, lengths)
    if len(times) and (times.min() < floor_ns or times.max() > limit_ns):
        inside = (times >= floor_ns) & (times <= limit_ns)
        too_old = keep & (times < floor_ns)
        if too_old.any():
            late.append(int(times[too_old].min()))
        keep &= inside
        beats = _beats(times[inside])
    else:
        beats = _beats(times)
    late_from_ns = min(late, default=None)
    if not len(beats) and not namings:
        return Cut(None, late_from_ns)
    values = signals.value[keep]
    bad = signals.quality[keep] != 0
    if bad.any():
        values = np.where(bad, np.nan, values)
    group = index.astype(np.int64) * _SOURCES + (signals.run_source.astype(np.int64) + 1)
    groups = np.repeat(group, lengths)[keep]
    chunk = _build(groups, times[keep], values, beats, tuple(sorted(namings)))
    return Cut(chunk, late_from_ns)


def _name(codes: tuple[Code, ...], report: CodeReport) -> Naming | None:
    """What a report says to the rules; None where its list does not count."""
    if report.scope not in ACTIVE_SCOPES:
        return None
    # What follows runs once a second for each ECU that has nothing to say.
    ecu = f"{report.protocol}.{report.bus}.{report.ecu}.{report.scope}"
    present = {code.code for code in report.codes if code.code != NO_FAULT}
    named = tuple(c.text for c in codes if any(map(c.names, present))) if present else ()
    return Naming(report.observed_ns, ecu, named)


def _build(
    groups: NDArray[np.int64],
    times: Times,
    values: Floats,
    beats: Times,
    namings: tuple[Naming, ...],
) -> Chunk:
    groups = np.concatenate([np.full(len(beats), ANY, np.int64), groups])
    times = np.concatenate([beats, times])
    values = np.concatenate([np.ones(len(beats)), values])
    new_run = np.diff(groups) != 0
    if (~new_run & (np.diff(times) <= 0)).any():
        order = np.lexsort((values, times, groups))
        groups, times, values = groups[order], times[order], values[order]
        new_run = np.diff(groups) != 0
    start = np.concatenate([[0], np.flatnonzero(new_run) + 1, [len(groups)]])
    if not len(groups):
        start = np.zeros(1, np.intp)
    first = groups[start[:-1]]
    lo, hi = np.full((2, len(universe())), np.nan)
    if len(first):
        np.fmin.at(lo, first // _SOURCES, np.fmin.reduceat(values, start[:-1]))
        np.fmax.at(hi, first // _SOURCES, np.fmax.reduceat(values, start[:-1]))
    moments = [n.observed_ns for n in namings] + beats[[0, -1][: len(beats)]].tolist()
    return Chunk(
        signal=(first // _SOURCES).tolist(),
        source=(first % _SOURCES - 1).tolist(),
        start=start,
        times=times,
        values=values,
        lo=lo,
        hi=hi,
        namings=namings,
        named=frozenset(text for n in namings for text in n.named),
        oldest_ns=min(moments),
        newest_ns=max(moments),
    )


def merge(chunks: Sequence[Chunk]) -> tuple[Chunk, ...]:
    """Many chunks as one, repeated samples once."""
    keys = [np.array(c.signal) * _SOURCES + np.array(c.source) + 1 for c in chunks]
    groups = np.concatenate(
        [np.repeat(k, np.diff(c.start)) for k, c in zip(keys, chunks, strict=True)]
    )
    times = np.concatenate([c.times for c in chunks])
    values = np.concatenate([c.values for c in chunks])
    order = np.lexsort((values, times, groups))
    groups, times, values = groups[order], times[order], values[order]
    same = (np.diff(groups) == 0) & (np.diff(times) == 0)
    same &= (values[1:] == values[:-1]) | (np.isnan(values[1:]) & np.isnan(values[:-1]))
    keep = np.append(True, ~same)
    groups, times, values = groups[keep], times[keep], values[keep]
    beat = groups == ANY
    namings = tuple(sorted({n for c in chunks for n in c.namings}))
    return (_build(groups[~beat], times[~beat], values[~beat], times[beat], namings),)


def _beats(times: Times) -> Times:
    """First and last of each stretch of 10 s."""
    if not len(times):
        return times
    first, last = int(times.min()), int(times.max())
    if first // BEAT_NS == last // BEAT_NS:
        return np.array([first, last] if last > first else [first], np.int64)
    ordered = np.sort(times)
    stretch = ordered // BEAT_NS
    edge = np.flatnonzero(np.diff(stretch))
    return np.unique(ordered[np.concatenate([[0], edge, edge + 1, [len(ordered) - 1]])])


Holds = dict[tuple[int, int], Held]
#: (ecu, predicate) -> time of the newest report, which names it.
Named = dict[tuple[str, str], int]


def hold(held: Holds, chunks: Sequence[Chunk], watermark_ns: int, wanted: Collection[int]) -> Holds:
    """What is held at the watermark: the newest samples before it, of the wanted signals."""
    after = dict(held)
    for chunk in chunks:
        if not chunk.signal:
            continue
        before = chunk.times < watermark_ns
        counts = np.add.reduceat(before, chunk.start[:-1], dtype=np.intp)
        last = chunk.start[:-1] + np.maximum(counts, 1) - 1
        rows = zip(
            chunk.signal,
            chunk.source,
            counts.tolist(),
            last.tolist(),
            chunk.times[last].tolist(),
            chunk.values[last].tolist(),
            strict=True,
        )
        for signal, source, count, row, time, value in rows:
            if not count or signal not in wanted:
                continue
            good = _last_good(chunk, row, count) if math.isnan(value) else time
            found = Held(time, value, good)
            old = after.get((signal, source))
            if old is None or old.observed_ns < time == good:
                after[signal, source] = found
            else:
                after[signal, source] = _newer(old, found)
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
