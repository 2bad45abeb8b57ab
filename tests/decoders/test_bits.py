"""Bits where cantools cannot be asked: overlaps, 64-bit edges, exact integers, bad multiplexers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from decoders.decode import Decoder, Tails
from decoders.plan import Plan
from model.frames import ERROR_FRAME, EXTENDED_ID, REMOTE_FRAME
from model.signals import FrameStatus
from tests.decoders.build import Frame, make_batch, plan_of, raw_of, run_decoder, values_of

#: start, length, big-endian, signed; anywhere in 64 bytes, overlapping as it comes
PLACES = st.lists(
    st.tuples(st.integers(0, 511), st.integers(1, 64), st.booleans(), st.booleans()),
    min_size=1,
    max_size=12,
)


def need(start: int, length: int, big: bool) -> int:
    first = 8 * (start // 8) + 7 - start % 8 if big else start
    return (first + length + 7) // 8


@given(PLACES, st.lists(st.binary(max_size=64), min_size=1, max_size=6))
def test_any_field_anywhere(
    places: list[tuple[int, int, bool, bool]], payloads: list[bytes]
) -> None:
    """Every bit that is there, nothing that is not; overlapping signals included."""
    lines = [
        f' SG_ S{k} : {start}|{length}@{int(not big)}{"-" if signed else "+"} (1,0) [0|0] "" X'
        for k, (start, length, big, signed) in enumerate(places)
    ]
    plan = plan_of("BO_ 1 A: 64 X\n" + "\n".join(lines) + "\n")
    payloads.sort(key=lambda p: len(p) > 8)
    signals = run_decoder(plan, [(1, p) for p in payloads]).signals
    found = values_of(signals)
    for k, (start, length, big, signed) in enumerate(places):
        there = [p for p in payloads if need(start, length, big) <= len(p)]
        wanted = [raw_of(p, start, length, big=big, signed=signed) for p in there]
        name = f"A.S{k}"
        assert found.get(name, {-1: []})[-1] == [float(w) for w in wanted]
        if length > 53 and wanted:
            run = list(signals.run_signal).index(signals.table.names.index(name))
            assert signals.exact[run].tolist() == wanted
    reach = max((n for n in (need(*place[:3]) for place in places) if n <= 64), default=0)
    assert signals.frame_status.tolist() == [
        FrameStatus.SHORT if len(p) < reach else of_length(p, 64) for p in payloads
    ]


def of_length(payload: bytes, length: int) -> FrameStatus:
    return FrameStatus.OK if len(payload) == length else FrameStatus.WRONG_LENGTH


CASCADE = """BO_ 9 C: 8 X
 SG_ Top M : 0|4@1+ (1,0) [0|0] "" X
 SG_ Always : 4|4@1+ (1,0) [0|0] "" X
 SG_ Sub m1M : 8|8@1+ (1,0) [0|0] "" X
 SG_ Ranged m2 : 16|8@1+ (1,0) [0|0] "" X
 SG_ Deep m10 : 24|8@1- (1,0) [0|0] "" X
 SG_ Wide m2 : 32|16@1+ (1,0) [0|0] "" X

SG_MUL_VAL_ 9 Sub Top 1-1;
SG_MUL_VAL_ 9 Ranged Top 2-4, 7-9;
SG_MUL_VAL_ 9 Deep Sub 10-20, 200-255;
SG_MUL_VAL_ 9 Wide Top 4-5;
"""


@given(st.lists(st.binary(max_size=8), min_size=1, max_size=30))
def test_cascaded_multiplexers_with_ranges(payloads: list[bytes]) -> None:
    signals = run_decoder(plan_of(CASCADE), [(9, p) for p in payloads]).signals
    wanted: dict[str, list[float]] = {}
    for p, status in zip(payloads, signals.frame_status.tolist(), strict=True):
        found, expected_status = cascade_reference(p)
        assert status == expected_status
        for name, value in found.items():
            wanted.setdefault(f"C.{name}", []).append(value)
    assert {k: v[-1] for k, v in values_of(signals).items()} == wanted


def cascade_reference(p: bytes) -> tuple[dict[str, float], FrameStatus]:
    """The DBC above, read by hand."""
    if not p:
        return {}, FrameStatus.SHORT
    top = p[0] & 15
    found: dict[str, float] = {"Top": top, "Always": p[0] >> 4}
    if top not in {1, 2, 3, 4, 5, 7, 8, 9}:
        return found, FrameStatus.BAD_MULTIPLEXER
    short = False
    if top == 1:
        short = len(p) < 2
        if not short:
            found["Sub"] = p[1]
            if not (10 <= p[1] <= 20 or p[1] >= 200):
                return found, FrameStatus.BAD_MULTIPLEXER
            short = len(p) < 4
            if not short:
                found["Deep"] = p[3] - 256 if p[3] > 127 else p[3]
    if top in {2, 3, 4, 7, 8, 9}:
        short = len(p) < 3
        found |= {"Ranged": p[2]} if len(p) >= 3 else {}
    if top in {4, 5}:
        short |= len(p) < 6
        found |= {"Wide": p[4] | p[5] << 8} if len(p) >= 6 else {}
    return found, FrameStatus.SHORT if short else of_length(p, 8)


@pytest.fixture(scope="module")
def counter() -> Plan:
    return plan_of('BO_ 5 A: 8 X\n SG_ N : 0|32@1+ (1,0) [0|0] "" X\n')


def test_chunks_join_into_one_run_in_frame_order(counter: Plan) -> None:
    frames: list[Frame] = [(5, k.to_bytes(8, "little")) for k in range(12_345)]
    signals = run_decoder(counter, frames).signals
    assert values_of(signals)["A.N"][-1] == [float(k) for k in range(12_345)]
    assert len(signals.run_start) == 2
    assert signals.observed_ns.tolist() == list(range(12_345))


def test_classic_and_fd_frames_of_one_message_share_a_run(counter: Plan) -> None:
    signals = run_decoder(counter, [(5, b"\1\0\0\0"), (5, b"\2" + bytes(11))]).signals
    assert values_of(signals) == {"A.N": {-1: [1.0, 2.0]}}


def test_status_of_frames_that_carry_nothing(counter: Plan) -> None:
    frames: list[Frame] = [
        (5 | int(REMOTE_FRAME), bytes(8)),
        (int(ERROR_FRAME), bytes(8)),
        (6, bytes(8)),
        (5 | int(EXTENDED_ID), bytes(8)),
        (0x7FF, bytes(8)),
        (5, bytes(3)),
        (5, bytes(8)),
    ]
    signals = run_decoder(counter, frames).signals
    nothing, unknown = FrameStatus.NO_PAYLOAD, FrameStatus.UNKNOWN_ID
    assert signals.frame_status.tolist() == [
        nothing, nothing, unknown, unknown, unknown, FrameStatus.SHORT, FrameStatus.OK,
    ]  # fmt: skip
    assert len(signals) == 1


@pytest.mark.parametrize(
    ("length", "sent", "status"),
    [
        (8, 8, FrameStatus.OK),
        (8, 7, FrameStatus.WRONG_LENGTH),
        (8, 12, FrameStatus.WRONG_LENGTH),
        (9, 12, FrameStatus.OK),  # CAN FD has no frame of 9 bytes
        (9, 9, FrameStatus.OK),
        (9, 16, FrameStatus.WRONG_LENGTH),
        (2, 1, FrameStatus.SHORT),
        (0, 8, FrameStatus.OK),  # the file does not say
    ],
)
def test_a_message_has_one_length(length: int, sent: int, status: FrameStatus) -> None:
    plan = plan_of(f'BO_ 5 A: {length} X\n SG_ N : 8|8@1+ (1,0) [0|0] "" X\n')
    signals = run_decoder(plan, [(5, bytes(sent))]).signals
    assert signals.frame_status.tolist() == [status]
    assert len(signals) == (sent >= 2)


def test_an_empty_batch(counter: Plan) -> None:
    decoded = Decoder(counter).decode(make_batch([]), Tails())
    assert len(decoded.signals) == 0
    assert decoded.signals.run_start.tolist() == [0]
    assert decoded.reports == ()


def test_two_signals_of_one_name_make_one_run_in_frame_order() -> None:
    dbc = 'BO_ 1 A: 8 X\n SG_ V : 0|8@1+ (1,0) [0|0] "km/h" X\n\n'
    dbc += 'BO_ 2 B: 8 X\n SG_ V : 0|8@1+ (1,0) [0|0] "m/s" X\n'
    plan = plan_of(dbc, '[signals]\n"A.V" = "speed_kmh"\n"B.V" = "speed_kmh"\n')
    frames: list[Frame] = [(2, b"\x0a"), (1, b"\x01"), (2, b"\x14"), (1, b"\x02")]
    signals = run_decoder(plan, frames).signals
    assert values_of(signals) == {"speed_kmh": {-1: [36.0, 1.0, 72.0, 2.0]}}
    assert signals.observed_ns.tolist() == [0, 1, 2, 3]


def test_wide_integers_scale_without_a_second_rounding() -> None:
    """2^60 + 1 times 3 rounded once, as Python's integers do it."""
    plan = plan_of('BO_ 1 A: 8 X\n SG_ V : 0|64@1+ (3,1) [0|0] "" X\n')
    raw = (1 << 60) + 12_345_678_901
    signals = run_decoder(plan, [(1, raw.to_bytes(8, "little"))]).signals
    assert signals.value.tolist() == [float(raw * 3 + 1)]
    assert signals.exact[0].tolist() == [raw]


def test_a_length_beyond_the_payload_is_not_believed(counter: Plan) -> None:
    wide = plan_of('BO_ 5 A: 64 X\n SG_ N : 496|16@1+ (1,0) [0|0] "" X\n')
    batch = make_batch([(5, bytes(8)), (5, bytes(8))])
    batch.length[:] = 255
    for plan, samples in ((wide, 0), (counter, 2)):
        assert len(Decoder(plan).decode(batch, Tails()).signals) == samples


@given(st.lists(st.tuples(st.integers(0, 2**32 - 1), st.binary(max_size=8)), max_size=20))
def test_any_frames_give_a_result(frames: list[Frame]) -> None:
    """Whatever a bus says: columns of equal length, runs that cover them."""
    plan = plan_of(CASCADE, "j1939 = true\n")
    signals = run_decoder(plan, frames).signals
    assert signals.run_start[-1] == len(signals.value) == len(signals.quality)
    assert len(signals.frame_status) == len(frames)
    assert (np.diff(signals.run_start) > 0).all()


@given(
    st.sampled_from([3, -7, 1 << 20, (1 << 52) + 1, -(1 << 61), 1 << 62, 10**22]),
    st.sampled_from([0, -5, 0.5, (1 << 60) + 1, 10**20]),
    st.booleans(),
    st.integers(0, 2**64 - 1),
)
def test_integer_products_of_any_size(scale: int, offset: float, signed: bool, raw: int) -> None:
    """Exact below 2^62, and never different between the kernels (`run_decoder` compares them).

    Scale and offset are doubles in a DBC file: 2^60 + 1 is 2^60.
    """
    sign = "-" if signed else "+"
    plan = plan_of(f'BO_ 1 A: 8 X\n SG_ V : 0|64@1{sign} ({scale},{offset}) [0|0] "" X\n')
    value = run_decoder(plan, [(1, raw.to_bytes(8, "little"))]).signals.value[0]
    number = raw - (1 << 64) if signed and raw >> 63 else raw
    if abs(scale) < 2**62 and abs(offset) < 2**62:
        scale, offset = int(float(scale)), float(offset)
        assert value == float(number * scale + (offset if offset % 1 else int(offset)))
    else:
        assert value == pytest.approx(number * scale + offset, rel=1e-12)
