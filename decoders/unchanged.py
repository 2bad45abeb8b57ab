"""Leaves out frames that say what the frame before said, where only changes matter.

A message is thinned when all its signals are bound to states of the catalogue (`on_change`). Of
frames in a row with one identifier, bus, length and payload the first is decoded; the others have
its status and no samples. Each batch starts afresh, so every batch tells every state once. Off
unless asked for: rules that count samples or wait for silence need every frame.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from decoders.kernel import find_messages
from decoders.kernel_contract import Kernel, Samples
from decoders.plan import Plan
from decoders.runs import Ints, Runs
from model.frames import ERROR_FRAME, REMOTE_FRAME, FrameBatch
from model.signals import SignalBatch


class ThinningKernel:
    """A kernel that sees each state once per batch and change."""

    def __init__(self, plan: Plan, kernel: Kernel) -> None:
        self._plan, self._kernel = plan, kernel

    def decode(self, batch: FrameBatch, frame: Ints | None = None) -> Samples:
        """Like any kernel's."""
        told_by = first_frames(self._plan, batch)
        kept = np.flatnonzero(told_by == np.arange(len(batch)))
        if len(kept) == len(batch):
            return self._kernel.decode(batch, frame)
        found = self._kernel.decode(batch.take(kept), kept if frame is None else frame[kept])
        return _Thinned(found, found.status[np.searchsorted(kept, told_by)])


@dataclass(frozen=True, slots=True, eq=False)
class _Thinned:
    found: Samples
    status: NDArray[np.uint8]

    def signals(self, parts: Sequence[Runs]) -> SignalBatch:
        return replace(self.found.signals(parts), frame_status=self.status)


def first_frames(plan: Plan, batch: FrameBatch) -> Ints:
    """For each row, the row that says the same for it: an earlier one or itself."""
    told_by: Ints = np.arange(len(batch))
    if not plan.on_change.any():
        return told_by
    message, _ = find_messages(plan, batch.can_id)
    thin = plan.on_change[message] & (message >= 0)
    thin &= (batch.can_id & (REMOTE_FRAME | ERROR_FRAME)) == 0
    for first, payload in ((0, batch.payload8), (batch.n8, batch.payload64)):
        rows = np.flatnonzero(thin[first : first + len(payload)]) + first
        if len(rows) < 2:
            continue
        rows = rows[np.lexsort((rows, batch.bus[rows], batch.can_id[rows]))]
        before, after = rows[:-1], rows[1:]
        same = (payload[before - first] == payload[after - first]).all(axis=1)
        for column in (batch.can_id, batch.bus, batch.length):
            same &= column[before] == column[after]
        # Of equal neighbours the first; positions only grow, so the last new one is it.
        fresh = np.flatnonzero(np.concatenate([[True], ~same]))
        told_by[rows] = rows[fresh].repeat(np.diff(np.append(fresh, len(rows))))
    return told_by
