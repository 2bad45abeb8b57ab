"""Whole batches by the NumPy kernel: part by part, joined at the end."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from decoders.kernel import CHUNK, Frames, decode_rows, find_messages
from decoders.plan import Plan
from decoders.runs import Ints, Runs, merge_runs
from model.frames import FrameBatch
from model.signals import SignalBatch


class NumpyKernel:
    """Decodes whole batches of one plan. The reference; needs no compiler."""

    name = "numpy"

    def __init__(self, plan: Plan) -> None:
        self.plan = plan

    def decode(self, batch: FrameBatch, frame: Ints | None = None) -> NumpySamples:
        """Everything the plan knows about the batch; `frame` numbers its rows."""
        status = np.zeros(len(batch), np.uint8)
        parts: list[Runs] = []
        for section in _sections(batch):
            message, source = find_messages(self.plan, section.can_id)
            frames = replace(section, length=self._iso_tp_length(section, message))
            runs, status[frames.row] = decode_rows(self.plan, frames, message, source)
            parts.append(runs if frame is None else replace(runs, frame=frame[runs.frame]))
        return NumpySamples(self.plan, tuple(parts), status)

    def _iso_tp_length(self, frames: Frames, message: NDArray[np.int32]) -> NDArray[np.int32]:
        """Bytes that count: a single frame says its own length, what follows is padding."""
        if not self.plan.iso_tp.any():
            return frames.length
        single = self.plan.iso_tp[message] & (message >= 0) & (frames.payload[:, 0] < 16)
        stated = frames.payload[:, 0].astype(np.int32) + 1
        return np.where(single, np.minimum(frames.length, stated), frames.length)


@dataclass(frozen=True, slots=True, eq=False)
class NumpySamples:
    """What one call found, not yet joined."""

    plan: Plan
    parts: tuple[Runs, ...]
    status: NDArray[np.uint8]

    def signals(self, parts: Sequence[Runs]) -> SignalBatch:
        """All samples of the batch, those of `parts` (from transport protocols) among them."""
        return merge_runs(self.plan, [*self.parts, *parts], self.status)


def _sections(batch: FrameBatch) -> Iterator[Frames]:
    """Parts of one payload width and at most CHUNK rows."""
    for first, payload in ((0, batch.payload8), (batch.n8, batch.payload64)):
        for low in range(0, len(payload), CHUNK):
            high = min(low + CHUNK, len(payload))
            rows = slice(first + low, first + high)
            yield Frames(
                observed_ns=batch.observed_ns[rows],
                can_id=batch.can_id[rows],
                # A gateway's word is not taken for more bytes than it sent.
                length=np.minimum(batch.length[rows], payload.shape[1]).astype(np.int32),
                payload=payload[low:high],
                row=np.arange(first + low, first + high),
            )
