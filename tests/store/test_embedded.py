"""The server of our own: found again, restarted after kill -9, started once by two."""

from __future__ import annotations

import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from store import embedded
from store.embedded import EmbeddedPostgres, EmbeddedPostgresError

START = (
    "import sys; from pathlib import Path; from store.embedded import EmbeddedPostgres as E;"
    "print(E(Path(sys.argv[1])).start())"
)
ROOT = Path(__file__).resolve().parents[2]


def started_elsewhere(home: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", START, str(home)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )


@pytest.fixture
def home() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="roadcall-embedded-"))
    path.chmod(0o755)
    yield path
    server = EmbeddedPostgres(path)
    server.stop()
    shutil.rmtree(path)


def test_life_of_a_server(home: Path) -> None:
    server = EmbeddedPostgres(home)
    assert not server.running()
    dsn = server.start()
    with psycopg.connect(dsn, autocommit=True) as conn:
        conn.execute("create table kept (n int)")
        conn.execute("insert into kept values (1)")
    pid = server.pid()
    assert EmbeddedPostgres(home).start() == dsn and server.pid() == pid, "found, not started"
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    assert server.start() == dsn and server.pid() != pid
    with psycopg.connect(dsn) as conn:
        assert conn.execute("select n from kept").fetchall() == [(1,)]
    server.stop()
    assert not server.running() and server.pid() is None
    server.stop()


def test_a_stale_pid_file_that_names_another_program_is_no_server(home: Path) -> None:
    server = EmbeddedPostgres(home)
    server.start()
    server.stop()
    (server.data / "postmaster.pid").write_text(
        f"{os.getpid()}\n{server.data}\n0\n5432\n\n\n0\nready\n"
    )
    assert not server.running()
    server.start()
    assert server.running()


def test_two_starters_get_one_server_and_it_outlives_both(home: Path) -> None:
    starters = [started_elsewhere(home) for _ in range(3)]
    dsns = {s.communicate(timeout=60)[0].strip() for s in starters}
    assert [s.returncode for s in starters] == [0, 0, 0]
    server = EmbeddedPostgres(home)
    assert dsns == {server.dsn} and server.running()


def test_an_initdb_that_was_killed_is_begun_anew(home: Path) -> None:
    (home / "data.new").mkdir()
    (home / "data.new" / "PG_VERSION").write_text("18\n")
    assert EmbeddedPostgres(home).start()


def test_other_users_can_neither_read_nor_connect(home: Path) -> None:
    server = EmbeddedPostgres(home)
    dsn = server.start()
    for private in (server.data, server.socket, server.home / "log"):
        assert stat.S_IMODE(private.stat().st_mode) == 0o700
    assert stat.S_IMODE((server.home / "pgpass").stat().st_mode) == 0o600
    assert "password" not in dsn
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(dsn.replace("pgpass", "nothing"), connect_timeout=5)


def test_the_error_of_a_failed_start_ends_with_the_servers_own_words(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded, "CONFIGURATION", embedded.CONFIGURATION + "no_such_setting = 1\n")
    with pytest.raises(EmbeddedPostgresError, match="no_such_setting"):
        EmbeddedPostgres(home).start()
    monkeypatch.undo()
    EmbeddedPostgres(home).start()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs the server as another user")
def test_root_never_opens_a_private_directory(home: Path) -> None:
    private = home / "private"
    private.mkdir(mode=0o700)
    server = EmbeddedPostgres(private / "roadcall")
    assert server.home.parent == embedded.SHARED_ROOT
    dsn = server.start()
    psycopg.connect(dsn).close()
    assert stat.S_IMODE(private.stat().st_mode) == 0o700 and not list(private.iterdir())
    server.stop()
    shutil.rmtree(server.home)


def test_a_long_home_gets_a_short_socket(home: Path) -> None:
    long = home / ("x" * 60) / ("y" * 60)
    server = EmbeddedPostgres(long)
    psycopg.connect(server.start()).close()
    assert len(str(server.socket)) < 80
    server.stop()
    shutil.rmtree(server.socket)
