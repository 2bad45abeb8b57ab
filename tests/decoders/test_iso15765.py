"""ISO 15765-2: whole messages out of overheard frames, with everything that goes wrong."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decoders.iso15765 import (
    MAX_MEMORY_BYTES,
    MAX_SESSIONS,
    MAX_SIZE,
    N_CR_NS,
    NO_ADDRESS,
    Message,
    Reassembly,
)
from tests.decoders.build import read_candump
from tests.decoders.diagnosis_build import MS, iso_tp

ID = 0x7E8
FD_WIDTHS = (12, 16, 20, 24, 32, 48, 64)


def play(
    frames: list[bytes], state: Reassembly | None = None, *, gap_ns: int = MS, offset: int = 0
) -> list[Message]:
    state = state or Reassembly()
    found = [state.receive(k * gap_ns, 0, ID, frame, offset) for k, frame in enumerate(frames)]
    return [m for m in found if m is not None]


@given(st.binary(min_size=1, max_size=4095))
def test_round_trip(payload: bytes) -> None:
    frames = iso_tp(payload)
    (message,) = play(frames)
    assert message == (0, (len(frames) - 1) * MS, 0, ID, NO_ADDRESS, payload)


@given(st.binary(min_size=1, max_size=600), st.integers(0, 255), st.sampled_from((8, *FD_WIDTHS)))
def test_round_trip_with_an_address_byte(payload: bytes, address: int, width: int) -> None:
    (message,) = play(iso_tp(payload, address=address, width=width), offset=1)
    assert (message.address, message.payload) == (address, payload)


@given(st.binary(min_size=1, max_size=5000), st.sampled_from(FD_WIDTHS))
def test_round_trip_can_fd_with_both_escapes(payload: bytes, width: int) -> None:
    (message,) = play(iso_tp(payload, width=width))
    assert message.payload == payload


def test_long_messages_use_the_escape_length() -> None:
    frames = iso_tp(bytes(4096))
    assert frames[0][:6].hex() == "100000001000"
    assert [len(m.payload) for m in play(frames)] == [4096]


@pytest.mark.parametrize(
    "frame",
    [
        "",
        "00AAAAAAAAAAAAAA",  # no length
        "08AAAAAAAAAAAAAA",  # more than a single frame holds
        "0341",  # cut off
        "1007AAAAAAAAAAAA",  # a first frame that would fit in a single one
        "10141122",  # a first frame that is not full
        "100000000FFFAAAA",  # escape length below 4096
        "21AAAAAAAAAAAAAA",  # consecutive frame of nothing
        "300000AAAAAAAAAA",  # flow control
        "4000000000000000",  # reserved
        "03410D00" + "AA" * 8,  # CAN FD needs the escape
    ],
)
def test_what_cannot_be_read_is_ignored(frame: str) -> None:
    state = Reassembly()
    assert play([bytes.fromhex(frame)], state) == []
    assert (state.sessions, state.broken) == ({}, 0)


LONG = bytes(range(100, 150))


def test_flow_control_does_not_disturb() -> None:
    frames = iso_tp(LONG)
    frames.insert(1, bytes.fromhex("3000000000000000"))
    frames.insert(3, bytes.fromhex("3100000000000000"))
    assert [m.payload for m in play(frames)] == [LONG]


@pytest.mark.parametrize(
    "damage",
    [
        lambda f: f[:2] + f[3:],  # lost
        lambda f: [*f[:2], f[1], *f[2:]],  # repeated
        lambda f: [f[0], f[2], f[1], *f[3:]],  # swapped
        lambda f: [f[0], f[1][:5], *f[2:]],  # cut short
    ],
)
def test_a_broken_sequence_loses_the_message(
    damage: Callable[[list[bytes]], list[bytes]],
) -> None:
    state = Reassembly()
    assert play(damage(iso_tp(LONG)), state) == []
    assert (state.broken, state.sessions) == (1, {})


def test_a_pause_above_n_cr_loses_the_message() -> None:
    state = Reassembly()
    assert [m.payload for m in play(iso_tp(LONG), state, gap_ns=N_CR_NS)] == [LONG]
    assert play(iso_tp(LONG), state, gap_ns=N_CR_NS + 1) == []
    assert state.broken == 1


def test_time_that_goes_back_loses_the_message() -> None:
    state = Reassembly()
    state.receive(5 * MS, 0, ID, iso_tp(LONG)[0])
    assert state.receive(4 * MS, 0, ID, iso_tp(LONG)[1]) is None
    assert state.broken == 1


def test_a_new_start_replaces_the_old_message() -> None:
    state = Reassembly()
    other = bytes(30)
    assert [m.payload for m in play(iso_tp(LONG)[:3] + iso_tp(other), state)] == [other]
    single = iso_tp(b"\x7f\x19\x11")
    assert [m.payload for m in play(iso_tp(LONG)[:3] + single, state)] == [b"\x7f\x19\x11"]
    assert state.broken == 2


@given(st.data())
def test_speakers_do_not_mix(pick: st.DataObject) -> None:
    """Any interleaving of messages of several identifiers, buses and addresses."""
    keys = [(0, 0x7E8, 1), (1, 0x7E8, 1), (0, 0x7E9, 1), (0, 0x7E8, 2)]
    payloads = {key: pick.draw(st.binary(min_size=1, max_size=80)) for key in keys}
    waiting = {key: iso_tp(p, address=key[2]) for key, p in payloads.items()}
    state, found, now = Reassembly(), {}, 0
    while waiting:
        key = pick.draw(st.sampled_from(sorted(waiting)))
        now += 1
        message = state.receive(now, key[0], key[1], waiting[key].pop(0), 1)
        if message:
            found[message.bus, message.can_id, message.address] = message.payload
        if not waiting[key]:
            del waiting[key]
    assert found == payloads


@given(st.binary(min_size=8, max_size=500), st.integers(0, 200))
def test_batches_may_cut_a_message_anywhere(payload: bytes, cut: int) -> None:
    frames = iso_tp(payload)
    state, found = Reassembly(), []
    for k, frame in enumerate(frames):
        if k == cut % len(frames):
            state = Reassembly.from_memory(json.loads(json.dumps(state.to_memory())))
        found.append(state.receive(k * MS, 0, ID, frame))
    assert [m.payload for m in found if m] == [payload]
    assert found[-1] is not None
    assert found[-1].begun_ns == 0


def test_memory_and_messages_are_bounded() -> None:
    state = Reassembly()
    for can_id in range(MAX_SESSIONS + 5):
        for k, frame in enumerate(iso_tp(bytes(2000))[:-1]):
            state.receive(k, 0, can_id, frame)
    assert (len(state.sessions), state.broken) == (MAX_SESSIONS, 5)
    rows = state.to_memory()
    assert 1 <= len(rows) <= MAX_MEMORY_BYTES // 1900
    assert rows[-1][1] == MAX_SESSIONS + 4, "the newest stay"
    state.expire(2 * N_CR_NS)
    assert state.to_memory() == []
    assert play(iso_tp(bytes(MAX_SIZE + 1)), state) == []
    assert [len(m.payload) for m in play(iso_tp(bytes(MAX_SIZE)), state)] == [MAX_SIZE]


@given(st.lists(st.tuples(st.integers(0, 2**40), st.binary(max_size=64), st.integers(0, 1))))
def test_any_frames_are_taken(steps: list[tuple[int, bytes, int]]) -> None:
    state = Reassembly()
    for observed_ns, frame, offset in steps:
        message = state.receive(observed_ns, 0, ID, frame, offset)
        assert message is None or message.payload


def test_a_real_scan(samples: Callable[[str], Path]) -> None:
    sample = samples("obd-uds-kona-scan")
    expected = json.loads((sample / "expected_isotp.json").read_text())
    batch = read_candump(sample / "candump.log")
    state, found = Reassembly(), []
    for row in range(len(batch)):
        now_ns, bus = int(batch.observed_ns[row]), int(batch.bus[row])
        message = state.receive(now_ns, bus, int(batch.can_id[row]), batch.payload(row))
        found += [message] if message else []
    state.expire(2**62)
    assert state.broken == sum(not m["complete"] for m in expected) == 2
    assert [(m.observed_ns, f"{m.can_id:03X}", m.payload.hex()) for m in found] == [
        (round(m["t"] * 10_000) * 100_000, m["can_id"], m["payload"])
        for m in expected
        if m["complete"]
    ]
