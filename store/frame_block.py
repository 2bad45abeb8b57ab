"""The exact log: one block of frames for each upload, columnar and compressed, 3-5 bytes a frame.

Source: our own format, codec 1. Little-endian header, then one zstd frame of columns:

    offset  size   content
    0       1      codec = 1
    1       1      bytes of a time step, 0-8
    2       2      clock offset of the gateway, s + 32 768; 0 = not known
    4       4      n8, rows of the classic section
    8       4      n64, rows of the CAN FD section
    12      4      unit of times, ns: 1, 1 000 or 1 000 000
    16      8      observed_ns of the first row, in units
    24      ...    zstd: time steps (zigzag differences, byte planes), can_id (byte planes), then
                   bus, flags, length and payload byte planes of the classic section, of the FD one

Within a section those last columns are in order of identifier (stable, so the reader finds the
order again from can_id), and payload bytes are differences to the frame before: what a message
repeats becomes zeros. Rows keep their order and every bit, padding included.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from typing import LiteralString

import numpy as np
import zstandard
from numpy.typing import NDArray

from model.clock import NS, ns_of, utc
from model.errors import DecodeError, LimitExceededError
from model.frames import FrameBatch, frame_batch
from model.wire import CLASSIC_ROW_BYTES, FD_ROW_BYTES, MAX_FRAMES
from store.copy_binary import EPOCH_US, TRAILER
from store.copy_binary import HEADER as COPY_HEADER
from store.database import Connection

CODEC = 1
#: Of the header: the gateway's clock was ours.
_CLOCK_RIGHT = 1 << 15
HEADER = struct.Struct("<BBHIIIq")
UNITS = (1_000_000, 1_000, 1)
ZSTD_LEVEL = 1
#: A block's frames lie within one hour, so a reader knows how far back to look.
SPAN_NS = 3600 * NS

COPY = (
    "copy frame_block (vehicle_id, time, t_end, received_at, n, codec, frames)"
    " from stdin (format binary)"
)
READ = (
    "select b.frames, b.received_at, v.vin from frame_block b join vehicle v using (vehicle_id)"
    " where b.vehicle_id = %s and b.time >= %s and b.time < %s and b.t_end >= %s"
    " order by b.block_id"
)
#: The same with blocks that alerts keep past retention.
READ_KEPT = (
    "select b.frames, b.received_at, v.vin from (select block_id, vehicle_id, time, t_end,"
    " received_at, frames from frame_block union all select e.block_id, e.vehicle_id, e.time,"
    " e.t_end, e.received_at, e.frames from evidence_block e"
    " where not exists (select 1 from frame_block f where f.vehicle_id = e.vehicle_id"
    " and f.time = e.time and f.block_id = e.block_id)) b join vehicle v using (vehicle_id)"
    " where b.vehicle_id = %s and b.time >= %s and b.time < %s and b.t_end >= %s"
    " order by b.block_id"
)
#: COPY row: field count, then length and value of each column; the last value follows.
ROW = struct.Struct(">hiiiqiqiqiiihi")
Bytes = NDArray[np.uint8]


def encode(batch: FrameBatch) -> bytes:
    """One block. An empty batch has one too."""
    times = batch.observed_ns
    unit = next(u for u in UNITS if u == 1 or not np.any(times % u))
    ticks = times // unit
    first = int(ticks[0]) if len(ticks) else 0
    steps = np.diff(ticks.view(np.uint64), prepend=np.uint64(first % 2**64)).view(np.int64)
    zigzag = (steps.view(np.uint64) << np.uint64(1)) ^ (steps >> 63).view(np.uint64)
    width = (int(zigzag.max()).bit_length() + 7) // 8 if len(zigzag) else 0
    parts = [_planes(zigzag.astype("<u8").view(np.uint8).reshape(-1, 8)[:, :width])]
    parts.append(_planes(batch.can_id.astype("<u4").view(np.uint8).reshape(-1, 4)))
    for rows, payload in _sections(batch):
        order = np.argsort(batch.can_id[rows], kind="stable")
        parts += [c[rows][order].tobytes() for c in (batch.bus, batch.flags, batch.length)]
        parts.append(_planes(np.diff(payload[order], axis=0, prepend=np.zeros_like(payload[:1]))))
    columns = zstandard.ZstdCompressor(level=ZSTD_LEVEL).compress(b"".join(parts))
    counts = (batch.n8, len(batch.payload64))
    offset = batch.clock_offset_s
    clock = 0 if offset is None else offset + _CLOCK_RIGHT
    return HEADER.pack(CODEC, width, clock, *counts, unit, first) + columns


def decode(block: bytes, *, max_frames: int = MAX_FRAMES) -> FrameBatch:
    """The frames of a block, in their order; identity fields are empty.

    Raises `DecodeError` (`LimitExceededError`) and nothing else, whatever the bytes.
    """
    width, offset, n8, n64, unit, first = _read_header(block, max_frames)
    n = n8 + n64
    size = n8 * CLASSIC_ROW_BYTES + n64 * FD_ROW_BYTES + n * (width - 8)
    plain = _inflate(block[HEADER.size :], size)
    at = 0

    def column(planes: int, rows: int) -> Bytes:
        nonlocal at
        part = np.frombuffer(plain, np.uint8, planes * rows, at)
        at += planes * rows
        return np.ascontiguousarray(part.reshape(planes, rows).T)

    padded = np.zeros((n, 8), np.uint8)
    padded[:, :width] = column(width, n)
    zigzag = padded.view("<u8").reshape(-1).astype(np.uint64)
    steps = (zigzag >> np.uint64(1)) ^ (np.uint64(0) - (zigzag & np.uint64(1)))
    can_id = column(4, n).view("<u4").reshape(-1).astype(np.uint32)
    small, payloads = np.empty((3, n), np.uint8), []
    for rows, size in ((slice(0, n8), 8), (slice(n8, n), 64)):
        order = np.argsort(can_id[rows], kind="stable")
        for target in small:
            target[rows][order] = column(1, len(order)).reshape(-1)
        payload = np.empty((len(order), size), np.uint8)
        payload[order] = np.cumsum(column(size, len(order)), axis=0, dtype=np.uint8)
        payloads.append(payload)
    if np.any(small[2, :n8] > 8) or np.any(small[2, n8:] > 64):
        raise DecodeError("frame block: a length exceeds its section")
    ticks = (np.cumsum(steps, dtype=np.uint64) + np.uint64(first % 2**64)).view(np.int64)
    batch = frame_batch(
        observed_ns=ticks * unit,
        can_id=can_id,
        bus=small[0],
        flags=small[1],
        length=small[2],
        payload8=payloads[0],
        payload64=payloads[1],
    )
    return batch if offset is None else replace(batch, clock_offset_s=offset)


def _sections(batch: FrameBatch) -> tuple[tuple[slice, Bytes], tuple[slice, Bytes]]:
    n8 = batch.n8
    return (slice(0, n8), batch.payload8), (slice(n8, len(batch)), batch.payload64)


def _planes(rows: Bytes) -> bytes:
    """All first bytes, all second bytes, ..."""
    return rows.T.tobytes()


def _read_header(block: bytes, max_frames: int) -> tuple[int, int | None, int, int, int, int]:
    if len(block) < HEADER.size:
        raise DecodeError(f"frame block: {len(block)} bytes are no header")
    codec, width, clock, n8, n64, unit, first = HEADER.unpack_from(block)
    if codec != CODEC or width > 8 or unit not in UNITS:
        raise DecodeError(f"frame block: codec {codec} width {width} unit {unit} unknown")
    if n8 + n64 > max_frames:
        raise LimitExceededError(what="frames of a block", limit=max_frames, got=n8 + n64)
    offset = clock - _CLOCK_RIGHT if clock else None
    return width, offset, n8, n64, unit, first


def _inflate(columns: bytes, size: int) -> bytes:
    try:
        declared = zstandard.frame_content_size(columns)
        if declared != size:
            raise DecodeError(f"frame block: columns of {declared} bytes, expected {size}")
        plain = zstandard.ZstdDecompressor().decompress(columns, max_output_size=max(size, 1))
    except zstandard.ZstdError as error:
        raise DecodeError(f"frame block: not a zstd frame: {error}") from error
    if len(plain) != size:
        raise DecodeError(f"frame block: columns of {len(plain)} bytes, expected {size}")
    return plain


def write(conn: Connection, uploads: Sequence[tuple[int, FrameBatch]]) -> int:
    """COPY one block for each (vehicle_id, frames); more where an upload spans hours."""
    rows = [
        _row(vehicle_id, part)
        for vehicle_id, batch in uploads
        if len(batch)
        for part in _hours(batch)
    ]
    if rows:
        with conn.cursor().copy(COPY) as copy:
            copy.write(COPY_HEADER)
            for row in rows:
                copy.write(row)
            copy.write(TRAILER)
    return len(rows)


def _row(vehicle_id: int, batch: FrameBatch) -> bytes:
    first, last = int(batch.observed_ns.min()), int(batch.observed_ns.max())
    block = encode(batch)
    moments = [ns // 1000 - EPOCH_US for ns in (first, last, batch.received_ns)]
    start, end, received = moments
    head = ROW.pack(
        7, 4, vehicle_id, 8, start, 8, end, 8, received, 4, len(batch), 2, CODEC, len(block)
    )
    return head + block


def _hours(batch: FrameBatch) -> Iterator[FrameBatch]:
    for rows in hours_of(batch.observed_ns):
        yield batch if isinstance(rows, slice) else batch.take(rows)


def hours_of(times: NDArray[np.int64]) -> Sequence[slice | NDArray[np.intp]]:
    """Rows of each block an upload becomes: all of them, unless it spans more than an hour."""
    if not len(times):
        return []
    if int(times.max()) - int(times.min()) < SPAN_NS:
        return [slice(None)]
    hour = times // SPAN_NS
    return [np.flatnonzero(hour == h) for h in np.unique(hour)]


def read_frames(
    conn: Connection,
    vehicle_id: int,
    from_ns: int,
    to_ns: int,
    limit_frames: int,
    *,
    query: LiteralString = READ,
    whole: bool = False,
) -> list[FrameBatch]:
    """What a vehicle sent with from_ns <= observed_ns < to_ns, upload by upload, as it arrived.

    `whole`: with all other frames of these uploads. Raises LimitExceededError when there are more
    frames than that.
    """
    batches: list[FrameBatch] = []
    total = 0
    with conn.cursor(binary=True) as cur:
        rows = cur.stream(
            query, [vehicle_id, utc(from_ns - SPAN_NS), utc(to_ns + 999), utc(from_ns)]
        )
        for frames, received_at, vin in rows:
            assert isinstance(frames, bytes) and isinstance(received_at, datetime)
            block = replace(decode(frames), vin=str(vin), received_ns=ns_of(received_at))
            inside = (block.observed_ns >= from_ns) & (block.observed_ns < to_ns)
            n = int(inside.sum())
            total += n
            if total > limit_frames:
                raise LimitExceededError(what="frames read", limit=limit_frames, got=total)
            if n:
                batches.append(block if whole else block.take(np.flatnonzero(inside)))
    return batches


def span(conn: Connection, vehicle_id: int) -> tuple[int, int] | None:
    """Oldest and newest stored moment of a vehicle in ns, to the microsecond; None: no frames."""
    row = conn.execute(
        "select min(time), max(t_end) from frame_block where vehicle_id = %s", [vehicle_id]
    ).fetchone()
    assert row is not None
    first, last = row
    if not isinstance(first, datetime) or not isinstance(last, datetime):
        return None
    return ns_of(first), ns_of(last) + 999
