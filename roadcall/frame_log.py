"""The log of the chosen transport, open for as long as somebody appends."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from model.log import FrameLog
from roadcall.inbox_log import InboxLog
from roadcall.settings import Settings
from store.database import Pool


@asynccontextmanager
async def open_log(
    settings: Settings, pool: Pool, on_append: Callable[[], None] = lambda: None
) -> AsyncIterator[FrameLog]:
    """`on_append` is called after each append, where reader and writer share a process."""
    if settings.kafka is None:
        yield InboxLog(pool, settings.partitions, on_append)
        return
    from roadcall.kafka_log import KafkaLog

    log = KafkaLog(settings.kafka, topic=settings.kafka_topic, partitions=settings.partitions)
    await log.start()
    try:
        yield log
    finally:
        await log.stop()
