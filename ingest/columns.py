"""What every reader of text or log files fills: columns in line order, and what was wrong."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from model.errors import DecodeError
from model.frames import ERROR_FRAME, EXTENDED_ID, ID_MASK, FrameBatch, FrameFlag, frame_batch

#: Faults kept in full; the rest are only counted.
MAX_FAULTS = 100
STANDARD_ID_MAX = 0x7FF
_TRAILING_NUMBER = re.compile(r"(\d{1,3})$")
# As plain integers, which single rows are read several times as fast with.
_FD, _ID_MASK, _NOT_STANDARD = int(FrameFlag.FD), int(ID_MASK), int(EXTENDED_ID | ERROR_FRAME)
_NAMES = ("observed_ns", "can_id", "bus", "flags", "length")


@dataclass(frozen=True, slots=True)
class LogFault:
    """One broken line. `line` counts from 1; 0 where the format has no lines."""

    line: int
    reason: str


class LogFaultError(DecodeError):
    """A broken line, in strict reading."""

    def __init__(self, fault: LogFault) -> None:
        super().__init__(f"line {fault.line}: {fault.reason}")
        self.fault = fault


@dataclass(slots=True)
class Faults:
    """Broken lines: the first `MAX_FAULTS` in full, all of them counted."""

    strict: bool = False
    total: int = 0
    first: list[LogFault] = field(default_factory=list)

    def add(self, line: int, reason: str) -> None:
        """Note one broken line. Raises LogFaultError when strict."""
        fault = LogFault(line, reason)
        if self.strict:
            raise LogFaultError(fault)
        self.total += 1
        if len(self.first) < MAX_FAULTS:
            self.first.append(fault)


class BusNumbers:
    """Interface names to bus numbers: the trailing number, else the lowest number still free."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def number(self, name: str) -> int:
        """The bus number of a name; the same for as long as this object lives."""
        if name not in self._numbers:
            self._numbers[name] = self._choose(name)
        return self._numbers[name]

    def _choose(self, name: str) -> int:
        match = _TRAILING_NUMBER.search(name)
        if match and int(match[1]) < 256:
            return int(match[1])
        taken = set(self._numbers.values())
        return next((n for n in range(256) if n not in taken), 255)


@dataclass(slots=True, eq=False)
class Columns:
    """Frames in line order. `payload` is 8 wide, or 64 wide where any row is CAN FD."""

    observed_ns: NDArray[np.int64]
    can_id: NDArray[np.uint32]
    bus: NDArray[np.uint8]
    flags: NDArray[np.uint8]
    length: NDArray[np.uint8]
    payload: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.can_id)

    def rows(self, start: int, stop: int) -> Columns:
        """A view of some rows."""
        return Columns(*(getattr(self, n)[start:stop] for n in (*_NAMES, "payload")))

    def rows_at(self, order: NDArray[np.intp]) -> Columns:
        """The given rows in the given order."""
        return Columns(*(getattr(self, n)[order] for n in (*_NAMES, "payload")))

    def batch(self, vin: str = "") -> FrameBatch:
        """As a batch: classic rows first, FD rows after, line order within each."""
        fd = (self.flags & FrameFlag.FD) != 0
        order = np.argsort(fd, kind="stable") if fd.any() else slice(None)
        n8 = len(fd) - int(np.count_nonzero(fd))
        payload = self.payload[order]
        return frame_batch(
            vin=vin,
            observed_ns=self.observed_ns[order],
            can_id=self.can_id[order],
            bus=self.bus[order],
            flags=self.flags[order],
            length=self.length[order],
            payload8=payload[:n8, :8],
            payload64=payload[n8:] if n8 < len(fd) else None,
        )


def join(parts: list[Columns]) -> Columns:
    """Rows of all parts, one after the other."""
    named = {n: np.concatenate([getattr(p, n) for p in parts]) for n in _NAMES}
    widths = {p.payload.shape[1] for p in parts}
    if len(widths) == 1:
        return Columns(**named, payload=np.concatenate([p.payload for p in parts]))
    payload = np.zeros((len(named["can_id"]), max(widths)), np.uint8)
    row = 0
    for part in parts:
        payload[row : row + len(part), : part.payload.shape[1]] = part.payload
        row += len(part)
    return Columns(**named, payload=payload)


def in_order(parts: list[Columns], places: list[NDArray[np.intp]], lines: int) -> Columns:
    """Rows of all parts in the order of the lines they stood on, each below `lines`."""
    used = np.zeros(lines, np.bool_)
    for place in places:
        used[place] = True
    rank = np.cumsum(used) - 1
    n = int(np.count_nonzero(used))
    width = max(p.payload.shape[1] for p in parts)
    empty = {name: np.empty(n, getattr(parts[0], name).dtype) for name in _NAMES}
    whole = Columns(**empty, payload=np.zeros((n, width), np.uint8))
    for part, place in zip(parts, places, strict=True):
        target = rank[place]
        for name in _NAMES:
            getattr(whole, name)[target] = getattr(part, name)
        whole.payload[target, : part.payload.shape[1]] = part.payload
    return whole


def rebatch(parts: Iterable[Columns], vin: str, batch_frames: int) -> Iterator[FrameBatch]:
    """Batches of exactly `batch_frames` rows, the last one shorter."""
    held: list[Columns] = []
    count = 0
    for part in parts:
        if not len(part):
            continue
        held.append(part)
        count += len(part)
        if count < batch_frames:
            continue
        whole = join(held) if len(held) > 1 else part
        full = count - count % batch_frames
        for start in range(0, full, batch_frames):
            yield whole.rows(start, start + batch_frames).batch(vin)
        held, count = ([whole.rows(full, count)], count - full) if count > full else ([], 0)
    if count:
        yield join(held).batch(vin)


class RowBuffer:
    """Rows one at a time, for lines that no vector code reads."""

    def __init__(self) -> None:
        self._rows: list[tuple[int, int, int, int, int]] = []
        self._payload: list[bytes] = []

    def __len__(self) -> int:
        return len(self._rows)

    def add(
        self,
        observed_ns: int,
        can_id: int,
        payload: bytes,
        *,
        bus: int = 0,
        flags: int = 0,
        length: int = -1,
    ) -> None:
        """One frame; `length` only where it is not the payload's (remote frames).

        Raises DecodeError for a frame that no bus can carry.
        """
        size = len(payload) if length < 0 else length
        limit = 64 if flags & _FD else 8
        if size > limit:
            raise DecodeError(f"length {size} exceeds {limit} bytes")
        if not can_id & _NOT_STANDARD and can_id & _ID_MASK > STANDARD_ID_MAX:
            raise DecodeError(f"id {can_id & _ID_MASK:#x} exceeds 11 bits")
        if not -(2**63) <= observed_ns < 2**63:
            raise DecodeError("time is outside the years 1677 to 2262")
        if not 0 <= bus < 256:
            raise DecodeError(f"bus {bus} is not 0 to 255")
        self._rows.append((observed_ns, can_id, bus, flags, size))
        self._payload.append(payload)

    def columns(self) -> Columns:
        """What was added, as columns."""
        width = 64 if any(row[3] & _FD for row in self._rows) else 8
        times, ids, buses, flags, lengths = (
            zip(*self._rows, strict=True) if self._rows else [()] * 5
        )
        padded = b"".join(p.ljust(width, b"\0") for p in self._payload)
        return Columns(
            np.array(times, np.int64),
            np.array(ids, np.uint32),
            np.array(buses, np.uint8),
            np.array(flags, np.uint8),
            np.array(lengths, np.uint8),
            np.frombuffer(padded, np.uint8).reshape(-1, width),
        )
