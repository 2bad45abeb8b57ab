"""Codes cleared on a tester's demand: who says so, and when nobody does.

Bytes by SAE J1979 service 04, ISO 14229-1 and ISO 14230-3 service 14, SAE J1939-21 and -73.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from decoders.answers import Heard, Origin
from decoders.iso14229_clear import decode
from decoders.iso15765_batch import ENOUGH_ROWS
from decoders.j1939_ack import decode as decode_ack
from decoders.listening import Listening, Tails
from model.codes import FactKind
from model.frames import EXTENDED_ID
from model.signals import FrameStatus
from tests.decoders.build import Frame, make_batch
from tests.decoders.diagnosis_build import MS, frames_of, hear

ECU = Origin(7, 1, 17)
ALL_UDS = bytes.fromhex("14FFFFFF")
DM3, DM11 = "CCFE00", "D3FE00"


def cleared(heard: Heard) -> list[tuple[int, str, int]]:
    return [(f.ecu, f.protocol, f.identifier) for f in heard.facts if f.kind is FactKind.CLEARED]


def said(*messages: tuple[int, str]) -> list[tuple[int, str, int]]:
    return cleared(hear([f for i, text in messages for f in frames_of(i, bytes.fromhex(text))]))


def test_each_ecu_that_answers_a_request_to_everybody() -> None:
    assert said((0x7DF, "04"), (0x7E8, "44"), (0x7EA, "44"), (0x7E9, "7F0422")) == [
        (0x7E8, "obd", 0),
        (0x7EA, "obd", 0),
    ]
    assert said((0x98DB33F1, "04"), (0x98DAF110, "44")) == [(0x10, "obd", 0)]
    every = [(0x7DF, "14FFFFFF"), (0x7E8, "54"), (0x7BB, "54")]
    assert said(*every) == [(0x7E8, "uds", 0xFFFFFF), (0x7BB, "uds", 0xFFFFFF)]


def test_a_request_alone_clears_nothing() -> None:
    assert said((0x7DF, "04"), (0x7E0, "14FFFFFF"), (0x7E0, "14FF00"), (0x7E8, "7F1422")) == []


def test_elsewhere_an_answer_counts_only_when_it_was_asked_for() -> None:
    assert said((0x708, "54"), (0x708, "54FF00"), (0x708, "44")) == []
    assert said((0x700, "14FFFFFF"), (0x708, "54")) == [(0x708, "uds", 0xFFFFFF)]
    assert said((0x700, "14FF00"), (0x708, "54FF00")) == [(0x708, "kwp", 0xFF00)]
    assert said((0x7DF, "04"), (0x708, "44")) == [], "OBD ECUs answer on OBD identifiers"


def test_an_ecu_that_needs_longer_is_waited_for() -> None:
    wait = (0x7E8, "7F1478")
    assert said((0x7E0, "14021744"), wait, wait, (0x7E8, "54")) == [(0x7E8, "uds", 0x021744)]


def test_the_last_request_counts() -> None:
    messages = [(0x7E0, "14FFFFFF"), (0x7E8, "7F1431"), (0x7E0, "14021744"), (0x7E8, "54")]
    assert said(*messages) == [(0x7E8, "uds", 0x021744)]


def test_in_batches_as_alone() -> None:
    """Enough rows to be taken column by column, among values and a long message."""
    values = [(0x7E8, bytes.fromhex("03410D3CAAAAAAAA"))] * ENOUGH_ROWS
    codes = frames_of(0x7E9, bytes.fromhex("590209") + bytes.fromhex("02174409") * 9)
    asked: list[Frame] = [*frames_of(0x7DF, b"\x04"), *frames_of(0x7E1, ALL_UDS)]
    frames = [*values, *asked, *frames_of(0x7E8, b"\x44"), *codes, *frames_of(0x7E9, b"\x54")]
    frames += frames_of(0x7E8, bytes.fromhex("62F190") + bytes(900))
    wanted = [(0x7E8, "obd", 0), (0x7E9, "uds", 0xFFFFFF)]
    assert len(frames) - len(values) > ENOUGH_ROWS
    assert cleared(hear(frames)) == wanted
    heard, tails = Heard(), Tails()
    for at, frame in enumerate(frames):
        part, tails = Listening().listen(
            make_batch([frame], [at * MS]), tails, np.zeros(1, np.uint8)
        )
        heard.facts += part.facts
    assert cleared(heard) == wanted


@given(st.binary(max_size=8), st.none() | st.binary(max_size=6))
def test_any_answer_and_request(tail: bytes, request: bytes | None) -> None:
    answer = decode(b"\x54" + tail, ECU, request and b"\x14" + request)
    assert len(answer.facts) == (len(tail) in (0, 2))


@given(st.integers(0, 0xFFFFFF))
def test_any_group(group: int) -> None:
    (fact,) = decode(b"\x54", ECU, b"\x14" + group.to_bytes(3, "big")).facts
    assert (fact.protocol, fact.identifier) == ("uds", group)
    (fact,) = decode(b"\x54" + group.to_bytes(3, "big")[1:], ECU, None).facts
    assert (fact.protocol, fact.identifier) == ("kwp", group & 0xFFFF)


# J1939 -------------------------------------------------------------------------------------------


def ack(payload: str, source: int = 0, to: int = 0xF9) -> Frame:
    return int(EXTENDED_ID) | 0x18E80000 | to << 8 | source, bytes.fromhex(payload)


def request(pgn: str, to: int = 0) -> Frame:
    return int(EXTENDED_ID) | 0x18EA00F9 | to << 8, bytes.fromhex(pgn)


@pytest.mark.parametrize(
    ("payload", "group"),
    [
        ("00FFFFFFF9CCFE00", 65228),  # DM3 done, for tester F9
        ("00FFFFFFF9D3FE00", 65235),  # DM11 done
        ("00FFFFFFFFD3FE00", 65235),  # as before byte 4 had a meaning
        ("01FFFFFFF9D3FE00", None),  # refused
        ("02FFFFFFF9D3FE00", None),  # access denied
        ("03FFFFFFF9D3FE00", None),  # cannot answer now
        ("00FFFFFFF9CAFE00", None),  # done, but DM1
        ("00FFFFFFF9D3FE", None),  # cut off
    ],
)
def test_acknowledgement(payload: str, group: int | None) -> None:
    wanted = [] if group is None else [(0x11, "j1939", group)]
    heard = hear([request(DM3, 0x11), request(DM11, 0x11), ack(payload, 0x11)], j1939=True)
    assert cleared(heard) == wanted
    assert cleared(hear([ack(payload, 0x11, to=0xFF)], j1939=True)) == wanted
    assert cleared(hear([ack(payload, 0x11)])) == [], "a car's 18E8.... is something else"
    facts = decode_ack(bytes.fromhex(payload), ECU).facts
    assert [f.identifier for f in facts] == ([] if group is None else [group])


def test_asked_for_is_not_done() -> None:
    frames = [request(DM3), request(DM11), request(DM11, 0xFF)]
    assert cleared(hear(frames, j1939=True)) == []


def test_other_acknowledgements_are_not_looked_at() -> None:
    frames = [ack("00FFFFFFF9D3FE00"), ack("01FFFFFFF9D3FE00"), ack("00FFFFFFF9CAFE00")]
    status = np.full(3, FrameStatus.UNKNOWN_ID, np.uint8)
    Listening(j1939=True).listen(make_batch(frames), Tails(), status)
    assert status.tolist() == [FrameStatus.OK, FrameStatus.UNKNOWN_ID, FrameStatus.UNKNOWN_ID]


@given(st.lists(st.binary(min_size=0, max_size=8), max_size=20))
def test_rows_are_chosen_as_they_are_read(payloads: list[bytes]) -> None:
    payloads += [p[:5] + bytes.fromhex(DM11) for p in payloads if len(p) > 5]
    heard = hear([ack(p.hex()) for p in payloads], j1939=True)
    assert len(heard.facts) == sum(len(decode_ack(p, ECU).facts) for p in payloads)
