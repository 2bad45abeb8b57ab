"""Wire format 1 of a frame batch: one header, then raw little-endian columns.

Source: docs/gateway-protocol.md (our own format).

    offset  size        content
    0       4           magic "RCFB"
    4       1           version = 1
    5       1           flags, 0
    6       2           reserved, 0
    8       4           n8, rows of the classic section
    12      4           n64, rows of the CAN FD section
    16      8 n         observed_ns, int64         n = n8 + n64
    ...     4 n         can_id, uint32
    ...     n           bus, uint8
    ...     n           flags, uint8
    ...     n           length, uint8
    ...     8 n8        payloads of the classic section
    ...     64 n64      payloads of the FD section

On the log the whole is one zstd frame (level 1). Over HTTP compression is the request's
Content-Encoding, so that a gateway needs no zstd.
"""

from __future__ import annotations

import struct
import zlib

import numpy as np
import zstandard
from numpy.typing import NDArray

from model.errors import DecodeError, LimitExceededError, TruncatedFrameError
from model.frames import FrameBatch

MAGIC = b"RCFB"
VERSION = 1
HEADER = struct.Struct("<4sBBHII")
CLASSIC_ROW_BYTES, FD_ROW_BYTES = 23, 79
#: A batch of this many frames is 2 MB raw; larger uploads are split before the log.
MAX_FRAMES = 100_000
MAX_BYTES = HEADER.size + MAX_FRAMES * FD_ROW_BYTES
ZSTD_LEVEL = 1


def encode(batch: FrameBatch) -> bytes:
    """Uncompressed wire bytes of a batch."""
    header = HEADER.pack(MAGIC, VERSION, 0, 0, batch.n8, len(batch.payload64))
    columns = (batch.observed_ns.astype("<i8", copy=False), batch.can_id.astype("<u4", copy=False))
    rest = (batch.bus, batch.flags, batch.length, batch.payload8, batch.payload64)
    return b"".join([header, *(c.tobytes() for c in columns), *(c.tobytes() for c in rest)])


def decode(
    body: bytes,
    *,
    vin: str,
    gateway_id: str,
    batch_id: str,
    received_ns: int,
    max_frames: int = MAX_FRAMES,
) -> FrameBatch:
    """Columns of an uncompressed body, as views of its bytes.

    Raises `DecodeError` (`TruncatedFrameError`, `LimitExceededError`) and nothing else.
    """
    n8, n64 = _read_header(body, max_frames)
    n = n8 + n64
    offset = HEADER.size

    def column(dtype: str, count: int) -> NDArray[np.generic]:
        nonlocal offset
        view = np.frombuffer(body, dtype, count, offset)
        offset += view.nbytes
        return view

    batch = FrameBatch(
        vin=vin,
        gateway_id=gateway_id,
        batch_id=batch_id,
        received_ns=received_ns,
        protocol="can",
        observed_ns=column("<i8", n).view(np.int64),
        can_id=column("<u4", n).view(np.uint32),
        bus=column("u1", n).view(np.uint8),
        flags=column("u1", n).view(np.uint8),
        length=column("u1", n).view(np.uint8),
        payload8=column("u1", 8 * n8).view(np.uint8).reshape(n8, 8),
        payload64=column("u1", 64 * n64).view(np.uint8).reshape(n64, 64),
    )
    _check_lengths(batch)
    return batch


def _read_header(body: bytes, max_frames: int) -> tuple[int, int]:
    if len(body) < HEADER.size:
        raise TruncatedFrameError(needed=HEADER.size, got=len(body))
    magic, version, flags, reserved, n8, n64 = HEADER.unpack_from(body)
    if magic != MAGIC:
        raise DecodeError(f"magic is {magic.hex()}, expected {MAGIC.hex()}")
    if version != VERSION or flags or reserved:
        raise DecodeError(f"version {version} flags {flags:#x} unknown, expected version {VERSION}")
    if n8 + n64 > max_frames:
        raise LimitExceededError(what="frames", limit=max_frames, got=n8 + n64)
    needed = HEADER.size + n8 * CLASSIC_ROW_BYTES + n64 * FD_ROW_BYTES
    if len(body) < needed:
        raise TruncatedFrameError(needed=needed, got=len(body))
    if len(body) > needed:
        raise DecodeError(f"{len(body) - needed} bytes after the last column")
    return n8, n64


def _check_lengths(batch: FrameBatch) -> None:
    limit = np.full(len(batch), 8, np.uint8)
    limit[batch.n8 :] = 64
    wrong = np.flatnonzero(batch.length > limit)
    if len(wrong):
        row = int(wrong[0])
        raise DecodeError(f"frame {row}: length {batch.length[row]} exceeds {limit[row]} bytes")


def pack(batch: FrameBatch) -> bytes:
    """Bytes for the log: wire format inside one zstd frame."""
    return zstandard.ZstdCompressor(level=ZSTD_LEVEL).compress(encode(batch))


def inflate(value: bytes, *, max_bytes: int = MAX_BYTES) -> bytes:
    """Undo the log's zstd frame, never producing more than `max_bytes`.

    Raises `DecodeError` for anything but one complete zstd frame.
    """
    try:
        declared = zstandard.frame_content_size(value)
        if declared > max_bytes:
            raise LimitExceededError(what="decompressed bytes", limit=max_bytes, got=declared)
        return zstandard.ZstdDecompressor().decompress(
            value, max_output_size=max_bytes, allow_extra_data=False
        )
    except zstandard.ZstdError as error:
        raise DecodeError(f"not a zstd frame: {error}") from error


def partition_of(vin: str, partitions: int) -> int:
    """The partition of a vehicle. Fixed at installation: it is part of the state's key."""
    return zlib.crc32(vin.encode()) % partitions
