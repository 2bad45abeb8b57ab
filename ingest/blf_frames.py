"""Objects of a BLF block to frames: one pass over all objects of one type.

Source: see `blf_layout`.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ingest import blf_layout as layout
from ingest.blf_layout import BODY, ObjectType, records
from ingest.columns import STANDARD_ID_MAX, Columns, Faults, in_order
from ingest.text_lines import FD_LENGTHS
from model.frames import ERROR_FRAME, EXTENDED_ID, ID_MASK, REMOTE_FRAME, FrameFlag

#: Later than the year 2116, or an offset as long.
MAX_NS = 1 << 62
_TEN_US_NS = 10_000
_MAX_TICKS = np.uint64(MAX_NS // _TEN_US_NS + 1)
_OTHER_TYPE = 127
_FD_LENGTHS = np.array(FD_LENGTHS, np.uint8)
_NO_LENGTH = np.uint8(0)

Ints = NDArray[np.int64]
Bytes = NDArray[np.uint8]
Mask = NDArray[np.bool_]


def read_frames(buffer: bytes, at: Ints, start_ns: int, faults: Faults) -> Columns:
    """Frames of the objects at the given places, in their order."""
    heads = records(buffer, at, layout.HEAD)
    key = np.minimum(heads["type"], _OTHER_TYPE) << 2 | np.minimum(heads["version"], 3)
    count = np.bincount(key)
    parts: list[Columns] = []
    places: list[NDArray[np.intp]] = []
    for group in np.flatnonzero(count).tolist():
        kind, version = group >> 2, group & 3
        if kind not in BODY:
            continue
        rows = np.arange(len(at)) if count[group] == len(at) else np.flatnonzero(key == group)
        frames, kept = _read_group(buffer, at[rows], ObjectType(kind), version, start_ns, faults)
        parts.append(frames)
        places.append(rows[kept])
    if len(parts) == 1:
        return parts[0]
    return in_order([_nothing(), *parts], [np.zeros(0, np.intp), *places], len(at))


def _read_group(
    buffer: bytes, at: Ints, kind: ObjectType, version: int, start_ns: int, faults: Faults
) -> tuple[Columns, NDArray[np.intp]]:
    """Frames of objects of one type and header version, and which of the objects held them."""
    body = BODY[kind]
    head_bytes = layout.HEAD_BYTES.get(version)
    room = records(buffer, at, layout.HEAD)["size"].astype(np.int64)
    room -= body.itemsize + (head_bytes or MAX_NS)
    rows = _good_rows(room >= 0, faults, f"{kind.name}: header or size is wrong")
    at, room = at[rows], room[rows]
    starts = at + (head_bytes or 0)
    bodies = records(buffer, starts, body)
    observed_ns, good = _observed_ns(records(buffer, at, layout.HEAD), start_ns)
    frames = _READERS[kind](bodies, observed_ns)
    if kind == ObjectType.CAN_FD_MESSAGE_64:
        extra_at = bodies["extra_at"].astype(np.int64)
        extra = extra_at - (head_bytes or 0) - body.itemsize
        held = np.where(extra_at > 0, np.minimum(extra, room), room)
        frames.payload = _payload_64(buffer, starts + body.itemsize, held)
    _clear_past(frames)
    good &= _plausible(frames, bodies["channel"])
    kept = _good_rows(good, faults, f"{kind.name}: time, channel or id is out of range")
    return (frames if len(kept) == len(at) else frames.rows_at(kept)), rows[kept]


def _good_rows(good: Mask, faults: Faults, reason: str) -> NDArray[np.intp]:
    for _ in range(len(good) - int(np.count_nonzero(good))):
        faults.add(0, reason)
    return np.flatnonzero(good)


def _nothing() -> Columns:
    none = np.zeros(0, np.uint8)
    return Columns(
        np.zeros(0, np.int64), np.zeros(0, np.uint32), none, none, none, np.zeros((0, 8), np.uint8)
    )


def _observed_ns(heads: NDArray[np.void], start_ns: int) -> tuple[Ints, Mask]:
    """Start plus offset, and whether the offset is one."""
    offset, coarse = heads["time"].astype(np.uint64), heads["flags"] == layout.TEN_US
    if coarse.any():
        offset[coarse] = np.minimum(offset[coarse], _MAX_TICKS) * np.uint64(_TEN_US_NS)
    timely = offset < MAX_NS
    if not timely.all():
        offset[~timely] = 0
    return offset.view(np.int64) + start_ns, timely


def _plausible(frames: Columns, channel: NDArray[np.integer]) -> Mask:
    standard = frames.can_id & (EXTENDED_ID | ERROR_FRAME) == 0
    too_big = standard & (frames.can_id & ID_MASK > STANDARD_ID_MAX)
    good: Mask = (channel <= layout.MAX_CHANNEL) & ~too_big
    return good


def _clear_past(frames: Columns) -> None:
    """Zero what is past each payload; a remote frame's length is asked for, not sent."""
    sent = np.where(frames.can_id & REMOTE_FRAME == 0, frames.length, _NO_LENGTH)
    width = frames.payload.shape[1]
    if (sent < width).any():
        frames.payload[np.arange(width) >= sent[:, None]] = 0


def _payload_64(buffer: bytes, starts: Ints, held: Ints) -> Bytes:
    """64 bytes from each start on, zeros past what the object holds."""
    padded = buffer + bytes(64)
    payload = np.array(records(padded, starts, np.dtype([("payload", "u1", 64)]))["payload"])
    payload[np.arange(64) >= held[:, None]] = 0
    return payload


def _columns(
    bodies: NDArray[np.void],
    observed_ns: Ints,
    *,
    kind: Mask | np.uint32,
    flags: NDArray[np.integer],
    length: Bytes,
    payload: Bytes,
) -> Columns:
    """Frames whose remote bits (or the error bit) are `kind`."""
    channel = bodies["channel"].astype(np.int64)
    raw_id = bodies["id"] if "id" in (bodies.dtype.names or ()) else np.uint32(0)
    bits = kind if isinstance(kind, np.uint32) else np.where(kind, REMOTE_FRAME, np.uint32(0))
    can_id = np.broadcast_to(raw_id & (EXTENDED_ID | ID_MASK), len(bodies)) | bits
    return Columns(
        observed_ns,
        can_id.astype(np.uint32),
        np.maximum(channel - 1, 0).astype(np.uint8),
        flags.astype(np.uint8),
        length,
        payload,
    )


def _classic(bodies: NDArray[np.void], observed_ns: Ints) -> Columns:
    return _columns(
        bodies,
        observed_ns,
        kind=bodies["flags"] & layout.REMOTE != 0,
        flags=(bodies["flags"] & layout.TX) * int(FrameFlag.TX),
        length=np.minimum(bodies["dlc"], 8),
        payload=np.array(bodies["payload"]),
    )


def _fd(bodies: NDArray[np.void], observed_ns: Ints) -> Columns:
    remote = bodies["flags"] & layout.REMOTE != 0
    fd_flags = bodies["fd_flags"]
    fd = (fd_flags & layout.EDL != 0) & ~remote
    flags = _fd_flags(fd, fd_flags & layout.BRS != 0, fd_flags & layout.ESI != 0)
    return _columns(
        bodies,
        observed_ns,
        kind=remote,
        flags=flags | (bodies["flags"] & layout.TX) * int(FrameFlag.TX),
        length=_lengths(bodies, remote, fd),
        payload=np.array(bodies["payload"]),
    )


def _fd_64(bodies: NDArray[np.void], observed_ns: Ints) -> Columns:
    """Without the payloads, which follow the bodies."""
    bits = bodies["flags"]
    remote = bits & layout.REMOTE64 != 0
    fd = (bits & layout.EDL64 != 0) & ~remote
    flags = _fd_flags(fd, bits & layout.BRS64 != 0, bits & layout.ESI64 != 0)
    return _columns(
        bodies,
        observed_ns,
        kind=remote,
        flags=flags | (bodies["direction"] != 0) * int(FrameFlag.TX),
        length=_lengths(bodies, remote, fd),
        payload=np.zeros((0, 64), np.uint8),
    )


def _fd_flags(fd: Mask, brs: Mask, esi: Mask) -> NDArray[np.integer]:
    flags: NDArray[np.integer] = fd * int(FrameFlag.FD)
    flags |= (fd & brs) * int(FrameFlag.BRS) | (fd & esi) * int(FrameFlag.ESI)
    return flags


def _lengths(bodies: NDArray[np.void], remote: Mask, fd: Mask) -> Bytes:
    asked = _FD_LENGTHS[np.minimum(bodies["dlc"], 15)]
    length = np.where(remote, asked, bodies["valid"])
    return np.minimum(length, np.where(fd, 64, 8)).astype(np.uint8)


def _error(bodies: NDArray[np.void], observed_ns: Ints) -> Columns:
    """Error frames; only CAN_ERROR_EXT holds what was received of the frame."""
    nothing = np.zeros(len(bodies), np.uint8)
    has_payload = "payload" in (bodies.dtype.names or ())
    return _columns(
        bodies,
        observed_ns,
        kind=ERROR_FRAME,
        flags=nothing,
        length=np.minimum(bodies["dlc"], 8) if has_payload else nothing,
        payload=np.array(bodies["payload"]) if has_payload else np.zeros((len(bodies), 8), "u1"),
    )


_READERS: dict[ObjectType, Callable[[NDArray[np.void], Ints], Columns]] = {
    ObjectType.CAN_MESSAGE: _classic,
    ObjectType.CAN_MESSAGE2: _classic,
    ObjectType.CAN_FD_MESSAGE: _fd,
    ObjectType.CAN_FD_MESSAGE_64: _fd_64,
    ObjectType.CAN_ERROR: _error,
    ObjectType.CAN_ERROR_EXT: _error,
    ObjectType.CAN_FD_ERROR_64: _error,
}
