"""Which codes a cleared group holds."""

from __future__ import annotations

import pytest

from model.code_clears import DM3, DM11, OBD_GROUP, UNKNOWN_GROUP, ClearScope, clear_scope, holds
from model.codes import CodeProtocol

J1939, OBD, UDS, KWP = CodeProtocol.J1939, CodeProtocol.OBD, CodeProtocol.UDS, CodeProtocol.KWP


@pytest.mark.parametrize(
    ("protocol", "group", "scope"),
    [
        (OBD, OBD_GROUP, ClearScope.ALL),
        (UDS, 0xFFFFFF, ClearScope.ALL),
        (UDS, 0xFFFF33, ClearScope.GROUP),
        (UDS, 0x021744, ClearScope.GROUP),
        (UDS, UNKNOWN_GROUP, ClearScope.UNKNOWN),
        (KWP, 0xFF00, ClearScope.ALL),
        (KWP, 0xFFFF, ClearScope.ALL),
        (KWP, 0x0000, ClearScope.GROUP),
        (J1939, DM3, ClearScope.PREVIOUS),
        (J1939, DM11, ClearScope.ACTIVE),
        (J1939, 65226, ClearScope.UNKNOWN),
    ],
)
def test_scope(protocol: CodeProtocol, group: int, scope: ClearScope) -> None:
    assert clear_scope(protocol, group) is scope


@pytest.mark.parametrize(
    ("protocol", "group", "code", "failure_type", "held"),
    [
        (OBD, OBD_GROUP, "P0301", None, True),
        (UDS, 0xFFFFFF, "U0100", 0x87, True),
        (UDS, 0x021744, "P0217", 0x44, True),
        (UDS, 0x021744, "P0217", 0x00, False),
        (UDS, 0xC10087, "U0100", 0x87, True),
        (UDS, 0xFFFF33, "P0217", 0x44, False),
        (UDS, UNKNOWN_GROUP, "P0217", 0x44, False),
        # SPN 520192 = 7F000, FMI 5: bytes 00 F0 E5, as in DM1
        (UDS, 0x00F0E5, "520192/5", None, True),
        (UDS, 0x00F0E6, "520192/5", None, False),
        (KWP, 0xFF00, "C0123", None, True),
        (KWP, 0x0000, "P0217", None, True),
        (KWP, 0x0000, "C0123", None, False),
        (KWP, 0x4000, "C0123", None, True),
        (KWP, 0x8000, "B1603", None, True),
        (KWP, 0xC000, "U0100", None, True),
        (KWP, 0x0143, "P0143", None, True),
        (KWP, 0x0143, "P0144", None, False),
        (J1939, DM11, "110/0", None, True),
        (J1939, DM3, "110/0", None, True),
    ],
)
def test_codes_of_a_group(
    protocol: CodeProtocol, group: int, code: str, failure_type: int | None, held: bool
) -> None:
    assert holds(protocol, group, code, failure_type) is held
