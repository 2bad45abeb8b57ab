"""Vector ASC: bytes to columns, line by line.

Source: Vector, CAN_LOG_TRIGGER_ASC_Format (header, classic, CANFD and error-frame lines), and
files of CANalyzer and python-can.

    date Sat Sep 30 15:06:13.191 pm 2017          start, the logger's local time
    base hex  timestamps absolute                 hex or dec; absolute or relative
    Begin Triggerblock Sat Sep 30 15:06:13.191 2017       a new start
     0.100000 1  123     Rx   d 8 01 02 ...       time, channel, id (x = 29-bit), data, dlc
     0.100000 1  123x    Tx   r 8                 remote frame, dlc may be missing
     0.100000 1  ErrorFrame
     0.100000 CANFD 1 Rx 123 Name 1 0 9 12 ...    brs, esi, dlc, bytes; duration, length, flags

Bit 4 of a CANFD line's flags is a remote frame, bit 12 says that the frame was CAN FD. Lines of
other kinds (statistics, chip status, J1939TP, comments) hold no frame; `TxRq` is a wish, the
frame itself follows as `Tx`. What looks like a frame and is none, or like nothing, is a fault.
"""

from __future__ import annotations

import re
from datetime import datetime, tzinfo

from ingest.columns import Faults, RowBuffer
from ingest.text_lines import LineReader, fraction_ns, identifier, integer, payload
from model.clock import NS, ns_of
from model.errors import DecodeError
from model.frames import ERROR_FRAME, REMOTE_FRAME, FrameFlag

_TIME = r"\s*(\d{1,9})\.(\d{1,9})\s+"
_OFFSET = re.compile(_TIME)
_CLASSIC = re.compile(
    _TIME + r"(\d{1,3})\s+(\w+)\s+(Rx|Tx|TxRq)\s+([dDrR])(?:\s+([0-9A-Fa-f]{1,2})(?!\S)(.*))?"
)
_FD = re.compile(
    _TIME + r"CANFD\s+(\d{1,3})\s+(Rx|Tx|TxRq)\s+(\w+)\s+(?:\S+\s+)??"
    r"([01])\s+([01])\s+([0-9A-Fa-f]{1,2})\s+(\d{1,2})(?!\S)(.*)"
)
_ERROR_LINE = re.compile(
    _TIME + r"(?:CANFD\s+)?(\d{1,3})\s+(?:(Rx|Tx|TxRq)\s+)?ErrorFrame\b", re.IGNORECASE
)
_FRAME_LIKE = re.compile(_TIME + r"(?:CANFD\b|\d+\s+(?:\S+\s+(?:Rx|Tx)|[0-9A-Fa-f]{1,8}x?\s*$))")
_BASE = re.compile(r"\s*base\s+(hex|dec)(?:\s+timestamps\s+(absolute|relative))?", re.IGNORECASE)
_START = re.compile(
    r"\s*(?:begin\s+triggerblock|date)\s+\w+\s+(\w+)\s+(\d+)\s+(\d+):(\d+):(\d+)(?:\.(\d{1,6}))?"
    r"(?:\s+(am|pm))?\s+(\d{4})",
    re.IGNORECASE,
)
_ANY_START = re.compile(r"\s*(?:begin\s+triggerblock|date)\s+\S", re.IGNORECASE)
_NO_FRAME = re.compile(
    r"\s*(?:$|//|(?:no\s+)?internal\s+events|begin\s+triggerblock|end\s+triggerblock|date\s*$"
    r"|previous\s+log)",
    re.IGNORECASE,
)
_ENGLISH = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTHS = {name: number for number, name in enumerate(_ENGLISH, 1)}
_MONTHS |= {"mär": 3, "mai": 5, "okt": 10, "dez": 12}  # Vector tools on German machines
_REMOTE_BIT, _EDL_BIT = 1 << 4, 1 << 12
_REMOTE, _ERROR = int(REMOTE_FRAME), int(ERROR_FRAME)
_FD_FLAG, _BRS, _ESI = int(FrameFlag.FD), int(FrameFlag.BRS), int(FrameFlag.ESI)
_TX = int(FrameFlag.TX)


class AscReader(LineReader):
    """Reads blocks of lines of one file; `zone` is the logger's."""

    def __init__(self, faults: Faults, zone: tzinfo) -> None:
        super().__init__(faults)
        self._zone, self._start_ns, self._offset_ns = zone, 0, 0
        self._base, self._relative = 16, False

    def read_line(self, line: str, rows: RowBuffer) -> None:
        if match := _CLASSIC.match(line):
            self._classic(match, rows)
        elif match := _FD.match(line):
            self._fd(match, rows)
        elif match := _ERROR_LINE.match(line):
            observed_ns = self._observed_ns(match)
            rows.add(observed_ns, _ERROR, b"", bus=_bus(match[3]), flags=_sent(match[4]))
        elif match := _OFFSET.match(line):
            self._observed_ns(match)
            if _FRAME_LIKE.match(line):
                raise DecodeError("not a whole frame")
        else:
            self._header(line)

    def _classic(self, match: re.Match[str], rows: RowBuffer) -> None:
        observed_ns = self._observed_ns(match)
        _, _, channel, name, direction, kind, dlc, rest = match.groups()
        if direction == "TxRq":
            return
        can_id = self._identifier(name)
        length = min(8, integer(dlc, self._base, "dlc")) if dlc else 0
        if kind in "rR":
            can_id |= _REMOTE
            content = b""
        elif dlc is None:
            raise DecodeError("a data frame needs a length")
        else:
            content = payload(rest.split(None, length), length, self._base)
        bus = _bus(channel)
        rows.add(observed_ns, can_id, content, bus=bus, flags=_sent(direction), length=length)

    def _fd(self, match: re.Match[str], rows: RowBuffer) -> None:
        observed_ns = self._observed_ns(match)
        _, _, channel, direction, name, brs, esi, dlc, size, rest = match.groups()
        if direction == "TxRq":
            return
        can_id, length = self._identifier(name), int(size)
        cells = rest.split(None, length + 3)
        bits = integer(cells[length + 2], 16, "flags") if len(cells) > length + 2 else 0
        flags = _sent(direction)
        if bits & _REMOTE_BIT:
            can_id |= _REMOTE
            length, content = min(8, integer(dlc, self._base, "dlc")), b""
        else:
            content = payload(cells, length, self._base)
            if bits & _EDL_BIT or not bits:  # loggers that know no flags write 0
                flags |= _FD_FLAG | int(brs) * _BRS | int(esi) * _ESI
        rows.add(observed_ns, can_id, content, bus=_bus(channel), flags=flags, length=length)

    def _identifier(self, name: str) -> int:
        extended = name[-1] in "xX"
        return identifier(name[:-1] if extended else name, self._base, extended=extended)

    def _observed_ns(self, match: re.Match[str]) -> int:
        """Start of the block plus the line's offset; to be asked once a line."""
        offset_ns = int(match[1]) * NS + fraction_ns(match[2])
        self._offset_ns = self._offset_ns + offset_ns if self._relative else offset_ns
        return self._start_ns + self._offset_ns

    def _header(self, line: str) -> None:
        if match := _START.match(line):
            self._start_ns, self._offset_ns = _local_ns(match, self._zone), 0
        elif match := _BASE.match(line):
            self._base = 16 if match[1].lower() == "hex" else 10
            self._relative = (match[2] or "").lower() == "relative"
        elif _ANY_START.match(line):
            raise DecodeError("start of measurement is not a date")
        elif not _NO_FRAME.match(line):
            raise DecodeError("not an ASC line")


def _bus(channel: str) -> int:
    return max(0, int(channel) - 1)


def _sent(direction: str | None) -> int:
    return _TX if direction and direction[0] in "tT" else 0


def _local_ns(match: re.Match[str], zone: tzinfo) -> int:
    month, day, hour, minute, second, fraction, half, year = match.groups()
    hours = int(hour) if half is None else int(hour) % 12 + 12 * (half.lower() == "pm")
    microsecond = int((fraction or "0").ljust(6, "0"))
    try:
        number = _MONTHS[month[:3].lower()]
        return ns_of(
            datetime(
                int(year), number, int(day), hours, int(minute), int(second), microsecond, zone
            )
        )
    except (KeyError, ValueError, OverflowError):
        raise DecodeError("start of measurement is not a date") from None
