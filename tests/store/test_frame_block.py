"""Blocks of frames: every bit comes back; foreign bytes never do harm."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import can
import numpy as np
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from model.clock import NS
from model.errors import DecodeError, LimitExceededError
from model.frames import FrameBatch, frame_batch
from store import frame_block
from store.database import Connection

COLUMNS = ("observed_ns", "can_id", "bus", "flags", "length", "payload8", "payload64")
INT64 = st.integers(-(2**63), 2**63 - 1)


def same(a: FrameBatch, b: FrameBatch) -> bool:
    return all(np.array_equal(getattr(a, c), getattr(b, c)) for c in COLUMNS)


@st.composite
def batches(draw: st.DrawFn) -> FrameBatch:
    n8, n64 = draw(st.integers(0, 40)), draw(st.integers(0, 5))
    n = n8 + n64
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    near = st.integers(1_700_000_000_000_000, 1_700_000_010_000_000).map(lambda us: us * 1000)
    times = draw(st.lists(draw(st.sampled_from([near, INT64])), min_size=n, max_size=n))
    lengths = np.concatenate([rng.integers(0, 9, n8), rng.integers(0, 65, n64)])
    return frame_batch(
        observed_ns=np.array(times, np.int64),
        can_id=rng.choice(np.array([1, 0x7FF, 0x98FEF100, 0xFFFFFFFF], np.uint32), n),
        bus=rng.integers(0, 3, n).astype(np.uint8),
        flags=rng.integers(0, 16, n).astype(np.uint8),
        length=lengths.astype(np.uint8),
        payload8=rng.integers(0, 256, (n8, 8)).astype(np.uint8),
        payload64=rng.integers(0, 256, (n64, 64)).astype(np.uint8),
    )


@given(batches())
@settings(max_examples=200, deadline=None)
def test_round_trip_keeps_every_bit(batch: FrameBatch) -> None:
    assert same(frame_block.decode(frame_block.encode(batch)), batch)


@given(batches(), st.none() | st.integers(-32_767, 32_767))
@settings(max_examples=20, deadline=None)
def test_a_block_keeps_what_the_clock_was(batch: FrameBatch, offset_s: int | None) -> None:
    told = replace(batch, clock_offset_s=offset_s)
    assert frame_block.decode(frame_block.encode(told)).clock_offset_s == offset_s


@given(batches(), st.data())
@settings(max_examples=100, deadline=None)
def test_damaged_blocks_give_frames_or_decode_error(batch: FrameBatch, pick: st.DataObject) -> None:
    block = bytearray(frame_block.encode(batch))
    at = pick.draw(st.integers(0, len(block) - 1))
    if pick.draw(st.booleans()):
        del block[at:]
    else:
        block[at] ^= pick.draw(st.integers(1, 255))
    with contextlib.suppress(DecodeError):
        assert len(frame_block.decode(bytes(block))) >= 0


@given(st.binary(max_size=200))
def test_any_bytes_give_frames_or_decode_error(block: bytes) -> None:
    with contextlib.suppress(DecodeError):
        frame_block.decode(block)


@given(st.integers(0, 8), st.integers(0, 9), st.integers(0, 3), st.binary(max_size=400))
def test_any_columns_behind_a_sound_header_give_frames_or_decode_error(
    width: int, n8: int, n64: int, plain: bytes
) -> None:
    head = frame_block.HEADER.pack(1, width, 0, n8, n64, 1_000_000, 2**63 - 1)
    size = n8 * (15 + width) + n64 * (71 + width)
    columns = zstandard.ZstdCompressor().compress(plain.ljust(size, b"\xff")[:size])
    with contextlib.suppress(DecodeError):
        assert len(frame_block.decode(head + columns)) == n8 + n64


def test_a_bomb_is_refused_before_it_is_inflated() -> None:
    bomb = zstandard.ZstdCompressor().compress(bytes(500_000_000))
    head = frame_block.HEADER.pack(1, 1, 0, 10, 0, 1, 0)
    with pytest.raises(DecodeError, match="500000000 bytes, expected 160"):
        frame_block.decode(head + bomb)
    with pytest.raises(LimitExceededError, match="limit 100000, got 4294967295"):
        frame_block.decode(frame_block.HEADER.pack(1, 1, 0, 2**32 - 1, 0, 1, 0) + bomb)


def test_a_real_truck_takes_less_than_five_bytes_a_frame(samples: Callable[[str], Path]) -> None:
    with can.LogReader(samples("j1939-truck-canedge") / "candump.log") as log:
        rows = list(log)
    batch = frame_batch(
        observed_ns=np.array([round(m.timestamp * 1e6) * 1000 for m in rows], np.int64),
        can_id=np.array([m.arbitration_id | 0x80000000 for m in rows], np.uint32),
        length=np.array([m.dlc for m in rows], np.uint8),
        payload8=np.array([list(m.data.ljust(8, b"\0")) for m in rows], np.uint8),
    )
    blocks = [
        batch.take(np.arange(i, min(i + 5000, len(batch)))) for i in range(0, len(batch), 5000)
    ]
    encoded = [frame_block.encode(b) for b in blocks]
    assert all(same(frame_block.decode(e), b) for e, b in zip(encoded, blocks, strict=True))
    assert sum(map(len, encoded)) / len(batch) < 5


def made(start_ns: int, n: int, step_ns: int, mark: int) -> FrameBatch:
    return frame_batch(
        received_ns=start_ns,
        observed_ns=start_ns + np.arange(n) * step_ns,
        can_id=np.arange(n, dtype=np.uint32),
        length=np.full(n, 8, np.uint8),
        payload8=np.full((n, 8), mark, np.uint8),
    )


def test_frames_come_back_by_window_in_order_of_arrival(
    conn: Connection, fleet: dict[str, int]
) -> None:
    (vin, number), (_, other), *_ = fleet.items()
    start = 1_700_000_000 * NS
    frame_block.write(conn, [(number, made(start + 10 * NS, 10, NS, 1))])
    frame_block.write(conn, [(other, made(start, 10, NS, 9)), (number, made(start, 10, NS, 2))])
    found = frame_block.read_frames(conn, number, start + 5 * NS, start + 12 * NS + 1, 100)
    assert [(b.vin, b.received_ns) for b in found] == [(vin, start + 10 * NS), (vin, start)]
    assert [len(b) for b in found] == [3, 5]
    assert [int(b.payload8[0, 0]) for b in found] == [1, 2]
    with pytest.raises(LimitExceededError, match="frames read: limit 7"):
        frame_block.read_frames(conn, number, start, start + 20 * NS, 7)


def test_an_upload_over_days_is_found_at_any_window(
    conn: Connection, fleet: dict[str, int]
) -> None:
    number = next(iter(fleet.values()))
    start, hour = 1_700_000_000 * NS, 3600 * NS
    assert frame_block.write(conn, [(number, made(start, 200, hour // 2, 1))]) > 50
    for place in (0, 1, 77, 199):
        at = start + place * hour // 2
        (found,) = frame_block.read_frames(conn, number, at, at + 1, 10)
        assert found.can_id.tolist() == [place]
