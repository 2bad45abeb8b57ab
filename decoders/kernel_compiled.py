"""The compiled kernel: a plan laid out as C rows, its output block as columns.

Loads only where `decoders/_kernel.c` was built (see `decoders.kernel_choice`). Same samples,
order, values, quality and status as the NumPy kernel, bit by bit.

    block   int64 observed_ns[m], float64 value[m], (uint64 raw[m]), int64 run_start[r + 1],
            int32 head[r], (int32 row[m]), uint16 run_signal[r], int16 run_source[r],
            uint8 quality[m], uint8 status[n]
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from decoders import _kernel
from decoders.plan import FLOAT_KINDS, Plan
from decoders.runs import EXACT_BITS, Exact, Ints, Runs, merge_runs, splice_runs
from model.frames import FrameBatch
from model.signals import SignalBatch

if sys.byteorder != "little":
    raise ImportError("the compiled kernel reads words as little-endian machines keep them")

_FIELD = [("word", "i4"), ("need", "i4"), ("carry", "i4"), ("shift", "i4")]
_UNSIGNED = ("mask", "sign", "lowest", "span", "error_from", "absent_from")
_DOUBLES = ("scale", "offset", "unit_factor", "unit_offset", "minimum", "maximum")
_INTS = ("word", "need", "group", "name", "carry", "shift", "kind", "keep_raw")
_SIGNAL = np.dtype(
    [*((n, "u8") for n in _UNSIGNED), *((n, "f8") for n in _DOUBLES), *((n, "i4") for n in _INTS)]
)
_SELECTOR = np.dtype([("mask", "u8"), *_FIELD, ("first", "i4"), ("last", "i4")])
_INTERVAL = np.dtype([("low", "u8"), ("high", "u8"), ("first", "i4"), ("last", "i4")])
_GROUP = np.dtype(
    [(n, "i4") for n in (
        "signal_first", "signal_last", "selector_first", "selector_last",
        "need", "promised", "length", "padded", "iso_tp", "unused",
    )]
)  # fmt: skip
_LEVEL = np.dtype([("mask", "u4"), ("first", "i4"), ("last", "i4")])
_KEY = np.dtype([("key", "u4"), ("message", "i4"), ("ignored", "u4")])
_NAMED = np.dtype([("signal", "i4"), ("name", "i4"), ("group", "i4"), ("need", "i4")])
#: Where a selector's number is in `Groups.low`.
_SELECTOR_SHIFT = np.uint64(48)
#: Output bytes a frame of the first block, and what is added where that was too little.
_FIRST_GUESS, _SPARE = 128, 1 << 12
#: Idle blocks kept for the next calls.
_KEPT_BLOCKS = 4
#: References to an idle block while `_take` looks at it: the name and the call's argument.
_IDLE = 2
_U1, _U2, _U8 = np.dtype("u1"), np.dtype("u2"), np.dtype("u8")
_I2, _I4, _I8, _F8 = np.dtype("i2"), np.dtype("i4"), np.dtype("i8"), np.dtype("f8")


class CompiledKernel:
    """Decodes whole batches of one plan. Safe to share between threads."""

    name = "compiled"

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.wide = (plan.signals.bits > EXACT_BITS) & ~np.isin(plan.signals.kind, FLOAT_KINDS)
        self.signed = plan.signal_bits.sign != 0
        self.with_raw = bool(self.wide.any())
        # A signal that shares a run with a wide one keeps its raw numbers too.
        keep_raw = np.isin(plan.signals.name, plan.signals.name[self.wide])
        self._tables = _kernel.prepare(*_tables(plan, keep_raw))
        self._blocks: list[NDArray[np.uint8]] = []
        self._bytes_a_frame = _FIRST_GUESS

    def decode(
        self, batch: FrameBatch, frame: Ints | None = None, *, with_rows: bool = False
    ) -> CompiledSamples:
        """Everything the plan knows about the batch; `frame` numbers its rows.

        `with_rows` keeps the row of each sample.
        """
        n = len(batch.length)
        size = _SPARE + self._bytes_a_frame * n
        while True:
            block = self._take(size)
            missed, samples, runs = _kernel.decode(
                self._tables, batch.can_id, batch.length, batch.observed_ns, batch.payload8,
                batch.payload64, block, self.with_raw, with_rows,
            )  # fmt: skip
            if not missed:
                break
            size = missed + _SPARE
            self._bytes_a_frame = max(self._bytes_a_frame, -(-missed // n))
        if len(self._blocks) < _KEPT_BLOCKS:
            self._blocks.append(block)
        return CompiledSamples(self, batch, frame, block, n, samples, runs, with_rows)

    def _take(self, size: int) -> NDArray[np.uint8]:
        """A block that no array looks at any more, or a fresh one.

        Fresh memory costs more than decoding into it: the kernel clears it page by page.
        """
        for _ in range(len(self._blocks)):
            try:
                block = self._blocks.pop(0)
            except IndexError:  # another thread was faster
                break
            if len(block) >= size and sys.getrefcount(block) == _IDLE:
                return block
            if sys.getrefcount(block) > _IDLE:
                self._blocks.append(block)
        return np.empty(size, np.uint8)


class CompiledSamples:
    """What one call found: the columns of a `SignalBatch`, laid out in one block."""

    __slots__ = (
        "_batch",
        "_block",
        "_frame",
        "_kernel",
        "_raw",
        "_rows",
        "_runs",
        "_samples",
        "_with_rows",
        "status",
    )

    def __init__(
        self,
        kernel: CompiledKernel,
        batch: FrameBatch,
        frame: Ints | None,
        block: NDArray[np.uint8],
        n: int,
        samples: int,
        runs: int,
        with_rows: bool,
    ) -> None:
        self._kernel, self._batch, self._frame, self._block = kernel, batch, frame, block
        self._samples, self._runs, self._with_rows = samples, runs, with_rows
        self._raw = 8 * samples if kernel.with_raw else 0
        self._rows = 4 * samples if with_rows else 0
        at = 17 * samples + self._raw + 8 + 16 * runs + self._rows
        self.status: NDArray[np.uint8] = np.ndarray((n,), _U1, block, at)

    def signals(self, parts: Sequence[Runs]) -> SignalBatch:
        """All samples of the batch, those of `parts` (from transport protocols) among them."""
        mine = self._signals()
        if not parts:
            return mine
        joined = splice_runs(mine, merge_runs(self._kernel.plan, parts, self.status))
        return self._merged(parts) if joined is None else joined

    def _signals(self) -> SignalBatch:
        block, m, r = self._block, self._samples, self._runs
        start = 16 * m + self._raw
        head = start + 8 + 8 * r
        signal = head + 4 * r + self._rows
        run_start: NDArray[np.int64] = np.ndarray((r + 1,), _I8, block, start)
        return SignalBatch(
            self._kernel.plan.table,
            np.ndarray((r,), _U2, block, signal),
            np.ndarray((r,), _I2, block, signal + 2 * r),
            run_start,
            np.ndarray((m,), _I8, block, 0),
            np.ndarray((m,), _F8, block, 8 * m),
            np.ndarray((m,), _U1, block, signal + 4 * r),
            self.status,
            self._exact(run_start) if self._raw else {},
        )

    def _head(self) -> NDArray[np.int32]:
        """The plan signal of each run (the first, where several feed it)."""
        at = 16 * self._samples + self._raw + 8 + 8 * self._runs
        return np.ndarray((self._runs,), _I4, self._block, at)

    def _exact(self, start: NDArray[np.int64]) -> Exact:
        raw: NDArray[np.uint64] = np.ndarray((self._samples,), _U8, self._block, 16 * self._samples)
        head = self._head()
        exact: Exact = {}
        for run in np.flatnonzero(self._kernel.wide[head]).tolist():
            numbers = raw[start[run] : start[run + 1]]
            exact[run] = numbers.view(np.int64) if self._kernel.signed[head[run]] else numbers
        return exact

    def _merged(self, parts: Sequence[Runs]) -> SignalBatch:
        """Where `parts` share runs with plain frames: once more, with the frame of each sample."""
        if not self._with_rows:
            again = self._kernel.decode(self._batch, self._frame, with_rows=True)
            again.status[:] = self.status
            return again._merged(parts)
        mine, m = self._signals(), self._samples
        rows_at = 16 * m + self._raw + 8 + 12 * self._runs
        raw = np.ndarray((m,), _U8, self._block, 16 * m) if self._raw else None
        own = Runs(
            signal=self._head().astype(np.int64),
            source=mine.run_source,
            count=np.diff(mine.run_start),
            row=np.ndarray((m,), _I4, self._block, rows_at).astype(np.int64),
            frame=np.arange(len(self._batch)) if self._frame is None else self._frame,
            observed_ns=mine.observed_ns,
            value=mine.value,
            quality=mine.quality,
            raw=raw,
        )
        return merge_runs(self._kernel.plan, [own, *parts], self.status)


def _tables(plan: Plan, keep_raw: NDArray[np.bool_]) -> list[NDArray[np.generic]]:
    """The plan as `_kernel.prepare` wants it."""
    groups, ids = plan.groups, plan.ids
    counts = np.diff(groups.signal_start)
    #: DM1's lamps, the last signals, are in no group.
    group = np.full(len(plan.signals.name), -1, np.int32)
    group[: int(counts.sum())] = np.repeat(np.arange(len(counts), dtype=np.int32), counts)
    signals = _table(_SIGNAL, plan.signals, plan.signal_bits)
    signals["group"], signals["keep_raw"] = group, keep_raw
    named = np.zeros(int(counts.sum()), _NAMED)
    order = np.argsort(plan.signals.name[group >= 0], kind="stable")
    named["signal"] = order
    for column in ("name", "group", "need"):
        named[column] = signals[column][order]
    return [
        signals, _selectors(plan), _intervals(plan), groups.target, _group_rows(plan),
        _standard(plan), _levels(plan), _table(_KEY, ids), named,
    ]  # fmt: skip


def _table(dtype: np.dtype[np.void], *sources: object) -> NDArray[np.void]:
    """Rows with every column of `dtype` that a source has."""
    found = {n: getattr(s, n) for s in sources for n in dtype.names or () if hasattr(s, n)}
    rows = np.zeros(len(next(iter(found.values()))), dtype)
    for name, column in found.items():
        rows[name] = column
    return rows


def _selectors(plan: Plan) -> NDArray[np.void]:
    rows = _table(_SELECTOR, plan.selector_bits)
    owner = plan.groups.low >> _SELECTOR_SHIFT
    number = np.arange(len(rows), dtype=np.uint64)
    rows["first"] = np.searchsorted(owner, number)
    rows["last"] = np.searchsorted(owner, number, side="right")
    return rows


def _intervals(plan: Plan) -> NDArray[np.void]:
    groups = plan.groups
    rows = np.zeros(len(groups.low), _INTERVAL)
    below = (np.uint64(1) << _SELECTOR_SHIFT) - np.uint64(1)
    rows["low"], rows["high"] = groups.low & below, groups.high & below
    rows["first"], rows["last"] = groups.target_start[:-1], groups.target_start[1:]
    return rows


def _group_rows(plan: Plan) -> NDArray[np.void]:
    groups, messages = plan.groups, len(plan.messages)
    rows = _table(_GROUP, groups)
    rows["signal_first"], rows["signal_last"] = groups.signal_start[:-1], groups.signal_start[1:]
    rows["selector_first"] = groups.selector_start[:-1]
    rows["selector_last"] = groups.selector_start[1:]
    for column in ("length", "padded", "iso_tp"):
        rows[column][:messages] = getattr(plan, column)
    return rows


def _standard(plan: Plan) -> NDArray[np.void]:
    rows = np.zeros(len(plan.ids.standard), _KEY)
    rows["message"], rows["ignored"] = plan.ids.standard, plan.ids.standard_ignored
    return rows


def _levels(plan: Plan) -> NDArray[np.void]:
    rows = np.zeros(len(plan.ids.level_mask), _LEVEL)
    rows["mask"] = plan.ids.level_mask
    rows["first"], rows["last"] = plan.ids.level_start[:-1], plan.ids.level_start[1:]
    return rows
