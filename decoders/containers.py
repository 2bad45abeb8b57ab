"""Messages inside messages: AUTOSAR container frames.

Source: AUTOSAR Specification of I-PDU Multiplexer and COM (dynamic containers, short header);
edition: docs/sources.md.

    byte   content
    0-2    header identifier of the contained message, big-endian; four zeros = nothing more
    3      length of its payload
    4-     payload, then the next header

A header nobody named makes the frame BAD_MULTIPLEXER, a payload that is cut off SHORT; what comes
before is decoded. Row by row: containers are few, and Python is fast enough for them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from decoders.kernel import Frames, decode_rows, find_messages
from decoders.kernel_contract import Kernel, Samples
from decoders.plan import Plan
from decoders.runs import Ints, Runs
from model.frames import ERROR_FRAME, REMOTE_FRAME, FrameBatch
from model.signals import FrameStatus, SignalBatch

_HEADER = 4
#: Row, contained message, payload.
Content = tuple[int, int, bytes]


class ContainerKernel:
    """A kernel that looks into containers too."""

    def __init__(self, plan: Plan, kernel: Kernel) -> None:
        self._plan, self._kernel = plan, kernel
        known = plan.containers
        keys = zip(known.message.tolist(), known.header.tolist(), strict=True)
        self._contained = dict(zip(keys, known.contained.tolist(), strict=True))
        self._is_container = np.zeros(len(plan.messages), np.bool_)
        self._is_container[known.message] = True

    def decode(self, batch: FrameBatch, frame: Ints | None = None) -> Samples:
        """Like any kernel's."""
        found = self._kernel.decode(batch, frame)
        contents = list(self._contents(batch, found.status))
        return _WithContents(found, (self._runs(batch, frame, contents),)) if contents else found

    def _contents(self, batch: FrameBatch, status: NDArray[np.uint8]) -> Iterator[Content]:
        message, _ = find_messages(self._plan, batch.can_id)
        holds = (message >= 0) & self._is_container[message]
        holds &= (batch.can_id & (REMOTE_FRAME | ERROR_FRAME)) == 0
        for row in np.flatnonzero(holds).tolist():
            payload, at = batch.payload(row), 0
            while any(head := payload[at : at + _HEADER]):
                stop = at + _HEADER + (head[3] if len(head) == _HEADER else 0)
                if len(head) < _HEADER or stop > len(payload):
                    status[row] = FrameStatus.SHORT
                    break
                contained = self._contained.get(
                    (int(message[row]), int.from_bytes(head[:3], "big"))
                )
                if contained is None:
                    status[row] = FrameStatus.BAD_MULTIPLEXER
                else:
                    yield row, contained, payload[at + _HEADER : stop]
                at = stop

    def _runs(self, batch: FrameBatch, frame: Ints | None, contents: list[Content]) -> Runs:
        width = max(8, -(-max(len(c) for _, _, c in contents) // 8) * 8)
        row = np.array([r for r, _, _ in contents], np.int64)
        blob = b"".join(c.ljust(width, b"\0") for _, _, c in contents)
        frames = Frames(
            observed_ns=batch.observed_ns[row],
            can_id=np.zeros(len(row), np.uint32),
            length=np.array([len(c) for _, _, c in contents], np.int32),
            payload=np.frombuffer(blob, np.uint8).reshape(-1, width),
            row=row if frame is None else frame[row],
        )
        message = np.array([m for _, m, _ in contents], np.int32)
        runs, _ = decode_rows(self._plan, frames, message, np.full(len(row), -1, np.int16))
        return runs


@dataclass(frozen=True, slots=True, eq=False)
class _WithContents:
    found: Samples
    contents: tuple[Runs, ...]

    @property
    def status(self) -> NDArray[np.uint8]:
        return self.found.status

    def signals(self, parts: Sequence[Runs]) -> SignalBatch:
        return self.found.signals([*self.contents, *parts])
