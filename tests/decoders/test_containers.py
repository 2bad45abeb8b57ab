"""Container frames: each contained message decoded like a frame of its own."""

from __future__ import annotations

from pathlib import Path

import pytest
from cantools.database.can import Message, Signal
from hypothesis import given
from hypothesis import strategies as st

from dbc.profile import DbcFile, Profile
from decoders import plan_compiler
from decoders.decode import Decoder, Tails
from decoders.plan import Plan, plan_bytes, read_plan
from model.frames import ERROR_FRAME
from model.signals import FrameStatus
from tests.decoders.build import make_batch, values_of


def inner(name: str, header: int, length: int) -> Message:
    signal = Signal(name="V", start=0, length=8 * length)
    return Message(1, name, length, [signal], header_id=header, unused_bit_pattern=0)


BOX = Message(
    0x50, "Box", 64, [], contained_messages=[inner("Small", 0x010203, 1), inner("Large", 7, 4)]
)
SMALL, LARGE = b"\x01\x02\x03\x01\x2a", b"\x00\x00\x07\x04\x01\x00\x00\x00"


@pytest.fixture(scope="module")
def plan() -> Plan:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plan_compiler, "load_messages", lambda _: [BOX])
        profile = Profile("box", "combustion", (DbcFile(Path("box.arxml"), False),))
        return read_plan(plan_bytes(plan_compiler.compile_profile(profile)))


@pytest.mark.parametrize(
    ("payload", "found", "status"),
    [
        (SMALL + LARGE, {"Small.V": [42], "Large.V": [1]}, FrameStatus.OK),
        (LARGE + SMALL + SMALL, {"Small.V": [42, 42], "Large.V": [1]}, FrameStatus.OK),
        (SMALL + bytes(11), {"Small.V": [42]}, FrameStatus.OK),
        (b"", {}, FrameStatus.OK),
        (SMALL + b"\x00\x00\x09\x01\x05" + LARGE, {"Small.V": [42], "Large.V": [1]},
         FrameStatus.BAD_MULTIPLEXER),
        (SMALL + LARGE[:-1], {"Small.V": [42]}, FrameStatus.SHORT),
        (SMALL + b"\x00\x01", {"Small.V": [42]}, FrameStatus.SHORT),
        (b"\x00\x00\x07\x01\x05", {}, FrameStatus.OK),  # a contained message that is short itself
    ],
)  # fmt: skip
def test_contents(
    plan: Plan, payload: bytes, found: dict[str, list[float]], status: FrameStatus
) -> None:
    signals = Decoder(plan).decode(make_batch([(0x50, payload)]), Tails()).signals
    assert {k: v[-1] for k, v in values_of(signals).items()} == found
    assert signals.frame_status.tolist() == [status]


def test_error_frames_hold_nothing(plan: Plan) -> None:
    batch = make_batch([(0x50 | int(ERROR_FRAME), SMALL)])
    assert len(Decoder(plan).decode(batch, Tails()).signals) == 0


@given(
    st.lists(st.binary(max_size=64), max_size=6).map(lambda p: sorted(p, key=lambda b: len(b) > 8))
)
def test_any_payload_gives_a_result(plan: Plan, payloads: list[bytes]) -> None:
    batch = make_batch([(0x50, p) for p in payloads])
    assert len(Decoder(plan).decode(batch, Tails()).signals.frame_status) == len(payloads)


@given(st.lists(st.sampled_from([SMALL, LARGE]), max_size=7))
def test_like_cantools(plan: Plan, contents: list[bytes]) -> None:
    payload = b"".join(contents)
    signals = Decoder(plan).decode(make_batch([(0x50, payload)]), Tails()).signals
    wanted: dict[str, list[float]] = {}
    for message, numbers in BOX.decode(payload, decode_containers=True):  # type: ignore[misc]
        wanted.setdefault(f"{message.name}.V", []).append(float(numbers["V"]))
    assert {k: v[-1] for k, v in values_of(signals).items()} == wanted
