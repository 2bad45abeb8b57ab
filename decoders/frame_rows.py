"""The few frames that Python looks at one by one: chosen rows of a batch, in order of time.

Most batches have none, so the first choice is rough and cheap (measured: 6 us for 5 000 frames of
a car or a truck); whoever takes the rows looks closer.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from model.frames import ERROR_FRAME, EXTENDED_ID, REMOTE_FRAME, FrameBatch

_FIRST_11, _SPAN_11 = np.uint32(0x700), np.uint32(0xFF)
#: Flags and PGN of a 29-bit identifier; PDU1: without the destination.
PDU2 = np.uint32(int(EXTENDED_ID | REMOTE_FRAME | ERROR_FRAME) | 0x03FF_FF00)
PDU1 = np.uint32(int(EXTENDED_ID | REMOTE_FRAME | ERROR_FRAME) | 0x03FF_0000)
#: DM1 .. DM12 lie side by side; DM25 does not.
_DM1, _DM12, _DM25 = 65226, 65236, 64951
FIRST_DM, SPAN_DM = np.uint32(int(EXTENDED_ID) | _DM1 << 8), np.uint32((_DM12 - _DM1) << 8)
DM25 = np.uint32(int(EXTENDED_ID) | _DM25 << 8)
#: What to look at, by the 18 bits of a PGN. They are 7 in 11-bit identifiers from 700 on.
_BELOW_PGN, _PGN = np.uint32(8), np.uint32(0x3_FFFF)
_WATCHED = np.zeros(int(_PGN) + 1, np.bool_)
_WATCHED[7] = True
_WATCHED[0xC7 << 8 : 0xED << 8] = True  # PDU1 from ETP.DT to TP.CM; ISO 15765 lies between
_WATCHED_J1939 = _WATCHED.copy()
_WATCHED_J1939[[*range(_DM1, _DM12 + 1), _DM25]] = True

#: Row, observed_ns, bus, can_id, payload.
Row = tuple[int, int, int, int, bytes]


def candidates(can_id: NDArray[np.uint32], *, j1939: bool) -> NDArray[np.intp]:
    """Rows that may carry transport or diagnosis, and a few that do not."""
    if len(can_id) and can_id.max() >= EXTENDED_ID:
        watched = _WATCHED_J1939 if j1939 else _WATCHED
        return watched.take(can_id >> _BELOW_PGN & _PGN, mode="clip").nonzero()[0]
    return (can_id - _FIRST_11 <= _SPAN_11).nonzero()[0]


def frame_rows(batch: FrameBatch, rows: NDArray[np.intp]) -> Iterator[Row]:
    """The given rows, the earliest first; rows of one time keep their order."""
    order = rows.take(batch.observed_ns.take(rows).argsort(kind="stable"))
    classic = batch.payload8.take(order[order < batch.n8], axis=0).tobytes()
    at = 0
    for row, observed_ns, bus, can_id, length in zip(
        order.tolist(),
        batch.observed_ns.take(order).tolist(),
        batch.bus.take(order).tolist(),
        batch.can_id.take(order).tolist(),
        batch.length.take(order).tolist(),
        strict=True,
    ):
        if row < batch.n8:
            yield row, observed_ns, bus, can_id, classic[at : at + min(length, 8)]
            at += 8
        else:
            yield row, observed_ns, bus, can_id, batch.payload(row)
