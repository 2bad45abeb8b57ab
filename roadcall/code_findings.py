"""What a log says about its ECUs, put together: each code once, with when and where it was seen."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from model.codes import (
    CodeProtocol,
    CodeReport,
    CodeScope,
    Dtc,
    EcuFact,
    FactKind,
    FreezeFrame,
    Lamps,
)

#: What identifies an ECU to a reader of the table.
EcuKey = tuple[int, int]
CodeKey = tuple[CodeProtocol, str, int | None]
#: Facts of which only the newest is of interest, in the order shown.
LASTING = (
    FactKind.VIN,
    FactKind.ECU_NAME,
    FactKind.CALIBRATION_ID,
    FactKind.CVN,
    FactKind.READINESS,
    FactKind.DID,
    FactKind.TEST_RESULT,
    FactKind.CODE_COUNT,
)


@dataclass(slots=True)
class FoundCode:
    """One code of one ECU: the newest report of it, and every list it was in."""

    dtc: Dtc
    first_ns: int
    last_ns: int
    reports: int = 0
    scopes: set[str] = field(default_factory=set)
    freeze_frames: dict[int, FreezeFrame] = field(default_factory=dict)


@dataclass(slots=True)
class FoundClear:
    """How often a group of codes was cleared, first and last."""

    first_ns: int
    last_ns: int
    count: int = 0


@dataclass(slots=True)
class FoundEcu:
    """Everything one ECU said; `asked` are the lists it gave, empty ones too."""

    bus: int
    ecu: int
    codes: dict[CodeKey, FoundCode] = field(default_factory=dict)
    asked: dict[CodeProtocol, set[str]] = field(default_factory=dict)
    facts: dict[tuple[FactKind, int, bytes], EcuFact] = field(default_factory=dict)
    refusals: dict[tuple[CodeProtocol, int, str], int] = field(default_factory=dict)
    clears: dict[tuple[CodeProtocol, str], FoundClear] = field(default_factory=dict)
    lamps: Lamps | None = None

    def take_report(self, report: CodeReport) -> None:
        """One list of codes."""
        self.asked.setdefault(report.protocol, set()).add(report.scope)
        if report.scope == CodeScope.ACTIVE:
            self.lamps = report.lamps or self.lamps
        for dtc in report.codes:
            key = (dtc.protocol, dtc.code, dtc.failure_type)
            found = self.codes.setdefault(
                key, FoundCode(dtc, report.observed_ns, report.observed_ns)
            )
            found.dtc = _merged(found.dtc, dtc)
            found.last_ns = report.observed_ns
            found.reports += 1
            found.scopes.add(report.scope)
            found.freeze_frames |= {frame.number: frame for frame in dtc.freeze_frames}

    def take_fact(self, fact: EcuFact) -> None:
        """Anything else."""
        if fact.kind is FactKind.REFUSAL:
            key = (fact.protocol, fact.identifier, fact.text)
            self.refusals[key] = self.refusals.get(key, 0) + 1
        elif fact.kind is FactKind.CLEARED:
            at_ns = fact.observed_ns
            clear = self.clears.setdefault((fact.protocol, fact.text), FoundClear(at_ns, at_ns))
            clear.last_ns = at_ns
            clear.count += 1
        elif fact.kind in LASTING:
            # A calibration has several identifiers; of everything else the newest counts.
            several = fact.kind in (FactKind.CALIBRATION_ID, FactKind.CVN)
            self.facts[fact.kind, fact.identifier, fact.content if several else b""] = fact


def _merged(old: Dtc, new: Dtc) -> Dtc:
    """The newer one; what it leaves open stays as it was."""
    return Dtc(
        protocol=new.protocol,
        ecu=new.ecu,
        code=new.code,
        failure_type=new.failure_type,
        status=old.status if new.status is None else new.status,
        occurrence_count=(
            old.occurrence_count if new.occurrence_count is None else new.occurrence_count
        ),
        conversion_method=new.conversion_method,
        severity=old.severity if new.severity is None else new.severity,
        detection_counter=(
            old.detection_counter if new.detection_counter is None else new.detection_counter
        ),
    )


@dataclass(slots=True)
class Findings:
    """All ECUs of a log."""

    ecus: dict[EcuKey, FoundEcu] = field(default_factory=dict)

    def add(self, reports: Iterable[CodeReport], facts: Iterable[EcuFact]) -> None:
        """What one batch said."""
        for report in reports:
            self._ecu(report.bus, report.ecu).take_report(report)
        for fact in facts:
            self._ecu(fact.bus, fact.ecu).take_fact(fact)

    def _ecu(self, bus: int, ecu: int) -> FoundEcu:
        return self.ecus.setdefault((bus, ecu), FoundEcu(bus, ecu))

    def sorted(self) -> list[FoundEcu]:
        """By bus and ECU."""
        return [self.ecus[key] for key in sorted(self.ecus)]
