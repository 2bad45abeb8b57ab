"""A load generator that costs little: uploads are made before the clock starts, bytes and all."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from model import wire
from model.frames import FrameBatch


@dataclass(frozen=True, slots=True)
class Shot:
    """One upload, ready for the socket."""

    vin: str
    frames: int
    request: bytes


def load(batch: FrameBatch, token: str) -> Shot:
    """The whole HTTP request of one batch."""
    body = wire.pack(batch)
    head = (
        f"POST /v1/vehicles/{batch.vin}/frames HTTP/1.1\r\nHost: localhost\r\n"
        f"Authorization: Bearer {token}\r\nContent-Type: application/vnd.roadcall.frames\r\n"
        f"Content-Encoding: zstd\r\nIdempotency-Key: {batch.batch_id}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return Shot(batch.vin, len(batch), head.encode() + body)


async def fire(
    port: int, shots: Sequence[Shot], connections: int, per_s: float | None = None
) -> list[tuple[float, float]]:
    """Send all, each vehicle's in order; (sent, answered) on time.time's axis, per shot.

    `per_s` spaces the uploads evenly; None sends as fast as answers come.
    """
    times = [(0.0, 0.0)] * len(shots)
    started = time.time()

    def due(number: int) -> float:
        return 0.0 if per_s is None else started + number / per_s

    async def lane(numbers: Iterator[int]) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for number in numbers:
            await asyncio.sleep(max(0.0, due(number) - time.time()))
            sent = time.time()
            writer.write(shots[number].request)
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            answer = await reader.readexactly(length)
            if not head.startswith(b"HTTP/1.1 202"):
                raise RuntimeError(f"{head!r} {answer!r}")
            times[number] = (sent, time.time())
        writer.close()

    lanes: list[list[int]] = [[] for _ in range(connections)]
    of_vin: dict[str, int] = {}
    for number, shot in enumerate(shots):
        lanes[of_vin.setdefault(shot.vin, len(of_vin) % connections)].append(number)
    await asyncio.gather(*(lane(iter(numbers)) for numbers in lanes))
    return times
