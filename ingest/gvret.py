"""SavvyCAN's GVRET CSV: one frame a line, columns named by the header.

Source: SavvyCAN, framefileio.cpp, native CSV.

    Time Stamp,ID,Extended,Dir,Bus,LEN,D1,D2,D3,D4,D5,D6,D7,D8
    166064000,0000021A,false,Rx,0,8,FE,36,12,FE,69,05,07,AD,

    Time Stamp  whole us; seconds where it has a decimal point
    ID, D1...   hex, with or without 0x
    Dir         Rx or Tx; older files have no such column
    LEN         payload bytes; above 8 the frame was CAN FD (the format has no flag for it)

Lines with the same number of commas are read together, cell by cell; the rest one at a time.
"""

from __future__ import annotations

from decimal import Decimal, InvalidOperation

import numpy as np
from numpy.typing import NDArray

from ingest.candump import line_bounds
from ingest.columns import Columns, Faults, RowBuffer, in_order
from ingest.gvret_cells import alike, read_cells
from ingest.text_lines import MAX_LINE, LineReader, identifier, integer
from model.clock import NS
from model.errors import DecodeError
from model.frames import FrameFlag

_NEEDED, _OPTIONAL = ("time stamp", "id", "extended", "len"), ("dir", "bus")


class GvretReader(LineReader):
    """Reads blocks of lines of one file; the first line of the first block is the header."""

    def __init__(self, faults: Faults) -> None:
        super().__init__(faults)
        self._place: dict[str, int] = {}
        self._cells = 0

    def read(self, text: bytes, first_line: int) -> Columns:
        """Frames of whole lines in line order. Raises DecodeError for an unknown header."""
        buffer = np.frombuffer(text, np.uint8)
        start, end = line_bounds(buffer)
        left = np.arange(len(start))
        while not self._place and len(left):
            self._read_header(text[start[left[0]] : end[left[0]]].decode("latin-1"))
            left = left[1:]
        parts, places = [], []
        if len(left):
            for cells in alike(buffer, start, end, left, self._cells):
                columns, lines = read_cells(cells, self._place)
                parts.append(columns)
                places.append(lines)
        single = np.setdiff1d(left, np.concatenate([np.zeros(0, np.intp), *places]))
        columns, lines = self._read_single(text, start, end, single, first_line)
        return in_order([*parts, columns], [*places, lines], len(start))

    def _read_single(
        self,
        text: bytes,
        start: NDArray[np.intp],
        end: NDArray[np.intp],
        lines: NDArray[np.intp],
        first_line: int,
    ) -> tuple[Columns, NDArray[np.intp]]:
        """Frames of the given lines, and which lines held them."""
        rows, held = RowBuffer(), []
        for line in lines.tolist():
            before = len(rows)
            try:
                if end[line] - start[line] > MAX_LINE:
                    raise DecodeError(f"{end[line] - start[line]} characters, limit {MAX_LINE}")
                self.read_line(text[start[line] : end[line]].decode("latin-1"), rows)
            except DecodeError as error:
                self._faults.add(first_line + line, str(error))
            held += [line] * (len(rows) - before)
        return rows.columns(), np.array(held, np.intp)

    def _read_header(self, line: str) -> None:
        cells = [cell.strip().lower() for cell in line.removeprefix("\xef\xbb\xbf").split(",")]
        if not any(cells):
            return
        place = {cell: i for i, cell in enumerate(cells)}
        missing = [name for name in (*_NEEDED, "d1") if name not in place]
        if missing:
            raise DecodeError(f"GVRET header lacks {', '.join(missing)}")
        self._place = place
        self._cells = 1 + max(place[name] for name in (*_NEEDED, *_OPTIONAL) if name in place)

    def read_line(self, line: str, rows: RowBuffer) -> None:
        cells, place = [cell.strip() for cell in line.split(",")], self._place
        if not any(cells):
            return
        if len(cells) < self._cells:
            raise DecodeError(f"{len(cells)} cells, fewer than the header's")
        size = integer(cells[place["len"]], 10, "LEN", 64)
        extended = cells[place["extended"]].lower() in {"true", "1"}
        sent = "dir" in place and cells[place["dir"]].lower() == "tx"
        cells_held = cells[place["d1"] :][:size]
        if len(cells_held) < size:
            raise DecodeError(f"{size} bytes promised, {len(cells_held)} found")
        content = bytes(integer(_plain(cell), 16, "byte", 255) for cell in cells_held)
        rows.add(
            _time(cells[place["time stamp"]]),
            identifier(_plain(cells[place["id"]]), 16, extended=extended),
            content,
            bus=integer(cells[place["bus"]], 10, "Bus", 255) if "bus" in place else 0,
            flags=(FrameFlag.FD if size > 8 else 0) | (FrameFlag.TX if sent else 0),
        )


def _plain(text: str) -> str:
    """Hex digits without 0x."""
    return text[2:] if text[:2].lower() == "0x" else text


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
