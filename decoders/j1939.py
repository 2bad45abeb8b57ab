"""What a J1939 batch says beyond plain frames: reassembled messages, trouble codes, lamps.

Source: SAE J1939-21 and J1939-73, see `j1939_tp`, `j1939_etp`, `j1939_dm` and `j1939_ack`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from decoders import j1939_ack, j1939_dm, j1939_dm1, j1939_etp, j1939_tp
from decoders.answers import Carried, Heard, LampPairs, Origin
from decoders.frame_rows import DM25, FIRST_DM, PDU1, PDU2, SPAN_DM, frame_rows
from decoders.j1939_etp import ExtendedReassembly
from decoders.j1939_tp import Message, Reassembly
from decoders.numbers import Block
from decoders.plan import Plan
from decoders.runs import Runs
from model.errors import DecodeError
from model.frames import EXTENDED_ID, FrameBatch
from model.signals import FrameStatus

_GROUP = 0x03FF_FF00
_PRIORITY = 6 << 26
_TP = np.uint32(int(EXTENDED_ID) | j1939_tp.PF_DT << 16)
_ETP = np.uint32(int(EXTENDED_ID) | j1939_etp.PF_DT << 16)
_ACK = np.uint32(int(EXTENDED_ID) | j1939_ack.PF_ACK << 16)
_ONE_MORE = np.uint32(1 << 16)
#: EEC2, EEC1, DM1, engine hours, engine temperature, fluids, cruise control, electrical power.
_EVERYWHERE = np.array(
    [
        int(EXTENDED_ID) | pgn << 8
        for pgn in (61443, 61444, 65226, 65253, 65262, 65263, 65265, 65271)
    ],
    np.uint32,
)


@dataclass(slots=True)
class J1939Listener:
    """Messages on their way of one vehicle."""

    short: Reassembly = field(default_factory=Reassembly)
    long: ExtendedReassembly = field(default_factory=ExtendedReassembly)

    def listen(
        self,
        batch: FrameBatch,
        rows: NDArray[np.intp],
        status: NDArray[np.uint8],
        heard: Heard,
    ) -> None:
        """Take the selected rows; their `status` becomes OK, or SHORT when cut off."""
        for row, observed_ns, bus, can_id, frame in frame_rows(batch, rows):
            pdu1 = can_id >> 16 & 0xFF
            transport = self.short if pdu1 in (j1939_tp.PF_CM, j1939_tp.PF_DT) else self.long
            if pdu1 >= 0xF0:
                pgn = can_id >> 8 & 0x3FFFF
                if pgn not in j1939_dm.PGNS:
                    continue
                message = Message(observed_ns, bus, can_id & 0xFF, 0xFF, pgn, frame)
            elif pdu1 == j1939_ack.PF_ACK:
                answer = j1939_ack.decode(frame, Origin(observed_ns, bus, can_id & 0xFF))
                heard.facts += answer.facts
                status[row] = FrameStatus.OK
                continue
            elif len(frame) != 8:
                status[row] = FrameStatus.SHORT
                continue
            else:
                whole = transport.receive(observed_ns, bus, can_id, frame)
                if whole is None:
                    status[row] = FrameStatus.OK
                    continue
                message = whole
                heard.carried.append(
                    Carried(row, observed_ns, _identifier(message), message.payload)
                )
            status[row] = _take(message, row, heard)

    def expire(self, now_ns: int) -> None:
        """Forget what is over when the vehicle's clock says `now_ns`."""
        self.short.expire(now_ns)
        self.long.expire(now_ns)


def select(batch: FrameBatch, near: NDArray[np.intp]) -> NDArray[np.intp]:
    """Rows with transport frames, DM1 .. DM12 and DM25 in one frame, and codes cleared."""
    can_id = batch.can_id[near]
    group, pdu1 = can_id & PDU2, can_id & PDU1
    chosen = (group - FIRST_DM <= SPAN_DM) | (group == DM25)
    chosen |= (pdu1 - _TP <= _ONE_MORE) | (pdu1 - _ETP <= _ONE_MORE)
    acks = pdu1 == _ACK
    if acks.any():
        chosen[acks] = np.isin(near[acks], j1939_ack.select(batch, near[acks]))
    return near[np.flatnonzero(chosen)]


def _take(message: Message, row: int, heard: Heard) -> FrameStatus:
    """A whole message; DBC files may know it as well."""
    if message.pgn not in j1939_dm.PGNS:
        return FrameStatus.OK
    origin = Origin(message.observed_ns, message.bus, message.source)
    try:
        answer, dm1 = j1939_dm.decode(message.pgn, message.payload, origin)
    except DecodeError:
        return FrameStatus.SHORT
    heard.reports += answer.reports
    heard.facts += answer.facts
    if dm1 and message.pgn == j1939_dm1.PGN:
        heard.lamps.append(LampPairs(row, message.observed_ns, message.source, dm1.lamps))
    return FrameStatus.OK


def lamp_runs(plan: Plan, lamps: Sequence[LampPairs]) -> list[Runs]:
    """Each lamp of each DM1 as a run of one sample; merged later."""
    if not lamps:
        return []
    each = len(j1939_dm1.LAMPS)
    first = len(plan.signals.name) - each
    row = np.repeat(np.array([lamp.row for lamp in lamps], np.int64), each)
    observed = np.repeat(np.array([lamp.observed_ns for lamp in lamps], np.int64), each)
    source = np.repeat(np.array([lamp.source for lamp in lamps], np.int16), each)
    signal = np.tile(np.arange(first, first + each), len(lamps))
    raw = np.array([lamp.pairs for lamp in lamps], np.uint64).reshape(-1)
    count = np.ones(len(row), np.int64)
    value, quality = Block(plan, signal, count, raw).numbers()
    return [Runs(signal, source, count, np.arange(len(row)), row, observed, value, quality, None)]


def _identifier(message: Message) -> int:
    """The 29-bit identifier the message would have had in one frame."""
    group = message.pgn << 8
    if message.pgn >> 8 & 0xFF < 0xF0:
        group |= message.destination << 8
    return int(EXTENDED_ID) | _PRIORITY | (group & _GROUP) | message.source


def looks_like_j1939(can_id: NDArray[np.uint32]) -> bool:
    """Whether a log is a truck's: at least two of the messages that every J1939 engine sends."""
    group = np.unique(can_id & PDU2)
    return int(np.isin(group, _EVERYWHERE).sum()) > 1
