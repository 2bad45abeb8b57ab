"""The embedded mode's log: uploads are committed to PostgreSQL, many in one transaction.

While one transaction is on its way to disk the next group gathers, so the wait of one commit is
shared by all uploads that arrived during it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from model.errors import LogFullError, LogUnavailableError, StoreUnavailableError
from model.log import LogRecord
from store import inbox
from store.database import Pool, answers, transaction

#: Bytes of uploads that may wait for their commit; beyond it gateways get 429.
MAX_WAITING_BYTES = 64_000_000
#: Bytes one transaction takes at most.
MAX_GROUP_BYTES = 8_000_000


class InboxLog:
    """`model.log.FrameLog` on the table `frame_inbox`."""

    def __init__(
        self,
        pool: Pool,
        partitions: int,
        on_append: Callable[[], None] = lambda: None,
    ) -> None:
        self._pool, self._partitions, self._on_append = pool, partitions, on_append
        self._waiting: list[tuple[list[LogRecord], asyncio.Future[None]]] = []
        self._waiting_bytes = 0
        self._committer: asyncio.Task[None] | None = None

    async def append(self, records: list[LogRecord]) -> None:
        """Return when the group that holds these records is committed."""
        size = sum(len(r.value) for r in records)
        if self._waiting_bytes + size > MAX_WAITING_BYTES:
            raise LogFullError("too many bytes wait for the inbox")
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((records, done))
        self._waiting_bytes += size
        try:
            if self._committer is None or self._committer.done():
                self._committer = asyncio.create_task(self._commit_groups())
            await done
        finally:
            self._waiting_bytes -= size

    async def ready(self) -> bool:
        """Whether the inbox answers."""
        return await asyncio.to_thread(answers, self._pool)

    async def _commit_groups(self) -> None:
        while self._waiting:
            group = self._next_group()
            records = [r for batch, _ in group for r in batch]
            try:
                await asyncio.to_thread(self._write, records)
            except StoreUnavailableError as error:
                self._settle(group, LogUnavailableError(str(error)))
            except BaseException as error:
                self._settle(group, error)
                raise
            else:
                self._settle(group, None)
                self._on_append()

    def _next_group(self) -> list[tuple[list[LogRecord], asyncio.Future[None]]]:
        size = taken = 0
        for records, _ in self._waiting:
            size += sum(len(r.value) for r in records)
            taken += 1
            if size >= MAX_GROUP_BYTES:
                break
        group, self._waiting = self._waiting[:taken], self._waiting[taken:]
        return group

    @staticmethod
    def _settle(
        group: list[tuple[list[LogRecord], asyncio.Future[None]]], error: BaseException | None
    ) -> None:
        for _, done in group:
            if done.cancelled():
                continue
            if error is None:
                done.set_result(None)
            else:
                done.set_exception(error)

    def _write(self, records: list[LogRecord]) -> None:
        with transaction(self._pool) as conn:
            inbox.append(conn, records, self._partitions)
