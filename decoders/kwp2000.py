"""Trouble codes of an ECU that still speaks Keyword Protocol 2000.

Source: ISO 14230-3 (edition: docs/sources.md), readDiagnosticTroubleCodesByStatus (18), as carried
by CAN. Reassembled.

    byte 0       58
    byte 1       number of codes
    then         code (2 bytes, J2012) and status, repeated

    status bits  7 warning lamp, 6-5 storage: 00 not stored, 01 stored, not present now, 10 present,
                 not stored yet, 11 stored and present; 4 not tested yet, 3-0 symptom

The request's second byte says what is listed: 00 and 02 the codes found, 01 and 03 all codes the
ECU knows. A list of codes found becomes a report each of `confirmed` (01, 11), `active` (11) and
`pending` (10); a request that was not overheard is taken as 00.
"""

from __future__ import annotations

from decoders.answers import Answer, Origin, need
from decoders.j2012 import code_text
from model.codes import CodeProtocol, CodeScope, Dtc

ANSWER = 0x58
_FOUND, _KNOWN = (0x00, 0x02), (0x01, 0x03)
_STORAGE = (
    (CodeScope.CONFIRMED, (1, 3)),
    (CodeScope.ACTIVE, (3,)),
    (CodeScope.PENDING, (2,)),
)
_KWP = CodeProtocol.KWP


def decode(payload: bytes, origin: Origin, request: bytes | None) -> Answer:
    """One answer. Raises `TruncatedFrameError` when codes are missing."""
    need(payload, 2)
    need(payload, 2 + 3 * payload[1])
    rows = [payload[at : at + 3] for at in range(2, 2 + 3 * payload[1], 3)]
    codes = [
        Dtc(_KWP, origin.ecu, code_text(row[0] << 8 | row[1]), status=row[2])
        for row in rows
        if row[0] or row[1]
    ]
    asked = request[1] if request and len(request) > 1 else _FOUND[0]
    if asked not in _FOUND:
        scope = CodeScope.SUPPORTED if asked in _KNOWN else CodeScope.LISTED
        return Answer(reports=(origin.report(_KWP, scope, codes),))
    return Answer(
        reports=tuple(
            origin.report(_KWP, scope, (c for c in codes if (c.status or 0) >> 5 & 3 in states))
            for scope, states in _STORAGE
        )
    )
