"""python-can's CSV: bytes to columns, line by line.

Source: python-can, can/io/csv.py.

    timestamp,arbitration_id,extended,remote,error,dlc,data
    1483389946.197,0xdadada,1,0,0,6,WzQyLCA5XQ==

Time is seconds as a decimal fraction, data base64. The format names no bus and no direction; a
frame of more than 8 bytes was CAN FD.
"""

from __future__ import annotations

import binascii
import re

from ingest.columns import Faults, RowBuffer
from ingest.text_lines import LineReader, fraction_ns, identifier, integer
from model.clock import NS
from model.errors import DecodeError
from model.frames import ERROR_FRAME, REMOTE_FRAME, FrameFlag

_HEADER = "timestamp,arbitration_id,extended,remote,error,dlc,data"
_SECONDS = re.compile(r"(\d{1,10})(?:\.(\d{1,18}))?(?:[eE]([+-]\d{1,2}))?")


class CanCsvReader(LineReader):
    """Reads blocks of lines of one file."""

    def __init__(self, faults: Faults) -> None:
        super().__init__(faults)

    def read_line(self, line: str, rows: RowBuffer) -> None:
        line = line.strip().removeprefix("\ufeff")
        if not line or line == _HEADER:
            return
        cells = line.split(",")
        if len(cells) != 7:
            raise DecodeError(f"{len(cells)} cells, not 7")
        seconds, name, extended, remote, error, dlc, packed = cells
        if not name.startswith("0x") or not {extended, remote, error} <= {"0", "1"}:
            raise DecodeError("not a python-can CSV line")
        can_id = identifier(name[2:], 16, extended=extended == "1")
        can_id |= int(REMOTE_FRAME) * (remote == "1") | int(ERROR_FRAME) * (error == "1")
        length = integer(dlc, 10, "dlc", 64)
        content = b"" if remote == "1" else _unbase64(packed)
        if remote != "1" and len(content) != length:
            raise DecodeError(f"{length} bytes promised, {len(content)} found")
        flags = int(FrameFlag.FD) if length > 8 else 0
        rows.add(_observed_ns(seconds), can_id, content, flags=flags, length=length)


def _observed_ns(text: str) -> int:
    match = _SECONDS.fullmatch(text)
    if match is None:
        raise DecodeError("timestamp is not a number")
    if match[3]:  # python writes small floats so
        return round(float(text) * NS)
    return int(match[1]) * NS + fraction_ns(match[2] or "")


def _unbase64(text: str) -> bytes:
    try:
        return binascii.a2b_base64(text.encode(), strict_mode=True)
    except ValueError:
        raise DecodeError("data is not base64") from None
