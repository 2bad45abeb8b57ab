"""Trouble codes of a UDS server.

Source: ISO 14229-1 (edition: docs/sources.md), ReadDTCInformation (19). Reassembled.

    byte 0       59
    byte 1       sub-function
    01 07 11 12  availability mask, format, count (2 bytes)
    02 0A-0F     availability mask, then code (3 bytes) and status, repeated
    13 15        (0A supported, 0B-0E first and last failed or confirmed, 0F mirror memory,
                 13 emission, 15 permanent)
    03           code, snapshot record number, repeated
    04           code, status, then record number, count, values by DID, repeated
    05           record number, code, status, count, values by DID
    06 10        code, status, then record number and its bytes
    08 09        availability mask, then severity, functional unit, code, status, repeated
    14           code, fault detection counter (signed), repeated
    42           functional group, status and severity availability mask, format, then severity,
                 code, status, repeated
    55           functional group, availability mask, format, then code, status, repeated

    status bit   0 failed now, 1 failed this cycle, 2 pending, 3 confirmed, 4 not tested since
                 clear, 5 failed since clear, 6 not tested this cycle, 7 warning lamp

A code is two bytes of J2012 and the failure type; with format 02 it is a J1939 SPN and FMI.
Answers by status mask (02) become one report for each of `confirmed`, `active` and `pending` that
was asked for and that the ECU supports. When the request was not overheard only `confirmed` is
taken as asked for: every ECU must support that bit, and hardly a tool asks without it.
The DIDs of a snapshot are divided as in `iso14229_did`; of several extended records only the
first can be told from the rest, so all bytes are given to it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from decoders.answers import Answer, Origin, need
from decoders.iso14229_did import DataIdentifier, divide
from decoders.j2012 import three_byte_code
from model.codes import CodeProtocol, CodeReport, CodeScope, Dtc, FactKind, FreezeFrame
from model.errors import DecodeError

ANSWER = 0x59
CONFIRMED_BIT, ACTIVE_BIT, PENDING_BIT = 0x08, 0x01, 0x04
_BY_BIT = (
    (CONFIRMED_BIT, CodeScope.CONFIRMED),
    (ACTIVE_BIT, CodeScope.ACTIVE),
    (PENDING_BIT, CodeScope.PENDING),
)
_COUNTS = frozenset({0x01, 0x07, 0x11, 0x12})
#: Scope of the lists without a mask of their own.
_LISTS = {
    0x0A: CodeScope.SUPPORTED,
    **dict.fromkeys((0x0B, 0x0C, 0x0D, 0x0E, 0x0F, 0x13), CodeScope.LISTED),
    0x15: CodeScope.PERMANENT,
}
_WWH_OBD, _ALL_CLASSES = 0x42, 0x1E
_J1939_FORMAT = 0x02
_UDS = CodeProtocol.UDS


def decode(
    payload: bytes, origin: Origin, request: bytes | None, dids: Mapping[int, DataIdentifier]
) -> Answer:
    """One answer; empty for sub-functions not above. Raises `DecodeError` when it is cut off."""
    need(payload, 2)
    kind, body = payload[1], payload[2:]
    if kind in _COUNTS:
        need(body, 4)
        mask = request[2] if request and len(request) > 2 else 0
        count = body[2] << 8 | body[3]
        fact = origin.fact(_UDS, FactKind.CODE_COUNT, mask, body[:4], f"{count} code(s)")
        return Answer(facts=(fact,))
    if kind == 0x02:
        need(body, 1)
        asked = request[2] if request and len(request) > 2 else CONFIRMED_BIT
        return Answer(reports=_by_status(_codes(body[1:], origin), asked & body[0], origin))
    if kind == _WWH_OBD:
        return _wwh_obd(body, origin, request)
    if kind in _LISTS:
        need(body, 1)
        return _one(origin, _LISTS[kind], _codes(body[1:], origin))
    if kind in _DETAILS:
        return _DETAILS[kind](body, origin, dids)
    return Answer()


def _one(origin: Origin, scope: str, codes: tuple[Dtc, ...]) -> Answer:
    return Answer(reports=(origin.report(_UDS, scope, codes),))


def _by_status(codes: tuple[Dtc, ...], mask: int, origin: Origin) -> tuple[CodeReport, ...]:
    """A report per status bit of the mask that has one, and of what none of them holds."""
    bits = [(bit, scope) for bit, scope in _BY_BIT if mask & bit]
    reports = [
        origin.report(_UDS, scope, (c for c in codes if (c.status or 0) & bit))
        for bit, scope in bits
    ]
    shown = sum(bit for bit, _ in bits)
    rest = [c for c in codes if not (c.status or 0) & shown]
    if rest or not bits:
        reports.append(origin.report(_UDS, CodeScope.LISTED, rest))
    return tuple(reports)


def _codes(rows: bytes, origin: Origin, *, severity: int = 0, form: int = 0) -> tuple[Dtc, ...]:
    """Codes and status, each after `severity` bytes of which the first is the severity."""
    width = severity + 4
    if len(rows) % width:
        raise DecodeError(f"service 19: {len(rows)} bytes cut a code off")
    found = []
    for at in range(0, len(rows), width):
        dtc = _dtc(rows[at + severity : at + width], origin, form)
        if dtc and severity:
            dtc = replace(dtc, severity=rows[at])
        found.append(dtc)
    return tuple(dtc for dtc in found if dtc)


def _dtc(row: bytes, origin: Origin, form: int = 0) -> Dtc | None:
    """Three bytes of code and the status, where there is one; None for padding."""
    status = row[3] if len(row) > 3 else None
    if form == _J1939_FORMAT:
        spn, fmi = row[0] | row[1] << 8 | row[2] >> 5 << 16, row[2] & 0x1F
        return Dtc(_UDS, origin.ecu, f"{spn}/{fmi}", status=status) if any(row[:3]) else None
    code = three_byte_code(row)
    return Dtc(_UDS, origin.ecu, code[0], failure_type=code[1], status=status) if code else None


Dids = Mapping[int, DataIdentifier]


def _snapshot_numbers(body: bytes, origin: Origin, _: Dids) -> Answer:
    """03: which records there are of which code."""
    if len(body) % 4:
        raise DecodeError(f"service 19: {len(body)} bytes cut a record off")
    frames: dict[bytes, list[FreezeFrame]] = {}
    for at in range(0, len(body), 4):
        frames.setdefault(body[at : at + 3], []).append(FreezeFrame(body[at + 3], ()))
    codes = [(_dtc(code, origin), tuple(found)) for code, found in frames.items()]
    named = tuple(replace(dtc, freeze_frames=found) for dtc, found in codes if dtc)
    return _one(origin, CodeScope.FREEZE_FRAME, named)


def _snapshots(body: bytes, origin: Origin, dids: Dids) -> Answer:
    """04: stored values of one code."""
    need(body, 4)
    frames, at = [], 4
    while at < len(body):
        need(body, at + 2)
        pairs, used = divide(body[at + 2 :], dids, body[at + 1])
        frames.append(FreezeFrame(body[at], tuple(pairs)))
        at += 2 + used
    return _detail(body[:4], origin, CodeScope.FREEZE_FRAME, frames)


def _stored_record(body: bytes, origin: Origin, dids: Dids) -> Answer:
    """05: stored values by record number."""
    need(body, 1)
    if len(body) == 1:
        return _one(origin, CodeScope.FREEZE_FRAME, ())
    need(body, 6)
    frame = FreezeFrame(body[0], tuple(divide(body[6:], dids, body[5])[0]))
    return _detail(body[1:5], origin, CodeScope.FREEZE_FRAME, [frame])


def _extended(body: bytes, origin: Origin, _: Dids) -> Answer:
    """06, 10: the maker's counters of one code."""
    need(body, 4)
    records = [FreezeFrame(body[4], ((body[4], body[5:]),))] if len(body) > 4 else []
    return _detail(body[:4], origin, CodeScope.EXTENDED, records)


def _detail(row: bytes, origin: Origin, scope: str, frames: list[FreezeFrame]) -> Answer:
    dtc = _dtc(row, origin)
    return _one(origin, scope, (replace(dtc, freeze_frames=tuple(frames)),) if dtc else ())


def _by_severity(body: bytes, origin: Origin, _: Dids) -> Answer:
    """08, 09: with severity and functional unit."""
    need(body, 1)
    return _one(origin, CodeScope.LISTED, _codes(body[1:], origin, severity=2))


def _counters(body: bytes, origin: Origin, _: Dids) -> Answer:
    """14: codes on their way to failing."""
    if len(body) % 4:
        raise DecodeError(f"service 19: {len(body)} bytes cut a counter off")
    rows = [body[at : at + 4] for at in range(0, len(body), 4)]
    codes = tuple(
        replace(dtc, detection_counter=int.from_bytes(row[3:], "big", signed=True))
        for row in rows
        if (dtc := _dtc(row[:3], origin))
    )
    return _one(origin, CodeScope.PREFAILED, codes)


def _wwh_obd(body: bytes, origin: Origin, request: bytes | None) -> Answer:
    """42: emission codes of a heavy vehicle (ISO 27145), with their class in the severity.

    Like 02 where the request is known to have asked for every class.
    """
    need(body, 4)
    codes = _codes(body[4:], origin, severity=1, form=body[3])
    if request and len(request) > 4 and request[4] & _ALL_CLASSES == _ALL_CLASSES:
        return Answer(reports=_by_status(codes, request[3] & body[1], origin))
    return _one(origin, CodeScope.LISTED, codes)


def _wwh_obd_permanent(body: bytes, origin: Origin, _: Dids) -> Answer:
    """55: the permanent ones of them."""
    need(body, 3)
    return _one(origin, CodeScope.PERMANENT, _codes(body[3:], origin, form=body[2]))


_DETAILS = {
    0x03: _snapshot_numbers,
    0x04: _snapshots,
    0x05: _stored_record,
    0x06: _extended,
    0x08: _by_severity,
    0x09: _by_severity,
    0x10: _extended,
    0x14: _counters,
    0x55: _wwh_obd_permanent,
}
