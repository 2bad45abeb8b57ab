"""One upload of one vehicle as NumPy columns.

Rows are kept in two sections, classic first, then CAN FD: padding classic payloads to 64 bytes
halves decode speed (measured; see docs/adr/0002-column-batches.md).

    column       dtype           unit
    observed_ns  int64[n]        ns since 1970-01-01 UTC, the vehicle's clock
    can_id       uint32[n]       bit 31 = 29-bit identifier, 30 = remote frame, 29 = error frame
    bus          uint8[n]        the gateway's bus number
    flags        uint8[n]        FrameFlag bits
    length       uint8[n]        payload bytes, 0-8 classic, 0-64 FD
    payload8     uint8[n8, 8]    rows 0 .. n8-1
    payload64    uint8[n64, 64]  rows n8 .. n8+n64-1
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import IntFlag

import numpy as np
from numpy.typing import NDArray

EXTENDED_ID = np.uint32(0x8000_0000)
REMOTE_FRAME = np.uint32(0x4000_0000)
ERROR_FRAME = np.uint32(0x2000_0000)
ID_MASK = np.uint32(0x1FFF_FFFF)


#: A clock is told to be wrong by no more than this, s (9 h).
MAX_CLOCK_OFFSET_S = 32_767


class FrameFlag(IntFlag):
    """Bits of the `flags` column."""

    FD = 1
    BRS = 2
    ESI = 4
    TX = 8


@dataclass(frozen=True, slots=True, eq=False)
class FrameBatch:
    """Column batch; arrays are read-only by convention and may be views of the received bytes."""

    vin: str
    gateway_id: str
    batch_id: str
    received_ns: int
    protocol: str
    observed_ns: NDArray[np.int64]
    can_id: NDArray[np.uint32]
    bus: NDArray[np.uint8]
    flags: NDArray[np.uint8]
    length: NDArray[np.uint8]
    payload8: NDArray[np.uint8]
    payload64: NDArray[np.uint8]
    #: How far the gateway's clock is ahead of ours, whole seconds; None = nobody said.
    clock_offset_s: int | None = None

    def __len__(self) -> int:
        return len(self.can_id)

    @property
    def n8(self) -> int:
        """Rows of the classic section."""
        return len(self.payload8)

    def payload(self, row: int) -> bytes:
        """Payload bytes of one row; for the few frames of transport protocols and for tests."""
        classic = row < self.n8
        source = self.payload8[row] if classic else self.payload64[row - self.n8]
        return bytes(source[: int(self.length[row])].tobytes())

    def take(self, rows: NDArray[np.intp]) -> FrameBatch:
        """The given rows, in the given order within each section."""
        classic, fd = rows[rows < self.n8], rows[rows >= self.n8]
        order = np.concatenate([classic, fd])
        return replace(
            self,
            observed_ns=self.observed_ns[order],
            can_id=self.can_id[order],
            bus=self.bus[order],
            flags=self.flags[order],
            length=self.length[order],
            payload8=self.payload8[classic],
            payload64=self.payload64[fd - self.n8],
        )

    def since(self, start_ns: int) -> FrameBatch:
        """Rows observed at or after `start_ns`."""
        return self.take(np.flatnonzero(self.observed_ns >= start_ns))


def frame_batch(
    *,
    vin: str = "",
    gateway_id: str = "",
    batch_id: str = "",
    received_ns: int = 0,
    protocol: str = "can",
    observed_ns: NDArray[np.int64],
    can_id: NDArray[np.uint32],
    length: NDArray[np.uint8],
    payload8: NDArray[np.uint8],
    payload64: NDArray[np.uint8] | None = None,
    bus: NDArray[np.uint8] | None = None,
    flags: NDArray[np.uint8] | None = None,
) -> FrameBatch:
    """Build a batch whose rows already are classic first, FD after; checks shapes and dtypes."""
    n = len(can_id)
    fd = np.zeros((0, 64), np.uint8) if payload64 is None else payload64
    batch = FrameBatch(
        vin=vin,
        gateway_id=gateway_id,
        batch_id=batch_id,
        received_ns=received_ns,
        protocol=protocol,
        observed_ns=np.ascontiguousarray(observed_ns, np.int64),
        can_id=np.ascontiguousarray(can_id, np.uint32),
        bus=np.zeros(n, np.uint8) if bus is None else np.ascontiguousarray(bus, np.uint8),
        flags=np.zeros(n, np.uint8) if flags is None else np.ascontiguousarray(flags, np.uint8),
        length=np.ascontiguousarray(length, np.uint8),
        payload8=np.ascontiguousarray(payload8, np.uint8).reshape(-1, 8),
        payload64=np.ascontiguousarray(fd, np.uint8).reshape(-1, 64),
    )
    assert len(batch.payload8) + len(batch.payload64) == n
    assert len(batch.observed_ns) == len(batch.bus) == len(batch.flags) == len(batch.length) == n
    return batch


def concatenate(batches: list[FrameBatch]) -> FrameBatch:
    """Join batches of one vehicle; identity (vin, ids) is the first batch's, its clock nobody's."""
    classic = [slice(0, b.n8) for b in batches]
    fd = [slice(b.n8, len(b)) for b in batches]

    def join(column: str) -> NDArray[np.generic]:
        parts = [getattr(b, column)[s] for b, s in zip(batches, classic, strict=True)]
        parts += [getattr(b, column)[s] for b, s in zip(batches, fd, strict=True)]
        joined: NDArray[np.generic] = np.concatenate(parts)
        return joined

    columns = {c: join(c) for c in ("observed_ns", "can_id", "bus", "flags", "length")}
    return replace(
        batches[0],
        **columns,  # type: ignore[arg-type]
        clock_offset_s=None,
        payload8=np.concatenate([b.payload8 for b in batches]),
        payload64=np.concatenate([b.payload64 for b in batches]),
    )
