"""One upload from received bytes to log records. Pure: nothing here waits."""

from __future__ import annotations

import hashlib
import zlib
from dataclasses import dataclass

import numpy as np
import zstandard
from numpy.typing import NDArray

from ingest import candump, ndjson
from ingest.columns import Faults
from ingest.problems import FieldFault, RefusalError, refuse_field
from model import wire
from model.clock import NS
from model.errors import DecodeError, LimitExceededError
from model.frames import ERROR_FRAME, EXTENDED_ID, ID_MASK, FrameBatch, FrameFlag
from model.log import MAX_RECORD_BYTES, BatchKey, LogRecord

FRAMES_TYPE, CANDUMP_TYPE, NDJSON_TYPE = (
    "application/vnd.roadcall.frames",
    "text/plain",
    "application/x-ndjson",
)
MEDIA_TYPES = (FRAMES_TYPE, CANDUMP_TYPE, NDJSON_TYPE)
ENCODINGS = {"": "", "identity": "", "gzip": "gzip", "x-gzip": "gzip", "zstd": "zstd"}
#: Uncompressed bytes of one part. Parts are cut by this and not by their packed size, so that a
#: repeat is cut the same way whatever compressed it; zstd never grows it past MAX_RECORD_BYTES.
PART_BYTES = 880_000
assert PART_BYTES + PART_BYTES // 128 < MAX_RECORD_BYTES
_ALL_FLAGS = int(FrameFlag.FD | FrameFlag.BRS | FrameFlag.ESI | FrameFlag.TX)


@dataclass(frozen=True, slots=True)
class IngestLimits:
    """Every bound of the ingest service."""

    max_body_bytes: int = 4 << 20
    max_inflated_bytes: int = 16 << 20
    max_frames: int = wire.MAX_FRAMES
    #: Observed further ahead of our clock is no clock. The past has no limit.
    max_future_s: float = 32_400.0
    #: Uploads being read or appended, and body bytes held, before 429.
    max_in_flight: int = 256
    max_buffered_bytes: int = 256 << 20
    body_timeout_s: float = 60.0
    append_timeout_s: float = 10.0
    ready_timeout_s: float = 2.0
    retry_after_s: int = 2
    #: Longer bodies are read in a thread, so that they do not hold up the others.
    inline_bytes: int = 32 << 10
    token_ttl_s: float = 15.0
    token_stale_s: float = 600.0
    token_timeout_s: float = 1.0


@dataclass(frozen=True, slots=True)
class Upload:
    """What arrived. `encoding` is a value of ENCODINGS, `media_type` one of MEDIA_TYPES."""

    vin: str
    gateway_id: str
    batch_id: str  # "" when the gateway gave none
    received_ns: int
    media_type: str
    encoding: str
    body: bytes
    #: The gateway's clock when it sent against ours, s; None = it did not say.
    clock_offset_s: int | None = None


@dataclass(frozen=True, slots=True)
class Accepted:
    """An upload that may go to the log."""

    batch_id: str
    frames: int
    records: list[LogRecord]


def read_upload(upload: Upload, limits: IngestLimits) -> Accepted:
    """Records of an upload. Raises RefusalError (400, 413, 422) naming the field."""
    plain = _inflate(upload.body, upload.encoding, limits.max_inflated_bytes)
    if upload.media_type == FRAMES_TYPE:
        batch = _decode(plain, upload, limits)
    else:
        batch = _parse(plain, upload, limits)
        plain = wire.encode(batch)
    _check(batch, upload.received_ns, limits)
    batch_id = upload.batch_id or derived_id(upload.vin, plain)
    if len(plain) > PART_BYTES:
        values = [(wire.encode(p), b"") for p in _split(batch)]
    else:
        reuse = upload.media_type == FRAMES_TYPE and upload.encoding == "zstd"
        values = [(plain, upload.body if reuse and len(upload.body) <= PART_BYTES else b"")]
    records = [
        LogRecord(
            key=BatchKey(upload.gateway_id, upload.vin, batch_id, part),
            digest=hashlib.sha256(content).hexdigest()[:16],
            received_ns=upload.received_ns,
            protocol=batch.protocol,
            value=packed or _pack(content),
            clock_offset_s=upload.clock_offset_s,
        )
        for part, (content, packed) in enumerate(values)
    ]
    return Accepted(batch_id, len(batch), records)


def derived_id(vin: str, plain: bytes) -> str:
    """The batch id of an upload without a key: the same however the content was compressed."""
    return f"sha256-{hashlib.sha256(vin.encode() + plain).hexdigest()}"


def _pack(plain: bytes) -> bytes:
    return zstandard.ZstdCompressor(level=wire.ZSTD_LEVEL).compress(plain)


def _inflate(body: bytes, encoding: str, limit: int) -> bytes:
    """The body without its content encoding; stops as soon as `limit` is passed."""
    try:
        if encoding == "gzip":
            return _gunzip(body, limit)
        if encoding == "zstd":
            return _unzstd(body, limit)
    except LimitExceededError as error:
        raise refuse_field("too-large", "body", str(error)) from None
    except DecodeError as error:
        raise refuse_field("content-coding", "Content-Encoding", str(error)) from None
    return body


def _too_long(limit: int) -> LimitExceededError:
    return LimitExceededError(what="decompressed bytes", limit=limit, got=limit + 1)


def _gunzip(body: bytes, limit: int) -> bytes:
    """One gzip member."""
    member = zlib.decompressobj(wbits=31)
    try:
        plain = member.decompress(body, limit + 1)
    except zlib.error as error:
        raise DecodeError(f"not gzip: {error}") from None
    if len(plain) > limit:
        raise _too_long(limit)
    if not member.eof or member.unused_data:
        raise DecodeError("not one complete gzip member")
    return plain


def _unzstd(body: bytes, limit: int) -> bytes:
    """One zstd frame, with or without its content size."""
    try:
        declared = zstandard.frame_content_size(body)
        if declared > limit:
            raise LimitExceededError(what="decompressed bytes", limit=limit, got=declared)
        return zstandard.ZstdDecompressor().decompress(
            body, max_output_size=limit, allow_extra_data=False
        )
    except zstandard.ZstdError as error:
        if _passes(body, limit):
            raise _too_long(limit) from None
        raise DecodeError(f"not one complete zstd frame: {error}") from None


def _passes(body: bytes, limit: int) -> bool:
    """Whether a zstd stream goes on past `limit` bytes; holds one block at a time."""
    seen = 0
    try:
        with zstandard.ZstdDecompressor().stream_reader(body) as stream:
            while seen <= limit and (block := stream.read(1 << 16)):
                seen += len(block)
    except zstandard.ZstdError:
        return False
    return seen > limit


def _decode(plain: bytes, upload: Upload, limits: IngestLimits) -> FrameBatch:
    try:
        return wire.decode(
            plain,
            vin=upload.vin,
            gateway_id=upload.gateway_id,
            batch_id=upload.batch_id,
            received_ns=upload.received_ns,
            max_frames=limits.max_frames,
        )
    except LimitExceededError as error:
        raise refuse_field("too-large", error.what, str(error)) from None
    except DecodeError as error:
        raise refuse_field("frames", "body", str(error)) from None


def _parse(text: bytes, upload: Upload, limits: IngestLimits) -> FrameBatch:
    """Frames of a text body; one broken line refuses the whole upload."""
    lines = text.count(b"\n")
    if lines > limits.max_frames:
        error = LimitExceededError(what="lines", limit=limits.max_frames, got=lines)
        raise refuse_field("too-large", "lines", str(error))
    parse = candump.parse if upload.media_type == CANDUMP_TYPE else ndjson.parse
    faults = Faults()
    columns, _ = parse(text, faults=faults)
    if faults.total:
        named = [FieldFault(f"line {f.line}", f.reason) for f in faults.first]
        raise RefusalError("frames", f"{faults.total} lines are broken", named)
    return columns.batch(upload.vin)


def _check(batch: FrameBatch, received_ns: int, limits: IngestLimits) -> None:
    """Refuse what no vehicle can have sent. `frame N` counts from 0, classic section first."""
    if not len(batch):
        raise refuse_field("frames", "frames", "an upload holds at least one frame")
    newest = int(batch.observed_ns.max())
    ahead_s = (newest - received_ns) / NS
    if ahead_s > limits.max_future_s:
        row = int(batch.observed_ns.argmax())
        reason = f"frame {row} is {ahead_s:.0f} s ahead of our clock, limit {limits.max_future_s:g}"
        raise refuse_field("frames", "observed_ns", reason)
    short = batch.can_id & (EXTENDED_ID | ERROR_FRAME) == 0
    _refuse_row(short & (batch.can_id & ID_MASK > 0x7FF), "can_id", "needs bit 31: above 11 bits")
    _refuse_row(batch.flags > _ALL_FLAGS, "flags", f"has bits beyond {_ALL_FLAGS:#x}")
    fd = batch.flags & FrameFlag.FD != 0
    fd[batch.n8 :] ^= True
    _refuse_row(fd, "flags", "FD bit and section disagree")


def _refuse_row(wrong: NDArray[np.bool_], field: str, reason: str) -> None:
    if wrong.any():
        raise refuse_field("frames", field, f"frame {int(wrong.argmax())} {reason}")


def _split(batch: FrameBatch) -> list[FrameBatch]:
    """Parts of at most PART_BYTES, each a span of time."""
    order = np.argsort(batch.observed_ns, kind="stable")
    row_bytes = np.where(order < batch.n8, wire.CLASSIC_ROW_BYTES, wire.FD_ROW_BYTES)
    room = PART_BYTES - wire.HEADER.size - wire.FD_ROW_BYTES
    part = np.cumsum(row_bytes) // room
    cuts = np.flatnonzero(np.diff(part)) + 1
    return [batch.take(np.sort(rows)) for rows in np.split(order, cuts)]
