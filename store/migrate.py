"""Numbered SQL files, applied once, in order, by one process at a time.

`store/migrations/NNNN_name.sql`; marks in the first lines of a file:

    -- requires timescaledb     only where the extension is available and wanted
    -- no transaction           statements (each ends with ";" at a line's end) run one by one
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from importlib.resources import files
from typing import LiteralString, cast

from model.errors import RoadcallError
from store.database import Connection

#: Any number nobody else uses on this server; "roadcall" in ASCII.
LOCK_KEY = 0x726F_6164_6361_6C6C
NAME = re.compile(r"^\d{4}_[a-z0-9_]+\.sql$")


class MigrationError(RoadcallError):
    """The database and this program do not fit together; nothing was changed."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One file."""

    name: str
    text: str

    @property
    def checksum(self) -> str:
        return hashlib.sha256(self.text.encode()).hexdigest()

    def marked(self, mark: str) -> bool:
        """Whether the file's leading comment lines hold the mark."""
        head = [line.strip() for line in self.text.splitlines()[:10]]
        return f"-- {mark}" in head

    def statements(self) -> list[LiteralString]:
        """The file whole, or cut into statements where a transaction is not wanted."""
        if not self.marked("no transaction"):
            return [self.text]
        return [cast(LiteralString, s) for s in re.split(r"(?<=;)\s*\n", self.text) if s.strip()]


def migrations() -> list[Migration]:
    """Every file of the package, in order."""
    found = [p for p in files("store.migrations").iterdir() if NAME.match(p.name)]
    return [Migration(p.name, p.read_text("utf-8")) for p in sorted(found, key=lambda p: p.name)]


def migrate(conn: Connection, partitions: int, timescale: bool | None = None) -> list[str]:
    """Bring the database up to date; names of the files applied now.

    `timescale`: True demands the extension, False never uses it, None takes it where it is
    available and the bulk tables are still empty (a filled plain database is not converted).
    `partitions` is written down the first time and must be the same ever after.
    Raises MigrationError. The connection must not be inside a transaction.
    """
    before = conn.autocommit
    conn.autocommit = True
    conn.execute("select pg_advisory_lock(%s)", [LOCK_KEY])
    try:
        applied = _applied(conn)
        _check_known(applied)
        pending = [m for m in migrations() if m.name not in applied]
        done = [m.name for m in pending if _wanted(conn, m, timescale) and _apply(conn, m)]
        _fix_partitions(conn, partitions)
    finally:
        conn.execute("select pg_advisory_unlock(%s)", [LOCK_KEY])
        conn.autocommit = before
    return done


def has_timescale(conn: Connection) -> bool:
    """Whether this database runs the TimescaleDB part."""
    row = conn.execute("select 1 from pg_extension where extname = 'timescaledb'").fetchone()
    return row is not None


def _applied(conn: Connection) -> dict[str, str]:
    conn.execute(
        "create table if not exists migration (name text primary key, checksum text not null,"
        " applied_at timestamptz not null default now())"
    )
    return {
        str(name): str(checksum)
        for name, checksum in conn.execute("select name, checksum from migration")
    }


def _check_known(applied: dict[str, str]) -> None:
    ours = {m.name: m.checksum for m in migrations()}
    faults = [f"{name}: unknown here, the database is newer" for name in applied.keys() - ours]
    changed = [name for name in applied.keys() & ours.keys() if applied[name] != ours[name]]
    faults += [f"{name}: changed after it was applied" for name in changed]
    if faults:
        raise MigrationError("; ".join(sorted(faults)))


def _wanted(conn: Connection, migration: Migration, timescale: bool | None) -> bool:
    if not migration.marked("requires timescaledb"):
        return True
    if timescale is False:
        return False
    available = conn.execute(
        "select 1 from pg_available_extensions where name = 'timescaledb'"
    ).fetchone()
    filled = conn.execute(
        "select exists (select from signal_segment) or exists (select from frame_block)"
    ).fetchone() == (True,)
    if timescale and not available:
        raise MigrationError("timescaledb is demanded but this server does not have it")
    if timescale and filled:
        raise MigrationError(
            "timescaledb is demanded but the plain tables hold rows: copy them to a new database"
        )
    return bool(available) and not filled


def _apply(conn: Connection, migration: Migration) -> bool:
    record = "insert into migration (name, checksum) values (%s, %s)"
    row = [migration.name, migration.checksum]
    if migration.marked("no transaction"):
        for statement in migration.statements():
            conn.execute(statement)
        conn.execute(record, row)
    else:
        with conn.transaction():
            conn.execute(migration.text)
            conn.execute(record, row)
    return True


def _fix_partitions(conn: Connection, partitions: int) -> None:
    with conn.transaction():
        conn.execute(
            "insert into installation (partitions) values (%s) on conflict do nothing", [partitions]
        )
        stored = conn.execute("select partitions from installation").fetchone()
        if stored != (partitions,):
            have = stored[0] if stored else None
            raise MigrationError(
                f"installed with {have} partitions, asked for {partitions}: fixed at installation"
            )
        conn.execute(
            "insert into frame_inbox_head (partition) select generate_series(0, %s - 1)"
            " on conflict do nothing",
            [partitions],
        )
