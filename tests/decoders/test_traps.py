"""What other decoders get wrong, each with our answer."""

from __future__ import annotations

import struct

import pytest

from dbc.profile import ProfileError
from model.frames import EXTENDED_ID
from model.signals import FrameStatus, Quality
from tests.decoders.build import Frame, plan_of, run_decoder, values_of
from tests.decoders.diagnosis_build import VIN, frames_of, hear

X = int(EXTENDED_ID)
J1939 = """BO_ 2566844926 Ccvs: 8 X
 SG_ Speed : 8|16@1+ (0.00390625,0) [0|0] "km/h" X

BO_ 2348810494 Tsc1: 8 X
 SG_ Torque : 24|8@1+ (1,-125) [0|0] "%" X
"""


def test_one_mask_cannot_serve_pdu1_and_pdu2() -> None:
    """cantools decodes by one mask or none. Ours: by parameter group, both kinds, any priority."""
    speed, torque = b"\xff\x00\x32\xff\xff\xff\xff\xff", b"\xff\xff\xff\x96\xff\xff\xff\xff"
    frames: list[Frame] = [
        (X | 0x18FEF117, speed),  # PDU2: PS is part of the group
        (X | 0x0CFEF100, speed),
        (X | 0x18FEF217, speed),  # another group
        (X | 0x0C000B03, torque),  # PDU1: PS is the destination
        (X | 0x0C00FF27, torque),
        (X | 0x0D000B03, torque),  # data page 1 is another group
    ]
    signals = run_decoder(plan_of(J1939, "j1939 = true"), frames).signals
    good = values_of(signals, Quality.GOOD)
    assert good["Ccvs.Speed"] == {0x17: [50.0], 0x00: [50.0]}
    assert good["Tsc1.Torque"] == {0x03: [25.0], 0x27: [25.0]}
    unknown = FrameStatus.UNKNOWN_ID
    assert signals.frame_status.tolist() == [0, 0, unknown, 0, 0, unknown]


def test_two_destinations_give_every_sample_once() -> None:
    """asammdf emits each sample once per destination: 2 frames to 2 addresses, 4 samples."""
    payload = b"\xff\xff\xff\x96\xff\xff\xff\xff"
    frames: list[Frame] = [(X | 0x0C000B03, payload), (X | 0x0C001703, payload)]
    signals = run_decoder(plan_of(J1939, "j1939 = true"), frames).signals
    assert values_of(signals)["Tsc1.Torque"] == {3: [25.0, 25.0]}


def test_a_second_definition_of_a_group_is_for_its_own_source() -> None:
    """Proprietary groups differ by sender: the exact identifier goes before the group."""
    dbc = f'BO_ {0x98FF10FE} A: 8 X\n SG_ V : 0|8@1+ (1,0) [0|0] "" X\n\n'
    dbc += f'BO_ {0x98FF1025} B: 8 X\n SG_ V : 8|8@1+ (1,0) [0|0] "" X\n'
    frames: list[Frame] = [(X | 0x18FF1025, b"\1\2"), (X | 0x18FF1026, b"\1\2")]
    signals = run_decoder(plan_of(dbc, "j1939 = true"), frames).signals
    assert values_of(signals) == {"A.V": {0x26: [1.0]}, "B.V": {0x25: [2.0]}}


SCALED_SWITCH = """BO_ 1 A: 8 X
 SG_ Switch M : 0|8@1+ (2,0) [0|0] "" X
 SG_ One m1 : 8|8@1+ (1,0) [0|0] "" X
 SG_ Two m2 : 8|8@1+ (1,0) [0|0] "" X
"""


def test_a_scaled_switch_selects_by_its_raw_value() -> None:
    """cantools selects by the scaled value: raw 1 with factor 2 decodes branch m2, silently."""
    signals = run_decoder(plan_of(SCALED_SWITCH), [(1, b"\x01\x07")]).signals
    assert values_of(signals) == {"A.Switch": {-1: [2.0]}, "A.One": {-1: [7.0]}}


def test_an_unknown_switch_value_keeps_the_plain_signals() -> None:
    """cantools raises and loses the whole frame."""
    signals = run_decoder(
        plan_of(SCALED_SWITCH), [(1, b"\x09\x07".ljust(8)), (1, b"\x02\x08".ljust(8))]
    ).signals
    assert values_of(signals) == {"A.Switch": {-1: [18.0, 4.0]}, "A.Two": {-1: [8.0]}}
    assert signals.frame_status.tolist() == [FrameStatus.BAD_MULTIPLEXER, FrameStatus.OK]


def test_inactive_branches_hold_nothing() -> None:
    """opendbc's parser gives all branches their neighbour's bits."""
    signals = run_decoder(plan_of(SCALED_SWITCH), [(1, b"\x02\x07")]).signals
    assert "A.One" not in values_of(signals)


def test_every_value_of_a_range_selects() -> None:
    """asammdf decodes only the first value of `1-3, 7-9`."""
    dbc = """BO_ 1 A: 8 X
 SG_ S M : 0|8@1+ (1,0) [0|0] "" X
 SG_ V m1 : 8|8@1+ (1,0) [0|0] "" X

SG_MUL_VAL_ 1 V S 1-3, 7-9;
"""
    frames: list[Frame] = [(1, bytes([k, k])) for k in range(11)]
    signals = run_decoder(plan_of(dbc), frames).signals
    assert values_of(signals)["A.V"][-1] == [1, 2, 3, 7, 8, 9]


def test_two_switches_at_the_root() -> None:
    """can_decoder knows one multiplexor per message."""
    dbc = """BO_ 1 A: 8 X
 SG_ S M : 0|8@1+ (1,0) [0|0] "" X
 SG_ T M : 8|8@1+ (1,0) [0|0] "" X
 SG_ U m1 : 16|8@1+ (1,0) [0|0] "" X
 SG_ V m1 : 24|8@1+ (1,0) [0|0] "" X

SG_MUL_VAL_ 1 U S 1-1;
SG_MUL_VAL_ 1 V T 1-1;
"""
    signals = run_decoder(plan_of(dbc), [(1, bytes([1, 1, 5, 6]))]).signals
    found = values_of(signals)
    assert (found["A.U"][-1], found["A.V"][-1]) == ([5.0], [6.0])


def test_a_short_frame_gives_no_zeros() -> None:
    """asammdf and opendbc read the padding: every missing signal becomes 0."""
    dbc = 'BO_ 1 A: 8 X\n SG_ V : 0|8@1+ (1,0) [0|0] "" X\n SG_ W : 8|8@1+ (1,0) [0|0] "" X\n'
    signals = run_decoder(plan_of(dbc), [(1, b"\x05")]).signals
    assert values_of(signals) == {"A.V": {-1: [5.0]}}
    assert signals.frame_status.tolist() == [FrameStatus.SHORT]


def test_a_signal_over_nine_bytes_is_a_number() -> None:
    """asammdf gives 61 bits from bit 5 on as 12 unscaled bytes."""
    dbc = 'BO_ 1 A: 12 X\n SG_ V : 5|61@1+ (0.5,0) [0|0] "" X\n'
    raw = 0x0ABC_DEF0_1234_5678
    payload = (raw << 5).to_bytes(12, "little")
    signals = run_decoder(plan_of(dbc), [(1, payload)]).signals
    assert signals.value.tolist() == [raw * 0.5]
    assert signals.exact[0].tolist() == [raw]


def test_a_scaled_float32_is_scaled_as_a_double() -> None:
    """asammdf multiplies in single precision, 6e-8 off."""
    dbc = 'BO_ 1 A: 8 X\n SG_ V : 0|32@1- (0.1,0) [0|0] "" X\n\nSIG_VALTYPE_ 1 V : 1;\n'
    payload = struct.pack("<f", 1.1)
    signals = run_decoder(plan_of(dbc), [(1, payload)]).signals
    assert signals.value.tolist() == [struct.unpack("<f", payload)[0] * 0.1]


def test_a_float_is_not_its_bits() -> None:
    """opendbc's parser ignores SIG_VALTYPE_: 1.0 reads as 1065353216."""
    dbc = 'BO_ 1 A: 8 X\n SG_ V : 0|32@1- (1,0) [0|0] "" X\n\nSIG_VALTYPE_ 1 V : 1;\n'
    signals = run_decoder(plan_of(dbc), [(1, struct.pack("<f", 1.0))]).signals
    assert signals.value.tolist() == [1.0]


def test_identity_floats_keep_minus_zero() -> None:
    dbc = 'BO_ 1 A: 8 X\n SG_ V : 0|64@1- (1,0) [0|0] "" X\n\nSIG_VALTYPE_ 1 V : 2;\n'
    signals = run_decoder(plan_of(dbc), [(1, struct.pack("<d", -0.0))]).signals
    assert struct.pack("<d", signals.value[0]) == struct.pack("<d", -0.0)


def test_two_messages_with_one_identifier_are_refused() -> None:
    """cantools takes the last one and says so in its log only."""
    dbc = 'BO_ 1 A: 8 X\n SG_ V : 0|8@1+ (1,0) [0|0] "" X\n\n'
    dbc += 'BO_ 1 B: 8 X\n SG_ V : 0|8@1+ (1,0) [0|0] "" X\n'
    with pytest.raises(ProfileError, match=r"made\.dbc:\d+: B: identifier 0x1 belongs to A"):
        plan_of(dbc)


def test_overlapping_signals_decode() -> None:
    """cantools loads 196 messages of opendbc that it can never decode: "unpacking failed"."""
    dbc = 'BO_ 1 A: 2 X\n SG_ V : 0|12@1+ (1,0) [0|0] "" X\n SG_ W : 8|8@1+ (1,0) [0|0] "" X\n'
    signals = run_decoder(plan_of(dbc), [(1, b"\x34\x12")]).signals
    assert values_of(signals) == {"A.V": {-1: [0x234]}, "A.W": {-1: [0x12]}}


def test_a_signal_past_the_end_costs_only_itself() -> None:
    """cantools cannot decode the message at all."""
    dbc = 'BO_ 1 A: 1 X\n SG_ V : 0|8@1+ (1,0) [0|0] "" X\n SG_ W : 8|8@1+ (1,0) [0|0] "" X\n'
    signals = run_decoder(plan_of(dbc), [(1, b"\x05")]).signals
    assert values_of(signals) == {"A.V": {-1: [5.0]}}


def test_not_available_is_no_speed() -> None:
    """cantools reads J1939's FFFF as 8191.875 rpm; can_decoder drops it; we say so, and keep it."""
    dbc = 'BO_ 2364540158 Eec1: 8 X\n SG_ V : 24|16@1+ (0.125,0) [0|8031.875] "rpm" X\n'
    signals = run_decoder(plan_of(dbc, "j1939 = true"), [(X | 0x0CF00400, b"\xff" * 8)]).signals
    assert signals.value[0] == 0xFFFF
    assert signals.quality[0] == Quality.INVALID


@pytest.mark.parametrize("raw", [0x0000, 0x8000, 0x3C00, 0xC000, 0x0001, 0x03FF, 0x7BFF, 0xFC00])
def test_half_floats_by_the_bit(raw: int) -> None:
    """Python's own reading of IEEE 754 binary16; -0.0 and subnormal numbers among them."""
    dbc = 'BO_ 1 A: 2 X\n SG_ V : 0|16@1- (1,0) [0|0] "" X\n\nSIG_VALTYPE_ 1 V : 1;\n'
    payload = raw.to_bytes(2, "little")
    signals = run_decoder(plan_of(dbc), [(1, payload)]).signals
    assert struct.pack("<d", signals.value[0]) == struct.pack("<d", *struct.unpack("<e", payload))


def test_unsigned_64_bits_do_not_turn_negative() -> None:
    dbc = 'BO_ 1 A: 8 X\n SG_ V : 0|64@1+ (1,0) [0|0] "" X\n'
    signals = run_decoder(plan_of(dbc), [(1, b"\xff" * 8)]).signals
    assert signals.value.tolist() == [float(2**64 - 1)]
    assert signals.exact[0].tolist() == [2**64 - 1]


def test_single_frames_and_mixed_lengths_are_messages_too() -> None:
    """asammdf's merge_cantp ignores single frames and fails on mixed lengths."""
    vin = b"\x49\x02\x01" + VIN.encode()
    heard = hear([*frames_of(0x7E8, b"\x43\x01\x02\x17"), *frames_of(0x7E9, vin)])
    assert [code.code for report in heard.reports for code in report.codes] == ["P0217"]
    assert [fact.text for fact in heard.facts] == [VIN]
