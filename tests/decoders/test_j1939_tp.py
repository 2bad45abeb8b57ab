"""J1939 transport: broadcasts and connections as overheard, with everything that goes wrong."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from decoders.j1939_tp import (
    MAX_MEMORY_BYTES,
    MAX_SESSIONS,
    MAX_SIZE,
    T1_NS,
    T2_NS,
    Message,
    Reassembly,
)

MS = 1_000_000
PGN = 65260
Step = tuple[int, int, bytes]  # ns, identifier, payload


def cm(source: int, destination: int, *control: int, pgn: int = PGN) -> tuple[int, bytes]:
    return (
        0x9CEC0000 | destination << 8 | source,
        bytes(control) + pgn.to_bytes(3, "little"),
    )


def dt(source: int, destination: int, number: int, payload: bytes) -> tuple[int, bytes]:
    part = payload[7 * (number - 1) : 7 * number].ljust(7, b"\xff")
    return 0x9CEB0000 | destination << 8 | source, bytes([number]) + part


def size_bytes(payload: bytes) -> tuple[int, int, int]:
    return len(payload) & 255, len(payload) >> 8, -(-len(payload) // 7)


def broadcast(payload: bytes, source: int = 5) -> list[tuple[int, bytes]]:
    packets = size_bytes(payload)[2]
    return [cm(source, 255, 32, *size_bytes(payload), 255)] + [
        dt(source, 255, k + 1, payload) for k in range(packets)
    ]


def play(
    frames: list[tuple[int, bytes]], gap_ns: int = 50 * MS, state: Reassembly | None = None
) -> list[Message]:
    reassembly = state or Reassembly()
    found = [
        reassembly.receive(k * gap_ns, 0, can_id, payload)
        for k, (can_id, payload) in enumerate(frames)
    ]
    return [m for m in found if m is not None]


@given(st.binary(min_size=9, max_size=MAX_SIZE), st.integers(0, 253))
def test_broadcast_round_trip(payload: bytes, source: int) -> None:
    frames = broadcast(payload, source)
    (message,) = play(frames)
    assert (message.payload, message.source, message.destination) == (payload, source, 255)
    assert (message.pgn, message.observed_ns) == (PGN, (len(frames) - 1) * 50 * MS)


def test_two_broadcasts_at_once_do_not_mix() -> None:
    a, b = bytes(range(20)), bytes(range(50, 70))
    mixed = [f for pair in zip(broadcast(a, 1), broadcast(b, 2), strict=True) for f in pair]
    assert {m.source: m.payload for m in play(mixed)} == {1: a, 2: b}


def test_a_lost_packet_loses_the_broadcast_and_nothing_else() -> None:
    payload = bytes(range(30))
    frames = broadcast(payload)
    del frames[2]
    assert play(frames) == []
    assert [m.payload for m in play(frames + broadcast(payload))] == [payload]


def test_a_repeated_packet_is_no_next_packet() -> None:
    frames = broadcast(bytes(range(30)))
    frames.insert(2, frames[1])
    assert play(frames) == []


def test_silence_ends_a_broadcast_in_event_time() -> None:
    frames = broadcast(bytes(20))
    assert len(play(frames, T1_NS)) == 1
    assert play(frames, T1_NS + 1) == []


def test_connection_with_clear_to_send_and_end() -> None:
    payload = bytes(range(30))
    frames = [
        cm(5, 9, 16, *size_bytes(payload), 2),
        cm(9, 5, 17, 2, 1, 255, 255),
        dt(5, 9, 1, payload),
        dt(5, 9, 2, payload),
        cm(9, 5, 17, 0, 3, 255, 255),  # please wait
        cm(9, 5, 17, 3, 3, 255, 255),
        dt(5, 9, 3, payload),
        dt(5, 9, 4, payload),
        dt(5, 9, 5, payload),
        cm(9, 5, 19, *size_bytes(payload), 255),
    ]
    state = Reassembly()
    (message,) = play(frames, state=state)
    assert (message.payload, message.source, message.destination) == (payload, 5, 9)
    assert not state.sessions
    assert len(play(frames, T2_NS)) == 1


def test_the_receiver_asks_for_a_lost_packet_again() -> None:
    payload = bytes(range(30))
    frames = [
        cm(5, 9, 16, *size_bytes(payload), 5),
        cm(9, 5, 17, 5, 1, 255, 255),
        *(dt(5, 9, k, payload) for k in (1, 3, 4, 5)),
        cm(9, 5, 17, 4, 2, 255, 255),
        *(dt(5, 9, k, payload) for k in (2, 3, 4, 5)),
    ]
    assert [m.payload for m in play(frames)] == [payload]


def test_abort_from_either_side() -> None:
    payload = bytes(range(30))
    for abort in (cm(5, 9, 255, 1, 255, 255, 255), cm(9, 5, 255, 1, 255, 255, 255)):
        frames = [cm(5, 9, 16, *size_bytes(payload), 5), dt(5, 9, 1, payload), abort]
        state = Reassembly()
        assert play(frames, state=state) == []
        assert not state.sessions


def test_nonsense_opens_nothing() -> None:
    state = Reassembly()
    nonsense = [
        cm(5, 255, 32, 8, 0, 2, 255),  # 8 bytes need no transport
        cm(5, 255, 32, 20, 0, 9, 255),  # 20 bytes are three packets
        cm(5, 255, 32, 250, 255, 255, 255),  # more than 1785 bytes
        cm(5, 9, 32, 20, 0, 3, 255),  # a broadcast to one
        cm(5, 255, 16, 20, 0, 3, 255),  # a connection to everybody
        (0x9CEC0905, bytes(3)),
        (0x9CEBFF05, bytes(8)),
        cm(5, 9, 99, 0, 0, 0, 0),
    ]
    assert play(nonsense, state=state) == []
    assert not state.sessions


def test_sessions_are_bounded() -> None:
    state = Reassembly()
    for source in range(MAX_SESSIONS + 5):
        state.receive(source, 0, *broadcast(bytes(20), source)[0])
    assert len(state.sessions) == MAX_SESSIONS
    assert (0, 0, 255) not in state.sessions


@given(st.binary(min_size=9, max_size=MAX_SIZE), st.integers(0, 255))
def test_the_memory_goes_through_json_at_any_point(payload: bytes, cut: int) -> None:
    frames = broadcast(payload)
    cut %= len(frames)
    state, found = Reassembly(), []
    for k, (can_id, part) in enumerate(frames):
        if k == cut:
            state = Reassembly.from_memory(json.loads(json.dumps(state.to_memory())))
        found.append(state.receive(k * MS, 0, can_id, part))
    assert [m.payload for m in found if m] == [payload]


def test_the_memory_is_bounded() -> None:
    state = Reassembly()
    payload = bytes(MAX_SIZE)
    for source in range(4):
        for k, (can_id, part) in enumerate(broadcast(payload, source)[:-1]):
            state.receive(k, 0, can_id, part)
    rows = state.to_memory()
    assert 1 <= len(rows) < 4
    assert len(json.dumps(rows)) < 2 * MAX_MEMORY_BYTES
    state.expire(T1_NS * 3)
    assert state.to_memory() == []


@given(st.lists(st.tuples(st.integers(0, 2**32), st.integers(0, 2**29), st.binary(max_size=9))))
def test_any_frames_are_taken(steps: list[Step]) -> None:
    state = Reassembly()
    for observed_ns, can_id, payload in steps:
        for kind in (0xEB, 0xEC):
            state.receive(observed_ns, 0, can_id & 0x1F00FFFF | kind << 16, payload)
    assert len(state.sessions) <= MAX_SESSIONS
