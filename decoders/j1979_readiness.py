"""Whether the on-board monitors have run since codes were cleared.

Source: SAE J1979 service 01 PID 01; SAE J1939-73 DM5, bytes 4-8 (editions: docs/sources.md).

    PID 01  byte  bits  field
            0     7     malfunction indicator lamp on
            0     6-0   confirmed codes
            1     6-4   not complete: components, fuel system, misfire
            1     3     0 spark, 1 compression ignition
            1     2-0   supported: components, fuel system, misfire
            2     all   supported, other monitors
            3     all   not complete, other monitors (same bits)
    DM5     0     all   active codes, FF not available
            1     all   previously active codes, FF not available
            2     all   OBD compliance
            3     as byte 1 of PID 01 without bit 3
            4-5   all   supported, other monitors
            6-7   all   not complete, other monitors (same bits)
"""

from __future__ import annotations

from dataclasses import dataclass

from decoders.answers import need

_CONTINUOUS = ("misfire", "fuel system", "components")
_SPARK = (
    "catalyst",
    "heated catalyst",
    "evaporative system",
    "secondary air",
    "air conditioning",
    "oxygen sensor",
    "oxygen sensor heater",
    "egr or vvt",
)
_COMPRESSION = (
    "nmhc catalyst",
    "nox aftertreatment",
    "",
    "boost pressure",
    "",
    "exhaust gas sensor",
    "particulate filter",
    "egr or vvt",
)
_J1939 = (
    *_SPARK[:5],
    "exhaust gas sensor",
    "exhaust gas sensor heater",
    "egr or vvt",
    "cold start aid",
    "boost pressure",
    "particulate filter",
    "nox aftertreatment",
    "nmhc catalyst",
)
_NOT_AVAILABLE = 0xFF


@dataclass(frozen=True, slots=True)
class Readiness:
    """Supported monitors and which of them have not run; None where not said."""

    mil_on: bool | None
    codes: int | None
    previous_codes: int | None
    supported: tuple[str, ...]
    incomplete: tuple[str, ...]

    def text(self) -> str:
        """One line for people."""
        parts = [] if self.mil_on is None else ["mil on" if self.mil_on else "mil off"]
        if self.codes is not None:
            parts.append(f"{self.codes} code(s)")
        waiting = ", ".join(self.incomplete)
        parts.append(f"not complete: {waiting}" if waiting else "all monitors complete")
        return "; ".join(parts)


def decode_pid_01(content: bytes) -> Readiness:
    """The four bytes of PID 01. Raises `TruncatedFrameError`."""
    need(content, 4)
    names = _COMPRESSION if content[1] & 8 else _SPARK
    supported, incomplete = _continuous(content[1])
    more, waiting = _others(names, content[2], content[3])
    return Readiness(
        mil_on=bool(content[0] & 0x80),
        codes=content[0] & 0x7F,
        previous_codes=None,
        supported=supported + more,
        incomplete=incomplete + waiting,
    )


def decode_dm5(payload: bytes) -> Readiness:
    """A whole DM5. Raises `TruncatedFrameError`."""
    need(payload, 8)
    supported, incomplete = _continuous(payload[3])
    more, waiting = _others(
        _J1939, int.from_bytes(payload[4:6], "little"), int.from_bytes(payload[6:8], "little")
    )
    return Readiness(
        mil_on=None,
        codes=None if payload[0] == _NOT_AVAILABLE else payload[0],
        previous_codes=None if payload[1] == _NOT_AVAILABLE else payload[1],
        supported=supported + more,
        incomplete=incomplete + waiting,
    )


def _continuous(bits: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
    return _others(_CONTINUOUS, bits & 7, bits >> 4 & 7)


def _others(
    names: tuple[str, ...], supported: int, incomplete: int
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    there = [(i, name) for i, name in enumerate(names) if name and supported >> i & 1]
    return (
        tuple(name for _, name in there),
        tuple(name for i, name in there if incomplete >> i & 1),
    )
