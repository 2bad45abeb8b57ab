"""Active trouble codes and lamps of a J1939 vehicle.

Source: SAE J1939-73 (edition: docs/sources.md), DM1, PGN 65226, one frame or reassembled payload.

    byte  bits  field
    0     7-6   malfunction indicator lamp      00 off, 01 on, 10 error, 11 not available
          5-4   red stop lamp
          3-2   amber warning lamp
          1-0   protect lamp
    1     all   how the lamps flash (not used)
    2-3   all   SPN, low 16 bits, little-endian
    4     7-5   SPN, high 3 bits
    4     4-0   FMI
    5     7     SPN conversion method, 0 expected; 1 = older order, SPN kept as it came
    5     6-0   occurrence count, 127 = not available

Bytes 2-5 repeat for each code. SPN 0 with FMI 0 says that no fault is active; all ones is padding.
A single frame has two bytes of padding after its one code.
"""

from __future__ import annotations

from dataclasses import dataclass

from model.codes import CodeProtocol, Dtc
from model.errors import DecodeError, TruncatedFrameError

PGN = 65226
#: In the order of the bit pairs of byte 0, from the top.
LAMPS = ("mil_lamp", "red_stop_lamp", "amber_warning_lamp", "protect_lamp")
NOT_AVAILABLE = 127
_HEAD, _CODE, _SINGLE_FRAME = 2, 4, 8
_NO_SPN, _NO_FMI = 0x7FFFF, 0x1F


@dataclass(frozen=True, slots=True)
class Dm1:
    """Lamp bit pairs in the order of `LAMPS`, and the codes in the order sent."""

    lamps: tuple[int, int, int, int]
    codes: tuple[Dtc, ...]


def decode(payload: bytes, source_address: int) -> Dm1:
    """One DM1. Raises `TruncatedFrameError` below 6 bytes, `DecodeError` when a code is cut off."""
    if len(payload) < _HEAD + _CODE:
        raise TruncatedFrameError(needed=_HEAD + _CODE, got=len(payload))
    body = payload[_HEAD:]
    if len(payload) == _SINGLE_FRAME:
        body = body[:_CODE]
    if len(body) % _CODE:
        raise DecodeError(f"dm1: {len(payload)} bytes cut a code off")
    first = payload[0]
    lamps = (first >> 6, first >> 4 & 3, first >> 2 & 3, first & 3)
    rows = (body[i : i + _CODE] for i in range(0, len(body), _CODE))
    return Dm1(lamps, tuple(dtc for row in rows if (dtc := _dtc(row, source_address))))


def _dtc(row: bytes, source_address: int) -> Dtc | None:
    spn = row[0] | row[1] << 8 | (row[2] >> 5) << 16
    fmi = row[2] & 0x1F
    if (spn, fmi) in {(0, 0), (_NO_SPN, _NO_FMI)}:
        return None
    count = row[3] & 0x7F
    return Dtc(
        protocol=CodeProtocol.J1939,
        ecu=source_address,
        code=f"{spn}/{fmi}",
        occurrence_count=None if count == NOT_AVAILABLE else count,
        conversion_method=row[3] >> 7,
    )


def encode(lamps: tuple[int, int, int, int], codes: tuple[Dtc, ...]) -> bytes:
    """Inverse of `decode`, padded to a single frame where it fits; for simulators and tests."""
    mil, red, amber, protect = lamps
    body = bytes([mil << 6 | red << 4 | amber << 2 | protect, 0xFF])
    for dtc in codes:
        spn, fmi = map(int, dtc.code.split("/"))
        count = NOT_AVAILABLE if dtc.occurrence_count is None else dtc.occurrence_count
        body += bytes([spn & 0xFF, spn >> 8 & 0xFF, (spn >> 16) << 5 | fmi])
        body += bytes([dtc.conversion_method << 7 | count])
    if not codes:
        body += bytes(_CODE)
    return body.ljust(_SINGLE_FRAME, b"\xff")
