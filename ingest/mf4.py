"""ASAM MDF 4 bus logs (CANedge, Vector, python-can), read by asammdf: the extra `mf4`.

Source: ASAM MDF 4.x bus logging, channel groups CAN_DataFrame, CAN_RemoteFrame, CAN_ErrorFrame.

A file holds one channel group a bus or message; their rows are merged by time.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import tzinfo
from importlib.util import find_spec
from typing import IO, Any, cast

import numpy as np
from numpy.typing import NDArray

from ingest.columns import STANDARD_ID_MAX, Columns, Faults, join
from model.clock import NS, ns_of, utc
from model.errors import DecodeError
from model.frames import ERROR_FRAME, EXTENDED_ID, ID_MASK, REMOTE_FRAME, FrameFlag

#: Rows read from one group at a time.
BLOCK_ROWS = 20_000
#: Offsets up to this keep their ns in a float64.
EXACT_S = 1e6
HEADER_AT = 64  # after the identification block
LOCAL_TIME = 1  # hd_time_flags bit 0
_KINDS = {
    "CAN_DataFrame": np.uint32(0),
    "CAN_RemoteFrame": REMOTE_FRAME,
    "CAN_ErrorFrame": ERROR_FRAME,
}


class MissingExtraError(DecodeError):
    """The file needs a package that is not installed."""

    def __init__(self, extra: str) -> None:
        super().__init__(f"this format needs the extra: pip install 'roadcall[{extra}]'")


def read_mf4(stream: IO[bytes], faults: Faults, zone: tzinfo) -> Iterator[Columns]:
    """Rows of all groups in the order of time; `zone` for files that hold local time.

    `stream` is a checked copy: asammdf completes unfinished files by writing into them.
    Raises DecodeError for a file that is not MDF.
    """
    from asammdf import MDF

    try:
        mdf: Any = MDF(cast("Any", stream))
    except Exception as error:  # asammdf lets many kinds out
        raise DecodeError(f"not an MDF file: {str(error)[:80]}") from None
    try:
        start_ns = int(mdf.header.abs_time)
        if mdf.header.time_flags & LOCAL_TIME:
            start_ns = ns_of(utc(start_ns).replace(tzinfo=zone)) + start_ns % 1000
        yield from merge(
            [
                _read_group(mdf, number, name, start_ns, faults)
                for number, group in enumerate(mdf.groups)
                for name in _KINDS
                if any(channel.name == name for channel in group.channels)
            ]
        )
    finally:
        mdf.close()


def check(stream: IO[bytes]) -> None:
    """Raise MissingExtraError without asammdf, DecodeError for what it cannot begin with.

    asammdf reports that twice, the second time from a destructor.
    """
    if find_spec("asammdf") is None:
        raise MissingExtraError("mf4")
    stream.seek(0)
    start = stream.read(HEADER_AT + 4)
    stream.seek(0)
    if start[8:9] != b"4" or start[HEADER_AT:] != b"##HD":
        raise DecodeError("not an MDF 4 file")


def _read_group(
    mdf: Any, number: int, name: str, start_ns: int, faults: Faults
) -> Iterator[Columns]:
    """Blocks of one channel group."""
    count = int(mdf.groups[number].channel_group.cycles_nr)
    for first in range(0, count, BLOCK_ROWS):
        try:
            block = mdf.get(name, number, record_offset=first, record_count=BLOCK_ROWS)
            columns = _columns(block.timestamps, block.samples, name, start_ns)
        except Exception as error:  # asammdf lets many kinds out
            faults.add(0, f"{name} rows from {first} are broken: {str(error)[:80]}")
            return
        yield columns


def _columns(
    seconds: NDArray[np.float64], samples: NDArray[np.void], name: str, start_ns: int
) -> Columns:
    def field(part: str, default: int = 0) -> NDArray[Any]:
        names = samples.dtype.names or ()
        full = f"{name}.{part}"
        return samples[full] if full in names else np.full(len(samples), default, np.uint8)

    raw_id = field("ID").astype(np.uint32)
    by_value = (raw_id & EXTENDED_ID != 0) | (raw_id & ID_MASK > STANDARD_ID_MAX)
    has_ide = f"{name}.IDE" in (samples.dtype.names or ())
    extended = field("IDE") != 0 if has_ide else by_value
    can_id = raw_id & ID_MASK | np.where(extended, EXTENDED_ID, np.uint32(0)) | _KINDS[name]
    sent = field("Dir")
    sent = np.char.lower(sent.astype("S2")) == b"tx" if sent.dtype.kind in "SU" else sent != 0
    fd = field("EDL") != 0
    flags = fd * int(FrameFlag.FD) | sent * int(FrameFlag.TX)
    flags |= (fd & (field("BRS") != 0)) * int(FrameFlag.BRS)
    flags |= (fd & (field("ESI") != 0)) * int(FrameFlag.ESI)
    remote = name == "CAN_RemoteFrame"
    length = field("DLC" if remote else "DataLength").astype(np.uint8)
    length = np.minimum(length, np.where(fd, 64, 8)).astype(np.uint8)
    payload = np.zeros((len(samples), 64 if fd.any() else 8), np.uint8)
    given = field("DataBytes").reshape(len(samples), -1)[:, : payload.shape[1]]
    payload[:, : given.shape[1]] = given
    payload[np.arange(payload.shape[1]) >= (0 if remote else length[:, None])] = 0
    bus = np.maximum(field("BusChannel", 1).astype(np.int64) - 1, 0)
    return Columns(
        _times(seconds, start_ns),
        can_id.astype(np.uint32),
        bus.astype(np.uint8),
        flags.astype(np.uint8),
        length,
        payload,
    )


def _times(seconds: NDArray[np.float64], start_ns: int) -> NDArray[np.int64]:
    """Exact while the offset is short; a long one has lost its ns, so the sum is rounded to us."""
    times = start_ns + np.rint(seconds * NS).astype(np.int64)
    if len(seconds) and np.abs(seconds).max() > EXACT_S:
        times = (times + 500) // 1000 * 1000
    return times


def merge(groups: list[Iterator[Columns]]) -> Iterator[Columns]:
    """Rows of several time-ordered streams as one; holds one block of each."""
    heads = [(head, rest) for rest in groups if (head := next(rest, None)) is not None]
    while heads:
        until = min(int(head.observed_ns.max()) for head, _ in heads)
        ready = [head.rows_at(np.flatnonzero(head.observed_ns <= until)) for head, _ in heads]
        block = join(ready)
        yield block.rows_at(np.argsort(block.observed_ns, kind="stable"))
        left: list[tuple[Columns, Iterator[Columns]]] = []
        for head, rest in heads:
            later = head.rows_at(np.flatnonzero(head.observed_ns > until))
            following = later if len(later) else next(rest, None)
            if following is not None:
                left.append((following, rest))
        heads = left
