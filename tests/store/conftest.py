"""A real PostgreSQL for every test: ROADCALL_TEST_DSN, or the embedded server."""

from __future__ import annotations

import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from model.vehicle import Vehicle
from store import masters
from store.database import Connection, connect
from store.embedded import EmbeddedPostgres
from store.migrate import migrate

PARTITIONS = 12
VINS = [f"LRDCALL00000000{i:02}" for i in range(1, 6)]


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """DSN of a server on which databases may be made."""
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
    with _made(server) as name:
        with connect(make_conninfo(server, dbname=name)) as conn:
            migrate(conn, PARTITIONS, timescale=False)
        yield name


@pytest.fixture
def dsn(server: str, template: str) -> Iterator[str]:
    """A fresh, migrated database of its own."""
    with _made(server, template) as name:
        yield make_conninfo(server, dbname=name)


@pytest.fixture
def empty_dsn(server: str) -> Iterator[str]:
    """A fresh database without any table."""
    with _made(server) as name:
        yield make_conninfo(server, dbname=name)


@pytest.fixture
def conn(dsn: str) -> Iterator[Connection]:
    """One connection to it."""
    with connect(dsn) as connection:
        yield connection


@pytest.fixture
def rival(dsn: str) -> Iterator[Connection]:
    """A second one, somebody else's."""
    with connect(dsn) as connection:
        yield connection


@pytest.fixture
def fleet(conn: Connection) -> dict[str, int]:
    """Five registered vehicles, committed: vehicle_id by VIN."""
    found = masters.upsert_vehicles(conn, [Vehicle(vin=v, profile="demo_car") for v in VINS])
    conn.commit()
    return found


class _made:
    """A database that exists inside a `with`."""

    def __init__(self, server: str, template: str = "template1") -> None:
        self.server, self.template = server, template
        self.name = f"roadcall_test_{uuid.uuid4().hex[:12]}"

    def __enter__(self) -> str:
        self._run("create database {} template {}", self.name, self.template)
        return self.name

    def __exit__(self, *_: object) -> None:
        if "ROADCALL_TEST_DSN" in os.environ:  # our own server goes as a whole: a drop is slow
            self._run("drop database {} with (force)", self.name)

    def _run(self, statement: str, *names: str) -> None:
        with psycopg.connect(self.server, autocommit=True) as conn:
            conn.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))
