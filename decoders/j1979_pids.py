"""How many bytes each PID of service 01 has, and which PIDs are in one answer.

Source: SAE J1979 / ISO 15031-5 with J1979-DA (editions: docs/sources.md), service 01.

An answer is 41 and then, for each PID asked for, the PID and its bytes, without a separator: it
can only be divided when the size of every PID is known. PIDs 06-09 and 55-58 have a second byte
where a third and fourth bank exist; they then must be alone in their answer to be read.
"""

from __future__ import annotations

import numpy as np

#: Sizes by runs of PIDs: first PID, then one size each. Left out: sizes that sources dispute.
_SIZES = {
    0x00: [4, 4, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1, 2, 1, 1, 1],
    0x10: [2, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2, 1, 1, 1, 2],
    0x20: [4, 2, 2, 2, 4, 4, 4, 4, 4, 4, 4, 4, 1, 1, 1, 1],
    0x30: [1, 2, 2, 1, 4, 4, 4, 4, 4, 4, 4, 4, 2, 2, 2, 2],
    0x40: [4, 4, 2, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 4],
    0x50: [4, 1, 1, 2, 2, 1, 1, 1, 1, 2, 1, 1, 1, 2, 2, 1],
    0x60: [4, 1, 1, 2, 5, 2, 5, 3],
    0x69: [7, 5, 5, 5],
    0x72: [5, 5, 5, 7, 7, 5, 9, 9, 7, 7, 9, 1, 1, 13],
    0x80: [4],
    0x84: [1],
    0x8D: [1, 1],
    0xA0: [4],
    0xA2: [2],
    0xA6: [4],
    0xC0: [4],
}
_UNKNOWN = 200  # no single frame is that long
#: Bytes of a PID's value, by PID.
PID_BYTES = np.full(256, _UNKNOWN, np.uint8)
for _first, _run in _SIZES.items():
    PID_BYTES[_first : _first + len(_run)] = _run
_BYTES: tuple[int, ...] = tuple(PID_BYTES.tolist())


def divide(body: bytes) -> tuple[tuple[int, bytes], ...]:
    """(PID, value) pairs of an answer without its first byte.

    A body that cannot be divided to its last byte is one PID with all that follows.
    """
    pairs, at = [], 0
    while at < len(body):
        end = at + 1 + _BYTES[body[at]]
        pairs.append((body[at], body[at + 1 : end]))
        at = end
    if at != len(body):
        return ((body[0], body[1:]),)
    return tuple(pairs)
