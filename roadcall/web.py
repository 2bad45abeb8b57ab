"""The web applications of a process: ingest, console, or both in one."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

import uvicorn
from fastapi import FastAPI

from console import api, pages
from console.config import ConsoleConfig
from ingest.http import IngestLimits, create_app
from model.clock import Clock
from model.log import FrameLog
from roadcall.directory import StoredGateways
from roadcall.inbox_log import InboxLog
from roadcall.kafka_log import KafkaLog
from roadcall.settings import Settings
from roadcall.wiring import bundle_of, rule_texts
from store.database import Pool, answers


def frame_log(settings: Settings, pool: Pool, on_append: Callable[[], None]) -> FrameLog:
    """The log of the chosen transport."""
    if settings.kafka is None:
        return InboxLog(pool, settings.partitions, on_append)
    return KafkaLog(settings.kafka, topic=settings.kafka_topic, partitions=settings.partitions)


def ingest_app(settings: Settings, pool: Pool, clock: Clock, log: FrameLog) -> FastAPI:
    """Gateways' side."""
    limits = IngestLimits(
        max_body_bytes=settings.max_body_bytes,
        max_inflated_bytes=settings.max_inflated_bytes,
        max_frames=settings.max_batch_frames,
        max_future_s=settings.max_future_s,
    )
    return create_app(log, StoredGateways(pool), limits, clock, lambda: answers(pool))


def add_console(app: FastAPI, settings: Settings, pool: Pool, clock: Clock) -> None:
    """Stations' side: API and pages."""
    config = ConsoleConfig(token=settings.console_token, rule_texts=rule_texts(bundle_of(settings)))
    app.include_router(api.create_api(pool, clock, config))
    pages.mount(app, pool, clock, config)


def serve(app: FastAPI, settings: Settings, log: FrameLog | None = None) -> None:
    """Run until SIGTERM or Ctrl-C; the log is opened and closed inside the server's loop."""
    inner = app.router.lifespan_context

    @contextlib.asynccontextmanager
    async def lifespan(application: FastAPI) -> AsyncIterator[None]:
        if isinstance(log, KafkaLog):
            await log.start()
        async with inner(application):
            yield
        if isinstance(log, KafkaLog):
            await log.stop()

    app.router.lifespan_context = lifespan
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=5,
    )
    asyncio.run(uvicorn.Server(config).serve())
