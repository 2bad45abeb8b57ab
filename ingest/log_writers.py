"""Batches to log files, in the format of the file's suffix.

Rows of one batch are written in the order of time, batches in the order given. ASC and BLF count
from a start of whole milliseconds: the first batch's first frame, unless the caller says another;
a frame before it is refused.
"""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from datetime import UTC, tzinfo
from pathlib import Path
from typing import BinaryIO, Protocol, cast

import zstandard

from ingest.asc_writer import AscWriter
from ingest.blf_writer import BlfWriter
from ingest.candump_writer import CandumpWriter
from model.errors import DecodeError
from model.frames import FrameBatch


class LogWriter(Protocol):
    """Writes one log to a stream that it does not close."""

    def write(self, batch: FrameBatch) -> None: ...

    def close(self) -> None: ...


class _Gzip(gzip.GzipFile):
    """Does not say that it can go back, which it cannot."""

    def seekable(self) -> bool:
        return False


_WRITERS: dict[str, Callable[[BinaryIO, int | None, tzinfo], LogWriter]] = {
    ".log": lambda stream, start_ns, zone: CandumpWriter(stream),
    ".asc": AscWriter,
    ".blf": BlfWriter,
}


def write_log(
    path: Path, batches: Iterable[FrameBatch], *, start_ns: int | None = None, zone: tzinfo = UTC
) -> int:
    """Write a log (.log is candump, .asc, .blf; .gz or .zst after it packs it); frames written.

    `zone` is the one ASC and BLF write their start in; `read_log` must be told the same.
    Raises DecodeError for another suffix, or a frame the format cannot hold.
    """
    suffixes = [suffix.lower() for suffix in path.suffixes]
    packing = suffixes.pop() if suffixes and suffixes[-1] in (".gz", ".zst") else ""
    kind = suffixes[-1] if suffixes else ""
    if kind not in _WRITERS:
        raise DecodeError(f"{path.name}: suffix is not one of {', '.join(_WRITERS)}")
    frames = 0
    with ExitStack() as stack:
        stream: BinaryIO = stack.enter_context(path.open("wb"))
        if packing == ".gz":
            stream = cast("BinaryIO", stack.enter_context(_Gzip(fileobj=stream, mode="wb")))
        elif packing == ".zst":
            stream = stack.enter_context(zstandard.ZstdCompressor().stream_writer(stream))
        writer = _WRITERS[kind](stream, start_ns, zone)
        for batch in batches:
            writer.write(batch)
            frames += len(batch)
        writer.close()
    return frames
