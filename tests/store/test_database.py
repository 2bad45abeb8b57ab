"""Which failures are the world's, and that a pool finds a restarted server again."""

from __future__ import annotations

import psycopg
import pytest
from psycopg import errors

from model.errors import StoreUnavailableError
from store.database import answers, connect, is_transient, open_pool, transaction


def test_an_exception_rolls_back(dsn: str) -> None:
    pool = open_pool(dsn, 2)
    with pytest.raises(ValueError, match="ours"), transaction(pool) as conn:
        conn.execute("insert into station values ('s', 'n', '', 0, 0, 'city')")
        raise ValueError("ours")
    with transaction(pool) as conn:
        assert conn.execute("select count(*) from station").fetchone() == (0,)
    pool.close()


def test_a_broken_connection_is_replaced(dsn: str) -> None:
    pool = open_pool(dsn, 1)
    with pytest.raises(StoreUnavailableError), transaction(pool) as conn:
        conn.execute("select pg_terminate_backend(pg_backend_pid())")
    assert answers(pool)
    pool.close()


def test_a_server_that_is_not_there_is_unavailable(tmp_path: object) -> None:
    with pytest.raises(StoreUnavailableError, match="failed: No such file"):
        connect(f"host={tmp_path} port=1 dbname=x user=x")


def test_our_mistakes_are_not_the_worlds(dsn: str) -> None:
    pool = open_pool(dsn, 1)
    with pytest.raises(errors.UndefinedTable), transaction(pool) as conn:
        conn.execute("select * from nowhere")
    pool.close()
    assert is_transient(errors.DeadlockDetected()) and is_transient(errors.AdminShutdown())
    assert is_transient(errors.SerializationFailure()) and is_transient(errors.DiskFull())
    assert not is_transient(errors.UniqueViolation()) and not is_transient(psycopg.DataError())


def test_texts_of_errors_carry_no_rows(dsn: str) -> None:
    pool = open_pool(dsn, 1)
    with pytest.raises(StoreUnavailableError) as error, transaction(pool) as conn:
        conn.execute("set local statement_timeout = '1ms'")
        conn.execute("select pg_sleep(1), 'LRDCALL0000000001'")
    assert "LRDCALL" not in str(error.value) and "QueryCanceled" in str(error.value)
    pool.close()
