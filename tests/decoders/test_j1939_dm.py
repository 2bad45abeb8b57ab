"""Diagnostic messages of J1939 beyond DM1, and long messages by ETP."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decoders.answers import Answer, Origin
from decoders.j1939_dm import DM4, DM5, DM25, LISTS, PGNS, decode
from decoders.j1939_dm1 import Dm1, encode, encode_code
from decoders.j1939_etp import MAX_EXTENDED_SIZE, MAX_SESSIONS, ExtendedReassembly
from decoders.j1939_tp import T2_NS, Message
from decoders.listening import Listening
from model.codes import CodeReport, Dtc, FactKind, FreezeFrame, Lamps, LampState
from model.errors import DecodeError, TruncatedFrameError
from model.frames import EXTENDED_ID
from tests.decoders.build import Frame, read_candump
from tests.decoders.diagnosis_build import MS, hear, hear_batch
from tests.decoders.test_j1939_dm1 import DTCS, LAMPS, j1939_dtc

ECU = Origin(7, 1, 17)


def read(pgn: int, payload: bytes) -> Answer:
    return decode(pgn, payload, ECU)[0]


def frame(pgn: int, payload: bytes, source: int = 17) -> Frame:
    return int(EXTENDED_ID) | 0x18000000 | pgn << 8 | source, payload


@given(st.sampled_from(sorted(LISTS)), LAMPS, LAMPS, st.lists(DTCS, max_size=20))
def test_lists_round_trip(
    pgn: int, lamps: tuple[int, int, int, int], flash: tuple[int, int, int, int], codes: list[Dtc]
) -> None:
    answer, dm1 = decode(pgn, encode(lamps, tuple(codes), flash), ECU)
    assert dm1 == Dm1(lamps, tuple(codes), flash)
    assert dm1 is not None
    report = CodeReport(
        7,
        1,
        17,
        codes[0].protocol if codes else answer.reports[0].protocol,
        LISTS[pgn],
        tuple(codes),
        dm1.lamp_states(),
    )
    assert answer.reports == (report,)


def test_each_list_has_its_scope_and_only_dm1_has_lamp_signals() -> None:
    payload = encode((0, 0, 1, 0), (j1939_dtc("110/0", 3, ecu=17),))
    heard = hear([frame(pgn, payload) for pgn in sorted(LISTS)], j1939=True)
    assert [r.scope for r in heard.reports] == ["active", "previous", "pending", "emission"]
    assert len(heard.lamps) == 1


def test_lamps_and_how_they_flash() -> None:
    """MIL flashes fast, red flashes slowly, amber is on, protect in error."""
    dm1 = decode(65226, bytes.fromhex("56 4F 00 00 00 00 FF FF"), ECU)[1]
    assert dm1 is not None
    assert dm1.lamp_states() == Lamps(
        LampState.FAST_FLASH, LampState.SLOW_FLASH, LampState.ON, LampState.ERROR
    )
    dm1 = decode(65226, bytes.fromhex("03 00 00 00 00 00 FF FF"), ECU)[1]
    assert dm1 is not None
    states = dm1.lamp_states()
    assert (states.mil, states.protect) == (LampState.OFF, LampState.NOT_AVAILABLE)


def test_dm4_names_its_values() -> None:
    values = bytes.fromhex("0A 28 E0 2E 64 87 00 50")
    payload = bytes([12]) + bytes.fromhex("6E 00 00 03") + values
    payload += bytes([14]) + bytes.fromhex("64 00 12 7E") + values + b"\x01\x02"
    first, second = read(DM4, payload).reports[0].codes
    assert (first.code, first.occurrence_count) == ("110/0", 3)
    standard = (
        (899, b"\x0a"),
        (102, b"\x28"),
        (190, b"\xe0\x2e"),
        (92, b"\x64"),
        (110, b"\x87"),
        (84, b"\x00\x50"),
    )
    assert first.freeze_frames == (FreezeFrame(0, standard),)
    assert second.freeze_frames == (FreezeFrame(1, (*standard, (0, b"\x01\x02"))),)


def test_dm25_of_a_real_engine() -> None:
    """Bytes of the unit tests of the SAE J1939-84 tool (Equipment and Tool Institute)."""
    values = bytes.fromhex(
        "00017B0000393A5C0FC4FB000000F126000000127A7D80650000320000000084AD00392C3039FC38C635E0"
        "342C2F00007D7D8A28A00FA00FD13700CA2801A40D00A8C3B2C2C3000000007ED007007D04FFFA"
    )
    one = bytes.fromhex("569D00077F") + values
    assert len(one) == 87
    codes = read(DM25, one + one + bytes([0, 1, 2, 3])).reports[0].codes
    assert [c.code for c in codes] == ["157/7", "157/7"]
    assert codes[1].freeze_frames == (FreezeFrame(1, ((0, values),)),)


@pytest.mark.parametrize("pgn", [DM4, DM25])
def test_no_freeze_frame_is_an_empty_report(pgn: int) -> None:
    (report,) = read(pgn, bytes.fromhex("0000000000FFFFFF")).reports
    assert (report.scope, report.codes) == ("freeze_frame", ())


@given(
    st.sampled_from([DM4, DM25]),
    st.lists(st.tuples(DTCS, st.binary(min_size=8, max_size=60)), max_size=8),
)
def test_freeze_frames_round_trip(pgn: int, rows: list[tuple[Dtc, bytes]]) -> None:
    payload = b"".join(bytes([4 + len(v)]) + encode_code(dtc) + v for dtc, v in rows)
    codes = read(pgn, payload.ljust(8, b"\0")).reports[0].codes
    assert [replace(dtc, freeze_frames=()) for dtc in codes] == [dtc for dtc, _ in rows]
    assert [b"".join(v for _, v in c.freeze_frames[0].parts) for c in codes] == [v for _, v in rows]


def test_cut_off_freeze_frames_say_how_much() -> None:
    with pytest.raises(TruncatedFrameError, match="needed 13 bytes, got 9"):
        read(DM4, bytes([12]) + bytes(8))
    with pytest.raises(TruncatedFrameError, match="needed 1 bytes, got 0"):
        read(DM25, b"")


@given(st.sampled_from(sorted(PGNS)), st.binary(max_size=120))
def test_any_bytes_give_a_result_or_the_declared_error(pgn: int, payload: bytes) -> None:
    try:
        answer = read(pgn, payload)
    except DecodeError:
        return
    assert len(answer.reports) + len(answer.facts) <= 1


def test_readiness_is_a_fact() -> None:
    (fact,) = hear([frame(DM5, bytes.fromhex("0201142601010101"))], j1939=True).facts
    assert (fact.kind, fact.identifier, fact.ecu) == (FactKind.READINESS, DM5, 17)
    assert fact.text == "2 code(s); not complete: fuel system, catalyst, cold start aid"


def test_a_real_truck_says_who_it_is(samples: Callable[[str], Path]) -> None:
    sample = samples("j1939-truck-canedge")
    expected = json.loads((sample / "expected_transport.json").read_text())
    wanted = {bytes.fromhex(m["payload"]).partition(b"*")[0] for m in expected if m["pgn"] == 65260}
    heard = hear_batch(read_candump(sample / "candump.log"), Listening(j1939=True))
    assert {f.content for f in heard.facts if f.kind is FactKind.VIN} == wanted
    assert not heard.reports


# --- extended transport protocol -----------------------------------------------------------

PGN = 65227


def etp(payload: bytes, source: int = 3, target: int = 9, burst: int = 100) -> list[Frame]:
    """A whole connection: RTS, then DPO and packets as the receiver asks, then the end."""
    tail = PGN.to_bytes(3, "little")
    sender, receiver = (0x9CC80000 | target << 8 | source), (0x9CC80000 | source << 8 | target)
    frames = [(sender, b"\x14" + len(payload).to_bytes(4, "little") + tail)]
    for before in range(0, -(-len(payload) // 7), burst):
        following = (before + 1).to_bytes(3, "little")
        frames.append((receiver, bytes([21, burst]) + following + tail))
        frames.append((sender, bytes([22, burst]) + before.to_bytes(3, "little") + tail))
        part = payload[7 * before : 7 * (before + burst)]
        frames += [
            (
                0x9CC70000 | target << 8 | source,
                bytes([k // 7 + 1]) + part[k : k + 7].ljust(7, b"\xff"),
            )
            for k in range(0, len(part), 7)
        ]
    frames.append((receiver, b"\x17" + len(payload).to_bytes(4, "little") + tail))
    return frames


def play(frames: list[Frame], state: ExtendedReassembly | None = None) -> list[Message]:
    state = state or ExtendedReassembly()
    found = [state.receive(k * 10 * MS, 0, i, p) for k, (i, p) in enumerate(frames)]
    return [m for m in found if m]


@given(st.integers(1786, 6000), st.integers(1, 255))
def test_etp_round_trip(size: int, burst: int) -> None:
    payload = bytes(k * 7 % 251 for k in range(size))
    (message,) = play(etp(payload, burst=burst))
    assert (message.payload, message.pgn) == (payload, PGN)
    assert (message.source, message.destination) == (3, 9)


def test_etp_lost_packets_are_sent_again() -> None:
    payload = bytes(k % 251 for k in range(2000))
    frames = etp(payload, burst=50)
    again = frames[2:53]  # DPO 0 and its packets, one of which was lost before
    assert [m.payload for m in play(frames[:20] + frames[21:53] + again + frames[53:])] == [payload]
    assert play(frames[:20] + frames[21:]) == []


def test_etp_ends_with_abort_silence_and_size() -> None:
    payload = bytes(2000)
    frames = etp(payload)
    abort = (0x9CC80000 | 3 << 8 | 9, b"\xff\x01\xff\xff\xff" + PGN.to_bytes(3, "little"))
    assert play([*frames[:40], abort, *frames[40:]]) == []
    state = ExtendedReassembly()
    play(frames[:40], state)
    state.expire(39 * 10 * MS + T2_NS)
    assert state.sessions
    state.expire(39 * 10 * MS + T2_NS + 1)
    assert not state.sessions
    assert play(etp(bytes(MAX_EXTENDED_SIZE + 1))) == []
    assert len(play(etp(bytes(MAX_EXTENDED_SIZE)))) == 1


@given(st.integers(0, 400))
def test_etp_batches_may_cut_a_message_anywhere(cut: int) -> None:
    payload = bytes(k % 251 for k in range(1786))
    frames = etp(payload, burst=90)
    state, found = ExtendedReassembly(), []
    for k, (can_id, part) in enumerate(frames):
        if k == cut % len(frames):
            state = ExtendedReassembly.from_memory(json.loads(json.dumps(state.to_memory())))
        found.append(state.receive(k * MS, 0, can_id, part))
    assert [m.payload for m in found if m] == [payload]


def test_a_long_list_of_codes_comes_by_etp() -> None:
    codes = tuple(j1939_dtc(f"{k}/{k % 31}", k % 127, ecu=3) for k in range(1, 500))
    heard = hear(etp(encode((1, 0, 0, 0), codes)), j1939=True)
    assert [(r.scope, r.codes) for r in heard.reports] == [("previous", codes)]


@given(st.lists(st.tuples(st.integers(0, 2**32), st.integers(0, 2**29), st.binary(max_size=9))))
def test_etp_any_frames_are_taken(steps: list[tuple[int, int, bytes]]) -> None:
    state = ExtendedReassembly()
    for observed_ns, can_id, payload in steps:
        for kind in (0xC7, 0xC8):
            state.receive(observed_ns, 0, can_id & 0x1F00FFFF | kind << 16, payload)
    assert len(state.sessions) <= MAX_SESSIONS
