"""Whole messages of a batch at once: what `iso15765` would give frame by frame.

Source: ISO 15765-2 (edition: docs/sources.md), laid out in `iso15765`.

Only what is beyond doubt: classic frames of normal addressing, single frames and messages whose
frames all lie in the batch, full, in sequence and in time. Everything else is left to the state
machine. One Python object a message instead of several a frame (ratios: `bench/isotp.py`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from itertools import repeat
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from decoders.iso15765 import (
    CLASSIC,
    CONSECUTIVE,
    FIRST,
    N_CR_NS,
    NO_ADDRESS,
    SINGLE,
    Message,
)
from decoders.runs import stable_order
from model.frames import FrameBatch

Rows = NDArray[np.intp]
#: Below this many rows arranging them costs more than it saves (measured: the costs meet at 50
#: rows of long messages and at 96 of single frames).
ENOUGH_ROWS = 64
#: Bytes of a frame behind its first one.
_BODY = CLASSIC - 1
#: A message of a tuple, without the interpreter.
_MESSAGE = partial(tuple.__new__, Message)
#: A kind that no classic frame has: CAN FD.
_FD_KIND = 16


@dataclass(frozen=True, slots=True)
class Whole:
    """Messages by the row of their last frame; `inside` are the rows of their other frames."""

    messages: dict[int, Message] = field(default_factory=dict)
    inside: Rows = field(default_factory=lambda: np.zeros(0, np.intp))


class _Streams(NamedTuple):
    """Frames by (bus, identifier), in order of time inside; flow control left out.

    `same`: a frame and the one before it are of one (bus, identifier), and in time.
    """

    row: Rows
    kind: NDArray[np.uint8]
    full: NDArray[np.bool_]
    same: NDArray[np.bool_]
    payload: NDArray[np.uint8]


def whole_messages(batch: FrameBatch, rows: Rows, normal: Callable[[int], bool]) -> Whole:
    """The messages in these rows; `normal` says of an identifier that it has no address byte."""
    streams = _arrange(batch, rows)
    first, last, size = _find(streams, batch.length[streams.row])
    can_id = batch.can_id[streams.row[first]].tolist()
    chosen = {i for i in set(can_id) if normal(i)}
    if len(chosen) < len(set(can_id)):
        keep = np.isin(batch.can_id[streams.row[first]], np.array(sorted(chosen), np.uint32))
        first, last, size = first[keep], last[keep], size[keep]
        can_id = batch.can_id[streams.row[first]].tolist()
    begin, end = streams.row[first], streams.row[last]
    # Of a first frame's body the first byte is the low byte of the length.
    start = first * _BODY + (last > first)
    body = streams.payload[:, 1:].tobytes()
    limits = zip(start.tolist(), (start + size).tolist(), strict=True)
    columns = zip(
        batch.observed_ns[begin].tolist(),
        batch.observed_ns[end].tolist(),
        batch.bus[begin].tolist(),
        can_id,
        repeat(NO_ADDRESS),
        [body[low:high] for low, high in limits],
        strict=False,
    )
    messages = dict(zip(end.tolist(), map(_MESSAGE, columns), strict=True))
    step = np.zeros(len(streams.row) + 1, np.int64)
    step[first] += 1
    step[last] -= 1
    return Whole(messages, streams.row[np.cumsum(step[:-1]) > 0])


def _arrange(batch: FrameBatch, rows: Rows) -> _Streams:
    observed_ns = batch.observed_ns[rows]
    if (observed_ns[1:] < observed_ns[:-1]).any():
        rows = rows[np.argsort(observed_ns, kind="stable")]
    fd = rows >= batch.n8
    payload = np.zeros((len(rows), CLASSIC), np.uint8)
    payload[~fd] = batch.payload8[rows[~fd]]
    kind = payload[:, 0] >> np.uint8(4)
    kind[fd] = _FD_KIND
    speaking = (kind <= CONSECUTIVE) | fd
    if not speaking.all():
        rows, kind, payload = rows[speaking], kind[speaking], payload[speaking]
    stream = batch.bus[rows].astype(np.int64) << 32 | batch.can_id[rows]
    order = stable_order(stream)
    rows, stream = rows[order], stream[order]
    same = np.zeros(len(rows), np.bool_)
    same[1:] = stream[1:] == stream[:-1]
    same[1:] &= np.diff(batch.observed_ns[rows]) <= N_CR_NS
    full = batch.length[rows] >= CLASSIC
    return _Streams(rows, kind[order], full, same, payload[order])


def _find(streams: _Streams, length: NDArray[np.uint8]) -> tuple[Rows, Rows, NDArray[np.int64]]:
    """Places of the first and last frame of each message, and its bytes."""
    kind, control = streams.kind, streams.payload[:, 0].astype(np.int64)
    is_first = (kind == FIRST) & streams.full
    # A first frame is number 0 of its message.
    number = np.where(is_first, 0, control & 0xF)
    goes_on = (kind == CONSECUTIVE) & streams.full & streams.same
    goes_on[1:] &= number[1:] == (number[:-1] + 1 & 0xF)
    goes_on[1:] &= is_first[:-1] | (kind[:-1] == CONSECUTIVE)
    size = np.where(is_first, (control & 0xF) << 8 | streams.payload[:, 1], control)
    is_first &= size > _BODY
    first = ((kind == SINGLE) & (size > 0) & (size < length) | is_first).nonzero()[0]
    size = size[first]
    last = first + size // _BODY * is_first[first]
    breaks = np.append((~goes_on).nonzero()[0], len(kind))
    whole = breaks[np.searchsorted(breaks, first, side="right")] > last
    return first[whole], last[whole], size[whole]
