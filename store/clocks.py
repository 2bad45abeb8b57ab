"""Promises with a deadline, as rows: a restart forgets none."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from psycopg.rows import class_row

from model.alerts import NAMESPACE
from store.database import Connection


@dataclass(frozen=True, slots=True)
class StoredClock:
    """One promise. `next_check_at` None: nothing more to announce."""

    clock_id: uuid.UUID
    kind: str
    case_id: uuid.UUID
    started_at: datetime
    due_at: datetime
    warned_percent: int
    next_check_at: datetime | None
    stopped_at: datetime | None


def start(
    conn: Connection,
    kind: str,
    case_id: uuid.UUID,
    started_at: datetime,
    due_at: datetime,
    next_check_at: datetime | None,
) -> None:
    """Start a clock of a case; one that runs already stays as it is."""
    clock_id = uuid.uuid5(NAMESPACE, f"clock|{kind}|{case_id}")
    conn.execute(
        "insert into clock (clock_id, kind, case_id, started_at, due_at, next_check_at)"
        " values (%s, %s, %s, %s, %s, %s) on conflict do nothing",
        [clock_id, kind, case_id, started_at, due_at, next_check_at],
    )


def claim_due(conn: Connection, now: datetime) -> StoredClock | None:
    """A running clock that wants a look, locked; the most urgent one nobody else looks at."""
    with conn.cursor(row_factory=class_row(StoredClock)) as cur:
        return cur.execute(
            "select * from clock where next_check_at <= %s"
            " order by next_check_at limit 1 for update skip locked",
            [now],
        ).fetchone()


def announced(
    conn: Connection, clock_id: uuid.UUID, warned_percent: int, next_check_at: datetime | None
) -> None:
    """That share has been announced; look again then, or never."""
    conn.execute(
        "update clock set warned_percent = %s, next_check_at = %s"
        " where clock_id = %s and stopped_at is null",
        [warned_percent, next_check_at, clock_id],
    )


def stop(conn: Connection, kind: str, case_id: uuid.UUID, at: datetime) -> None:
    """The promise is kept or given up; a stopped clock keeps its first moment."""
    conn.execute(
        "update clock set stopped_at = %s, next_check_at = null"
        " where kind = %s and case_id = %s and stopped_at is null",
        [at, kind, case_id],
    )


def of_cases(conn: Connection, case_ids: Sequence[uuid.UUID]) -> list[StoredClock]:
    """The clocks of some cases."""
    with conn.cursor(row_factory=class_row(StoredClock)) as cur:
        return cur.execute(
            "select * from clock where case_id = any(%s) order by due_at", [list(case_ids)]
        ).fetchall()
