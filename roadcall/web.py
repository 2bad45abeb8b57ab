"""The web applications of a process: ingest, console, or both in one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import uvicorn
from fastapi import FastAPI
from starlette.middleware.trustedhost import TrustedHostMiddleware

from ingest.http import IngestLimits, create_app
from model.clock import Clock
from model.log import FrameLog
from roadcall.directory import StoredGateways
from roadcall.evidence import EvidenceReader
from roadcall.frame_log import open_log
from roadcall.rule_desk import RuleDesk
from roadcall.rule_library import Library, RuleTexts
from roadcall.settings import Settings
from roadcall.vehicle_check import vehicle_fault
from roadcall.wiring import decoder_source
from store.database import Pool, answers


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
    from console import api, pages  # a second of imports that other processes are spared
    from console.config import ConsoleConfig

    if settings.console_token is None:  # open, so no other name may lead a browser here
        app.add_middleware(TrustedHostMiddleware, allowed_hosts=["127.0.0.1", "localhost"])
    library = Library(settings)
    config = ConsoleConfig(
        token=settings.console_token,
        rule_texts=RuleTexts(pool, library),
        vehicle_fault=vehicle_fault(settings),
        evidence=EvidenceReader(pool, library, decoder_source(settings)),
        rules=RuleDesk(pool, settings),
    )
    app.include_router(api.create_api(pool, clock, config))
    pages.mount(app, pool, clock, config)


def serve(app: FastAPI, settings: Settings) -> None:
    """Run until SIGTERM or Ctrl-C."""
    asyncio.run(_serve(app, settings))


def serve_ingest(
    settings: Settings,
    pool: Pool,
    clock: Clock,
    *,
    wake: Callable[[], None] = lambda: None,
    console: bool = False,
) -> None:
    """Ingest, with the console beside it if asked; the log lives in the server's loop."""

    async def run() -> None:
        async with open_log(settings, pool, wake) as log:
            app = ingest_app(settings, pool, clock, log)
            if console:
                add_console(app, settings, pool, clock)
            await _serve(app, settings)

    asyncio.run(run())


async def _serve(app: FastAPI, settings: Settings) -> None:
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        log_level="warning",
        access_log=False,  # it would print VINs
        timeout_graceful_shutdown=5,
    )
    await uvicorn.Server(config).serve()
