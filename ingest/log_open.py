"""Open a log file whatever wraps it, and tell its format."""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, Protocol, cast

import zstandard

from ingest.columns import Faults
from model.errors import DecodeError

_GZIP, _ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
_LOOK_BYTES = 4096
BUFFER_BYTES = 1 << 16
#: The path that stands for standard input.
STDIN = Path("-")
#: Compressed bytes inflated at a time: small, because little can become much.
_PACKED_BYTES = 1 << 13
#: How a file begins, after blank lines; lower case.
_BEGINNINGS = (
    (b"logg", "blf"),
    (b"mdf     ", "mf4"),
    (b"unfinmf ", "mf4"),
    (b"(", "candump"),
    (b"time stamp,", "gvret"),
    (b"timestamp,arbitration_id", "can_csv"),
    (b";$fileversion", "trc"),
    (b";", "trc"),
    (b"{", "ndjson"),
    (b"date ", "asc"),
    (b"base hex", "asc"),
    (b"base dec", "asc"),
)
_SUFFIXES = {
    ".log": "candump",
    ".candump": "candump",
    ".asc": "asc",
    ".blf": "blf",
    ".trc": "trc",
    ".csv": "can_csv",
    ".mf4": "mf4",
    ".ndjson": "ndjson",
    ".jsonl": "ndjson",
}


class UnknownLogError(DecodeError):
    """Neither the content nor the suffix says what the file is."""

    def __init__(self, name: str) -> None:
        super().__init__(f"{name}: neither content nor suffix is a known log format")


class _Inflater(Protocol):
    """What zlib and zstandard agree on."""

    @property
    def eof(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, /) -> bytes: ...


class Inflated(io.RawIOBase):
    """The uncompressed bytes of a file of gzip members or zstd frames.

    A file cut short, as by a logger that lost power, ends early with a fault.
    """

    def __init__(self, raw: BinaryIO, start: Callable[[], _Inflater], faults: Faults) -> None:
        self._raw, self._start, self._faults = raw, start, faults
        self._inflater = start()
        self._plain = memoryview(b"")
        self._ended = False

    def readable(self) -> bool:
        return True

    def readinto(self, target: Any) -> int:
        while not self._plain and not self._ended:
            self._plain = memoryview(self._more())
        size = min(len(target), len(self._plain))
        target[:size] = self._plain[:size]
        self._plain = self._plain[size:]
        return size

    def _more(self) -> bytes:
        packed = b""
        if self._inflater.eof:
            packed = self._inflater.unused_data
            self._inflater = self._start()
            packed = packed or self._raw.read(_PACKED_BYTES)
            if not packed:
                self._ended = True
                return b""
        packed = packed or self._raw.read(_PACKED_BYTES)
        try:
            if packed:
                return self._inflater.decompress(packed)
            self._faults.add(0, "compressed file is cut short")
        except (zlib.error, zstandard.ZstdError) as error:
            self._faults.add(0, f"compressed file is broken, the rest is not read: {error}")
        self._ended = True
        return b""


def opened(path: Path) -> BinaryIO:
    """The file, or standard input where the path is `STDIN`."""
    return _buffered(io.FileIO(0, closefd=False)) if path == STDIN else path.open("rb")


def unpacked(raw: BinaryIO, faults: Faults) -> BinaryIO:
    """The uncompressed bytes of a file as a stream that can peek; `raw` may be it."""
    start = cast("io.BufferedReader", raw).peek(4)[:4]
    if start[:2] == _GZIP:
        return _buffered(Inflated(raw, lambda: zlib.decompressobj(wbits=31), faults))
    if start == _ZSTD:
        unpack = zstandard.ZstdDecompressor()
        start_frame = cast("Callable[[], _Inflater]", unpack.decompressobj)
        return _buffered(Inflated(raw, start_frame, faults))
    return raw


def _buffered(stream: io.RawIOBase) -> BinaryIO:
    return io.BufferedReader(stream, BUFFER_BYTES)


def detect(stream: BinaryIO, path: Path) -> str:
    """The format's name. Raises UnknownLogError."""
    start = cast("io.BufferedReader", stream).peek(_LOOK_BYTES)[:_LOOK_BYTES]
    start = start.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    for beginning, name in _BEGINNINGS:
        if start.startswith(beginning):
            return name
    suffixes = [s.lower() for s in path.suffixes if s.lower() not in {".gz", ".zst"}]
    if suffixes and suffixes[-1] in _SUFFIXES:
        return _SUFFIXES[suffixes[-1]]
    raise UnknownLogError(path.name)
