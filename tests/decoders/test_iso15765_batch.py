"""Whole messages of a batch are those that the state machine gives, frame by frame."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from decoders import diagnosis
from decoders.answers import Heard
from decoders.diagnosis import DiagnosisListener, Requests
from decoders.iso15765 import N_CR_NS, NO_ADDRESS, Message, Reassembly
from decoders.iso15765_addresses import AddressBook
from decoders.iso15765_batch import whole_messages
from model.frames import FrameBatch, frame_batch
from tests.decoders.build import Frame, make_batch
from tests.decoders.diagnosis_build import MS, iso_tp

LONG = bytes(range(100, 150))
IDS = (0x7E8, 0x7E9)


def rows_of(batch: FrameBatch) -> np.ndarray[tuple[int], np.dtype[np.intp]]:
    return np.arange(len(batch))


def told(batch: FrameBatch, normal: Callable[[int], bool] = lambda _: True) -> list[Message]:
    """The messages of a batch, by their last row."""
    whole = whole_messages(batch, rows_of(batch), normal)
    assert whole.begun_ns.keys() <= whole.payloads.keys()
    columns = batch.observed_ns.tolist(), batch.bus.tolist(), batch.can_id.tolist()
    return [
        Message(whole.begun_ns.get(row, at_ns), at_ns, bus, can_id, NO_ADDRESS, payload)
        for row, payload in sorted(whole.payloads.items())
        for at_ns, bus, can_id in [(column[row] for column in columns)]
    ]


def found(frames: list[Frame], gap_ns: int = MS) -> list[Message]:
    return told(make_batch(frames, range(0, len(frames) * gap_ns, gap_ns)))


def frames_of(payload: bytes, can_id: int = 0x7E8) -> list[Frame]:
    return [(can_id, frame) for frame in iso_tp(payload)]


@given(st.lists(st.tuples(st.sampled_from(IDS), st.binary(min_size=1, max_size=4095)), max_size=5))
def test_messages_one_after_the_other(messages: list[tuple[int, bytes]]) -> None:
    frames = [frame for can_id, payload in messages for frame in frames_of(payload, can_id)]
    batch = make_batch(frames, range(0, len(frames) * MS, MS))
    whole = whole_messages(batch, rows_of(batch), lambda _: True)
    assert [(m.can_id, m.payload) for m in told(batch)] == messages
    begun = np.cumsum([0, *(len(iso_tp(payload)) for _, payload in messages)])
    assert [m.begun_ns for m in told(batch)] == (begun[:-1] * MS).tolist()
    assert sorted([*whole.payloads, *whole.inside.tolist()]) == list(range(len(frames)))


def test_messages_side_by_side_with_flow_control_between() -> None:
    pairs = zip(frames_of(LONG), frames_of(LONG[::-1], 0x7E9), strict=True)
    frames = [frame for pair in pairs for frame in pair]
    frames[1:1] = [(0x7E8, bytes.fromhex("3000000000000000"))]
    assert {m.can_id: m.payload for m in found(frames)} == {0x7E8: LONG, 0x7E9: LONG[::-1]}


@pytest.mark.parametrize("place", range(8))
def test_a_lost_frame_leaves_the_message_to_the_state_machine(place: int) -> None:
    frames = frames_of(LONG)
    assert [m.payload for m in found(frames)] == [LONG]
    assert found(frames[:place] + frames[place + 1 :]) == []


def test_a_pause_above_n_cr_leaves_it_too() -> None:
    assert len(found(frames_of(LONG), N_CR_NS)) == 1
    assert found(frames_of(LONG), N_CR_NS + 1) == []


def test_two_buses_do_not_mix_and_time_decides() -> None:
    """Rows in any order: frame 2k of bus 0, frame 2k + 1 of bus 1, told backwards."""
    one, other = iso_tp(LONG), iso_tp(LONG[::-1])
    frames = [frame for pair in zip(one, other, strict=True) for frame in pair]
    n = len(frames)
    back = np.arange(n)[::-1]
    batch = frame_batch(
        observed_ns=back * MS,
        can_id=np.full(n, 0x7E8, np.uint32),
        bus=(back % 2).astype(np.uint8),
        length=np.full(n, 8, np.uint8),
        payload8=np.frombuffer(b"".join(frames[k] for k in back), np.uint8).reshape(-1, 8),
    )
    assert {(m.bus, m.payload) for m in told(batch)} == {(0, LONG), (1, LONG[::-1])}


def test_identifiers_with_an_address_byte_are_left_alone() -> None:
    batch = make_batch([*frames_of(LONG), *frames_of(LONG, 0x7E9)])
    assert [m.can_id for m in told(batch, lambda i: i == 0x7E9)] == [0x7E9]


# --- against the state machine ---------------------------------------------------------------

HEARD_IDS = st.sampled_from([0x7E0, 0x7E8, 0x7E9, 0x98DAF110, 0x98CEF110, 0x708])
PAYLOADS = st.binary(min_size=1, max_size=60) | st.sampled_from(
    [bytes.fromhex("590209") + bytes.fromhex("02174409") * 5, bytes.fromhex("190209"), b"\x43\0"]
)


@st.composite
def traffic(draw: st.DrawFn) -> FrameBatch:
    """Messages side by side; frames lost, repeated, cut short, padded to CAN FD, or nonsense."""
    waiting = [
        [(can_id, frame) for frame in iso_tp(payload)]
        for can_id, payload in draw(st.lists(st.tuples(HEARD_IDS, PAYLOADS), max_size=8))
    ]
    frames: list[Frame] = []
    while waiting:
        queue = draw(st.sampled_from(waiting))
        can_id, frame = queue.pop(0)
        match draw(st.integers(0, 30)):
            case 0:
                frame = frame[: draw(st.integers(0, 8))]
            case 1:
                frame = frame.ljust(12, b"\0")
            case 2:
                frames.append((can_id, frame))
            case 3:
                frames.append((can_id, draw(st.binary(max_size=8))))
        if draw(st.integers(0, 30)):
            frames.append((can_id, frame))
        waiting = [q for q in waiting if q]
    gaps = draw(
        st.lists(st.sampled_from([0, 1, 900, 2000]), min_size=len(frames), max_size=len(frames))
    )
    order = sorted(range(len(frames)), key=lambda k: len(frames[k][1]) > 8)
    times = np.cumsum([0, *gaps])
    return make_batch([frames[k] for k in order], [int(times[k]) * MS for k in order])


def played(batch: FrameBatch, before: FrameBatch, enough: int) -> tuple[object, ...]:
    """Everything that is left after two batches, messages taken whole from `enough` rows on."""
    listener = DiagnosisListener(AddressBook(), Reassembly(), Requests())
    heard, states = Heard(), []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(diagnosis, "ENOUGH_ROWS", enough)
        for part in (before, batch):
            status = np.full(len(part), 1, np.uint8)
            listener.listen(part, rows_of(part), status, heard)
            states.append(status.tolist())
    remembered = listener.reassembly.to_memory(), listener.requests.to_memory()
    return heard, states, remembered, listener.reassembly.broken


@settings(max_examples=300)
@given(traffic(), traffic())
def test_the_same_as_frame_by_frame(before: FrameBatch, batch: FrameBatch) -> None:
    assert played(batch, before, enough=1) == played(batch, before, enough=1_000_000)
