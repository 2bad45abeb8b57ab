"""Which codes an ECU cleared when it says that it did.

Source: ISO 14229-1 and ISO 14230-3 (editions: docs/sources.md), groups of codes of service 14;
SAE J1939-73, DM3 and DM11.

    OBD    0                  all codes of the ECU
    UDS    FFFFFF             all; any other group: the one code of this number, with failure type
    KWP    FF00, FFFF         all; 0000, 4000, 8000, C000: all codes P, C, B, U; else one code
    J1939  65228 (DM3)        what was active before
           65235 (DM11)       what is active

What a maker's groups hold, and the standard's emission and safety groups, only the ECU knows: they
name no code here.
"""

from __future__ import annotations

from enum import StrEnum

from model.codes import CodeProtocol

DM3, DM11 = 65228, 65235
#: Nobody heard what was asked for, or it was another memory of the ECU.
UNKNOWN_GROUP = -1
OBD_GROUP = 0
_UDS_ALL = 0xFFFFFF
_KWP_ALL = frozenset({0xFF00, 0xFFFF})
_KWP_SYSTEMS, _SYSTEM_BITS = frozenset({0x0000, 0x4000, 0x8000, 0xC000}), 0xC000
_SYSTEMS = "PCBU"


class ClearScope(StrEnum):
    """What was cleared."""

    ALL = "all"
    ACTIVE = "active"
    PREVIOUS = "previous"
    GROUP = "group"
    UNKNOWN = "unknown"


def clear_scope(protocol: str, group: int) -> ClearScope:
    """Of a group as the table above has it."""
    if group == UNKNOWN_GROUP:
        return ClearScope.UNKNOWN
    if protocol == CodeProtocol.J1939:
        return {DM3: ClearScope.PREVIOUS, DM11: ClearScope.ACTIVE}.get(group, ClearScope.UNKNOWN)
    every = {CodeProtocol.UDS: {_UDS_ALL}, CodeProtocol.KWP: _KWP_ALL}
    known = every.get(CodeProtocol(protocol), {OBD_GROUP})
    return ClearScope.ALL if group in known else ClearScope.GROUP


def clear_text(protocol: str, group: int) -> str:
    """The same for people."""
    scope = clear_scope(protocol, group)
    if scope is ClearScope.GROUP:
        return f"group {group:0{6 if protocol == CodeProtocol.UDS else 4}X}"
    return {
        ClearScope.ALL: "all codes",
        ClearScope.ACTIVE: "active codes",
        ClearScope.PREVIOUS: "previously active codes",
    }.get(scope, "unknown codes")


def holds(protocol: str, group: int, code: str, failure_type: int | None) -> bool:
    """Whether a code of this protocol belongs to the group, whatever its state."""
    scope = clear_scope(protocol, group)
    if scope is not ClearScope.GROUP:
        return scope is not ClearScope.UNKNOWN
    number = _number(code, failure_type)
    if protocol == CodeProtocol.KWP and group in _KWP_SYSTEMS:
        return number & _SYSTEM_BITS == group
    return number == group


def _number(code: str, failure_type: int | None) -> int:
    """The bytes of a code as a number, the first one highest."""
    if "/" in code:  # a UDS server may use the J1939 form
        spn, fmi = map(int, code.split("/"))
        return (spn & 0xFF) << 16 | (spn >> 8 & 0xFF) << 8 | spn >> 16 << 5 | fmi
    number = _SYSTEMS.index(code[0]) << 14 | int(code[1:], 16)
    return number if failure_type is None else number << 8 | failure_type
