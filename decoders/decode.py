"""From frames to signals and trouble codes: the one call of the pipeline.

Plain frames run through the kernel, classic and CAN FD apart. Transport frames of J1939 are
reassembled over batches (`Tails`); what they carried is decoded by the same plan.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any  # JSON

import numpy as np
from numpy.typing import NDArray

from decoders.j1939 import read_transport
from decoders.j1939_tp import Reassembly
from decoders.kernel import CHUNK, Frames, decode_rows, find_messages
from decoders.plan import Plan
from decoders.runs import Runs, merge_runs
from model.codes import CodeReport
from model.frames import FrameBatch
from model.signals import SignalBatch

#: Just below the size (32 MiB) from which glibc learns nothing more.
_LARGE_BLOCK_BYTES = 24 << 20


@dataclass(frozen=True, slots=True)
class Tails:
    """Unfinished transport sessions of one vehicle, from one batch to the next."""

    j1939: tuple[tuple[int | str, ...], ...] = ()

    def to_memory(self) -> dict[str, Any]:
        """JSON-able; empty when nothing is unfinished."""
        return {"j1939": [list(row) for row in self.j1939]} if self.j1939 else {}

    @classmethod
    def from_memory(cls, memory: Mapping[str, Any]) -> Tails:
        """Inverse of `to_memory`."""
        return cls(tuple(tuple(row) for row in memory.get("j1939", ())))


@dataclass(frozen=True, slots=True, eq=False)
class Decoded:
    """Everything one batch says."""

    signals: SignalBatch
    reports: tuple[CodeReport, ...]
    tails: Tails


class Decoder:
    """Decodes batches of vehicles of one profile. Holds no state of a vehicle."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        _keep_freed_memory()

    def decode(self, batch: FrameBatch, tails: Tails) -> Decoded:
        status = np.zeros(len(batch), np.uint8)
        parts: list[Runs] = []
        for section in _sections(batch):
            message, source = find_messages(self.plan, section.can_id)
            frames = replace(section, length=self._iso_tp_length(section, message))
            runs, status[frames.row] = decode_rows(self.plan, frames, message, source)
            parts.append(runs)
        reports: tuple[CodeReport, ...] = ()
        if self.plan.j1939:
            reassembly = Reassembly.from_memory(tails.j1939)
            more, reports = read_transport(self.plan, batch, reassembly, status)
            parts += more
            reassembly.expire(int(batch.observed_ns.max(initial=0)))
            tails = Tails(tuple(tuple(row) for row in reassembly.to_memory()))
        return Decoded(merge_runs(self.plan, parts, status), reports, tails)

    def _iso_tp_length(self, frames: Frames, message: NDArray[np.int32]) -> NDArray[np.int32]:
        """Bytes that count: a single frame says its own length, what follows is padding."""
        if not self.plan.iso_tp.any():
            return frames.length
        single = self.plan.iso_tp[message] & (message >= 0) & (frames.payload[:, 0] < 16)
        stated = frames.payload[:, 0].astype(np.int32) + 1
        return np.where(single, np.minimum(frames.length, stated), frames.length)


def _keep_freed_memory() -> None:
    """Freeing one large block teaches glibc to keep freed memory of up to that size.

    Without it every batch gives its arrays back to the kernel and faults them in again, which
    costs more than decoding (measured: 440 to 1 060 page faults a batch, 2 to 3 times slower).
    The block is never touched; other allocators ignore it.
    """
    np.empty(_LARGE_BLOCK_BYTES, np.uint8)


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
