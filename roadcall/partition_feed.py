"""Between a log and a processor: what to apply next, and what to do when that fails.

Knows no Kafka. The ledger says where to begin; from there on positions must follow each other.
The processor runs in one thread of its own, so it needs no locks and may wait for the database.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

import structlog

from model.errors import RoadcallError, StaleOwnerError, StoreUnavailableError
from model.log import StoredRecord
from roadcall.processor import Processor

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.1, 5.0

P = ParamSpec("P")
T = TypeVar("T")

log = structlog.get_logger()


class LogHoleError(RoadcallError):
    """Records between two positions were not delivered although the log may have them."""

    def __init__(self, *, partition: int, expected: int, got: int) -> None:
        super().__init__(f"partition {partition}: expected position {expected}, got {got}")
        self.partition, self.expected, self.got = partition, expected, got


class PartitionFeed:
    """Feeds one processor. All methods belong to one event loop.

    `oldest` asks the log for the oldest position it still has of a partition. `next_position` and
    `moved_at` (monotonic seconds of the last progress) are for reading only.
    """

    def __init__(self, processor: Processor, oldest: Callable[[int], Awaitable[int]]) -> None:
        self._processor, self._oldest = processor, oldest
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="processor")
        self._turn = asyncio.Lock()
        self._assignments = 0
        self._untouched: set[int] = set()
        self.next_position: dict[int, int] = {}
        self.moved_at: dict[int, float] = {}

    async def assign(self, partitions: Collection[int]) -> dict[int, int]:
        """Own exactly these partitions; returns where to read on. Waits for the database."""
        pause_s = FIRST_PAUSE_S
        while True:
            try:
                async with self._turn:
                    return await self._assign(partitions)
            except StoreUnavailableError as error:
                log.warning("feed.store_unavailable", reason=str(error))
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    async def apply(
        self, records: Iterable[StoredRecord], given_up: Callable[[], bool] = lambda: False
    ) -> bool:
        """Return True once the records are committed, by us or by another owner before us.

        Retries while the database is away; False when `given_up` says that the partitions are
        being taken from us. Raises LogHoleError after committing what stands before the hole.
        """
        wanted = list(records)
        pause_s = FIRST_PAUSE_S
        while not given_up():
            async with self._turn:
                todo, hole = await self._due(wanted)
                if not todo or await self._applied(todo):
                    if hole is not None:
                        raise hole
                    return True
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
        return False

    async def _applied(self, todo: Mapping[int, Sequence[StoredRecord]]) -> bool:
        """Whether the processor has committed them."""
        try:
            await self._call(self._processor.apply, todo)
        except StaleOwnerError as error:
            log.warning("feed.other_owner", partition=error.partition)
            await self._assign_again()
            return False
        except StoreUnavailableError as error:
            log.warning("feed.store_unavailable", reason=str(error))
            return False
        for partition, of_one in todo.items():
            self._move(partition, of_one[-1].position + 1)
        return True

    async def tick(self, now_ns: int) -> None:
        """The processor's wall-clock duties; a failure is made good by a later tick."""
        async with self._turn:
            if not self.next_position:
                return
            try:
                await self._call(self._processor.tick, now_ns)
            except StaleOwnerError as error:
                log.warning("feed.other_owner", partition=error.partition)
                await self._assign_again()
            except StoreUnavailableError as error:
                log.warning("feed.store_unavailable", reason=str(error))

    def seen_idle(self, partition: int) -> None:
        """The log has nothing for this partition: standing still is no stall."""
        self.moved_at[partition] = time.monotonic()

    def close(self) -> None:
        """Let the processor's thread end."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def _assign(self, partitions: Collection[int]) -> dict[int, int]:
        lost = self.next_position.keys() - set(partitions)
        if lost:
            await self._call(self._processor.revoked, sorted(lost))
        for partition in lost:
            del self.next_position[partition], self.moved_at[partition]
        if not partitions:
            return {}
        positions = await self._call(self._processor.assigned, sorted(partitions))
        for partition, position in positions.items():
            self._move(partition, position)
        self._assignments += 1
        self._untouched = set(partitions) if self._assignments == 1 else set()
        return positions

    async def _assign_again(self) -> None:
        try:
            await self._assign(list(self.next_position))
        except StoreUnavailableError as error:
            log.warning("feed.store_unavailable", reason=str(error))

    async def _due(
        self, records: Iterable[StoredRecord]
    ) -> tuple[dict[int, list[StoredRecord]], LogHoleError | None]:
        """By partition, what the ledger has not seen, up to the first hole."""
        due: dict[int, list[StoredRecord]] = {}
        for record in records:
            partition, got = record.partition, record.position
            begin = self.next_position.get(partition)
            if begin is None or got < begin:
                continue
            of_one = due.get(partition)
            expected = of_one[-1].position + 1 if of_one else begin
            if got != expected and not await self._accepts_hole(partition, expected, got):
                return due, LogHoleError(partition=partition, expected=expected, got=got)
            due.setdefault(partition, []).append(record)
            self._untouched.discard(partition)
        return due, None

    async def _accepts_hole(self, partition: int, expected: int, got: int) -> bool:
        """Whether the hole is in the log itself: retention has deleted what was there, or the
        first record of a fresh process does not stand where the ledger points (markers of a
        stranger's transactions). Any other may be a delivery we missed: begin again."""
        if partition in self._untouched:
            self._move(partition, got)
        elif await self._oldest(partition) < got:
            return False
        log.error("feed.records_missing", partition=partition, expected=expected, got=got)
        return True

    def _move(self, partition: int, position: int) -> None:
        if self.next_position.get(partition) != position:
            self.moved_at[partition] = time.monotonic()
        self.next_position[partition] = position

    async def _call(self, step: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, lambda: step(*arguments, **named))
