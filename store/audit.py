"""Who did what, when and why. Rows are only ever added."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from store.database import Connection


@dataclass(frozen=True, slots=True)
class AuditLine:
    """One step somebody took."""

    noun: str
    noun_id: str
    step: str
    actor: str
    reason: str
    detail: dict[str, object]
    recorded_at: datetime


COLUMNS = "noun, noun_id, step, actor, reason, detail, recorded_at"


def append(
    conn: Connection,
    noun: str,
    noun_id: str,
    step: str,
    *,
    actor: str,
    reason: str = "",
    key: str | None = None,
    detail: Mapping[str, object] | None = None,
) -> bool:
    """Write a line; False when a line with this idempotency key is here already."""
    added = conn.execute(
        "insert into audit (noun, noun_id, step, actor, reason, idempotency_key, detail)"
        " values (%s, %s, %s, %s, %s, %s, %s) on conflict (idempotency_key) do nothing",
        [noun, noun_id, step, actor, reason, key, Jsonb(dict(detail or {}))],
    )
    return added.rowcount == 1


def by_key(conn: Connection, key: str) -> AuditLine | None:
    """The line written under an idempotency key."""
    with conn.cursor(row_factory=class_row(AuditLine)) as cur:
        return cur.execute(
            f"select {COLUMNS} from audit where idempotency_key = %s",  # noqa: S608 - a constant
            [key],
        ).fetchone()


def of(conn: Connection, noun: str, noun_id: str, limit: int = 200) -> list[AuditLine]:
    """What happened to one thing, oldest first."""
    with conn.cursor(row_factory=class_row(AuditLine)) as cur:
        return cur.execute(
            f"select {COLUMNS} from audit where noun = %s and noun_id = %s"  # noqa: S608
            " order by audit_id limit %s",
            [noun, noun_id, limit],
        ).fetchall()
