"""Rows of a batch for those who write logs: in the order of time, from a start of whole ms."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from model.clock import NS
from model.errors import DecodeError
from model.frames import FrameBatch

_NS_PER_MS = NS // 1000


class Row(NamedTuple):
    """One frame; `payload` is hexadecimal, upper case."""

    observed_ns: int
    can_id: int
    bus: int
    flags: int
    length: int
    payload: str


def time_order(batch: FrameBatch) -> NDArray[np.intp]:
    """Row numbers in the order of time; at one time classic frames first."""
    return np.argsort(batch.observed_ns, kind="stable")


def rows_of(batch: FrameBatch) -> Iterator[Row]:
    """All frames in the order of time."""
    order = time_order(batch)
    texts = [payload.tobytes().hex().upper() for payload in (batch.payload8, batch.payload64)]
    columns = (batch.observed_ns, batch.can_id, batch.bus, batch.flags, batch.length)
    observed_ns, can_id, bus, flags, length = (column[order].tolist() for column in columns)
    for place, row in enumerate(order.tolist()):
        fd = row >= batch.n8
        first = (row - batch.n8) * 128 if fd else row * 16
        size = length[place]
        payload = texts[fd][first : first + 2 * size]
        yield Row(observed_ns[place], can_id[place], bus[place], flags[place], size, payload)


def start_of(batch: FrameBatch, start_ns: int | None) -> int:
    """Where a log that counts from its start begins: as told, else at its first frame; whole ms.

    Raises DecodeError for a frame before it.
    """
    first = int(batch.observed_ns.min())
    start_ns = (first if start_ns is None else start_ns) // _NS_PER_MS * _NS_PER_MS
    if first < start_ns:
        raise DecodeError(f"a frame is {(start_ns - first) / NS:.6f} s before the log's start")
    return start_ns


def decimal(ns: int) -> str:
    """Seconds with six digits, or nine where there is less than a microsecond."""
    seconds, rest = divmod(ns, NS)
    return f"{seconds}.{rest:09d}" if rest % 1000 else f"{seconds}.{rest // 1000:06d}"
