"""That a J1939 ECU cleared its codes on a tester's demand.

Source: SAE J1939-21, acknowledgement (PGN 59392, PF 0xE8), and SAE J1939-73, DM3 and DM11;
editions: docs/sources.md. DM3 and DM11 hold nothing: a tester asks for their PGN with a request
(PGN 59904), and the ECU clears and acknowledges.

    byte 0       0 done, 1 refused, 2 access denied, 3 cannot answer now
    byte 1       group function, FF = none
    bytes 2-3    reserved
    byte 4       whom it answers, FF in older editions
    bytes 5-7    PGN that was asked for, little-endian

A request to everybody may go unanswered: then nothing says what was cleared.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from decoders.answers import Answer, Origin
from model.code_clears import DM3, DM11
from model.codes import CodeProtocol
from model.frames import FrameBatch

PF_ACK = 0xE8
_BYTES, _DONE = 8, 0
#: Byte 0 and bytes 5 to 7 of an acknowledgement, as one number.
_HEAD = np.uint64(0xFFFFFF_00000000_FF)
_CLEARED = np.array([pgn << 40 | _DONE for pgn in (DM3, DM11)], np.uint64)


def select(batch: FrameBatch, rows: NDArray[np.intp]) -> NDArray[np.intp]:
    """Of rows with acknowledgements those that say that codes were cleared."""
    rows = rows[rows < batch.n8]
    rows = rows[batch.length[rows] == _BYTES]
    head = batch.payload8[rows].view("<u8")[:, 0] & _HEAD
    return rows[np.isin(head, _CLEARED)]


def decode(payload: bytes, origin: Origin) -> Answer:
    """One acknowledgement; empty when it is none of a clearing. Never raises."""
    pgn = int.from_bytes(payload[5:8], "little")
    if len(payload) != _BYTES or payload[0] != _DONE or pgn not in (DM3, DM11):
        return Answer()
    return Answer(facts=(origin.cleared(CodeProtocol.J1939, pgn),))
