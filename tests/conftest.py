"""What every test may use: sample folders and one real PostgreSQL for the session."""

from __future__ import annotations

import os
import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psycopg
import pytest
from hypothesis import HealthCheck, settings
from psycopg import sql
from psycopg.conninfo import make_conninfo

from store.database import connect
from store.embedded import EmbeddedPostgres
from store.migrate import migrate
from tests.receiver import Receiver, receiving

ROOT = Path(__file__).resolve().parent.parent
SAMPLES = Path(os.environ.get("ROADCALL_SAMPLES", ROOT.parent / "shared" / "samples"))


@pytest.fixture(scope="session")
def samples() -> Callable[[str], Path]:
    """A folder of real logs by name; skips where the samples are not on this machine."""

    def folder(name: str) -> Path:
        path = SAMPLES / name
        if not path.is_dir():
            pytest.skip(f"sample {name} is not here (ROADCALL_SAMPLES names the folder)")
        return path

    return folder


PARTITIONS = 12

#: No test measures time: a busy machine is no fault of ours.
settings.register_profile("roadcall", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("roadcall")


#: Marks of tests that take seconds.
LONG = {"slow", "kafka", "timescale", "browser"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long tests first, so that parallel processes end together; else the random order stays."""
    items.sort(key=lambda item: LONG.isdisjoint(mark.name for mark in item.iter_markers()))


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """DSN of a server on which databases may be made: ROADCALL_TEST_DSN, or an embedded one."""
    given = os.environ.get("ROADCALL_TEST_DSN")
    if given:
        yield given
        return
    home = Path(tempfile.mkdtemp(prefix="roadcall-test-"))
    home.chmod(0o755)
    embedded = EmbeddedPostgres(home)
    dsn = embedded.start()
    with psycopg.connect(dsn, autocommit=True) as conn:  # the disk of a test need not survive
        conn.execute("alter system set fsync = off")
        conn.execute("select pg_reload_conf()")
    yield dsn
    embedded.stop()
    shutil.rmtree(embedded.home)


@pytest.fixture(scope="session")
def template(server: str) -> Iterator[str]:
    """A migrated database to copy."""
    with fresh_database(server) as name:
        with connect(make_conninfo(server, dbname=name)) as conn:
            migrate(conn, PARTITIONS, timescale=False)
        yield name


@pytest.fixture
def new_dsn(server: str, template: str) -> Iterator[Callable[[], str]]:
    """A function that makes fresh, migrated databases; they go with the test."""
    with ExitStack() as stack:
        yield lambda: make_conninfo(
            server, dbname=stack.enter_context(fresh_database(server, template))
        )


@pytest.fixture
def dsn(new_dsn: Callable[[], str]) -> str:
    """A fresh, migrated database of its own."""
    return new_dsn()


@contextmanager
def fresh_database(server: str, template: str = "template1") -> Iterator[str]:
    """Its name, inside a `with`."""
    name = f"roadcall_test_{uuid.uuid4().hex[:12]}"

    def run(statement: str, *names: str) -> None:
        with psycopg.connect(server, autocommit=True) as conn:
            conn.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))

    run("create database {} template {}", name, template)
    try:
        yield name
    finally:
        run("drop database {} with (force)", name)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """An HTTP endpoint that keeps what it was sent."""
    with receiving() as made:
        yield made
