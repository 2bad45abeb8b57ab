"""Connections, transactions, and which failures are worth another try."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import LiteralString

import psycopg
from psycopg import errors
from psycopg_pool import ConnectionPool

from model.errors import RoadcallError, StoreUnavailableError

#: Seconds a caller waits for a free connection before the store counts as unavailable.
CHECKOUT_LIMIT_S = 10.0
CONNECT_LIMIT_S = 5
#: Server-side bounds: a lost client must not hold locks, a query must not run for ever.
SESSION: LiteralString = (
    "-c timezone=UTC -c statement_timeout=60s -c idle_in_transaction_session_timeout=60s"
)

Connection = psycopg.Connection[tuple[object, ...]]
Pool = ConnectionPool[Connection]


class UnknownRowError(RoadcallError):
    """Nothing is stored under that key."""

    def __init__(self, noun: str) -> None:
        super().__init__(f"no such {noun}")
        self.noun = noun


def connect(dsn: str, *, autocommit: bool = False) -> Connection:
    """One connection with our session settings. Raises StoreUnavailableError."""
    with translated():
        return psycopg.connect(
            dsn, autocommit=autocommit, connect_timeout=CONNECT_LIMIT_S, options=SESSION
        )


def open_pool(dsn: str, size: int) -> Pool:
    """At most `size` connections, each checked before use, so a restarted server is found again.

    Opens at once and connects in the background: the server may come later.
    """
    pool: Pool = ConnectionPool(
        dsn,
        min_size=1,
        max_size=size,
        timeout=CHECKOUT_LIMIT_S,
        kwargs={"connect_timeout": CONNECT_LIMIT_S, "options": SESSION},
        check=ConnectionPool.check_connection,
        open=True,
    )
    return pool


@contextmanager
def transaction(pool: Pool) -> Iterator[Connection]:
    """One transaction: committed at the end, rolled back by any exception.

    Raises StoreUnavailableError when the server does not answer.
    """
    with translated(), pool.connection() as conn:
        yield conn


@contextmanager
def translated() -> Iterator[None]:
    """Turn transient database errors into StoreUnavailableError; others are our bugs and pass."""
    try:
        yield
    except psycopg.Error as error:
        if not is_transient(error):
            raise
        raise StoreUnavailableError(f"{type(error).__name__}: {_first_line(error)}") from error


def is_transient(error: psycopg.Error) -> bool:
    """Whether the same work may succeed later: lost server, deadlock, full disk, fail-over."""
    kinds = (psycopg.OperationalError, psycopg.InterfaceError, errors.ReadOnlySqlTransaction)
    return isinstance(error, kinds)


def answers(pool: Pool) -> bool:
    """Whether the database answers right now (asks it)."""
    try:
        with transaction(pool) as conn:
            conn.execute("select 1")
    except StoreUnavailableError:
        return False
    return True


def _first_line(error: psycopg.Error) -> str:
    """Without DETAIL lines, which may hold a row's values."""
    return (error.diag.message_primary or str(error)).split("\n", 1)[0]
