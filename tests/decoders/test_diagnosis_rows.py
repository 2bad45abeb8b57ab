"""What diagnosis does not look at changes nothing: the rows left out against all rows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dbc.profile import load_profile
from decoders.decode import Decoder, Tails
from decoders.diagnosis_rows import unread
from decoders.iso15765_addresses import AddressBook, Link
from decoders.listening import Listening
from decoders.plan import compile_plan
from model.frames import EXTENDED_ID, FrameBatch
from model.signals import FrameStatus, SignalBatch
from tests.decoders.build import Frame, make_batch, same_batches

PLAN = compile_plan(load_profile("j1979"))
LINKS = (Link(0x7E3, 0x7EB),)
TO_TESTER = int(EXTENDED_ID) | 0x18DAF110
SPEED, CODES = bytes.fromhex("03410D32AAAAAAAA"), bytes.fromhex("0659020902174408")
FIRST, SECOND = bytes.fromhex("100A590209021743"), bytes.fromhex("2109021744090217")

IDS = st.sampled_from([0x7E0, 0x7E8, 0x7E9, 0x7EB, TO_TESTER])
CLASSIC = st.sampled_from(
    [SPEED, SPEED, SPEED, bytes.fromhex("06410100076500AA"), CODES, FIRST, SECOND, SECOND]
) | st.builds(lambda head, rest: head + rest, st.binary(max_size=3), st.binary(max_size=5))
FD = st.sampled_from([bytes.fromhex("0003410D33").ljust(12, b"\xaa"), FIRST.ljust(12, b"\1")])
FRAMES = st.lists(st.tuples(IDS, CLASSIC) | st.tuples(IDS, FD), max_size=30)


def make(frames: list[Frame]) -> FrameBatch:
    """One millisecond apart, classic rows first."""
    rows = sorted(frames, key=lambda f: len(f[1]) > 8)
    return make_batch(rows, range(0, len(rows) * 1_000_000, 1_000_000))


def both_ways(batch: FrameBatch, tails: Tails) -> list[tuple[SignalBatch, object, object, Tails]]:
    """Signals, reports, facts and tails, first as usual, then with every row looked at."""
    found = []
    for all_rows in (False, True):
        with pytest.MonkeyPatch.context() as patch:
            if all_rows:
                patch.setattr("decoders.listening.unread", lambda _, rows, *__: rows)
            one = Decoder(PLAN, LINKS).decode(batch, tails)
        found.append((one.signals, one.reports, one.facts, one.tails))
    return found


@settings(max_examples=200)
@given(FRAMES, FRAMES)
def test_left_out_rows_change_nothing(first: list[Frame], second: list[Frame]) -> None:
    tails = Tails()
    for batch in map(make, (first, second)):
        usual, whole = both_ways(batch, tails)
        same_batches(usual[0], whole[0])
        assert usual[1:] == whole[1:]
        tails = usual[3]


def left(frames: list[Frame], *, on_way: tuple[int, ...] = ()) -> tuple[list[int], list[int]]:
    """Rows to look at, and the status of all."""
    batch = make(frames)
    status = np.full(len(batch), FrameStatus.UNKNOWN_ID, np.uint8)
    carriers = AddressBook().carriers(batch.can_id)
    rows = unread(batch, np.arange(len(batch)), carriers, on_way, status)
    return rows.tolist(), status.tolist()


def test_single_values_are_the_kernels() -> None:
    ok, unknown = FrameStatus.OK, FrameStatus.UNKNOWN_ID
    frames: list[Frame] = [(0x7E8, SPEED), (0x7E8, CODES), (TO_TESTER, SPEED), (0x7E0, SPEED)]
    assert left(frames) == ([1, 3], [ok, unknown, ok, unknown])
    assert left([(0x7E8, SPEED[:3])]) == ([0], [unknown]), "cut off: somebody must say so"


def test_a_single_frame_that_ends_a_message_is_told() -> None:
    assert left([(0x7E8, SPEED)], on_way=(0x7E8,))[0] == [0]
    assert left([(0x7E8, SPEED), (0x7E9, SPEED), (0x7E8, FIRST)])[0] == [0, 2]
    assert left([(0x7E8, SPEED), (0x7E9, SPEED), (0x7E8, FIRST.ljust(12))])[0] == [0, 2]


def test_ordinary_messages_are_left_out() -> None:
    frames: list[Frame] = [(0x708, SPEED), (0x708, CODES), (0x708, SECOND), (0x708, b"\x44" * 8)]
    assert left(frames)[0] == [1, 2]
    heard, tails = Listening().listen(make([(0x708, SPEED)]), Tails(), np.zeros(1, np.uint8))
    assert (heard.reports, heard.facts, tails) == ([], [], Tails())
