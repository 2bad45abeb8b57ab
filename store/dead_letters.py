"""Records that could not be understood: bytes, reason and origin, until driven again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import orjson
from psycopg.rows import class_row

from model.effects import DeadLetter
from model.log import StoredRecord
from store.database import Connection, UnknownRowError

COLUMNS = (
    "dead_letter_id, topic, partition, position, vin, headers, value, reason, recorded_at,"
    " redriven_at"
)


@dataclass(frozen=True, slots=True)
class StoredDeadLetter:
    """One dead letter as kept."""

    dead_letter_id: int
    topic: str
    partition: int
    position: int
    vin: str
    headers: dict[str, str]
    value: bytes
    reason: str
    recorded_at: datetime
    redriven_at: datetime | None

    @property
    def origin(self) -> StoredRecord:
        """The record as it came from the log."""
        return StoredRecord(self.partition, self.position, self.vin, self.headers, self.value)


def add(conn: Connection, topic: str, letters: Sequence[DeadLetter]) -> None:
    """Keep them; one already kept stays as it is."""
    rows = [
        (
            topic,
            letter.origin.partition,
            letter.origin.position,
            _storable(letter.origin.vin),
            orjson.dumps(
                {_storable(k): _storable(v) for k, v in letter.origin.headers.items()}
            ).decode(),
            letter.origin.value,
            _storable(letter.reason),
        )
        for letter in letters
    ]
    conn.cursor().executemany(
        "insert into dead_letter (topic, partition, position, vin, headers, value, reason)"
        " values (%s, %s, %s, %s, %s, %b, %s) on conflict (topic, partition, position) do nothing",
        rows,
    )


def page(
    conn: Connection, *, before: int | None = None, limit: int = 50, pending: bool = False
) -> list[StoredDeadLetter]:
    """Newest first, from below the id `before`; `pending` leaves out those driven again."""
    with conn.cursor(row_factory=class_row(StoredDeadLetter)) as cur:
        return cur.execute(
            f"select {COLUMNS} from dead_letter"  # noqa: S608 - a constant
            " where (%(before)s::bigint is null or dead_letter_id < %(before)s)"
            " and (not %(pending)s or redriven_at is null)"
            " order by dead_letter_id desc limit %(limit)s",
            {"before": before, "limit": limit, "pending": pending},
        ).fetchall()


def show(conn: Connection, dead_letter_id: int) -> StoredDeadLetter:
    """One dead letter. Raises UnknownRowError."""
    with conn.cursor(row_factory=class_row(StoredDeadLetter)) as cur:
        row = cur.execute(
            f"select {COLUMNS} from dead_letter where dead_letter_id = %s",  # noqa: S608
            [dead_letter_id],
        ).fetchone()
    if row is None:
        raise UnknownRowError("dead letter")
    return row


def mark_redriven(conn: Connection, dead_letter_id: int) -> None:
    """It went back into the log."""
    conn.execute(
        "update dead_letter set redriven_at = now() where dead_letter_id = %s", [dead_letter_id]
    )


def count(conn: Connection) -> int:
    """How many wait to be driven again."""
    row = conn.execute("select count(*) from dead_letter where redriven_at is null").fetchone()
    assert row is not None and isinstance(row[0], int)
    return row[0]


def _storable(text: str) -> str:
    """PostgreSQL text holds neither NUL nor lone surrogates; a stranger's header may."""
    return text.replace("\x00", "\ufffd").encode("utf-8", "replace").decode()
