"""A database of its own for a measurement, and the line a measurement ends with."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from store import database as store_database
from store.database import Connection
from store.embedded import EmbeddedPostgres
from store.migrate import migrate


@dataclass(frozen=True, slots=True)
class Database:
    """A migrated database that is dropped afterwards."""

    dsn: str

    def connect(self) -> Connection:
        return store_database.connect(self.dsn)


@contextmanager
def database(partitions: int = 12) -> Iterator[Database]:
    """On ROADCALL_BENCH_DSN, or on an embedded server of its own."""
    given = os.environ.get("ROADCALL_BENCH_DSN")
    home = Path(tempfile.mkdtemp(prefix="roadcall-bench-"))
    home.chmod(0o755)
    server = None if given else EmbeddedPostgres(home)
    dsn = given or (server.start() if server else "")
    name = f"roadcall_bench_{uuid.uuid4().hex[:8]}"
    with psycopg.connect(dsn, autocommit=True) as admin:
        admin.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
    try:
        fresh = make_conninfo(dsn, dbname=name)
        with store_database.connect(fresh) as conn:
            migrate(conn, partitions, timescale=False)
        yield Database(fresh)
    finally:
        with psycopg.connect(dsn, autocommit=True) as admin:
            admin.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))
        if server is not None:
            server.stop()
            shutil.rmtree(server.home, ignore_errors=True)
        shutil.rmtree(home, ignore_errors=True)


def report(*, claim: str, value: float, unit: str, peer: str, **bound: float) -> int:
    """Print the claim's JSON line; exit code 1 when `floor` or `ceiling` is missed."""
    line = {"claim": claim, "value": round(value, 3), **bound, "unit": unit, "peer": peer}
    print(json.dumps(line, ensure_ascii=False), flush=True)
    missed = value < bound.get("floor", value) or value > bound.get("ceiling", value)
    return int(missed)
