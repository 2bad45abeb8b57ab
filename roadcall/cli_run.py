"""Commands that run the system: up, and the four processes of the distributed mode."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import structlog
import typer
from prometheus_client import start_http_server

from model.clock import SystemClock
from roadcall import logs, wiring
from roadcall.rule_library import Library, RuleTexts
from roadcall.settings import Settings
from store import inbox
from store.database import Pool

#: Exit code after a bug: a supervisor restarts us, and nothing is skipped past the bug.
EX_SOFTWARE = 70
STOP_LIMIT_S = 15.0

log = structlog.get_logger()


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    for command in (up, ingest, worker, dispatch, console, migrate):
        app.command("dispatcher" if command is dispatch else None)(command)


def up() -> None:
    """Everything on this machine: database, ingest, worker, dispatcher, console on one port."""
    from roadcall import web

    settings = open_settings()
    _end_on_sigterm()
    with ExitStack() as stack:
        database = stack.enter_context(wiring.database(settings))
        pool = database.pool
        if settings.kafka is None:
            wake = stack.enter_context(_embedded_worker(settings, pool))
        else:
            wake = stack.enter_context(_worker_child(settings, database.dsn))
        stack.enter_context(_dispatcher(settings, pool))
        log.info("up", address=f"http://{settings.host}:{settings.port}/")
        web.serve_ingest(settings, pool, SystemClock(), wake=wake, console=True)


def ingest() -> None:
    """Take uploads over HTTP and answer when the log has them."""
    from roadcall import web

    settings = open_settings()
    _end_on_sigterm()
    with wiring.database(settings, keep_running=True) as database:
        web.serve_ingest(settings, database.pool, SystemClock())


def worker() -> None:
    """Decode, apply the rules, store: one worker process."""
    settings = open_settings()
    _serve_metrics(settings)
    with wiring.database(settings, keep_running=True) as database:
        if settings.kafka is not None:
            from roadcall import kafka_worker

            plan = kafka_worker.WorkerPlan(
                servers=settings.kafka,
                topic=settings.kafka_topic,
                partitions=settings.partitions,
                take_records=settings.take_records,
                instance=settings.worker_instance,
            )
            processor = wiring.owner(settings, database.pool, settings.kafka_topic)
            raise typer.Exit(kafka_worker.run(plan, processor, SystemClock()))
        else:
            with _embedded_worker(settings, database.pool):
                _wait_for_signal()


def dispatch() -> None:
    """Rescue cases, clocks, maintenance, and everything that is sent."""
    settings = open_settings()
    _serve_metrics(settings)
    with (
        wiring.database(settings, keep_running=True) as database,
        _dispatcher(settings, database.pool),
    ):
        _wait_for_signal()


def console() -> None:
    """The API and the station page."""
    from fastapi import FastAPI

    from roadcall import web

    settings = open_settings()
    _end_on_sigterm()
    with wiring.database(settings, keep_running=True) as database:
        application = FastAPI(title="Roadcall", version="1", docs_url=None, redoc_url=None)
        web.add_console(application, settings, database.pool, SystemClock())
        web.serve(application, settings)


def migrate() -> None:
    """Bring the database to this version and say what was done."""
    with wiring.database(open_settings(), keep_running=True):
        typer.echo("database is up to date")


def open_settings() -> Settings:
    """Read and check the environment, set up logging."""
    settings = Settings()
    logs.configure(settings.json_logs)
    if settings.terms_path:
        from dispatch.terms_check import check_terms
        from model.terms_files import use_folders

        use_folders(settings.terms_path)
        check_terms()
    return settings


@contextmanager
def _embedded_worker(settings: Settings, pool: Pool) -> Iterator[Callable[[], None]]:
    from roadcall import embedded_worker

    runner = embedded_worker.EmbeddedWorker(
        pool,
        wiring.owner(settings, pool, inbox.TOPIC),
        SystemClock(),
        settings.partitions,
        settings.take_records,
    )
    thread = embedded_worker.start(runner, lambda: os._exit(EX_SOFTWARE))
    try:
        yield runner.wake
    finally:
        runner.stop()
        thread.join(STOP_LIMIT_S)


@contextmanager
def _dispatcher(settings: Settings, pool: Pool) -> Iterator[None]:
    from roadcall import dispatcher

    stop = threading.Event()
    texts = RuleTexts(pool, Library(settings))
    wiring.register_sinks(settings, pool)

    def body() -> None:
        clock = SystemClock()
        try:
            dispatcher.run(
                pool,
                wiring.senders(settings),
                clock,
                stop,
                rule_texts=texts,
                assess_every_s=settings.assess_every_s,
                router=wiring.router(settings, clock),
                maintenance_path=settings.maintenance_path,
                cohort_path=settings.cohort_path,
            )
        except Exception:
            log.exception("dispatcher.bug")
            os._exit(EX_SOFTWARE)

    thread = threading.Thread(target=body, name="roadcall-dispatcher", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(STOP_LIMIT_S)


@contextmanager
def _worker_child(settings: Settings, dsn: str) -> Iterator[Callable[[], None]]:
    """Kafka's runner is a process of its own: Faust owns its event loop and its exits."""
    child = subprocess.Popen(
        [sys.executable, "-m", "roadcall.cli", "worker"],
        env={
            "ROADCALL_WORKER_INSTANCE": f"up.{settings.kafka_topic}",
            **os.environ,
            "ROADCALL_DSN": dsn,
        },
    )
    ending = threading.Event()

    def watch() -> None:
        code = child.wait()
        if not ending.is_set():
            log.error("worker.ended", code=code)
            os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="roadcall-watch", daemon=True).start()
    try:
        yield lambda: None
    finally:
        ending.set()
        child.terminate()
        try:
            child.wait(STOP_LIMIT_S)
        except subprocess.TimeoutExpired:
            child.kill()


def _serve_metrics(settings: Settings) -> None:
    if settings.metrics_port is not None:
        start_http_server(settings.metrics_port, addr=settings.host)


def _end_on_sigterm() -> None:
    """Leave like any other exit, so that children and servers of ours are stopped.

    uvicorn raises the signal again after its own shutdown; without this it would end us there.
    """
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))


def _wait_for_signal() -> None:
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    stop.wait()
