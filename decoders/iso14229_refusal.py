"""Negative responses: a service the ECU refused, and why.

Source: ISO 14229-1 (edition: docs/sources.md), Annex A; ISO 14230-3 uses 10-12, 21, 22, 31, 33,
35-37, 78 and 80 alike.

    byte 0   7F
    byte 1   service that was asked for
    byte 2   negative response code
"""

from __future__ import annotations

from decoders.answers import Answer, Origin, need
from model.codes import CodeProtocol, FactKind

#: Negative response codes; ISO 14229-1 keeps the others for itself or for the maker.
NAMES = {
    0x10: "general reject",
    0x11: "service not supported",
    0x12: "sub-function not supported",
    0x13: "incorrect message length or invalid format",
    0x14: "response too long",
    0x21: "busy, repeat request",
    0x22: "conditions not correct",
    0x24: "request sequence error",
    0x25: "no response from subnet component",
    0x26: "failure prevents execution",
    0x31: "request out of range",
    0x33: "security access denied",
    0x34: "authentication required",
    0x35: "invalid key",
    0x36: "exceeded number of attempts",
    0x37: "required time delay not expired",
    0x70: "upload or download not accepted",
    0x71: "transfer suspended",
    0x72: "general programming failure",
    0x73: "wrong block sequence counter",
    0x78: "request received, response pending",
    0x7E: "sub-function not supported in active session",
    0x7F: "service not supported in active session",
    0x81: "engine speed too high",
    0x82: "engine speed too low",
    0x83: "engine is running",
    0x84: "engine is not running",
    0x85: "engine run time too low",
    0x86: "temperature too high",
    0x87: "temperature too low",
    0x88: "vehicle speed too high",
    0x89: "vehicle speed too low",
    0x8A: "throttle or pedal too high",
    0x8B: "throttle or pedal too low",
    0x8C: "transmission not in neutral",
    0x8D: "transmission not in gear",
    0x8F: "brake switch not closed",
    0x90: "shifter not in park",
    0x91: "torque converter clutch locked",
    0x92: "voltage too high",
    0x93: "voltage too low",
}
_FIRST_UDS_SERVICE = 0x10
#: Services of ISO 14230-3 that ISO 14229-1 gave up.
_KWP_SERVICES = frozenset({0x12, 0x13, 0x17, 0x18, 0x1A, 0x20, 0x21})


def decode(payload: bytes, origin: Origin) -> Answer:
    """The refusal as a fact; content is the response code. Raises `TruncatedFrameError`."""
    need(payload, 3)
    service, code = payload[1], payload[2]
    protocol = CodeProtocol.UDS
    if service < _FIRST_UDS_SERVICE:
        protocol = CodeProtocol.OBD
    elif service in _KWP_SERVICES:
        protocol = CodeProtocol.KWP
    text = NAMES.get(code, f"response code {code:02X}")
    return Answer(facts=(origin.fact(protocol, FactKind.REFUSAL, service, bytes([code]), text),))
