"""What every line-by-line reader of a text log shares."""

from __future__ import annotations

from abc import ABC, abstractmethod

from ingest.columns import Columns, Faults, RowBuffer
from model.errors import DecodeError
from model.frames import EXTENDED_ID, ID_MASK

#: Longest line looked at; 64 bytes with everything Vector writes beside them fit in 600.
MAX_LINE = 4096
#: Payload bytes of each CAN FD data length code.
FD_LENGTHS = (*range(9), 12, 16, 20, 24, 32, 48, 64)


class LineReader(ABC):
    """Reads blocks of lines of one file, one line at a time; keeps what the header said."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults

    @abstractmethod
    def read_line(self, line: str, rows: RowBuffer) -> None:
        """Add the line's frame, if it holds one. Raises DecodeError for a broken line."""

    def read(self, text: bytes, first_line: int) -> Columns:
        """Frames of whole lines in line order."""
        rows = RowBuffer()
        for number, line in enumerate(_decode(text).split("\n"), first_line):
            try:
                if len(line) > MAX_LINE:
                    raise DecodeError(f"{len(line)} characters, limit {MAX_LINE}")
                self.read_line(line, rows)
            except DecodeError as error:
                self._faults.add(number, str(error))
        return rows.columns()


# As plain integers, which are several times as fast one at a time.
_EXTENDED_ID, _ID_MASK = int(EXTENDED_ID), int(ID_MASK)


def _decode(text: bytes) -> str:
    try:
        return text.decode("utf-8")
    except UnicodeDecodeError:
        return text.decode("latin-1")


def integer(text: str, base: int, name: str, limit: int = 2**62) -> int:
    """A plain number of at most 19 digits. Raises DecodeError naming what it was to be."""
    if text.isascii() and text.isalnum() and len(text) <= 19:
        try:
            value = int(text, base)
        except ValueError:
            value = limit + 1
        if value <= limit:
            return value
    raise DecodeError(f"{name} is not a number up to {limit}")


def identifier(text: str, base: int, *, extended: bool) -> int:
    """An identifier with its kind bit."""
    value = integer(text, base, "id", _ID_MASK)
    return value | _EXTENDED_ID if extended else value


def payload(cells: list[str], size: int, base: int = 16) -> bytes:
    """The first `size` cells as bytes. Raises DecodeError where one is missing or no byte."""
    cells = cells[:size]
    if len(cells) < size:
        raise DecodeError(f"{size} bytes promised, {len(cells)} found")
    if base == 16:
        try:
            content = bytes.fromhex(" ".join(cells))
        except ValueError:
            content = b""
        if len(content) == size:
            return content
    return bytes(integer(cell, base, "byte", 255) for cell in cells)


def fraction_ns(digits: str) -> int:
    """Digits after the point of a number of seconds, as whole ns."""
    return int(digits[:9].ljust(9, "0"))
