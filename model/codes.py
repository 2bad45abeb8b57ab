"""Trouble codes as the car reported them, and what its ECUs said about themselves."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class CodeProtocol(StrEnum):
    """Who defines the code."""

    J1939 = "j1939"
    OBD = "obd"
    UDS = "uds"
    KWP = "kwp"


class CodeScope(StrEnum):
    """Which list a report is. Only `active` and `confirmed` say what is wrong now."""

    ACTIVE = "active"
    CONFIRMED = "confirmed"
    PENDING = "pending"
    PERMANENT = "permanent"
    PREVIOUS = "previous"
    #: Emission-related active codes only (J1939 DM12): a part of `active`.
    EMISSION = "emission"
    #: Any other selection: by severity, first or last to fail, mirror memory.
    LISTED = "listed"
    #: What the ECU could report, with the status of each.
    SUPPORTED = "supported"
    #: Not failed often enough yet (ISO 14229 fault detection counter).
    PREFAILED = "prefailed"
    #: One code with what was stored beside it.
    FREEZE_FRAME = "freeze_frame"
    EXTENDED = "extended"


@dataclass(frozen=True, slots=True)
class FreezeFrame:
    """What an ECU stored beside a code: (identifier, bytes) pairs, as sent.

    Identifiers are PIDs (OBD), DIDs (UDS) or SPNs (J1939); 0 where the ECU does not name them.
    In a report of scope `extended` they are record numbers.
    """

    number: int
    parts: tuple[tuple[int, bytes], ...]


@dataclass(frozen=True, slots=True)
class Dtc:
    """One trouble code of one ECU.

    `ecu` is the source address on 29-bit identifiers and the identifier its answers come from on
    11-bit ones. `code` is `SPN/FMI` in decimal for J1939 (`110/0`), the SAE J2012 text (`P0217`)
    otherwise; `failure_type` is the J2012-DA third byte; `status` the protocol's status byte
    (ISO 14229 or ISO 14230); `severity` the ISO 14229 severity byte; `occurrence_count` None where
    not available (127 in J1939); `detection_counter` -128 .. 127, where reported.
    """

    protocol: CodeProtocol
    ecu: int
    code: str
    failure_type: int | None = None
    status: int | None = None
    occurrence_count: int | None = None
    conversion_method: int = 0
    severity: int | None = None
    detection_counter: int | None = None
    freeze_frames: tuple[FreezeFrame, ...] = ()


class LampState(StrEnum):
    """A warning lamp as the ECU wants it."""

    OFF = "off"
    ON = "on"
    SLOW_FLASH = "slow_flash"
    FAST_FLASH = "fast_flash"
    ERROR = "error"
    NOT_AVAILABLE = "not_available"


@dataclass(frozen=True, slots=True)
class Lamps:
    """The four lamps of a J1939 vehicle."""

    mil: LampState
    red_stop: LampState
    amber_warning: LampState
    protect: LampState


@dataclass(frozen=True, slots=True)
class CodeReport:
    """All codes one ECU named in one message: a code that is missing here is not active there.

    `scope` says which list it was (`CodeScope`): absence from one list says nothing about another.
    Lamps of DM1 also travel as signals.
    """

    observed_ns: int
    bus: int
    ecu: int
    protocol: CodeProtocol
    scope: str
    codes: tuple[Dtc, ...]
    lamps: Lamps | None = None


class FactKind(StrEnum):
    """What an `EcuFact` is about; in brackets what its `identifier` is."""

    VIN = "vin"
    CALIBRATION_ID = "calibration_id"
    CVN = "cvn"
    ECU_NAME = "ecu_name"
    INFO_TYPE = "info_type"  # any other service 09 answer [InfoType]
    DID = "did"  # ISO 14229 data by identifier [DID]
    READINESS = "readiness"  # [PID or PGN]
    TEST_RESULT = "test_result"  # on-board monitor [monitor << 8 | test]
    FREEZE_FRAME = "freeze_frame"  # one stored value [frame << 8 | PID]
    CODE_COUNT = "code_count"  # [status or severity mask that was counted]
    REFUSAL = "refusal"  # negative response [service that was asked for]
    CLEARED = "cleared"  # codes were cleared [group of codes: model/code_clears.py]


@dataclass(frozen=True, slots=True)
class EcuFact:
    """One thing an ECU said about itself: the bytes, and a text for people where there is one."""

    observed_ns: int
    bus: int
    ecu: int
    protocol: CodeProtocol
    kind: FactKind
    identifier: int
    content: bytes
    text: str = ""
