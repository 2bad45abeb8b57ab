"""Promises with a deadline, as rows: a restart forgets none.

What people and the pipeline do starts, pauses, resumes and stops clocks, each in the caller's
transaction. The promise comes from a profile: `dispatch.clocks.promise(kind, brand, variant)`.

    start(conn, promise(PLAN, brand), "work_order", wo_id, now, facts={"plate": …})
    pause(conn, "work_order", wo_id, now, state="waiting_customer")
    resume(conn, "work_order", wo_id, now)
    stop(conn, "work_order", wo_id, now, kinds=["plan"])

The dispatcher calls `fire_due` and sends what it returns; nobody else needs to.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import LiteralString

import orjson
from psycopg import sql
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from model import promises
from model.promises import ClockRow, Fact, Firing, Promise
from store.database import Connection

SELECT: LiteralString = (
    "select clock_id, kind, noun, noun_id, round, promise, facts, started_at, running_since,"
    " used_s, due_at, warned_percent, next_check_at, stopped_at, met from clock"
)
INSERT = """
insert into clock (clock_id, kind, noun, noun_id, round, promise, facts, started_at, running_since,
    used_s, due_at, warned_percent, next_check_at, stopped_at, met)
values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s) on conflict do nothing
"""


def start(
    conn: Connection,
    promise: Promise,
    noun: str,
    noun_id: str,
    at: datetime,
    *,
    facts: Mapping[str, Fact] | None = None,
) -> bool:
    """Start a clock of a subject, for the first time only; False when it was started before.

    `facts` are said again in every warning: plate, station_id, and whatever its reader needs.
    """
    row = promises.started(promise, noun, noun_id, at, facts=dict(facts or {}))
    return _insert(conn, [row]) == 1


def restart(
    conn: Connection,
    promise: Promise,
    noun: str,
    noun_id: str,
    at: datetime,
    *,
    facts: Mapping[str, Fact] | None = None,
) -> None:
    """Stop the clock if it runs and start its next round: another progress, another assignment."""
    stop(conn, noun, noun_id, at, kinds=[promise.kind])
    found = conn.execute(
        "select coalesce(max(round) + 1, 0)::int from clock"
        " where noun = %s and noun_id = %s and kind = %s",
        [noun, noun_id, promise.kind],
    ).fetchone()
    round_ = int(str(found[0])) if found else 0
    row = promises.started(promise, noun, noun_id, at, facts=dict(facts or {}), round_=round_)
    _insert(conn, [row])


def stop(
    conn: Connection,
    noun: str,
    noun_id: str,
    at: datetime,
    *,
    kinds: Sequence[str] | None = None,
    void: bool = False,
) -> list[ClockRow]:
    """Stop clocks of a subject (all of them without `kinds`); those that stopped now.

    `met` says whether the target was kept; None for `void`: nobody had to keep it any more. A
    stopped clock keeps its first moment.
    """
    rows = [promises.stopped(row, at) for row in _lock(conn, noun, noun_id, kinds)]
    if void:
        rows = [row.model_copy(update={"met": None}) for row in rows]
    _save(conn, rows)
    return rows


def pause(
    conn: Connection,
    noun: str,
    noun_id: str,
    at: datetime,
    *,
    state: str,
    kinds: Sequence[str] | None = None,
) -> list[ClockRow]:
    """Stand still while the subject is in `state`: only clocks whose profile lists that state."""
    rows = [
        promises.paused(row, at)
        for row in _lock(conn, noun, noun_id, kinds)
        if state in row.promise.pause_states and not row.is_paused
    ]
    _save(conn, rows)
    return rows


def resume(
    conn: Connection,
    noun: str,
    noun_id: str,
    at: datetime,
    *,
    kinds: Sequence[str] | None = None,
) -> list[ClockRow]:
    """Let paused clocks of a subject go on; those that did."""
    rows = [promises.resumed(r, at) for r in _lock(conn, noun, noun_id, kinds) if r.is_paused]
    _save(conn, rows)
    return rows


def fire_due(conn: Connection, now: datetime, limit: int = 100) -> list[Firing]:
    """Claim clocks that want a look, mark and audit what is announced now, and say it.

    Rivals take other rows (SKIP LOCKED). What comes back must be announced in this transaction:
    then each share of each clock is told exactly once. A clock that repeats goes into its next
    round when its target ran out.
    """
    due = _rows(
        conn,
        " where next_check_at <= %s order by next_check_at limit %s for update skip locked",
        [now, limit],
    )
    looked = [promises.fire(row, now) for row in due]
    over = {
        row.clock_id: promises.stopped(row, row.due_at).model_copy(update={"met": False})
        for row, firing in looked
        if firing and row.promise.repeats and firing.percent >= 100
    }
    _save(conn, [over.get(row.clock_id, row) for row, _ in looked])
    _insert(conn, [_next_round(row, now) for row in over.values()])
    firings = [firing for _, firing in looked if firing is not None]
    _write_down(conn, firings)
    return firings


def of(conn: Connection, noun: str, noun_ids: Sequence[str]) -> list[ClockRow]:
    """The clocks of some subjects, the next deadline first; a later round after an earlier."""
    return _rows(
        conn,
        " where noun = %s and noun_id = any(%s) order by due_at, round",
        [noun, list(noun_ids)],
    )


def next_check(conn: Connection) -> datetime | None:
    """When the next clock wants a look."""
    row = conn.execute(
        "select next_check_at from clock where next_check_at is not null"
        " order by next_check_at limit 1"
    ).fetchone()
    return row[0] if row and isinstance(row[0], datetime) else None


def _next_round(row: ClockRow, now: datetime) -> ClockRow:
    """A repeating clock starts again where it ran out, or now after an outage."""
    again = promises.started(
        row.promise, row.noun, row.noun_id, row.due_at, facts=row.facts, round_=row.round + 1
    )
    if again.due_at <= now:
        again = promises.started(
            row.promise, row.noun, row.noun_id, now, facts=row.facts, round_=row.round + 1
        )
    return again


def _write_down(conn: Connection, firings: Sequence[Firing]) -> None:
    """One audit line an announcement; its key refuses a second one."""
    if not firings:
        return
    conn.execute(
        "insert into audit (noun, noun_id, step, actor, idempotency_key, detail)"
        " select 'clock', f.id, f.step, 'system', f.key, f.detail"
        " from unnest(%s::text[], %s::text[], %s::text[], %s::jsonb[]) f (id, step, key, detail)",
        [
            [str(f.clock.clock_id) for f in firings],
            [f"{f.percent}%" for f in firings],
            [f.key for f in firings],
            [orjson.dumps({"to": f.to, "kind": f.clock.kind}).decode() for f in firings],
        ],
    )


def _lock(conn: Connection, noun: str, noun_id: str, kinds: Sequence[str] | None) -> list[ClockRow]:
    """Clocks of a subject that have not stopped, nobody else's until the transaction ends."""
    return _rows(
        conn,
        " where noun = %s and noun_id = %s and stopped_at is null"
        " and (%s::text[] is null or kind = any(%s)) order by clock_id for update",
        [noun, noun_id, None if kinds is None else list(kinds), list(kinds or ())],
    )


def _insert(conn: Connection, rows: Iterable[ClockRow]) -> int:
    found = list(rows)
    if not found:
        return 0
    cursor = conn.cursor()
    cursor.executemany(
        INSERT,
        [
            (
                r.clock_id,
                r.kind,
                r.noun,
                r.noun_id,
                r.round,
                Jsonb(r.promise.model_dump(mode="json")),
                Jsonb(r.facts),
                r.started_at,
                r.running_since,
                r.used_s,
                r.due_at,
                r.warned_percent,
                r.next_check_at,
                r.stopped_at,
                r.met,
            )
            for r in found
        ],
    )
    return cursor.rowcount


def _save(conn: Connection, rows: Sequence[ClockRow]) -> None:
    if not rows:
        return
    conn.execute(
        "update clock c set running_since = n.running_since, used_s = n.used_s, due_at = n.due_at,"
        " warned_percent = n.warned, next_check_at = n.next_check_at, stopped_at = n.stopped_at,"
        " met = n.met from unnest(%s::uuid[], %s::timestamptz[], %s::float8[], %s::timestamptz[],"
        " %s::int[], %s::timestamptz[], %s::timestamptz[], %s::bool[])"
        " n (clock_id, running_since, used_s, due_at, warned, next_check_at, stopped_at, met)"
        " where c.clock_id = n.clock_id",
        [
            [r.clock_id for r in rows],
            [r.running_since for r in rows],
            [r.used_s for r in rows],
            [r.due_at for r in rows],
            [r.warned_percent for r in rows],
            [r.next_check_at for r in rows],
            [r.stopped_at for r in rows],
            [r.met for r in rows],
        ],
    )


def _rows(conn: Connection, tail: LiteralString, values: Sequence[object]) -> list[ClockRow]:
    with conn.cursor(row_factory=dict_row) as cur:
        found = cur.execute(sql.SQL(SELECT + tail), values).fetchall()
    return [ClockRow.model_validate(row) for row in found]
