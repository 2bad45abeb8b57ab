"""Active trouble codes and lamps of a J1939 vehicle.

Source: SAE J1939-73 (edition: docs/sources.md), DM1, PGN 65226, one frame or reassembled payload.
DM2, DM6 and DM12 have the same layout (`j1939_dm`).

    byte  bits  field
    0     7-6   malfunction indicator lamp      00 off, 01 on, 10 error, 11 not available
          5-4   red stop lamp
          3-2   amber warning lamp
          1-0   protect lamp
    1     all   how the same lamps flash        00 slow, 01 fast, 10 and 11 not flashing
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

from model.codes import CodeProtocol, Dtc, Lamps, LampState
from model.errors import DecodeError, TruncatedFrameError

PGN = 65226
#: In the order of the bit pairs of byte 0, from the top.
LAMPS = ("mil_lamp", "red_stop_lamp", "amber_warning_lamp", "protect_lamp")
NOT_AVAILABLE = 127
NOT_FLASHING = (3, 3, 3, 3)
CODE_BYTES = 4
_HEAD, _SINGLE_FRAME = 2, 8
_NO_SPN, _NO_FMI = 0x7FFFF, 0x1F
_STATES = (LampState.OFF, LampState.ON, LampState.ERROR, LampState.NOT_AVAILABLE)
_FLASHES = (LampState.SLOW_FLASH, LampState.FAST_FLASH, LampState.ON, LampState.ON)

Pairs = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class Dm1:
    """Bit pairs of lamps and flashes in the order of `LAMPS`, and the codes in the order sent."""

    lamps: Pairs
    codes: tuple[Dtc, ...]
    flash: Pairs = NOT_FLASHING

    def lamp_states(self) -> Lamps:
        """Both bit pairs of each lamp as one word."""
        states = (
            _FLASHES[flash] if lamp == 1 else _STATES[lamp]
            for lamp, flash in zip(self.lamps, self.flash, strict=True)
        )
        return Lamps(*states)


def decode(payload: bytes, source_address: int) -> Dm1:
    """One DM1. Raises `TruncatedFrameError` below 6 bytes, `DecodeError` when a code is cut off."""
    if len(payload) < _HEAD + CODE_BYTES:
        raise TruncatedFrameError(needed=_HEAD + CODE_BYTES, got=len(payload))
    body = payload[_HEAD:]
    if len(payload) == _SINGLE_FRAME:
        body = body[:CODE_BYTES]
    if len(body) % CODE_BYTES:
        raise DecodeError(f"dm1: {len(payload)} bytes cut a code off")
    rows = (body[i : i + CODE_BYTES] for i in range(0, len(body), CODE_BYTES))
    codes = tuple(dtc for row in rows if (dtc := read_code(row, source_address)))
    return Dm1(_pairs(payload[0]), codes, _pairs(payload[1]))


def _pairs(byte: int) -> Pairs:
    return byte >> 6, byte >> 4 & 3, byte >> 2 & 3, byte & 3


def read_code(row: bytes, source_address: int) -> Dtc | None:
    """The code in four bytes; None for "no fault" and for padding."""
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


def encode_code(dtc: Dtc) -> bytes:
    """Inverse of `read_code`."""
    spn, fmi = map(int, dtc.code.split("/"))
    count = NOT_AVAILABLE if dtc.occurrence_count is None else dtc.occurrence_count
    return bytes(
        [spn & 0xFF, spn >> 8 & 0xFF, (spn >> 16) << 5 | fmi, dtc.conversion_method << 7 | count]
    )


def encode(lamps: Pairs, codes: tuple[Dtc, ...], flash: Pairs = NOT_FLASHING) -> bytes:
    """Inverse of `decode`, padded to a single frame where it fits; for simulators and tests."""
    head = [
        mil << 6 | red << 4 | amber << 2 | protect for mil, red, amber, protect in (lamps, flash)
    ]
    body = b"".join(map(encode_code, codes)) or bytes(CODE_BYTES)
    return (bytes(head) + body).ljust(_SINGLE_FRAME, b"\xff")
