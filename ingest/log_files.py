"""Log files to batches: one reader a format, memory bounded in the file's length.

Formats are told by content first, then by suffix; each may be inside gzip or zstd.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, tzinfo
from pathlib import Path
from typing import BinaryIO, Protocol

from ingest import candump, ndjson
from ingest.asc import AscReader
from ingest.blf import read_blf
from ingest.can_csv import CanCsvReader
from ingest.columns import BusNumbers, Columns, Faults, rebatch
from ingest.gvret import GvretReader
from ingest.log_open import detect, opened, unpacked
from ingest.mf4_apart import read_mf4
from ingest.trc import TrcReader
from model.frames import FrameBatch

#: Text is read in blocks of about this size.
BLOCK_BYTES = 1 << 20
#: A line that does not end within this many bytes is given to its reader as it is: a fault.
MAX_LINE_BYTES = 4 * BLOCK_BYTES
DEFAULT_BATCH_FRAMES = 5_000
Reader = Callable[[BinaryIO, Faults, tzinfo], Iterator[Columns]]


def read_log(
    path: Path,
    *,
    vin: str = "",
    batch_frames: int = DEFAULT_BATCH_FRAMES,
    faults: Faults | None = None,
    strict: bool = False,
    zone: tzinfo = UTC,
    seen: Callable[[int], None] = lambda size: None,
) -> Iterator[FrameBatch]:
    """Batches of `batch_frames` rows in file order, the last one shorter; `-` is standard input.

    The same file gives the same batches, so that a sender may resume by counting. Broken lines go
    to `faults`; `strict` raises LogFaultError at the first. `zone` is the logger's time zone, for
    formats that write local time (.asc, .blf, .trc). Raises DecodeError for an unknown format.
    `seen` is told before each batch how much of the file has been read (not of a pipe).
    """
    faults = Faults(strict=strict) if faults is None else faults
    faults.strict = faults.strict or strict
    with opened(path) as raw:
        stream = unpacked(raw, faults)
        columns = _READERS[detect(stream, path)](stream, faults, zone)
        for batch in rebatch(columns, vin, batch_frames):
            if raw.seekable():
                seen(raw.tell())
            yield batch


def blocks(stream: BinaryIO) -> Iterator[tuple[bytes, int]]:
    """Whole lines in blocks of about 1 MB, each with the number of its first line."""
    line, tail = 1, b""
    while block := stream.read(BLOCK_BYTES):
        cut = block.rfind(b"\n") + 1
        if not cut and len(tail) < MAX_LINE_BYTES:
            tail += block
            continue
        text, tail = tail + block[:cut], block[cut:]
        yield text, line
        line += text.count(b"\n")
    if tail:
        yield tail, line


def _read_candump(stream: BinaryIO, faults: Faults, zone: tzinfo) -> Iterator[Columns]:
    buses = BusNumbers()
    for text, line in blocks(stream):
        yield candump.parse(text, first_line=line, faults=faults, buses=buses)[0]


def _read_ndjson(stream: BinaryIO, faults: Faults, zone: tzinfo) -> Iterator[Columns]:
    for text, line in blocks(stream):
        yield ndjson.parse(text, first_line=line, faults=faults)[0]


class _BlockReader(Protocol):
    def read(self, text: bytes, first_line: int) -> Columns: ...


def _by_lines(make: Callable[[Faults, tzinfo], _BlockReader]) -> Reader:
    """A reader of a file of lines, made anew for each file."""

    def read(stream: BinaryIO, faults: Faults, zone: tzinfo) -> Iterator[Columns]:
        reader = make(faults, zone)
        for text, line in blocks(stream):
            yield reader.read(text, line)

    return read


_READERS: dict[str, Reader] = {
    "candump": _read_candump,
    "ndjson": _read_ndjson,
    "gvret": _by_lines(lambda faults, zone: GvretReader(faults)),
    "asc": _by_lines(AscReader),
    "blf": read_blf,
    "trc": _by_lines(TrcReader),
    "can_csv": _by_lines(lambda faults, zone: CanCsvReader(faults)),
    "mf4": read_mf4,
}
