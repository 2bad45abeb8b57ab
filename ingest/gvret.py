"""SavvyCAN's GVRET CSV: one frame a line, columns named by the header.

Source: SavvyCAN, framefileio.cpp, native CSV.

    Time Stamp,ID,Extended,Dir,Bus,LEN,D1,D2,D3,D4,D5,D6,D7,D8
    166064000,0000021A,false,Rx,0,8,FE,36,12,FE,69,05,07,AD,

    Time Stamp  whole us; seconds where it has a decimal point
    ID, D1...   hex, with or without 0x
    Dir         Rx or Tx; older files have no such column
    LEN         payload bytes; above 8 the frame was CAN FD (the format has no flag for it)
"""

from __future__ import annotations

from decimal import Decimal, InvalidOperation

from ingest.columns import Columns, Faults, RowBuffer
from model.clock import NS
from model.errors import DecodeError
from model.frames import EXTENDED_ID, ID_MASK, FrameFlag

_NEEDED = ("time stamp", "id", "extended", "len")


class GvretReader:
    """Reads blocks of lines of one file; the first line of the first block is the header."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self._place: dict[str, int] = {}

    def read(self, text: bytes, first_line: int) -> Columns:
        """Frames of whole lines in line order. Raises DecodeError for an unknown header."""
        buffer = RowBuffer()
        for number, line in enumerate(text.split(b"\n"), first_line):
            cells = [cell.strip() for cell in line.decode("latin-1").strip("\r").split(",")]
            if not any(cells):
                continue
            if not self._place:
                self._read_header(cells)
                continue
            try:
                self._read_line(cells, buffer)
            except DecodeError as error:
                self._faults.add(number, str(error))
        return buffer.columns()

    def _read_header(self, cells: list[str]) -> None:
        place = {cell.lower().removeprefix("\xef\xbb\xbf"): i for i, cell in enumerate(cells)}
        missing = [name for name in (*_NEEDED, "d1") if name not in place]
        if missing:
            raise DecodeError(f"GVRET header lacks {', '.join(missing)}")
        self._place = place

    def _read_line(self, cells: list[str], buffer: RowBuffer) -> None:
        place = self._place
        if len(cells) <= max(place[name] for name in _NEEDED):
            raise DecodeError(f"{len(cells)} cells, fewer than the header's")
        size = _number(cells[place["len"]], 10, "LEN")
        if size > 64:
            raise DecodeError(f"length {size} exceeds 64 bytes")
        first = place["d1"]
        payload = bytes(_byte(cell) for cell in cells[first : first + size])
        if len(payload) < size:
            raise DecodeError(f"{size} bytes promised, {len(payload)} found")
        can_id = _number(cells[place["id"]], 16, "ID")
        if can_id > int(ID_MASK):
            raise DecodeError(f"id {can_id:#x} exceeds 29 bits")
        extended = cells[place["extended"]].lower() in {"true", "1"}
        buffer.add(
            _time(cells[place["time stamp"]]),
            can_id | (int(EXTENDED_ID) if extended else 0),
            payload,
            bus=_number(cells[place["bus"]], 10, "Bus") if "bus" in place else 0,
            flags=(FrameFlag.FD if size > 8 else 0) | (FrameFlag.TX if self._sent(cells) else 0),
        )

    def _sent(self, cells: list[str]) -> bool:
        return "dir" in self._place and cells[self._place["dir"]].lower() == "tx"


def _number(text: str, base: int, name: str) -> int:
    if text.isascii() and text.isalnum() and len(text) <= 12:
        try:
            return int(text, base)
        except ValueError:
            pass
    raise DecodeError(f"{name} is not a number")


def _byte(text: str) -> int:
    value = _number(text, 16, "data byte")
    if value > 255:
        raise DecodeError("data byte is not a number")
    return value


def _time(text: str) -> int:
    if text.isascii() and text.isdigit() and len(text) <= 18:
        return int(text) * 1000
    try:
        seconds = Decimal(text) if len(text) <= 32 else Decimal("nan")
    except InvalidOperation:
        seconds = Decimal("nan")
    if not seconds.is_finite() or abs(seconds) > 2**33 or "." not in text:
        raise DecodeError("Time Stamp is not a number")
    return int(seconds * NS)
