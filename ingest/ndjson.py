"""Newline-delimited JSON: one frame a line. For gateways that have nothing better.

Source: docs/gateway-protocol.md (our own format).

    {"t_ns": 1622547830084000000, "id": "18FEEE00", "data": "FFFFFFFFFFFFFFFF", "bus": 0}

    t_ns         integer ns since 1970-01-01 UTC; or `t`, seconds, read to the microsecond
    id           hex text or integer
    ext          29-bit identifier; without it: id text of 8 digits, or a value above 7FF
    data         hex text, "" when missing
    bus          0 to 255, 0 when missing
    fd brs esi   CAN FD, bit-rate switch, error state indicator
    tx           sent by the gateway itself
    rtr, len     remote frame and its length
    err          error frame
"""

from __future__ import annotations

import math

import orjson

from ingest.columns import Columns, Faults, RowBuffer
from model.errors import DecodeError
from model.frames import ERROR_FRAME, EXTENDED_ID, ID_MASK, REMOTE_FRAME, FrameFlag

STANDARD_ID_MAX = 0x7FF
_FLAGS = {
    "fd": FrameFlag.FD,
    "brs": FrameFlag.BRS,
    "esi": FrameFlag.ESI,
    "tx": FrameFlag.TX,
}
_KINDS = {"ext", "rtr", "err"}
_KNOWN = {"t_ns", "t", "id", "data", "bus", "len", *_FLAGS, *_KINDS}


def parse(
    text: bytes, *, first_line: int = 1, faults: Faults | None = None
) -> tuple[Columns, Faults]:
    """Frames of whole lines in line order, and the broken lines. Blank lines are nothing."""
    faults = Faults() if faults is None else faults
    buffer = RowBuffer()
    for number, line in enumerate(text.split(b"\n"), first_line):
        if not line.strip():
            continue
        try:
            _read_line(line, buffer)
        except DecodeError as error:
            faults.add(number, str(error))
    return buffer.columns(), faults


def _read_line(line: bytes, buffer: RowBuffer) -> None:
    try:
        row = orjson.loads(line)
    except orjson.JSONDecodeError:
        raise DecodeError("not JSON") from None
    if not isinstance(row, dict):
        raise DecodeError("not a JSON object")
    if unknown := row.keys() - _KNOWN:
        raise DecodeError(f"unknown field {sorted(unknown)[0][:32]!r}")
    flags = sum(int(bit) for name, bit in _FLAGS.items() if _flag(row, name))
    if flags & (FrameFlag.BRS | FrameFlag.ESI) and not flags & FrameFlag.FD:
        raise DecodeError("brs and esi need fd")
    payload, length = _payload(row), -1
    if "len" in row:
        length = _integer(row, "len", 0)
        if not _flag(row, "rtr") or length < 0:
            raise DecodeError("len is for remote frames; data says its own length")
    if payload and _flag(row, "rtr"):
        raise DecodeError("a remote frame carries no data")
    bus = _integer(row, "bus", 0)
    buffer.add(_time(row), _can_id(row), payload, bus=bus, flags=flags, length=length)


def _time(row: dict[str, object]) -> int:
    if ("t_ns" in row) == ("t" in row):
        raise DecodeError("one of t_ns and t is needed")
    if "t_ns" in row:
        return _integer(row, "t_ns", 0)
    seconds = row["t"]
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        raise DecodeError("t is not a number of seconds")
    if isinstance(seconds, float) and not math.isfinite(seconds):
        raise DecodeError("t is not a finite number")
    return round(seconds * 1_000_000) * 1000


def _can_id(row: dict[str, object]) -> int:
    given = row.get("id")
    digits = 0
    if isinstance(given, str):
        digits = len(given)
        try:
            value = int.from_bytes(bytes.fromhex(given.rjust(8, "0")))
        except ValueError:
            raise DecodeError("id is not hex digits") from None
    elif isinstance(given, int) and not isinstance(given, bool):
        value = given
    else:
        raise DecodeError("id is missing, or neither hex text nor an integer")
    if not 0 <= value <= int(ID_MASK):
        raise DecodeError(f"id {value:#x} exceeds 29 bits")
    extended = _flag(row, "ext") if "ext" in row else value > STANDARD_ID_MAX or digits == 8
    kinds = (
        (extended, EXTENDED_ID),
        (_flag(row, "rtr"), REMOTE_FRAME),
        (_flag(row, "err"), ERROR_FRAME),
    )
    return value | sum(int(bit) for is_set, bit in kinds if is_set)


def _payload(row: dict[str, object]) -> bytes:
    given = row.get("data", "")
    if not isinstance(given, str):
        raise DecodeError("data is not hex text")
    try:
        return bytes.fromhex(given)
    except ValueError:
        raise DecodeError("data is not pairs of hex digits") from None


def _flag(row: dict[str, object], name: str) -> bool:
    given = row.get(name, False)
    if not isinstance(given, bool):
        raise DecodeError(f"{name} is neither true nor false")
    return given


def _integer(row: dict[str, object], name: str, default: int) -> int:
    given = row.get(name, default)
    if isinstance(given, bool) or not isinstance(given, int):
        raise DecodeError(f"{name} is not an integer")
    return given
