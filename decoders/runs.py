"""Joins what the kernel decoded part by part into one `SignalBatch`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from decoders.plan import FLOAT_KINDS, Plan
from model.signals import SignalBatch

Scalar = TypeVar("Scalar", bound=np.generic)
Ints = NDArray[np.int64]
#: Exact integers of runs, by run.
Exact = dict[int, NDArray[np.int64] | NDArray[np.uint64]]
#: Doubles hold every integer of this many bits.
EXACT_BITS = 53
_POSITION_BITS = 22


@dataclass(frozen=True, slots=True, eq=False)
class Runs:
    """Decoded samples, runs sorted by `run_key`. `signal` indexes the plan's signals.

    `frame[row[i]]` is the batch's row that sample i came from.
    """

    signal: Ints
    source: NDArray[np.int16]
    count: Ints
    row: Ints
    frame: Ints
    observed_ns: NDArray[np.int64]
    value: NDArray[np.float64]
    quality: NDArray[np.uint8]
    #: Raw integers, sign-extended; None where no signal is wider than a double holds.
    raw: NDArray[np.uint64] | None


def ranges(start: Ints, count: NDArray[np.integer]) -> Ints:
    """start[0] .. start[0] + count[0] - 1, then start[1] .., joined."""
    ends = np.cumsum(count)
    joined = np.arange(int(ends[-1]) if len(ends) else 0)
    joined += np.repeat(start - (ends - count), count)
    return joined


def stable_order(key: Ints) -> Ints:
    """`argsort(key, kind="stable")` of keys from 0 to 2^40 - 1, several times as fast.

    Sorting numbers that carry their position is vectorised, a stable argsort is not.
    """
    bits = len(key).bit_length()
    if bits > _POSITION_BITS:
        return np.argsort(key, kind="stable")
    packed = key << bits
    packed |= np.arange(len(key))
    packed.sort()
    packed &= (1 << bits) - 1
    return packed


def run_key(plan: Plan, signal: Ints, source: NDArray[np.int16]) -> Ints:
    """Orders runs by name, then source (-1 comes last)."""
    key: Ints = plan.signals.name[signal].astype(np.int64) << 16 | source.view(np.uint16)
    return key


def merge_runs(plan: Plan, parts: Sequence[Runs], status: NDArray[np.uint8]) -> SignalBatch:
    """One run per (name, source), sorted by them; samples in frame order inside a run."""
    runs = _joined(parts)
    signal, count = runs.signal, runs.count
    key = run_key(plan, signal, runs.source)
    merged = bool((key[1:] <= key[:-1]).any())
    if merged:
        runs, order = _reordered(runs, key)
        signal, count, key = signal[order], count[order], key[order]
    first = np.ones(len(key), np.bool_)
    first[1:] = key[1:] != key[:-1]
    head = np.flatnonzero(first)
    start = np.append((np.cumsum(count) - count)[head], len(runs.value)).astype(np.int64)
    return SignalBatch(
        table=plan.table,
        run_signal=plan.signals.name[signal[head]],
        run_source=(key[head] & 0xFFFF).astype(np.uint16).view(np.int16),
        run_start=start,
        observed_ns=runs.observed_ns,
        value=runs.value,
        quality=runs.quality,
        frame_status=status,
        exact=_exact(plan, signal[head], start, runs.raw),
    )


def _reordered(runs: Runs, key: Ints) -> tuple[Runs, Ints]:
    """Runs of one key side by side and their samples in frame order; and the runs' order."""
    order = stable_order(key)
    count = runs.count[order]
    pick = ranges((np.cumsum(runs.count) - runs.count)[order], count)
    frame = runs.frame[runs.row[pick]]
    run = np.repeat(key[order], count)
    # Several messages or parts may feed one run.
    if ((frame[1:] < frame[:-1]) & (run[1:] == run[:-1])).any():
        pick = pick[np.lexsort((frame, run))]
    moved = replace(
        runs,
        observed_ns=runs.observed_ns[pick],
        value=runs.value[pick],
        quality=runs.quality[pick],
        raw=None if runs.raw is None else runs.raw[pick],
    )
    return moved, order


def _joined(parts: Sequence[Runs]) -> Runs:
    if len(parts) == 1:
        return parts[0]
    if not parts:
        none, none8 = np.zeros(0, np.int64), np.zeros(0, np.uint8)
        return Runs(none, none.astype(np.int16), none, none, none, none, none / 1.0, none8, None)
    some_raw = any(p.raw is not None for p in parts)
    raws = [np.zeros(len(p.row), np.uint64) if p.raw is None else p.raw for p in parts]
    frame = [p.frame[p.row] for p in parts]
    return Runs(
        signal=np.concatenate([p.signal for p in parts]),
        source=np.concatenate([p.source for p in parts]),
        count=np.concatenate([p.count for p in parts]),
        row=np.arange(sum(map(len, frame))),
        frame=np.concatenate(frame),
        observed_ns=np.concatenate([p.observed_ns for p in parts]),
        value=np.concatenate([p.value for p in parts]),
        quality=np.concatenate([p.quality for p in parts]),
        raw=np.concatenate(raws) if some_raw else None,
    )


def splice_runs(main: SignalBatch, extra: SignalBatch) -> SignalBatch | None:
    """The runs of both, by name and source; None where they share a run.

    `extra` is small, so `main` is copied in few slices.
    """
    keys, more = _keys(main), _keys(extra)
    before = np.searchsorted(keys, more)
    if (keys[np.minimum(before, len(keys) - 1)] == more).any() if len(keys) else False:
        return None
    cuts = [0, *main.run_start[before].tolist(), len(main)]

    def splice(mine: NDArray[Scalar], theirs: NDArray[Scalar]) -> NDArray[Scalar]:
        parts = [mine[: cuts[1]]]
        for i in range(len(more)):
            parts += [theirs[extra.run(i)], mine[cuts[i + 1] : cuts[i + 2]]]
        return np.concatenate(parts)

    place = before + np.arange(len(more))
    moved = np.delete(np.arange(len(keys) + len(more)), place)
    count = np.insert(np.diff(main.run_start), before, np.diff(extra.run_start))
    exact = {int(moved[run]): numbers for run, numbers in main.exact.items()}
    exact |= {int(place[run]): numbers for run, numbers in extra.exact.items()}
    return replace(
        main,
        run_signal=np.insert(main.run_signal, before, extra.run_signal),
        run_source=np.insert(main.run_source, before, extra.run_source),
        run_start=np.concatenate([[0], np.cumsum(count)]).astype(np.int64),
        observed_ns=splice(main.observed_ns, extra.observed_ns),
        value=splice(main.value, extra.value),
        quality=splice(main.quality, extra.quality),
        exact=exact,
    )


def _keys(batch: SignalBatch) -> Ints:
    key: Ints = batch.run_signal.astype(np.int64) << 16 | batch.run_source.view(np.uint16)
    return key


def _exact(plan: Plan, signal: Ints, start: Ints, raw: NDArray[np.uint64] | None) -> Exact:
    """Raw integers of runs whose signal has more bits than a double holds."""
    if raw is None:
        return {}
    wide = plan.signals.bits[signal] > EXACT_BITS
    wide &= ~np.isin(plan.signals.kind[signal], FLOAT_KINDS)
    exact: Exact = {}
    for run in np.flatnonzero(wide).tolist():
        numbers = raw[start[run] : start[run + 1]]
        exact[run] = numbers.view(np.int64) if plan.signal_bits.sign[signal[run]] else numbers
    return exact
