"""Active trouble codes as a J1939 vehicle sends them.

Source: SAE J1939-73 DM1 (PGN 65226); SAE J1939-21 TP.CM_BAM (PGN 60416), TP.DT (PGN 60160).

    DM1      byte 0    lamps, two bits each from the top: MIL, red stop, amber warning, protect
             byte 1    flash of the same lamps, 11 = not flashing
             4 bytes   per code: SPN 16 low bits; SPN 3 high bits and FMI; CM bit and count
    BAM      32, size (2), packets, 255, PGN (3), all little-endian
    TP.DT    packet number from 1, seven bytes, unused ones 255

Up to one code fits a single frame; more are broadcast in packets 60 ms apart (50-200 ms).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from model.frames import EXTENDED_ID
from simulators.scenarios import DiagnosticCode

LAMP_BITS = {"": 0b00_00_00_00, "red": 0b00_01_00_00, "amber": 0b00_00_01_00}
_EXTENDED = int(EXTENDED_ID)
DM1_ID, BAM_ID, DT_ID = 0x18FECA00 | _EXTENDED, 0x1CECFF00 | _EXTENDED, 0x1CEBFF00 | _EXTENDED
PACKET_NS = 60_000_000


def dm1_payload(lamp: str, codes: Sequence[DiagnosticCode]) -> bytes:
    """Payload of one DM1, 2 + 4 bytes a code. No code at all is SPN 0, FMI 0."""
    rows = codes or (DiagnosticCode(0, 0, 0),)
    body = bytes([LAMP_BITS[lamp], 0xFF])
    for c in rows:
        high = (c.spn >> 16) << 5 | c.fmi
        body += (c.spn & 0xFFFF).to_bytes(2, "little") + bytes([high, c.occurrence_count])
    return body


def dm1_frames(lamp: str, codes: Sequence[DiagnosticCode]) -> Iterator[tuple[int, int, bytes]]:
    """(delay in ns, identifier with bit 31, 8 bytes) of every frame of one DM1."""
    body = dm1_payload(lamp, codes)
    if len(body) <= 8:
        yield 0, DM1_ID, body.ljust(8, b"\xff")
        return
    packets = -(-len(body) // 7)
    size = len(body).to_bytes(2, "little")
    yield 0, BAM_ID, b"\x20" + size + bytes([packets, 0xFF]) + (65226).to_bytes(3, "little")
    for number in range(packets):
        piece = body[number * 7 : number * 7 + 7].ljust(7, b"\xff")
        yield (number + 1) * PACKET_NS, DT_ID, bytes([number + 1]) + piece
