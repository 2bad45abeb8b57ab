"""Batches to Vector BLF.

Source: see `blf_layout`. Classic frames become CAN_MESSAGE, CAN FD frames CAN_FD_MESSAGE, error
frames CAN_ERROR_EXT objects, all with times in ns, in zlib containers of 128 kB.
"""

from __future__ import annotations

import zlib
from datetime import UTC, tzinfo
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from ingest import blf_layout as layout
from ingest.blf_layout import BODY, ObjectType
from ingest.log_rows import start_of, time_order
from ingest.text_lines import FD_LENGTHS
from model.clock import utc
from model.frames import ERROR_FRAME, EXTENDED_ID, ID_MASK, REMOTE_FRAME, FrameBatch, FrameFlag

CONTAINER_BYTES = 128 << 10
#: The application id of "unknown", and the version of the format.
_VERSIONS = (5, 0, 0, 0, 2, 6, 8, 1)
_CODE = np.searchsorted(FD_LENGTHS, np.arange(65)).astype(np.uint8)


class BlfWriter:
    """Writes containers as they fill. The header's counts are filled in at the end, where the
    stream can be sought; readers do not need them.

    Without `start_ns` the log starts with the first batch's first frame.
    """

    def __init__(self, stream: BinaryIO, start_ns: int | None = None, zone: tzinfo = UTC) -> None:
        self._stream, self._start_ns, self._zone = stream, start_ns, zone
        self._begun = False
        self._last_ns = 0
        self._objects = 0
        self._written = self._plain = layout.FILE_HEADER_BYTES
        self._held = bytearray()

    def write(self, batch: FrameBatch) -> None:
        """Append a batch. Raises DecodeError for a frame before the start."""
        if not len(batch):
            return
        start_ns = self._begin(start_of(batch, self._start_ns))
        self._last_ns = max(self._last_ns, int(batch.observed_ns.max()))
        self._objects += len(batch)
        self._held += _objects(batch, start_ns)
        while len(self._held) >= CONTAINER_BYTES:
            self._flush(CONTAINER_BYTES)

    def close(self) -> None:
        """Write what is left, then the header with its counts."""
        self._begin(self._start_ns or 0)
        if self._held:
            self._flush(len(self._held))
        if self._stream.seekable():
            self._stream.seek(0)
            self._stream.write(self._header())
            self._stream.seek(self._written)

    def _begin(self, start_ns: int) -> int:
        if not self._begun:
            self._start_ns, self._last_ns, self._begun = start_ns, start_ns, True
            self._stream.write(self._header())
        return start_ns

    def _header(self) -> bytes:
        header = layout.FILE_HEADER.pack(
            layout.FILE_SIGNATURE,
            layout.FILE_HEADER_BYTES,
            *_VERSIONS,
            self._written,
            self._plain,
            self._objects,
            0,
            *_systemtime(self._start_ns or 0, self._zone),
            *_systemtime(self._last_ns, self._zone),
        )
        return header.ljust(layout.FILE_HEADER_BYTES, b"\0")

    def _flush(self, size: int) -> None:
        packed = zlib.compress(self._held[:size])
        del self._held[:size]
        head = layout.OBJECT_HEADER.size
        whole = head + layout.CONTAINER.size + len(packed)
        container = layout.OBJECT_HEADER.pack(
            layout.OBJECT_SIGNATURE, head, 1, whole, ObjectType.LOG_CONTAINER
        )
        container += layout.CONTAINER.pack(layout.DEFLATED, size) + packed + bytes(whole % 4)
        self._stream.write(container)
        self._written += len(container)
        self._plain += head + layout.CONTAINER.size + size


def _systemtime(ns: int, zone: tzinfo) -> tuple[int, ...]:
    at = utc(ns).astimezone(zone)
    weekday = at.isoweekday() % 7
    return (at.year, at.month, weekday, at.day, at.hour, at.minute, at.second,
            at.microsecond // 1000)  # fmt: skip


def _objects(batch: FrameBatch, start_ns: int) -> bytes:
    """All frames as objects in the order of time."""
    error = batch.can_id & ERROR_FRAME != 0
    fd = (batch.flags & FrameFlag.FD != 0) & ~error
    kinds = (
        (ObjectType.CAN_MESSAGE, ~fd & ~error),
        (ObjectType.CAN_FD_MESSAGE, fd),
        (ObjectType.CAN_ERROR_EXT, error),
    )
    objects: list[bytes] = [b""] * len(batch)
    for kind, mask in kinds:
        rows = np.flatnonzero(mask)
        if len(rows):
            packed = _pack(batch, rows, kind, start_ns)
            if len(rows) == len(batch):
                return packed[time_order(batch)].tobytes()
            for row, item in zip(rows.tolist(), packed, strict=True):
                objects[row] = item.tobytes()
    return b"".join([objects[row] for row in time_order(batch).tolist()])


def _pack(
    batch: FrameBatch, rows: NDArray[np.intp], kind: ObjectType, start_ns: int
) -> NDArray[np.void]:
    """Frames of one kind as objects of one type, one item each."""
    body = BODY[kind]
    whole = np.zeros(len(rows), np.dtype([("head", layout.HEAD), ("body", body)]))
    head, fields = whole["head"], whole["body"]
    head["signature"], head["header_size"] = layout.SIGNATURE_NUMBER, layout.HEAD.itemsize
    head["version"], head["size"], head["type"] = 1, whole.dtype.itemsize, kind
    head["flags"], head["time"] = layout.ONE_NS, batch.observed_ns[rows] - start_ns
    can_id, length = batch.can_id[rows], batch.length[rows]
    fields["channel"] = batch.bus[rows].astype(np.uint16) + 1
    fields["id"] = can_id & (EXTENDED_ID | ID_MASK)
    fields["dlc"] = _CODE[length]
    payload = batch.payload64[rows - batch.n8] if kind == ObjectType.CAN_FD_MESSAGE else None
    fields["payload"] = _payload8(batch, rows) if payload is None else payload
    if kind != ObjectType.CAN_ERROR_EXT:
        remote = (can_id & REMOTE_FRAME != 0) * layout.REMOTE
        fields["flags"] = remote | (batch.flags[rows] & FrameFlag.TX != 0) * layout.TX
    if kind == ObjectType.CAN_FD_MESSAGE:
        brs, esi = (batch.flags[rows] & f != 0 for f in (FrameFlag.BRS, FrameFlag.ESI))
        fields["fd_flags"] = layout.EDL | brs * layout.BRS | esi * layout.ESI
        fields["valid"] = length
    return whole


def _payload8(batch: FrameBatch, rows: NDArray[np.intp]) -> NDArray[np.uint8]:
    """Payloads of classic and error frames; an error frame may stand among the FD rows."""
    payload = np.zeros((len(rows), 8), np.uint8)
    classic = rows < batch.n8
    payload[classic] = batch.payload8[rows[classic]]
    payload[~classic] = batch.payload64[rows[~classic] - batch.n8, :8]
    return payload
