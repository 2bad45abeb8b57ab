"""DM1 bytes, checked against the layout of SAE J1939-73 written out by hand."""

from __future__ import annotations

import itertools

from model.frames import ID_MASK
from simulators.dm1 import dm1_frames, dm1_payload
from simulators.scenarios import DiagnosticCode


def test_no_code_is_all_lamps_off_and_a_zero_code() -> None:
    ((delay, can_id, payload),) = dm1_frames("", ())
    assert delay == 0
    assert can_id & int(ID_MASK) == 0x18FECA00
    assert payload.hex() == "00ff00000000ffff"


def test_one_code_is_a_single_frame() -> None:
    # SPN 3251 = 0x0CB3, FMI 16, count 2, amber lamp = bits 4-3
    ((_, _, payload),) = dm1_frames("amber", [DiagnosticCode(3251, 16, 2)])
    assert payload.hex() == "04ffb30c1002ffff"


def test_high_spn_bits_share_a_byte_with_the_fmi() -> None:
    # SPN 520192 = 0x7F000: 7 in bits 8-6, FMI 31 in bits 5-1
    assert dm1_payload("red", [DiagnosticCode(520192, 31, 126)]).hex() == "10ff00f0ff7e"


def test_two_codes_are_broadcast() -> None:
    frames = list(dm1_frames("red", [DiagnosticCode(98, 1), DiagnosticCode(110, 16, 3)]))
    ids = [can_id & int(ID_MASK) for _, can_id, _ in frames]
    assert ids == [0x1CECFF00, 0x1CEBFF00, 0x1CEBFF00]
    assert frames[0][2].hex() == "200a0002ffcafe00"  # BAM, 10 bytes, 2 packets, PGN 0xFECA
    assert [payload[0] for _, _, payload in frames[1:]] == [1, 2]
    body = b"".join(payload[1:] for _, _, payload in frames[1:])
    assert body.hex() == "10ff620001016e001003" + "ff" * 4
    gaps = [b[0] - a[0] for a, b in itertools.pairwise(frames)]
    assert all(50_000_000 <= gap <= 200_000_000 for gap in gaps)
