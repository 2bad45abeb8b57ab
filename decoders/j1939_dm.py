"""Diagnostic messages of a J1939 ECU: lists of codes, freeze frames, readiness, its VIN.

Source: SAE J1939-73 (edition: docs/sources.md); vehicle identification: SAE J1939-71.

    DM1   65226  active codes        DM6   65231  pending codes
    DM2   65227  previously active   DM12  65236  active emission codes
          all four: lamps and codes as in `j1939_dm1`
    DM4   65229  freeze frames: length of the rest, code (4 bytes), torque mode (SPN 899), boost
                 (102), engine speed (190, 2 bytes), load (92), coolant temperature (110), vehicle
                 speed (84, 2 bytes), then the maker's values; repeated
    DM5   65230  readiness, see `j1979_readiness`
    DM25  64951  freeze frames: length of the rest, code (4 bytes), values in the order that the
                 ECU's DM24 gives; repeated
    VI    65260  VIN, ASCII, ended by *

Length 0 with code 0 says that there is no freeze frame. DM4 was not read in a primary copy.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from decoders import j1939_dm1
from decoders.answers import Answer, Origin, need, printable
from decoders.j1939_dm1 import CODE_BYTES, Dm1
from decoders.j1979_readiness import decode_dm5
from model.codes import CodeProtocol, CodeScope, Dtc, FactKind, FreezeFrame

DM4, DM5, DM25, VEHICLE_IDENTIFICATION = 65229, 65230, 64951, 65260
LISTS = {
    j1939_dm1.PGN: CodeScope.ACTIVE,
    65227: CodeScope.PREVIOUS,
    65231: CodeScope.PENDING,
    65236: CodeScope.EMISSION,
}
PGNS = frozenset({*LISTS, DM4, DM5, DM25, VEHICLE_IDENTIFICATION})
#: SPN and bytes of what every DM4 frame begins with.
_DM4_PARTS = ((899, 1), (102, 1), (190, 2), (92, 1), (110, 1), (84, 2))
_VIN_END = b"*"
_J1939 = CodeProtocol.J1939


def decode(pgn: int, payload: bytes, origin: Origin) -> tuple[Answer, Dm1 | None]:
    """One message of `PGNS`; also the lamps as sent where it has some. Raises `DecodeError`."""
    if pgn in LISTS:
        dm1 = j1939_dm1.decode(payload, origin.ecu)
        report = origin.report(_J1939, LISTS[pgn], dm1.codes)
        return Answer(reports=(replace(report, lamps=dm1.lamp_states()),)), dm1
    if pgn == DM5:
        text = decode_dm5(payload).text()
        fact = origin.fact(_J1939, FactKind.READINESS, pgn, payload[:8], text)
        return Answer(facts=(fact,)), None
    if pgn == VEHICLE_IDENTIFICATION:
        vin, star, _ = payload.partition(_VIN_END)
        found = (
            [origin.fact(_J1939, FactKind.VIN, pgn, vin, printable(vin))] if vin and star else []
        )
        return Answer(facts=tuple(found)), None
    codes = tuple(_freeze_frames(payload, origin, named=pgn == DM4))
    return Answer(reports=(origin.report(_J1939, CodeScope.FREEZE_FRAME, codes),)), None


def _freeze_frames(payload: bytes, origin: Origin, *, named: bool) -> Iterator[Dtc]:
    need(payload, 1)
    at = number = 0
    while at < len(payload) and payload[at] not in (0x00, 0xFF):
        end = at + 1 + payload[at]
        need(payload, max(end, at + 1 + CODE_BYTES))
        dtc = j1939_dm1.read_code(payload[at + 1 :], origin.ecu)
        frame = FreezeFrame(number, tuple(_parts(payload[at + 1 + CODE_BYTES : end], named=named)))
        if dtc:
            yield replace(dtc, freeze_frames=(frame,))
        at, number = end, number + 1


def _parts(values: bytes, *, named: bool) -> Iterator[tuple[int, bytes]]:
    """Standard values by SPN, the rest under 0."""
    for spn, size in _DM4_PARTS if named else ():
        if len(values) < size:
            break
        yield spn, values[:size]
        values = values[size:]
    if values:
        yield 0, values
