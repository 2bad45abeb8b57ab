"""What a J1939 batch says beyond plain frames: reassembled messages, trouble codes, lamps.

Source: SAE J1939-21 and J1939-73, see `j1939_tp` and `j1939_dm1`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from decoders import j1939_dm1
from decoders.j1939_tp import PF_CM, PF_DT, Message, Reassembly
from decoders.kernel import Frames, decode_rows, find_messages
from decoders.numbers import Block
from decoders.plan import Plan
from decoders.runs import Runs
from model.codes import CodeProtocol, CodeReport
from model.errors import DecodeError
from model.frames import ERROR_FRAME, EXTENDED_ID, REMOTE_FRAME, FrameBatch
from model.signals import FrameStatus

_PGN = np.uint32(0x03FF_FF00)
_PGN_PDU1 = np.uint32(0x03FF_0000)
_PRIORITY = 6 << 26


@dataclass(slots=True)
class Findings:
    """Reports and samples found, in frame order."""

    reports: list[CodeReport] = field(default_factory=list)
    messages: list[tuple[int, Message]] = field(default_factory=list)
    lamps: list[tuple[int, int, j1939_dm1.Dm1]] = field(default_factory=list)


def read_transport(
    plan: Plan, batch: FrameBatch, reassembly: Reassembly, status: NDArray[np.uint8]
) -> tuple[list[Runs], tuple[CodeReport, ...]]:
    """Take the batch's TP and DM1 frames: samples and reports; `status` and sessions move on."""
    kind = batch.can_id & (EXTENDED_ID | REMOTE_FRAME | ERROR_FRAME)
    group = batch.can_id & _PGN
    is_dm1 = group == j1939_dm1.PGN << 8
    pdu1 = group & _PGN_PDU1
    is_tp = (pdu1 == PF_CM << 16) | (pdu1 == PF_DT << 16)
    rows = np.flatnonzero((kind == EXTENDED_ID) & (is_dm1 | is_tp))
    if not len(rows):
        return [], ()
    findings = Findings()
    for row in rows[np.argsort(batch.observed_ns[rows], kind="stable")].tolist():
        taken = _take(batch, row, reassembly, findings, single=bool(is_dm1[row]))
        status[row] = FrameStatus.OK if taken else FrameStatus.SHORT
    parts = [*_lamp_runs(plan, batch, findings), *_message_runs(plan, findings.messages)]
    return parts, tuple(findings.reports)


def _take(
    batch: FrameBatch, row: int, reassembly: Reassembly, findings: Findings, *, single: bool
) -> bool:
    """One frame; False when it, or what it completed, is cut off."""
    observed_ns, bus = int(batch.observed_ns[row]), int(batch.bus[row])
    can_id, payload = int(batch.can_id[row]), batch.payload(row)
    if single:
        return _dm1(findings, row, observed_ns, bus, can_id & 0xFF, payload)
    if len(payload) != 8:
        return False
    message = reassembly.receive(observed_ns, bus, can_id, payload)
    if message is None:
        return True
    if message.pgn == j1939_dm1.PGN:
        return _dm1(findings, row, observed_ns, bus, message.source, message.payload)
    findings.messages.append((row, message))
    return True


def _dm1(
    findings: Findings, row: int, observed_ns: int, bus: int, source: int, payload: bytes
) -> bool:
    try:
        dm1 = j1939_dm1.decode(payload, source)
    except DecodeError:
        return False
    findings.lamps.append((row, source, dm1))
    findings.reports.append(
        CodeReport(observed_ns, bus, source, CodeProtocol.J1939, "active", dm1.codes)
    )
    return True


def _lamp_runs(plan: Plan, batch: FrameBatch, findings: Findings) -> list[Runs]:
    """Each lamp of each DM1 as a run of one sample; merged later."""
    if not findings.lamps:
        return []
    lamps = len(j1939_dm1.LAMPS)
    first = len(plan.signals.name) - lamps
    row = np.repeat(np.array([r for r, _, _ in findings.lamps], np.int64), lamps)
    source = np.repeat(np.array([s for _, s, _ in findings.lamps], np.int16), lamps)
    signal = np.tile(np.arange(first, first + lamps), len(findings.lamps))
    raw = np.array([dm1.lamps for _, _, dm1 in findings.lamps], np.uint64).reshape(-1)
    count = np.ones(len(row), np.int64)
    value, quality = Block(plan, signal, count, raw).numbers()
    observed = batch.observed_ns[row]
    sample = np.arange(len(row))
    return [Runs(signal, source, count, sample, row, observed, value, quality, None)]


def _message_runs(plan: Plan, messages: Sequence[tuple[int, Message]]) -> list[Runs]:
    """Reassembled messages whose PGN the plan knows, decoded like frames."""
    if not messages:
        return []
    can_id = np.array([_identifier(m) for _, m in messages], np.uint32)
    number, source = find_messages(plan, can_id)
    known = np.flatnonzero(number >= 0)
    if not len(known):
        return []
    chosen = [messages[i] for i in known.tolist()]
    width = max(-(-len(m.payload) // 8) * 8 for _, m in chosen)
    frames = Frames(
        observed_ns=np.array([m.observed_ns for _, m in chosen], np.int64),
        can_id=can_id[known],
        length=np.array([len(m.payload) for _, m in chosen], np.int32),
        payload=np.frombuffer(
            b"".join(m.payload.ljust(width, b"\0") for _, m in chosen), np.uint8
        ).reshape(-1, width),
        row=np.array([row for row, _ in chosen], np.int64),
    )
    runs, _ = decode_rows(plan, frames, number[known], source[known])
    return [runs]


def _identifier(message: Message) -> int:
    """The 29-bit identifier the message would have had in one frame."""
    group = message.pgn << 8
    if message.pgn >> 8 & 0xFF < 0xF0:
        group |= message.destination << 8
    return int(EXTENDED_ID) | _PRIORITY | (group & int(_PGN)) | message.source
