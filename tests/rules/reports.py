"""Code reports written down by hand, and the episodes of the one code in them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from model.codes import CodeProtocol, CodeReport, CodeScope, Dtc, EcuFact, FactKind, Lamps
from model.episodes import Episode, Sign
from rules.episodes import episodes_of
from rules.sightings import Facts, facts_of

VIN = "LRDCALLDEM0000001"
MIN = 60 * 10**9
HOUR = 60 * MIN
DAY = 24 * HOUR
#: A whole UTC day, hours after midnight.
START = 20_000 * DAY + 8 * HOUR
TRUCK = 0


def dm(
    at_ns: int, *codes: str, scope: str = CodeScope.ACTIVE, lamps: Lamps | None = None
) -> CodeReport:
    """A J1939 list of codes."""
    found = tuple(Dtc(CodeProtocol.J1939, TRUCK, code) for code in codes)
    return CodeReport(START + at_ns, 0, TRUCK, CodeProtocol.J1939, scope, found, lamps)


def drive(at_ns: int, *codes: str, minutes: int = 30) -> list[CodeReport]:
    """DM1 once a minute through a drive."""
    return [dm(at_ns + m * MIN, *codes) for m in range(minutes)]


def uds(
    at_ns: int, status: int, scope: str = CodeScope.CONFIRMED, code: str = "P0217"
) -> CodeReport:
    """A UDS list with one code."""
    dtc = Dtc(CodeProtocol.UDS, 0x7E8, code, failure_type=0x44, status=status)
    return CodeReport(START + at_ns, 0, 0x7E8, CodeProtocol.UDS, scope, (dtc,))


def uds_empty(at_ns: int) -> CodeReport:
    """A UDS list without any code."""
    return CodeReport(START + at_ns, 0, 0x7E8, CodeProtocol.UDS, CodeScope.CONFIRMED, ())


def obd(at_ns: int, scope: str, *codes: str) -> CodeReport:
    """Services 03 (confirmed), 07 (pending), 0A (permanent)."""
    found = tuple(Dtc(CodeProtocol.OBD, 0x7E8, code) for code in codes)
    return CodeReport(START + at_ns, 0, 0x7E8, CodeProtocol.OBD, scope, found)


def pid_01(at_ns: int, content: bytes) -> EcuFact:
    """An answer of service 01 PID 01."""
    return EcuFact(START + at_ns, 0, 0x7E8, CodeProtocol.OBD, FactKind.READINESS, 1, content)


def cleared(at_ns: int, protocol: CodeProtocol, group: int) -> EcuFact:
    """An ECU's word that it cleared codes."""
    ecu = TRUCK if protocol is CodeProtocol.J1939 else 0x7E8
    return EcuFact(START + at_ns, 0, ecu, protocol, FactKind.CLEARED, group, b"")


def fold(reports: Sequence[CodeReport], answers: Iterable[EcuFact] = ()) -> tuple[Episode, ...]:
    """Episodes of the one code in these reports."""
    return folded(facts_of(reports, answers))


def folded(facts: Facts, *signs: Sign) -> tuple[Episode, ...]:
    signs = (*facts.signs, *signs)
    return episodes_of(VIN, facts.sightings, facts.heard, signs, clears=facts.clears)
