"""Whole messages of a batch at once: what `iso15765` would give frame by frame.

Source: ISO 15765-2 (edition: docs/sources.md), laid out in `iso15765`.

Only what is beyond doubt: classic frames of normal addressing, single frames and messages whose
frames all lie in the batch, full, in sequence and in time. Everything else is left to the state
machine. Two or three Python objects a message instead of several a frame (`bench/isotp.py`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from decoders.iso15765 import (
    CLASSIC,
    CONSECUTIVE,
    FIRST,
    N_CR_NS,
    SINGLE,
)
from decoders.runs import stable_order
from model.frames import FrameBatch

Rows = NDArray[np.intp]
#: Below this many rows arranging them costs more than it saves (measured, with all that listening
#: does: the costs meet at 70 rows of messages of three frames and at 100 of long ones).
ENOUGH_ROWS = 96
#: Bytes of a frame behind its first one.
_BODY = CLASSIC - 1
#: A kind that no classic frame has: CAN FD.
_FD_KIND = 16


@dataclass(frozen=True, slots=True)
class Whole:
    """Payloads of messages by the row of their last frame, in any order.

    `begun_ns` is the time of the first frame where that is another one, by the same row; `inside`
    are the rows of all frames but the last.
    """

    payloads: dict[int, bytes] = field(default_factory=dict)
    begun_ns: dict[int, int] = field(default_factory=dict)
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
    can_id = batch.can_id[streams.row]
    # Identifiers change only where a frame does not follow the one before it.
    if foreign := [i for i in set(can_id[~streams.same].tolist()) if not normal(i)]:
        keep = ~np.isin(can_id[first], np.array(foreign, np.uint32))
        first, last, size = first[keep], last[keep], size[keep]
    several = last > first
    payloads = _single(streams, first[~several], size[~several])
    begun_ns: dict[int, int] = {}
    inside = streams.row[:0]
    if several.any():
        first, last, size = first[several], last[several], size[several]
        end = streams.row[last].tolist()
        payloads |= zip(end, _segmented(streams, first, size), strict=True)
        begun_ns = dict(zip(end, batch.observed_ns[streams.row[first]].tolist(), strict=True))
        step = np.zeros(len(streams.row) + 1, np.int64)
        step[first] = 1
        step[last] = -1
        inside = streams.row[np.cumsum(step[:-1]) > 0]
    return Whole(payloads, begun_ns, inside)


def _single(streams: _Streams, place: Rows, size: NDArray[np.int64]) -> dict[int, bytes]:
    """Payloads of single frames; as many of one size at once as there are."""
    payloads: dict[int, bytes] = {}
    for length in np.bincount(size).nonzero()[0].tolist():
        chosen = place[size == length]
        body = np.ascontiguousarray(streams.payload[chosen, 1 : 1 + length])
        contents = body.view(f"V{length}")[:, 0].tolist()
        payloads.update(zip(streams.row[chosen].tolist(), contents, strict=True))
    return payloads


def _segmented(streams: _Streams, first: Rows, size: NDArray[np.int64]) -> list[bytes]:
    """Payloads of messages of several frames."""
    # Of a first frame's body the first byte is the low byte of the length.
    start = first * _BODY + 1
    body = streams.payload[:, 1:].tobytes()
    limits = zip(start.tolist(), (start + size).tolist(), strict=True)
    return [body[low:high] for low, high in limits]


def _arrange(batch: FrameBatch, rows: Rows) -> _Streams:
    observed_ns = batch.observed_ns[rows]
    if (observed_ns[1:] < observed_ns[:-1]).any():
        rows = rows[np.argsort(observed_ns, kind="stable")]
    fd = rows >= batch.n8
    if fd.any():
        payload = np.zeros((len(rows), CLASSIC), np.uint8)
        payload[~fd] = batch.payload8[rows[~fd]]
    else:
        payload = batch.payload8.take(rows, axis=0)
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
    observed_ns = batch.observed_ns[rows]
    same[1:] &= observed_ns[1:] - observed_ns[:-1] <= N_CR_NS
    full = batch.length[rows] >= CLASSIC
    return _Streams(rows, kind[order], full, same, payload.take(order, axis=0))


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
    breaks = np.concatenate([(~goes_on).nonzero()[0], [len(kind)]])
    whole = breaks[breaks.searchsorted(first, side="right")] > last
    return first[whole], last[whole], size[whole]
