"""Numbered files: applied once, in order, by one at a time, and never changed afterwards."""

from __future__ import annotations

import threading

import pytest

from store import migrate as runner
from store.database import Connection, connect
from store.migrate import Migration, MigrationError, migrate


def names(conn: Connection) -> list[object]:
    return [n for (n,) in conn.execute("select name from migration order by name")]


#: What a plain PostgreSQL gets: all but TimescaleDB's.
PLAIN = [m.name for m in runner.migrations() if not m.marked("requires timescaledb")]


def test_twice_is_once(empty_dsn: str) -> None:
    assert PLAIN[:2] == ["0001_core.sql", "0003_code_lists.sql"]
    with connect(empty_dsn) as conn:
        assert migrate(conn, 12, timescale=False) == PLAIN
        assert migrate(conn, 12, timescale=False) == []
        assert names(conn) == PLAIN
        assert conn.execute("select count(*) from frame_inbox_head").fetchone() == (12,)


def test_four_at_once_are_one(empty_dsn: str) -> None:
    done: list[list[str]] = []

    def run() -> None:
        with connect(empty_dsn) as conn:
            done.append(migrate(conn, 12, timescale=False))

    threads = [threading.Thread(target=run) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert sorted(done) == [[], [], [], PLAIN]


def test_another_number_of_partitions_is_refused(conn: Connection) -> None:
    conn.rollback()
    with pytest.raises(MigrationError, match="installed with 12 partitions, asked for 8"):
        migrate(conn, 8, timescale=False)
    migrate(conn, 12, timescale=False)


def test_a_changed_or_unknown_file_is_refused(conn: Connection) -> None:
    conn.execute("update migration set checksum = 'other'")
    conn.execute("insert into migration (name, checksum) values ('9999_later.sql', '')")
    conn.commit()
    with pytest.raises(MigrationError) as error:
        migrate(conn, 12, timescale=False)
    changed = [f"{name}: changed after it was applied" for name in PLAIN]
    unknown = "9999_later.sql: unknown here, the database is newer"
    assert str(error.value) == "; ".join([*changed, unknown])


def test_a_demanded_extension_that_is_missing_is_an_error(empty_dsn: str) -> None:
    with connect(empty_dsn) as conn:
        has = conn.execute("select 1 from pg_available_extensions where name = 'timescaledb'")
        if has.fetchone():
            pytest.skip("this server has TimescaleDB")
        conn.commit()
        with pytest.raises(MigrationError, match="this server does not have it"):
            migrate(conn, 12, timescale=True)


def test_a_file_that_fails_leaves_nothing(empty_dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = Migration("0002_broken.sql", "create table half (n int); select 1/0;")
    core = runner.migrations()[0]
    monkeypatch.setattr(runner, "migrations", lambda: [core, broken])
    with connect(empty_dsn) as conn:
        with pytest.raises(Exception, match="division by zero"):
            migrate(conn, 12)
        assert names(conn) == ["0001_core.sql"]
        assert conn.execute("select to_regclass('half')").fetchone() == (None,)


def test_no_transaction_runs_statements_one_by_one(
    empty_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = Migration(
        "0002_alone.sql",
        "-- no transaction\ncreate index concurrently a on vehicle (profile);\n"
        "create index concurrently b on vehicle (created_at);\n",
    )
    core = runner.migrations()[0]
    monkeypatch.setattr(runner, "migrations", lambda: [core, alone])
    with connect(empty_dsn) as conn:
        assert migrate(conn, 12) == ["0001_core.sql", "0002_alone.sql"]
