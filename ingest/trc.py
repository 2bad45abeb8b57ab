"""PEAK TRC 1.0 to 2.1: bytes to columns, line by line.

Source: PEAK-System, PEAK CAN TRC File Format.

    ;$FILEVERSION=1.1                          none: 1.0
    ;$STARTTIME=43008.5                        days since 1899-12-30, the logger's local time
    ;$COLUMNS=N,O,T,B,I,d,R,L,D                2.x only: what stands where

    1)  1841    0001 8 00 11 ...               1.0: number, ms, id (8 digits = 29-bit), dlc, data
    1)  1059.9  Rx 0001 8 00 11 ...            1.1: and direction
    1)  1059.9  1 Rx 0001 8 00 11 ...          1.2: and bus
    1)  1059.9  1 Rx 0001 - 8 00 11 ...        1.3: and a reserved column
    1   1059.900 DT 0001 Rx 8 00 11 ...        2.x: type, then the columns the header names

Bus 1 of a file is bus 0. `RTR` in place of data is a remote frame. Types of 2.x: DT classic;
FD, FB, FE, BI CAN FD plain, with BRS, with ESI, with both; RR remote; ER error frame; the others
(ST, EC, EV, and the `Warng` of 1.x) are no frames. Column l counts bytes, L is a length code.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, tzinfo
from decimal import Decimal, InvalidOperation

from ingest.columns import Faults, RowBuffer
from ingest.text_lines import FD_LENGTHS, LineReader, identifier, integer, payload
from model.clock import NS, ns_of
from model.errors import DecodeError
from model.frames import ERROR_FRAME, REMOTE_FRAME, FrameFlag

_KEY = re.compile(r"\s*;\$(\w+)\s*=\s*(.*)")
_DAY_FIRST = re.compile(
    r"\s*;\s*Start time:\s*(\d+)\.(\d+)\.(\d{4})\s+(\d+):(\d+):(\d+)(?:\.(\d{1,3}))?"
)
_MS = re.compile(r"(\d{1,12})(?:[.,](\d{1,6}))?")
_EPOCH = datetime(1899, 12, 30, tzinfo=UTC)
_REMOTE, _ERROR, _TX = int(REMOTE_FRAME), int(ERROR_FRAME), int(FrameFlag.TX)
_FD, _BRS, _ESI = int(FrameFlag.FD), int(FrameFlag.BRS), int(FrameFlag.ESI)
_FRAME_TYPES = {"DT": 0, "RR": 0, "FD": _FD, "FB": _FD | _BRS, "FE": _FD | _ESI}
_FRAME_TYPES["BI"] = _FD | _BRS | _ESI
_NO_ID = "FFFFFFFF"
_VERSIONS = ("1.0", "1.1", "1.2", "1.3", "2.0", "2.1")


class TrcReader(LineReader):
    """Reads blocks of lines of one file; `zone` is the logger's."""

    def __init__(self, faults: Faults, zone: tzinfo) -> None:
        super().__init__(faults)
        self._zone, self._start_ns, self._version = zone, 0, "1.0"
        self._column: dict[str, int] = {}

    def read_line(self, line: str, rows: RowBuffer) -> None:
        if line.lstrip().startswith(";"):
            self._header(line)
        elif cells := line.split():
            if self._version >= "2":
                self._read_2(cells, rows)
            else:
                self._read_1(cells, rows)

    def _header(self, line: str) -> None:
        if match := _KEY.match(line):
            key, text = match[1].upper(), match[2].strip()
            if key == "FILEVERSION":
                if text not in _VERSIONS:
                    raise DecodeError(f"TRC version is not one of {', '.join(_VERSIONS)}")
                self._version = text
            elif key == "STARTTIME":
                self._start_ns = self._days_ns(text)
            elif key == "COLUMNS":
                self._column = {name.strip(): at for at, name in enumerate(text.split(","))}
        elif self._version == "1.0" and (match := _DAY_FIRST.match(line)):
            day, month, year, *clock, ms = match.groups()
            parts = [int(year), int(month), int(day), *map(int, clock)]
            self._start_ns = self._local_ns(parts) + int((ms or "0").ljust(3, "0")) * 1_000_000

    def _days_ns(self, text: str) -> int:
        """To the microsecond: the digits written do not say more."""
        try:
            days = Decimal(text)
            us = round(days * 86_400_000_000) if abs(days) < 200_000 else None
            start = None if us is None else _EPOCH + timedelta(microseconds=us)
        except (InvalidOperation, OverflowError, ValueError):
            start = None
        if start is None:
            raise DecodeError("STARTTIME is not a number of days")
        return ns_of(start.replace(tzinfo=self._zone))

    def _local_ns(self, parts: list[int]) -> int:
        try:
            year, month, day, hour, minute, second = parts
            return ns_of(datetime(year, month, day, hour, minute, second, tzinfo=self._zone))
        except (ValueError, OverflowError):
            raise DecodeError("start time is not a date") from None

    def _read_1(self, cells: list[str], rows: RowBuffer) -> None:
        """`N) O [B] [T] I [R] L D...`"""
        bus, kind, first = 0, "Rx", 2
        if self._version >= "1.2":
            bus, first = _bus(_cell(cells, 2)), 3
        if self._version >= "1.1":
            kind, first = _cell(cells, first), first + 1
        reserved = self._version >= "1.3"
        observed_ns = self._observed_ns(_cell(cells, 1))
        name, data_at = _cell(cells, first), first + 2 + reserved
        size = min(8, integer(_cell(cells, data_at - 1), 10, "length", 15))
        if kind == "Warng" or name == _NO_ID:
            return
        if kind == "Error" or cells[data_at : data_at + 1] == ["ERROR"]:
            rows.add(observed_ns, _ERROR, b"", bus=bus)
            return
        self._add(rows, observed_ns, name, cells[data_at:], size, bus=bus, direction=kind)

    def _read_2(self, cells: list[str], rows: RowBuffer) -> None:
        """Cells where COLUMNS says; D is the last and takes the rest."""
        place = self._column
        if not {"O", "T", "I", "d", "D"} <= place.keys() or not place.keys() & {"l", "L"}:
            raise DecodeError("COLUMNS is missing or names too little")
        observed_ns = self._observed_ns(_cell(cells, place["O"]))
        kind = _cell(cells, place["T"])
        if not (kind.isalpha() and len(kind) == 2):
            raise DecodeError("type is not two letters")
        if kind != "ER" and kind not in _FRAME_TYPES:
            return
        bus = _bus(_cell(cells, place["B"])) if "B" in place else 0
        if kind == "ER":
            rows.add(observed_ns, _ERROR, b"", bus=bus)
            return
        flags = _FRAME_TYPES[kind]
        if "l" in place:
            size = integer(_cell(cells, place["l"]), 10, "length", 64)
        else:
            code = integer(_cell(cells, place["L"]), 10, "length code", 15)
            size = FD_LENGTHS[code] if flags & _FD else min(8, code)
        content = ["RTR"] if kind == "RR" else cells[place["D"] :]
        name, direction = _cell(cells, place["I"]), _cell(cells, place["d"])
        self._add(rows, observed_ns, name, content, size, bus=bus, direction=direction, flags=flags)

    def _add(
        self,
        rows: RowBuffer,
        observed_ns: int,
        name: str,
        cells: list[str],
        size: int,
        *,
        bus: int,
        direction: str,
        flags: int = 0,
    ) -> None:
        if direction not in ("Rx", "Tx"):
            raise DecodeError("direction is not Rx or Tx")
        can_id = identifier(name, 16, extended=len(name) > 4)
        remote = cells[:1] == ["RTR"]
        rows.add(
            observed_ns,
            can_id | (_REMOTE if remote else 0),
            b"" if remote else payload(cells, size),
            bus=bus,
            flags=flags | (_TX if direction == "Tx" else 0),
            length=size,
        )

    def _observed_ns(self, text: str) -> int:
        match = _MS.fullmatch(text)
        if match is None:
            raise DecodeError("time offset is not a number of ms")
        return self._start_ns + int(match[1]) * (NS // 1000) + int((match[2] or "").ljust(6, "0"))


def _cell(cells: list[str], place: int) -> str:
    if place >= len(cells):
        raise DecodeError(f"{len(cells)} columns, {place + 1} needed")
    return cells[place]


def _bus(text: str) -> int:
    """Bus 1 is ours 0; `-` where the logger names none."""
    return 0 if text == "-" else max(0, integer(text, 10, "bus", 256) - 1)
