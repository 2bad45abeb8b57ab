"""That an ECU cleared its codes on a tester's demand.

Source: ISO 14229-1, ClearDiagnosticInformation (14), and ISO 14230-3, clearDiagnosticInformation
(14); editions: docs/sources.md. Reassembled.

    request, UDS     14, group of codes (3 bytes), memory (1 byte, since 2020)
    answer, UDS      54
    request, KWP     14, group of codes (2 bytes)
    answer, KWP      54, the group again

Only an answer says that anything was cleared; 7F 14 is a refusal (`iso14229_refusal`). A UDS
answer whose request was not overheard, or that is about a memory of its own, is a fact without a
group. Groups: `model/code_clears.py`.
"""

from __future__ import annotations

from decoders.answers import Answer, Origin
from model.code_clears import UNKNOWN_GROUP
from model.codes import CodeProtocol

ANSWER = 0x54
_UDS_BYTES, _KWP_BYTES = 3, 2


def decode(payload: bytes, origin: Origin, request: bytes | None) -> Answer:
    """One answer as a fact; what is longer than both forms says nothing. Never raises."""
    echo = payload[1:]
    if len(echo) not in (0, _KWP_BYTES):
        return Answer()
    group = request[1:] if request and len(request) > _KWP_BYTES else echo
    protocol = CodeProtocol.KWP if len(group) == _KWP_BYTES else CodeProtocol.UDS
    whole = len(group) in (_KWP_BYTES, _UDS_BYTES)
    number = int.from_bytes(group, "big") if whole else UNKNOWN_GROUP
    return Answer(facts=(origin.cleared(protocol, number),))
