"""DM1: bytes to codes by the table of SAE J1939-73, and round trips of every field."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decoders import j1939_dm1
from decoders.decode import Decoded, Decoder, Tails
from decoders.j1939_dm1 import decode, encode
from model.codes import CodeProtocol, Dtc
from model.errors import DecodeError, TruncatedFrameError
from model.frames import EXTENDED_ID
from model.signals import FrameStatus, Quality
from tests.decoders.build import Frame, make_batch, plan_of, values_of

J1939_PLAN = plan_of("BO_ 2566844926 V: 8 X\n", "j1939 = true\n")
DM1_ID = int(EXTENDED_ID) | 0x18FECA00


def j1939_dtc(code: str, count: int | None, method: int = 0, ecu: int = 0) -> Dtc:
    return Dtc(
        protocol=CodeProtocol.J1939,
        ecu=ecu,
        code=code,
        occurrence_count=count,
        conversion_method=method,
    )


@pytest.mark.parametrize(
    ("payload", "lamps", "codes"),
    [
        # SPN 110 FMI 0 counted 3 times, red stop lamp; padded single frame.
        ("10 FF 6E 00 00 03 FF FF", (0, 1, 0, 0), [("110/0", 3, 0)]),
        # No fault: SPN 0 FMI 0.
        ("00 FF 00 00 00 00 FF FF", (0, 0, 0, 0), []),
        # Nothing available.
        ("FF FF FF FF FF FF FF FF", (3, 3, 3, 3), []),
        # SPN 520192 (proprietary, 0x7F000) FMI 31, count not available, amber lamp.
        ("04 FF 00 F0 FF 7F FF FF", (0, 0, 1, 0), [("520192/31", None, 0)]),
        # Older SPN order, conversion method 1: kept as it came. MIL on, protect lamp in error.
        ("42 00 34 12 25 81 FF FF", (1, 0, 0, 2), [("70196/5", 1, 1)]),
        # Two codes, reassembled: no padding.
        (
            "54 FF 6E 00 01 01 64 00 12 7E",
            (1, 1, 1, 0),
            [("110/1", 1, 0), ("100/18", 126, 0)],
        ),
    ],
)
def test_bytes(payload: str, lamps: tuple[int, ...], codes: list[tuple[str, int, int]]) -> None:
    dm1 = decode(bytes.fromhex(payload), 0)
    assert dm1.lamps == lamps
    assert dm1.codes == tuple(j1939_dtc(*code) for code in codes)


DTCS = st.builds(
    j1939_dtc,
    st.builds("{}/{}".format, st.integers(1, 0x7FFFE), st.integers(0, 31)),
    st.none() | st.integers(0, 126),
    st.integers(0, 1),
    st.just(17),
)
LAMPS = st.tuples(*[st.integers(0, 3)] * 4)


@given(LAMPS, st.lists(DTCS, max_size=40))
def test_round_trip_of_spn_fmi_count_and_method(
    lamps: tuple[int, int, int, int], codes: list[Dtc]
) -> None:
    dm1 = decode(encode(lamps, tuple(codes)), 17)
    assert (dm1.lamps, dm1.codes) == (lamps, tuple(codes))


@given(st.binary(max_size=200))
def test_any_bytes_give_a_result_or_the_declared_error(payload: bytes) -> None:
    try:
        dm1 = decode(payload, 0)
    except DecodeError:
        assert len(payload) < 6 or (len(payload) - 2) % 4
    else:
        assert len(dm1.codes) <= (len(payload) - 2) // 4


def test_too_short_says_how_much() -> None:
    with pytest.raises(TruncatedFrameError, match="needed 6 bytes, got 5"):
        decode(bytes(5), 0)
    with pytest.raises(DecodeError, match="dm1: 12 bytes cut a code off"):
        decode(bytes(12), 0)


def decode_frames(frames: list[Frame]) -> Decoded:
    times = [k * 10**9 for k in range(len(frames))]
    return Decoder(J1939_PLAN).decode(make_batch(frames, times, bus=2), Tails())


def test_lamps_are_signals_and_codes_are_reports() -> None:
    decoded = decode_frames(
        [
            (DM1_ID | 0x00, bytes.fromhex("10FF6E000003FFFF")),
            (DM1_ID | 0x03, bytes.fromhex("C2FF00000000FFFF")),
            (DM1_ID | 0x00, bytes.fromhex("00FF00000000FFFF")),
        ]
    )
    assert decoded.signals.frame_status.tolist() == [FrameStatus.OK] * 3
    good = values_of(decoded.signals, Quality.GOOD)
    assert good["red_stop_lamp"] == {0: [1, 0], 3: [0]}
    assert good["mil_lamp"] == {0: [0, 0], 3: []}
    assert values_of(decoded.signals, Quality.INVALID)["mil_lamp"] == {0: [], 3: [3]}
    assert values_of(decoded.signals, Quality.ABNORMAL)["protect_lamp"] == {0: [], 3: [2]}
    first, second, third = decoded.reports
    assert (first.observed_ns, first.bus, first.ecu, first.scope) == (0, 2, 0, "active")
    assert first.codes == (j1939_dtc("110/0", 3),)
    assert (second.ecu, second.codes) == (3, ())
    assert third.codes == ()


def test_a_long_dm1_comes_by_broadcast_and_a_bad_one_stops_nothing() -> None:
    codes = tuple(j1939_dtc(f"{100 + k}/{k}", k, ecu=0x21) for k in range(5))
    payload = encode((0, 0, 1, 0), codes)
    tp_cm, tp_dt = int(EXTENDED_ID) | 0x1CECFF21, int(EXTENDED_ID) | 0x1CEBFF21
    packets = -(-len(payload) // 7)
    announce = bytes([32, len(payload), 0, packets, 255]) + j1939_dm1.PGN.to_bytes(3, "little")
    frames: list[Frame] = [(tp_cm, announce), (DM1_ID, b"\x10\xff\x01")]
    frames += [
        (tp_dt, bytes([k + 1]) + payload[7 * k : 7 * k + 7].ljust(7, b"\xff"))
        for k in range(packets)
    ]
    times = [k * 100_000_000 for k in range(len(frames))]
    decoded = Decoder(J1939_PLAN).decode(make_batch(frames, times), Tails())
    assert [r.codes for r in decoded.reports] == [codes]
    assert decoded.reports[0].ecu == 0x21
    assert values_of(decoded.signals)["amber_warning_lamp"] == {0x21: [1]}
    short = FrameStatus.SHORT
    assert decoded.signals.frame_status.tolist() == [0, short] + [0] * packets


def test_a_car_without_j1939_has_no_dm1() -> None:
    decoded = Decoder(plan_of("BO_ 1 V: 8 X\n")).decode(
        make_batch([(DM1_ID, bytes.fromhex("10FF6E000003FFFF"))]), Tails()
    )
    assert decoded.reports == ()
    assert decoded.signals.frame_status.tolist() == [FrameStatus.UNKNOWN_ID]
