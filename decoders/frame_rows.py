"""The few frames that Python looks at one by one: chosen rows of a batch, in order of time."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from model.frames import FrameBatch

#: Row, observed_ns, bus, can_id, payload.
Row = tuple[int, int, int, int, bytes]


def frame_rows(batch: FrameBatch, rows: NDArray[np.intp]) -> Iterator[Row]:
    """The given rows, the earliest first; rows of one time keep their order."""
    order = rows[np.argsort(batch.observed_ns[rows], kind="stable")]
    classic = batch.payload8[order[order < batch.n8]].tobytes()
    at = 0
    for row, observed_ns, bus, can_id, length in zip(
        order.tolist(),
        batch.observed_ns[order].tolist(),
        batch.bus[order].tolist(),
        batch.can_id[order].tolist(),
        batch.length[order].tolist(),
        strict=True,
    ):
        if row < batch.n8:
            yield row, observed_ns, bus, can_id, classic[at : at + min(length, 8)]
            at += 8
        else:
            yield row, observed_ns, bus, can_id, batch.payload(row)
