"""Not-available patterns and ranges. Expected values: SAE J1939-71 table of transmitted ranges."""

from __future__ import annotations

import math
import struct

import pytest

from model.frames import EXTENDED_ID
from model.signals import Quality, SignalBatch
from tests.decoders.build import plan_of, run_decoder

GOOD, ABNORMAL, INVALID, OUTSIDE = Quality


def decode_one(line: str, payload: bytes, toml: str = "", tail: str = "") -> tuple[float, int]:
    text = f"BO_ {0x98FEEEFE} T: 8 X\n SG_ V : {line} X\n\n{tail}"
    signals = run_decoder(plan_of(text, toml), [(0x18FEEE00 | int(EXTENDED_ID), payload)]).signals
    mine = [i for i in range(len(signals.run_signal)) if "lamp" not in name(signals, i)]
    assert len(mine) == 1
    return float(signals.value[signals.run(mine[0])][0]), int(signals.quality[mine[0]])


def name(signals: SignalBatch, run: int) -> str:
    return signals.table.names[signals.run_signal[run]]


@pytest.mark.parametrize(
    ("bits", "raw", "quality"),
    [
        (1, 0, GOOD), (1, 1, GOOD),
        (2, 1, GOOD), (2, 0b10, ABNORMAL), (2, 0b11, INVALID),
        (3, 0b101, GOOD), (3, 0b110, ABNORMAL), (3, 0b111, INVALID),
        (4, 0xD, GOOD), (4, 0xE, ABNORMAL), (4, 0xF, INVALID),
        (8, 0xFA, GOOD), (8, 0xFD, GOOD), (8, 0xFE, ABNORMAL), (8, 0xFF, INVALID),
        (10, 0x3FD, GOOD), (10, 0x3FE, ABNORMAL), (10, 0x3FF, INVALID),
        (12, 0xFDF, GOOD), (12, 0xFE0, ABNORMAL), (12, 0xFEF, ABNORMAL), (12, 0xFF0, INVALID),
        (16, 0xFDFF, GOOD), (16, 0xFE00, ABNORMAL), (16, 0xFEFF, ABNORMAL),
        (16, 0xFF00, INVALID), (16, 0xFFFF, INVALID),
        (32, 0xFDFFFFFF, GOOD), (32, 0xFE000000, ABNORMAL), (32, 0xFF000000, INVALID),
    ],
)  # fmt: skip
def test_j1939_patterns(bits: int, raw: int, quality: Quality) -> None:
    value, found = decode_one(
        f'0|{bits}@1+ (0.5,-40) [0|0] ""', raw.to_bytes(8, "little"), "j1939 = true"
    )
    assert found == quality
    assert value == (raw * 0.5 - 40 if quality == GOOD else raw)


def test_the_bound_decides_over_reserved_values() -> None:
    """0xFB-0xFD are no speed: the DBC's maximum says so."""
    line = '0|16@1+ (0.125,0) [0|8031.875] "rpm"'
    assert decode_one(line, b"\xff\xfa", "j1939 = true") == (8031.875, GOOD)
    assert decode_one(line, b"\x00\xfb", "j1939 = true") == (8032.0, OUTSIDE)
    assert decode_one(line, b"\xff\xff", "j1939 = true") == (65535.0, INVALID)


def test_without_j1939_all_ones_are_a_number() -> None:
    text = 'BO_ 1 A: 8 X\n SG_ V : 0|16@1+ (0.125,0) [0|0] "" X\n'
    signals = run_decoder(plan_of(text), [(1, b"\xff\xff")]).signals
    assert (signals.value.tolist(), signals.quality.tolist()) == ([8191.875], [GOOD])


@pytest.mark.parametrize(
    ("bounds", "raw", "quality"),
    [
        ("[0|250.996]", 0xFAFF, GOOD),  # 250.99609375: the file rounds its bound
        ("[0|250.996]", 0xFB00, OUTSIDE),
        ("[10|20]", 10 * 256 - 1, OUTSIDE),
        ("[10|20]", 10 * 256, GOOD),
        ("[10|20]", 20 * 256, GOOD),
        ("[10|20]", 20 * 256 + 1, OUTSIDE),
        ("[0|0]", 65535, GOOD),  # no bounds
        ("[5|1]", 65535, GOOD),  # no bounds either
        ("[300|400]", 1, OUTSIDE),  # bounds no raw value meets
    ],
)
def test_bounds_of_the_file(bounds: str, raw: int, quality: Quality) -> None:
    text = f'BO_ 1 A: 8 X\n SG_ V : 0|16@1+ (0.00390625,0) {bounds} "" X\n'
    signals = run_decoder(plan_of(text), [(1, raw.to_bytes(2, "little"))]).signals
    assert signals.quality.tolist() == [quality]
    assert signals.value.tolist() == [raw / 256], "the physical value stays"


def test_negative_scale_turns_the_bounds_round() -> None:
    text = 'BO_ 1 A: 8 X\n SG_ V : 0|8@1- (-2,0) [-20|10] "" X\n'
    frames = [(1, bytes([raw & 255])) for raw in (-6, -5, 0, 10, 11)]
    signals = run_decoder(plan_of(text), frames).signals
    assert signals.value.tolist() == [12, 10, 0, -20, -22]
    assert signals.quality.tolist() == [OUTSIDE, GOOD, GOOD, GOOD, OUTSIDE]


def test_the_catalogue_bounds_too_in_its_own_unit() -> None:
    text = 'BO_ 1 A: 8 X\n SG_ T : 0|16@1- (1,0) [0|0] "degF" X\n'
    plan = plan_of(text, '[signals]\n"A.T" = "engine_coolant_temp_c"\n')
    frames = [(1, f.to_bytes(2, "little", signed=True)) for f in (212, 420, -76, -78)]
    signals = run_decoder(plan, frames).signals
    assert signals.table.units == ("degC",)
    assert signals.value.tolist() == pytest.approx([100, 215.5556, -60, -61.1111], abs=1e-4)
    assert signals.quality.tolist() == [GOOD, OUTSIDE, GOOD, OUTSIDE]


def test_floats_that_are_no_numbers() -> None:
    text = 'BO_ 1 A: 8 X\n SG_ F : 0|32@1- (1,0) [-5|5] "" X\n\nSIG_VALTYPE_ 1 F : 1;\n'
    frames = [(1, struct.pack("<f", v)) for v in (math.nan, math.inf, 5.5, 5.0)]
    signals = run_decoder(plan_of(text), frames).signals
    assert signals.quality.tolist() == [INVALID, INVALID, OUTSIDE, GOOD]
