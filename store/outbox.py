"""What leaves the system: written with its cause, sent after, marked after that."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import orjson

from model.effects import OutboxRecord
from store.database import Connection

MAX_ERROR = 500

CLAIM = """
update outbox o set next_attempt_at = %(lease)s, attempts = attempts + 1
from (select outbox_id from outbox where next_attempt_at <= %(now)s
      order by next_attempt_at, outbox_id limit %(limit)s for update skip locked) due
where o.outbox_id = due.outbox_id
returning o.outbox_id, o.key, o.kind, o.body, o.attempts
"""


@dataclass(frozen=True, slots=True)
class ClaimedRecord:
    """A record to send now. `attempts` counts this try."""

    outbox_id: int
    record: OutboxRecord
    attempts: int


def add(conn: Connection, *records: OutboxRecord, not_before: datetime | None = None) -> None:
    """Send them soon, or from a moment on; a key already here is not sent again."""
    if not records:
        return
    ordered = sorted({r.key: r for r in records}.values(), key=lambda r: r.key)
    conn.execute(
        "insert into outbox (key, kind, body, next_attempt_at)"
        " select r.*, coalesce(%s, now()) from unnest(%s::text[], %s::text[], %s::jsonb[]) r"
        " on conflict (key) do nothing",
        [
            not_before,
            [r.key for r in ordered],
            [r.kind for r in ordered],
            [orjson.dumps(r.body).decode() for r in ordered],
        ],
    )


def claim(
    conn: Connection, now: datetime, lease_until: datetime, limit: int
) -> list[ClaimedRecord]:
    """Take records that are due, oldest first; they come back after the lease unless marked.

    Commit before sending.
    """
    rows = conn.execute(CLAIM, {"now": now, "lease": lease_until, "limit": limit}).fetchall()
    claimed = []
    for outbox_id, key, kind, body, attempts in rows:
        assert isinstance(outbox_id, int) and isinstance(attempts, int) and isinstance(body, dict)
        record = OutboxRecord(str(key), str(kind), body)
        claimed.append(ClaimedRecord(outbox_id, record, attempts))
    return sorted(claimed, key=lambda c: c.outbox_id)


def mark_sent(conn: Connection, claimed: ClaimedRecord, at: datetime) -> None:
    """The receiver has it."""
    conn.execute(
        "update outbox set sent_at = %s, next_attempt_at = null, last_error = null"
        " where outbox_id = %s and sent_at is null",
        [at, claimed.outbox_id],
    )


def mark_failed(conn: Connection, claimed: ClaimedRecord, error: str, again_at: datetime) -> None:
    """Try again then. A later try of another sender is left alone."""
    conn.execute(
        "update outbox set next_attempt_at = %s, last_error = %s"
        " where outbox_id = %s and attempts = %s and sent_at is null",
        [again_at, error[:MAX_ERROR], claimed.outbox_id, claimed.attempts],
    )


def mark_dead(conn: Connection, claimed: ClaimedRecord, error: str, at: datetime) -> None:
    """The receiver will never take it; an operator must look."""
    conn.execute(
        "update outbox set next_attempt_at = null, dead_at = %s, last_error = %s"
        " where outbox_id = %s and attempts = %s and sent_at is null",
        [at, error[:MAX_ERROR], claimed.outbox_id, claimed.attempts],
    )


def counts(conn: Connection) -> dict[str, int]:
    """How many records are waiting, sent and dead."""
    rows = conn.execute(
        "select case when sent_at is not null then 'sent' when dead_at is not null then 'dead'"
        " else 'waiting' end, count(*)::int from outbox group by 1"
    )
    return {"waiting": 0, "sent": 0, "dead": 0} | {str(k): int(str(n)) for k, n in rows}


def add_for_channels(conn: Connection, record: OutboxRecord) -> int:
    """Write a message that leaves on subscriptions only; its number."""
    row = conn.execute(
        "insert into outbox (key, kind, body, sent_at) values (%s, %s, %s, now())"
        " returning outbox_id",
        [record.key, record.kind, orjson.dumps(record.body).decode()],
    ).fetchone()
    assert row is not None and isinstance(row[0], int)
    return row[0]
