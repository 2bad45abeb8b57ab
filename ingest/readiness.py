"""Whether the service can make an upload durable right now: asks, and does not guess."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine

from model.errors import RoadcallError
from model.log import FrameLog


class Readiness:
    """Asks log and database, each at most once at a time."""

    def __init__(self, log: FrameLog, database: Callable[[], bool], timeout_s: float) -> None:
        self._log, self._database, self._timeout_s = log, database, timeout_s
        self._asked: dict[str, asyncio.Task[bool]] = {}

    async def failed(self) -> list[str]:
        """Names of those that did not answer in time."""
        tasks = {
            "log": self._ask("log", self._log.ready),
            "database": self._ask("database", self._ask_database),
        }
        await asyncio.wait(tasks.values(), timeout=self._timeout_s)
        return [name for name, task in tasks.items() if not (task.done() and task.result())]

    async def _ask_database(self) -> bool:
        return await asyncio.to_thread(self._database)

    def _ask(
        self, name: str, probe: Callable[[], Coroutine[None, None, bool]]
    ) -> asyncio.Task[bool]:
        """A probe that still waits is not started a second time."""
        task = self._asked.get(name)
        if task is None or task.done():
            task = self._asked[name] = asyncio.create_task(_answers(probe))
        return task


async def _answers(probe: Callable[[], Coroutine[None, None, bool]]) -> bool:
    try:
        return await probe()
    except (RoadcallError, OSError, TimeoutError):
        return False
