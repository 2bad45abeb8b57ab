"""A gateway that pushes batches over HTTP and never loses or doubles one.

Source: docs/gateway-protocol.md. A batch goes out under its id as Idempotency-Key until the other
side answers 202; after 408, 429, any 5xx or a lost connection it is sent again, byte for byte the
same. One vehicle's batches stay in order; different vehicles use different connections.
"""

from __future__ import annotations

import asyncio
import random
import zlib
from collections.abc import AsyncIterable, Callable
from dataclasses import dataclass, replace

import httpx

from model import wire
from model.errors import RoadcallError
from model.frames import FrameBatch
from simulators.journal import Journal

FRAMES_TYPE = "application/vnd.roadcall.frames"
#: Batches waiting per connection: enough to keep it busy, few enough to lose nothing by stopping.
QUEUED_BATCHES = 4
_TRY_AGAIN = frozenset({408, 425, 429})


class GatewayRefusedError(RoadcallError):
    """The other side will never take this batch (a 4xx answer)."""

    def __init__(self, *, status: int, batch_id: str, problem: str) -> None:
        super().__init__(f"batch refused with status {status}: {problem}")
        self.status, self.batch_id, self.problem = status, batch_id, problem


class GatewayGaveUpError(RoadcallError):
    """The other side did not take a batch within the allowed attempts."""

    def __init__(self, *, attempts: int, last: str) -> None:
        super().__init__(f"not acknowledged after {attempts} attempts: {last}")
        self.attempts, self.last = attempts, last


@dataclass(frozen=True, slots=True)
class Retry:
    """Exponential back-off with jitter; a Retry-After answer is a lower bound up to `longest_s`."""

    attempts: int = 60
    first_s: float = 0.2
    longest_s: float = 5.0
    timeout_s: float = 30.0

    def wait_s(self, attempt: int, retry_after: str) -> float:
        """Seconds to wait after failed attempt number `attempt` (from 0)."""
        asked = float(retry_after) if retry_after.isdigit() else 0.0
        grown = self.first_s * 2.0 ** min(attempt, 16) * random.uniform(0.5, 1.0)  # noqa: S311
        return min(max(grown, asked), self.longest_s)


@dataclass(frozen=True, slots=True)
class Totals:
    """What a gateway has done so far. `skipped` were acknowledged in an earlier run."""

    batches: int = 0
    frames: int = 0
    skipped_batches: int = 0
    skipped_frames: int = 0
    retries: int = 0


Progress = Callable[[Totals], None]


class Gateway:
    """Pushes to one address. `send` may be called many times; totals add up."""

    def __init__(
        self,
        to: str,
        token: str,
        *,
        connections: int = 4,
        journal: Journal | None = None,
        retry: Retry | None = None,
        progress: Progress | None = None,
    ) -> None:
        self.to, self.connections = to.rstrip("/"), connections
        self.totals = Totals()
        self._headers = {
            "Authorization": f"Bearer {token}",
            "Content-Type": FRAMES_TYPE,
            "Content-Encoding": "zstd",
        }
        self._journal, self._retry, self._progress = journal, retry or Retry(), progress

    async def send(self, batches: AsyncIterable[FrameBatch]) -> Totals:
        """Push all batches; return when each is acknowledged.

        Raises GatewayRefusedError or GatewayGaveUpError; what was acknowledged is in the journal.
        """
        limits = httpx.Limits(max_connections=self.connections)
        async with httpx.AsyncClient(limits=limits, timeout=self._retry.timeout_s) as client:
            queues: list[asyncio.Queue[FrameBatch | None]] = [
                asyncio.Queue(QUEUED_BATCHES) for _ in range(self.connections)
            ]
            try:
                async with asyncio.TaskGroup() as group:
                    for queue in queues:
                        group.create_task(self._drain(client, queue))
                    async for batch in batches:
                        if not self.skip(batch):
                            lane = zlib.crc32(batch.vin.encode()) % len(queues)
                            await queues[lane].put(batch)
                    for queue in queues:
                        await queue.put(None)
            except ExceptionGroup as group_error:
                raise group_error.exceptions[0] from None
        return self.totals

    def skip(self, batch: FrameBatch) -> bool:
        """Whether an earlier run had the batch acknowledged; counts it when so."""
        if self._journal is None or _journal_key(batch) not in self._journal:
            return False
        self._count(skipped_batches=1, skipped_frames=len(batch))
        return True

    async def _drain(
        self, client: httpx.AsyncClient, queue: asyncio.Queue[FrameBatch | None]
    ) -> None:
        while (batch := await queue.get()) is not None:
            await self._push(client, batch)
            if self._journal is not None:
                self._journal.acknowledge(_journal_key(batch), len(batch))
            self._count(batches=1, frames=len(batch))

    async def _push(self, client: httpx.AsyncClient, batch: FrameBatch) -> None:
        url = f"{self.to}/v1/vehicles/{batch.vin}/frames"
        headers = self._headers | {"Idempotency-Key": batch.batch_id}
        content, last = wire.pack(batch), ""
        for attempt in range(self._retry.attempts):
            retry_after = ""
            try:
                answer = await client.post(url, content=content, headers=headers)
            except httpx.TransportError as error:
                last = type(error).__name__
            else:
                if answer.status_code == httpx.codes.ACCEPTED:
                    return
                last = f"status {answer.status_code}"
                if answer.status_code < 500 and answer.status_code not in _TRY_AGAIN:
                    raise GatewayRefusedError(
                        status=answer.status_code,
                        batch_id=batch.batch_id,
                        problem=answer.text[:500],
                    )
                retry_after = answer.headers.get("retry-after", "")
            self._count(retries=1)
            await asyncio.sleep(self._retry.wait_s(attempt, retry_after))
        raise GatewayGaveUpError(attempts=self._retry.attempts, last=last)

    def _count(self, **more: int) -> None:
        self.totals = replace(
            self.totals, **{name: getattr(self.totals, name) + n for name, n in more.items()}
        )
        if self._progress is not None:
            self._progress(self.totals)


def _journal_key(batch: FrameBatch) -> str:
    return f"{batch.vin} {batch.batch_id}"
