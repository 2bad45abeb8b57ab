"""Trouble codes as the car reported them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class CodeProtocol(StrEnum):
    """Who defines the code."""

    J1939 = "j1939"
    OBD = "obd"
    UDS = "uds"


@dataclass(frozen=True, slots=True)
class Dtc:
    """One trouble code of one ECU.

    `code` is `SPN/FMI` in decimal for J1939 (`110/0`), the SAE J2012 text (`P0217`) for OBD and
    UDS; `failure_type` is the J2012-DA third byte; `status` the ISO 14229 status byte;
    `occurrence_count` None where not available (127 in J1939).
    """

    protocol: CodeProtocol
    ecu: int
    code: str
    failure_type: int | None = None
    status: int | None = None
    occurrence_count: int | None = None
    conversion_method: int = 0


@dataclass(frozen=True, slots=True)
class CodeReport:
    """All codes one ECU named in one message: a code that is missing here is not active there.

    `scope` says which list it was (`active`, `previous`, `pending`, `confirmed`, `permanent`):
    absence from one list says nothing about another. Lamp states of DM1 travel as signals.
    """

    observed_ns: int
    bus: int
    ecu: int
    protocol: CodeProtocol
    scope: str
    codes: tuple[Dtc, ...]
