"""Answers of an OBD car: codes, freeze frames, readiness, test results and who it is.

Source: SAE J1979 / ISO 15031-5 on CAN (ISO 15765-4); editions: docs/sources.md. Reassembled.

    byte 0       next bytes
    41           PID, value, PID, value ..                       service 01, see j1979_pids
    42           PID, frame number, value, .. repeated           PID 02 = code that stored it
    43 47 4A     number of codes, two bytes each (J2012)         confirmed, pending, permanent
    44           -                                               codes and results were cleared
    46           monitor, test, unit and scaling, value, lowest, highest (2 bytes each), .. repeated
                 monitor 00, 20 .. E0: 4 bytes of supported monitors
    49           InfoType, number of items, items                02 VIN, 04 CALID (16 bytes each),
                                                                 06 CVN (4 bytes each), 0A ECU name

Code 0000 is padding. Scaling identifiers of test results from 80 on are signed; results stay in
the units of the ECU, passed means lowest <= value <= highest.
"""

from __future__ import annotations

from collections.abc import Iterator

from decoders.answers import Answer, Origin, need, printable
from decoders.j1979_pids import PID_BYTES, divide
from decoders.j1979_readiness import decode_pid_01
from decoders.j2012 import code_text
from model.code_clears import OBD_GROUP
from model.codes import CodeProtocol, CodeScope, Dtc, EcuFact, FactKind, FreezeFrame
from model.errors import DecodeError

CURRENT, FREEZE_FRAME, CLEARED, MONITORS, VEHICLE = 0x41, 0x42, 0x44, 0x46, 0x49
LISTS = {0x43: CodeScope.CONFIRMED, 0x47: CodeScope.PENDING, 0x4A: CodeScope.PERMANENT}
ANSWERS = frozenset({CURRENT, FREEZE_FRAME, CLEARED, MONITORS, VEHICLE, *LISTS})
_READINESS, _STORED_BY = 0x01, 0x02
_RESULT_BYTES, _SIGNED_FROM = 9, 0x80
#: Bytes of a value that fit a classic single frame.
_SINGLE_FRAME_VALUE = 5
_ITEMS = {
    0x02: (FactKind.VIN, 17),
    0x04: (FactKind.CALIBRATION_ID, 16),
    0x06: (FactKind.CVN, 4),
    0x0A: (FactKind.ECU_NAME, 20),
}
_OBD = CodeProtocol.OBD


def decode(payload: bytes, origin: Origin) -> Answer:
    """One answer to a service above. Raises `DecodeError` when it is cut off."""
    service = payload[0]
    if service in LISTS:
        return _codes(payload, origin, LISTS[service])
    if service == CLEARED:
        facts = (origin.cleared(_OBD, OBD_GROUP),) if len(payload) == 1 else ()
        return Answer(facts=facts)
    need(payload, 2)
    if service == CURRENT:
        return _current(payload[1:], origin)
    if service == FREEZE_FRAME:
        return _freeze_frame(payload[1:], origin)
    if service == MONITORS:
        return Answer(facts=tuple(_results(payload[1:], origin)))
    return Answer(facts=tuple(_items(payload[1:], origin)))


def single_frame(pid: int, content: bytes) -> bytes:
    """One value of service 01 as the single frame it would have come in, if asked for alone."""
    content = content[:_SINGLE_FRAME_VALUE]
    return bytes([2 + len(content), CURRENT, pid]) + content


def _codes(payload: bytes, origin: Origin, scope: str) -> Answer:
    need(payload, 2)
    need(payload, 2 + 2 * payload[1])
    rows = (int.from_bytes(payload[i : i + 2], "big") for i in range(2, 2 + 2 * payload[1], 2))
    codes = [Dtc(_OBD, origin.ecu, code_text(number)) for number in rows if number]
    return Answer(reports=(origin.report(_OBD, scope, codes),))


def _current(body: bytes, origin: Origin) -> Answer:
    pids = divide(body)
    facts = [
        origin.fact(_OBD, FactKind.READINESS, pid, content, decode_pid_01(content).text())
        for pid, content in pids
        if pid == _READINESS
    ]
    return Answer(facts=tuple(facts), pids=pids)


def _freeze_frame(body: bytes, origin: Origin) -> Answer:
    """Values of one stored frame, and its code where PID 02 is among them."""
    need(body, 2)
    number, at = body[1], 0
    parts: list[tuple[int, bytes]] = []
    while at < len(body):
        end = at + 2 + int(PID_BYTES[body[at]])
        if end > len(body) or body[at + 1] != number:
            # Not divisible: one PID with all that follows.
            parts = [(body[0], body[2:])]
            break
        parts.append((body[at], body[at + 2 : end]))
        at = end
    values = tuple((pid, content) for pid, content in parts if pid != _STORED_BY)
    facts = [
        origin.fact(_OBD, FactKind.FREEZE_FRAME, number << 8 | pid, content, "")
        for pid, content in values
        if pid % 0x20  # the others say which PIDs are supported
    ]
    reports = []
    for pid, content in parts:
        if pid == _STORED_BY:
            need(content, 2)
            stored = int.from_bytes(content[:2], "big")
            frame = FreezeFrame(number, values)
            codes = [Dtc(_OBD, origin.ecu, code_text(stored), freeze_frames=(frame,))]
            reports.append(origin.report(_OBD, CodeScope.FREEZE_FRAME, codes if stored else ()))
    return Answer(tuple(reports), tuple(facts))


def _results(body: bytes, origin: Origin) -> Iterator[EcuFact]:
    if body[0] % 0x20 == 0:
        return  # supported monitors
    if len(body) % _RESULT_BYTES:
        raise DecodeError(f"service 06: {len(body)} bytes cut a result off")
    for at in range(0, len(body), _RESULT_BYTES):
        row = body[at : at + _RESULT_BYTES]
        value, low, high = (
            int.from_bytes(row[i : i + 2], "big", signed=row[2] >= _SIGNED_FROM) for i in (3, 5, 7)
        )
        verdict = "passed" if low <= value <= high else "failed"
        text = f"{verdict}: {value} in {low} .. {high}"
        yield origin.fact(_OBD, FactKind.TEST_RESULT, row[0] << 8 | row[1], row[2:], text)


def _items(body: bytes, origin: Origin) -> Iterator[EcuFact]:
    kind, size = _ITEMS.get(body[0], (FactKind.INFO_TYPE, 0))
    if not size:
        if body[0]:
            yield origin.fact(_OBD, kind, body[0], body[1:], "")
        return
    need(body, 2)
    items = body[2:]
    if kind is not FactKind.ECU_NAME and len(items) < size * body[1]:
        raise DecodeError(f"service 09: {len(items)} bytes cut an item off")
    for at in range(0, min(len(items), size * body[1]), size):
        item = items[at : at + size]
        text = item.hex().upper() if kind is FactKind.CVN else printable(item)
        yield origin.fact(_OBD, kind, body[0], item, text)
