"""Batches to candump text.

Source: can-utils, candump.c (-l) and lib.c; the layout is in `ingest.candump`.
"""

from __future__ import annotations

from typing import BinaryIO

from ingest.log_rows import Row, decimal, rows_of
from model.errors import DecodeError
from model.frames import ERROR_FRAME, EXTENDED_ID, ID_MASK, REMOTE_FRAME, FrameBatch, FrameFlag

_ERROR, _REMOTE, _EXTENDED = int(ERROR_FRAME), int(REMOTE_FRAME), int(EXTENDED_ID)
_ID = int(ID_MASK)
_FD, _BRS, _ESI, _TX = (int(f) for f in (FrameFlag.FD, FrameFlag.BRS, FrameFlag.ESI, FrameFlag.TX))


class CandumpWriter:
    """Lines as `candump -l` writes them: microseconds, and nanoseconds only where there are any.

    A frame we sent gets a T. Interfaces are can0, can1, ... by bus number.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def write(self, batch: FrameBatch) -> None:
        """Append a batch. Raises DecodeError for times before 1970."""
        if len(batch) and int(batch.observed_ns.min()) < 0:
            raise DecodeError("candump has no times before 1970")
        self._stream.write("".join(map(_line, rows_of(batch))).encode("ascii"))

    def close(self) -> None:
        """A candump log just ends."""


def _line(row: Row) -> str:
    sent = " T" if row.flags & _TX else ""
    return f"({decimal(row.observed_ns)}) can{row.bus} {_frame(row)}{sent}\n"


def _frame(row: Row) -> str:
    can_id = row.can_id
    if can_id & _ERROR:
        return f"{can_id & (_ERROR | _ID):08X}#{row.payload[:16]}"
    name = f"{can_id & _ID:08X}" if can_id & _EXTENDED else f"{can_id & _ID:03X}"
    if can_id & _REMOTE:
        return f"{name}#R{row.length}"
    if row.flags & _FD:
        digit = (1 if row.flags & _BRS else 0) | (2 if row.flags & _ESI else 0)
        return f"{name}##{digit}{row.payload}"
    return f"{name}#{row.payload}"
