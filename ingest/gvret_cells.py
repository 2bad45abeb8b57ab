"""Cells of comma-separated lines as arrays: many lines with the same number of commas at once.

Only the usual spelling is read here (whole microseconds, true/false, Rx/Tx, two digits a byte);
a line with anything else is left to the reader of single lines.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ingest.columns import STANDARD_ID_MAX, Columns
from model.frames import EXTENDED_ID, ID_MASK, FrameFlag

#: Fewer lines of one kind are cheaper to read line by line.
MIN_LINES = 16
#: Times 1000 they fit an int64.
MAX_TIME_DIGITS = 15
#: 64 bytes, what stands before them, and padding.
MAX_CELLS = 256
_DIGIT = np.full(256, 255, np.uint8)
_DIGIT[list(b"0123456789abcdef")] = range(16)
_DIGIT[list(b"ABCDEF")] = range(10, 16)

Ints = NDArray[np.intp]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """Lines of one number of commas. Cell j of line i is buffer[start[i, j] : end[i, j]]."""

    buffer: NDArray[np.uint8]
    lines: Ints
    start: Ints
    end: Ints

    def number(self, cell: int, base: int, digits: int) -> tuple[NDArray[np.int64], Mask]:
        """A cell of 1 to `digits` digits as a number, and where it is one."""
        width = self.end[:, cell] - self.start[:, cell]
        good = (width >= 1) & (width <= digits)
        value = np.zeros(len(width), np.int64)
        for place in range(min(digits, int(width.max(initial=0))), 0, -1):
            there = width >= place
            digit = _DIGIT[self.buffer[self.end[:, cell] - np.where(there, place, 0)]]
            good &= (digit < base) | ~there
            value = value * base + np.where(there, digit, 0)
        return value, good

    def spells(self, cell: int, word: bytes) -> Mask:
        """Where a cell is this word, in any case."""
        start = self.start[:, cell]
        same: Mask = self.end[:, cell] - start == len(word)
        for place, letter in enumerate(word.lower()):
            same &= self.buffer[np.where(same, start + place, 0)] | 0x20 == letter
        return same


def alike(
    buffer: NDArray[np.uint8], start: Ints, end: Ints, lines: Ints, least: int
) -> Iterator[Cells]:
    """The given lines of at least `least` cells, by their number, where enough of them agree."""
    commas = np.flatnonzero(buffer == ord(","))
    first = np.searchsorted(commas, start[lines])
    count = np.searchsorted(commas, end[lines]) - first
    for number in np.flatnonzero(np.bincount(count) >= MIN_LINES).tolist():
        if not least <= number + 1 <= MAX_CELLS:
            continue
        mine = np.flatnonzero(count == number)
        at = commas[first[mine][:, None] + np.arange(number)]
        chosen = lines[mine]
        yield Cells(
            buffer,
            chosen,
            np.concatenate([start[chosen][:, None], at + 1], axis=1),
            np.concatenate([at, end[chosen][:, None]], axis=1),
        )


def read_cells(cells: Cells, place: Mapping[str, int]) -> tuple[Columns, Ints]:
    """Frames of the lines spelled as usual, and which lines those are."""
    none = np.zeros(len(cells.lines), np.int64)
    time, good = cells.number(place["time stamp"], 10, MAX_TIME_DIGITS)
    number, id_good = cells.number(place["id"], 16, 8)
    size, size_good = cells.number(place["len"], 10, 2)
    bus, bus_good = cells.number(place["bus"], 10, 3) if "bus" in place else (none, good)
    extended = cells.spells(place["extended"], b"true")
    good &= id_good & size_good & bus_good & (extended | cells.spells(place["extended"], b"false"))
    sent = none != 0
    if "dir" in place:
        sent = cells.spells(place["dir"], b"tx")
        good &= sent | cells.spells(place["dir"], b"rx")
    first = place["d1"]
    good &= (size <= 64) & (first + size <= cells.end.shape[1]) & (bus < 256)
    good &= number <= np.where(extended, int(ID_MASK), STANDARD_ID_MAX)
    payload = np.zeros((len(good), 64 if (size[good] > 8).any() else 8), np.uint8)
    for byte in range(int(size[good].max(initial=0))):
        rows = np.flatnonzero(good & (size > byte))
        low, high = cells.start[rows, first + byte], cells.end[rows, first + byte]
        right = high - low == 2
        upper, lower = (_DIGIT[cells.buffer[np.where(right, low + i, 0)]] for i in (0, 1))
        good[rows[~(right & (upper < 16) & (lower < 16))]] = False
        payload[rows, byte] = upper << 4 | lower
    read = np.flatnonzero(good)
    flags = (size > 8) * int(FrameFlag.FD) | sent * int(FrameFlag.TX)
    columns = Columns(
        time * 1000,
        (number | np.where(extended, int(EXTENDED_ID), 0)).astype(np.uint32),
        bus.astype(np.uint8),
        flags.astype(np.uint8),
        size.astype(np.uint8),
        payload,
    )
    return columns.rows_at(read), cells.lines[read]
