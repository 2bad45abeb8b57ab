"""Vector BLF: bytes to columns.

Source: see `blf_layout`.

Containers are inflated and joined to about BLOCK_BYTES; the objects inside are found and read by
array operations, whatever their order and wherever containers cut them. An object's start is
believed because the object before it ends there, not because its four letters are.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, tzinfo
from typing import BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from ingest import blf_layout as layout
from ingest.blf_frames import MAX_NS, read_frames
from ingest.blf_layout import records
from ingest.columns import Columns, Faults
from model.clock import ns_of
from model.errors import DecodeError, TruncatedFrameError

try:  # a third faster, where it is installed
    from isal import isal_zlib as inflating
except ImportError:
    import zlib as inflating  # type: ignore[no-redef]

#: Inflated bytes read together.
BLOCK_BYTES = 1 << 20
#: One container, packed or inflated; Vector's hold 128 kB.
MAX_CONTAINER_BYTES = 16 << 20
#: A longer object (say, of video) is given up, and the next one looked for.
MAX_OBJECT_BYTES = 16 << 20
#: Padding between two objects is shorter.
MAX_PADDING = 8
#: Freeing a block of this size teaches glibc to keep freed memory: otherwise every block's arrays
#: are given back and faulted in anew, a tenth of the whole time. It is never touched.
LARGE_BLOCK_BYTES = 24 << 20
_INFLATE_ERROR = cast("type[Exception]", inflating.error)
_HEAD_BYTES = layout.HEAD.itemsize

Ints = NDArray[np.int64]


def read_blf(stream: BinaryIO, faults: Faults, zone: tzinfo) -> Iterator[Columns]:
    """Frames in file order; `zone` is the logger's. A file cut short is read as far as it goes."""
    np.empty(LARGE_BLOCK_BYTES, np.uint8)
    start_ns = _read_file_header(stream, zone)
    tail, held, size = b"", [], 0
    for content in _contents(stream, faults):
        held.append(content)
        size += len(content)
        if size >= BLOCK_BYTES:
            columns, tail = _read_block(b"".join([tail, *held]), start_ns, faults)
            yield columns
            held, size = [], 0
    columns, tail = _read_block(b"".join([tail, *held]), start_ns, faults)
    yield columns
    if len(tail) >= MAX_PADDING:
        faults.add(0, f"the last object is cut short: {len(tail)} bytes are left")


def _read_file_header(stream: BinaryIO, zone: tzinfo) -> int:
    """Start of the file in ns; 0 where it says none. Raises DecodeError."""
    header = _read(stream, layout.FILE_HEADER.size)
    if len(header) < layout.FILE_HEADER.size:
        raise TruncatedFrameError(needed=layout.FILE_HEADER.size, got=len(header))
    fields = layout.FILE_HEADER.unpack(header)
    if fields[0] != layout.FILE_SIGNATURE:
        raise DecodeError("not a BLF file")
    _read(stream, min(max(0, fields[1] - len(header)), MAX_CONTAINER_BYTES))
    year, month, _, day, hour, minute, second, ms = fields[14:22]
    try:
        start_ns = ns_of(datetime(year, month, day, hour, minute, second, ms * 1000, zone))
    except (ValueError, OverflowError):
        return 0
    return start_ns if abs(start_ns) < MAX_NS else 0


def _read(stream: BinaryIO, size: int) -> bytes:
    """`size` bytes, fewer only at the end."""
    parts = []
    while size and (part := stream.read(size)):
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def _contents(stream: BinaryIO, faults: Faults) -> Iterator[bytes]:
    """What the containers hold, inflated. Objects outside of containers are passed over."""
    while len(head := _read(stream, layout.OBJECT_HEADER.size)) == layout.OBJECT_HEADER.size:
        signature, _, _, size, kind = layout.OBJECT_HEADER.unpack(head)
        rest = size - len(head)
        if signature != layout.OBJECT_SIGNATURE or not 0 <= rest <= MAX_CONTAINER_BYTES:
            faults.add(0, "no container where one must be, the rest is not read")
            return
        body = _read(stream, rest)
        cut_short = len(body) < rest
        if cut_short:
            faults.add(0, f"the file is cut short: {rest - len(body)} bytes are missing")
        if kind == layout.ObjectType.LOG_CONTAINER:
            yield _inflate(body, faults)
        if cut_short:
            return
        _read(stream, size % 4)
    if head.strip(b"\0"):
        faults.add(0, "the file is cut short inside an object's header")


def _inflate(body: bytes, faults: Faults) -> bytes:
    """Content of one container, as far as it can be had."""
    if len(body) < layout.CONTAINER.size:
        faults.add(0, "container without a header")
        return b""
    method, _ = layout.CONTAINER.unpack_from(body)
    packed = memoryview(body)[layout.CONTAINER.size :]
    if method == layout.STORED:
        return bytes(packed)
    if method != layout.DEFLATED:
        faults.add(0, f"container packed by unknown method {method}")
        return b""
    inflater = inflating.decompressobj()
    content = b""
    try:
        content = inflater.decompress(packed, MAX_CONTAINER_BYTES)
        if len(content) >= MAX_CONTAINER_BYTES and not inflater.eof:
            faults.add(0, f"container holds more than {MAX_CONTAINER_BYTES} bytes")
        elif not inflater.eof:
            faults.add(0, "container's zlib stream is cut short")
    except _INFLATE_ERROR as error:
        faults.add(0, f"container is broken: {error}")
    return content


def _read_block(buffer: bytes, start_ns: int, faults: Faults) -> tuple[Columns, bytes]:
    """Frames of the whole objects in `buffer`, and what is left for the next block."""
    at, end, gaps = _find_objects(buffer, _candidates(buffer, (0,)))
    if gaps:  # odd sizes move objects off the 4-byte grid; otherwise something is broken
        at, end, gaps = _find_objects(buffer, _candidates(buffer, range(4)))
    for gap in gaps:
        faults.add(0, f"{gap} bytes between two objects are no object")
    return read_frames(buffer, at, start_ns, faults), buffer[end:]


def _candidates(buffer: bytes, shifts: range | tuple[int, ...]) -> Ints:
    """Sorted places of the object signature that have a whole header after them."""
    places = []
    for shift in shifts:
        count = (len(buffer) - shift) // 4
        if count > 0:
            words = np.frombuffer(buffer, "<u4", count, shift)
            places.append(4 * np.flatnonzero(words == layout.SIGNATURE_NUMBER) + shift)
    found = np.concatenate([np.zeros(0, np.int64), *places])
    if len(places) > 1:
        found.sort()
    return found[: np.searchsorted(found, len(buffer) - _HEAD_BYTES, side="right")]


def _find_objects(buffer: bytes, places: Ints) -> tuple[Ints, int, list[int]]:
    """Starts of whole objects, where the last one ends, and bytes between them that are none."""
    if not len(places):
        return places, *_left_over(0, len(buffer), [])
    size = records(buffer, places, layout.HEAD)["size"].astype(np.int64)
    size[(size < _HEAD_BYTES) | (size > MAX_OBJECT_BYTES)] = layout.OBJECT_HEADER.size
    ends = places + size
    gap = np.append(places[1:], len(buffer)) - ends
    if (gap[:-1] >= 0).all() and (gap[:-1] < MAX_PADDING).all() and places[0] < MAX_PADDING:
        if gap[-1] < 0:
            return places[:-1], int(places[-1]), []
        return places, *_left_over(int(ends[-1]), len(buffer), [])
    return _follow(places, ends, len(buffer))


def _follow(places: Ints, ends: Ints, length: int) -> tuple[Ints, int, list[int]]:
    """The same where some candidates are not the successor of the one before."""
    following = np.searchsorted(places, ends)
    gap = np.append(places, length)[following] - ends
    odd = (following != np.arange(1, len(places) + 1)) | (gap >= MAX_PADDING)
    stops = np.append(np.flatnonzero(odd), len(places) - 1)
    gaps = [int(places[0])] if places[0] >= MAX_PADDING else []
    taken: list[Ints] = []
    first, end = 0, int(places[0])
    while first < len(places):
        last = int(stops[np.searchsorted(stops, first)])
        if ends[last] > length:  # goes on in the next block
            return np.concatenate([*taken, places[first:last]]), int(places[last]), gaps
        taken.append(places[first : last + 1])
        end, first = int(ends[last]), int(following[last])
        if first < len(places) and gap[last] >= MAX_PADDING:
            gaps.append(int(gap[last]))
    return np.concatenate(taken), *_left_over(end, length, gaps)


def _left_over(end: int, length: int, gaps: list[int]) -> tuple[int, list[int]]:
    """Bytes after the last object: too many of them are no beginning of the next one."""
    lost = length - end - (_HEAD_BYTES - 1)
    return (end + lost, [*gaps, lost]) if lost >= MAX_PADDING else (end, gaps)
