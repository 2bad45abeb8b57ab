"""Batches to Vector ASC.

Source: Vector, CAN_LOG_TRIGGER_ASC_Format; the layout is in `ingest.asc`.
"""

from __future__ import annotations

from datetime import UTC, tzinfo
from typing import BinaryIO

from ingest.log_rows import Row, decimal, rows_of, start_of
from ingest.text_lines import FD_LENGTHS
from model.clock import utc
from model.frames import ERROR_FRAME, EXTENDED_ID, ID_MASK, REMOTE_FRAME, FrameBatch, FrameFlag

_ERROR, _REMOTE, _EXTENDED = int(ERROR_FRAME), int(REMOTE_FRAME), int(EXTENDED_ID)
_ID = int(ID_MASK)
_FD, _BRS, _ESI, _TX = (int(f) for f in (FrameFlag.FD, FrameFlag.BRS, FrameFlag.ESI, FrameFlag.TX))
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]


class AscWriter:
    """Hexadecimal, absolute times; an error frame keeps its time and bus and nothing else.

    Without `start_ns` the log starts with the first batch's first frame.
    """

    def __init__(self, stream: BinaryIO, start_ns: int | None = None, zone: tzinfo = UTC) -> None:
        self._stream, self._start_ns, self._zone = stream, start_ns, zone
        self._begun = False

    def write(self, batch: FrameBatch) -> None:
        """Append a batch. Raises DecodeError for a frame before the start."""
        if len(batch):
            start_ns = self._begin(start_of(batch, self._start_ns))
            lines = [
                f"{decimal(row.observed_ns - start_ns):>11} {_frame(row)}\n"
                for row in rows_of(batch)
            ]
            self._stream.write("".join(lines).encode("ascii"))

    def close(self) -> None:
        """End the log, which has its header even when it holds no frame."""
        self._begin(self._start_ns or 0)
        self._stream.write(b"End TriggerBlock\n")

    def _begin(self, start_ns: int) -> int:
        if not self._begun:
            at = utc(start_ns).astimezone(self._zone)
            clock = f"{at:%d %H:%M:%S}.{at.microsecond // 1000:03d} {at.year:04d}"
            date = f"{_DAYS[at.weekday()]} {_MONTHS[at.month - 1]} {clock}"
            header = f"date {date}\nbase hex  timestamps absolute\ninternal events logged\n"
            header += f"Begin Triggerblock {date}\n   0.000000 Start of measurement\n"
            self._stream.write(header.encode("ascii"))
            self._start_ns, self._begun = start_ns, True
        return start_ns


def _frame(row: Row) -> str:
    channel = row.bus + 1
    if row.can_id & _ERROR:
        return f"{channel}  ErrorFrame"
    name = f"{row.can_id & _ID:X}{'x' if row.can_id & _EXTENDED else ''}"
    direction = "Tx" if row.flags & _TX else "Rx"
    pairs = " ".join(row.payload[i : i + 2] for i in range(0, len(row.payload), 2))
    if row.can_id & _REMOTE:
        return f"{channel}  {name:<15} {direction:<4} r {row.length:x}"
    if not row.flags & _FD:
        return f"{channel}  {name:<15} {direction:<4} d {row.length:x} {pairs}".rstrip()
    brs, esi = int(bool(row.flags & _BRS)), int(bool(row.flags & _ESI))
    code = next(i for i, size in enumerate(FD_LENGTHS) if size >= row.length)
    bits = 1 << 12 | brs << 13 | esi << 14
    head = f"CANFD {channel:>3} {direction:<4} {name:>8}  {'':32} {brs} {esi} {code:x}"
    # After the bytes: duration, bits, flags, CRC and five bit timings, which we do not know.
    return f"{head} {row.length:>2} {pairs} {0:>8} {0:>4} {bits:>8X}" + f" {0:>8}" * 5
