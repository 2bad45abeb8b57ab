"""Channels of people, and the deliveries of messages on them."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from psycopg.rows import class_row

from model.effects import OutboxRecord
from model.subscription import Subscription
from store.database import Connection, UnknownRowError
from store.outbox import MAX_ERROR

COLUMNS = tuple(Subscription.model_fields)
CLAIM = """
update delivery d set next_attempt_at = %(lease)s, attempts = attempts + 1
from (select delivery_id from delivery where next_attempt_at <= %(now)s
      order by next_attempt_at, delivery_id limit %(limit)s for update skip locked) due
where d.delivery_id = due.delivery_id
returning d.delivery_id, d.outbox_id, d.subscription_id, d.attempts
"""


@dataclass(frozen=True, slots=True)
class ClaimedDelivery:
    """One message to send now on one channel. `attempts` counts this try."""

    delivery_id: int
    outbox_id: int
    attempts: int
    record: OutboxRecord
    subscription: Subscription


@dataclass(frozen=True, slots=True)
class DeliveryLine:
    """How one delivery stands, for people; no address, no text."""

    delivery_id: int
    outbox_id: int
    key: str
    kind: str
    subscription_id: uuid.UUID
    name: str
    channel: str
    attempts: int
    next_attempt_at: datetime | None
    sent_at: datetime | None
    receipt: str | None
    read_at: datetime | None
    dead_at: datetime | None
    last_error: str | None


def upsert(conn: Connection, row: Subscription) -> None:
    """Create or change a subscription."""
    fields = row.model_dump(mode="json")
    fields["kinds"] = list(row.kinds)
    names = ", ".join(COLUMNS)
    values = ", ".join(f"%({n})s" for n in COLUMNS)
    changes = ", ".join(f"{n} = excluded.{n}" for n in COLUMNS[1:])
    conn.execute(
        f"insert into subscription ({names}) values ({values})"  # noqa: S608 - field names of ours
        f" on conflict (subscription_id) do update set {changes}, changed_at = clock_timestamp()",
        fields,
    )


def remove(conn: Connection, subscription_id: uuid.UUID) -> None:
    """Nothing more is sent there. Raises UnknownRowError."""
    gone = conn.execute("delete from subscription where subscription_id = %s", [subscription_id])
    if gone.rowcount == 0:
        raise UnknownRowError("subscription")


def find(conn: Connection, subscription_id: uuid.UUID) -> Subscription:
    """One subscription. Raises UnknownRowError."""
    found = _rows(conn, [subscription_id])
    if not found:
        raise UnknownRowError("subscription")
    return found[0]


def every(conn: Connection, station_id: str | None = None) -> list[Subscription]:
    """All of them, or a station's, by name."""
    rows = _rows(conn, None)
    return [r for r in rows if station_id is None or r.station_id == station_id]


def version(conn: Connection) -> tuple[object, ...]:
    """Another value whenever subscriptions or stations may have changed."""
    row = conn.execute(
        "select count(*), max(changed_at), (select count(*) from station),"
        " (select md5(string_agg(station_id || ':' || coalesce(region_id, ''), ',' order by"
        " station_id)) from station) from subscription"
    ).fetchone()
    assert row is not None
    return row


def regions(conn: Connection) -> dict[str, str | None]:
    """Region of each station."""
    rows = conn.execute("select station_id, region_id from station")
    return {str(s): None if r is None else str(r) for s, r in rows}


def claim_unspread(conn: Connection, limit: int) -> list[tuple[int, OutboxRecord]]:
    """Messages whose readers were not looked up yet, oldest first, locked."""
    rows = conn.execute(
        "select outbox_id, key, kind, body from outbox where spread_at is null"
        " order by outbox_id limit %s for update skip locked",
        [limit],
    )
    found = []
    for outbox_id, key, kind, body in rows:
        assert isinstance(outbox_id, int) and isinstance(body, dict)
        found.append((outbox_id, OutboxRecord(str(key), str(kind), body)))
    return found


def spread(
    conn: Connection,
    outbox_ids: Sequence[int],
    wanted: Sequence[tuple[int, uuid.UUID, datetime]],
    now: datetime,
) -> None:
    """Write deliveries (message, subscription, not before) and mark the messages as looked up.

    A message planned for later is not delivered before its moment.
    """
    conn.execute(
        "update outbox set spread_at = %s where outbox_id = any(%s)", [now, list(outbox_ids)]
    )
    conn.execute(
        "insert into delivery (outbox_id, subscription_id, next_attempt_at)"
        " select w.outbox_id, w.subscription_id, greatest(w.at, case when o.attempts = 0"
        " then o.next_attempt_at end)"
        " from unnest(%s::bigint[], %s::uuid[], %s::timestamptz[])"
        " w (outbox_id, subscription_id, at) join outbox o using (outbox_id)"
        " on conflict do nothing",
        [[w[0] for w in wanted], [w[1] for w in wanted], [w[2] for w in wanted]],
    )


def claim(
    conn: Connection, now: datetime, lease_until: datetime, limit: int
) -> list[ClaimedDelivery]:
    """Take deliveries that are due; they come back after the lease unless marked.

    Commit before sending.
    """
    rows = conn.execute(CLAIM, {"now": now, "lease": lease_until, "limit": limit}).fetchall()
    if not rows:
        return []
    records = {
        outbox_id: OutboxRecord(str(key), str(kind), body)
        for outbox_id, key, kind, body in conn.execute(
            "select outbox_id, key, kind, body from outbox where outbox_id = any(%s)",
            [[r[1] for r in rows]],
        )
        if isinstance(body, dict)
    }
    channels = {s.subscription_id: s for s in _rows(conn, [r[2] for r in rows])}
    return [
        ClaimedDelivery(delivery, message, attempts, records[message], channels[subscription])
        for delivery, message, subscription, attempts in sorted(rows)
        if isinstance(delivery, int)
        and isinstance(message, int)
        and isinstance(attempts, int)
        and isinstance(subscription, uuid.UUID)
    ]


def mark_sent(conn: Connection, receipts: Mapping[int, str], at: datetime) -> None:
    """The channels have them; what each of them answered."""
    conn.execute(
        "update delivery d set sent_at = %s, next_attempt_at = null, last_error = null,"
        " receipt = r.receipt from unnest(%s::bigint[], %s::text[]) r (delivery_id, receipt)"
        " where d.delivery_id = r.delivery_id and d.sent_at is null",
        [at, list(receipts), list(receipts.values())],
    )


def mark_failed(conn: Connection, row: ClaimedDelivery, error: str, again_at: datetime) -> None:
    """Try again then."""
    conn.execute(
        "update delivery set next_attempt_at = %s, last_error = %s"
        " where delivery_id = %s and attempts = %s and sent_at is null",
        [again_at, error[:MAX_ERROR], row.delivery_id, row.attempts],
    )


def mark_dead(conn: Connection, row: ClaimedDelivery, error: str, at: datetime) -> None:
    """Given up; an operator must look."""
    conn.execute(
        "update delivery set next_attempt_at = null, dead_at = %s, last_error = %s"
        " where delivery_id = %s and attempts = %s and sent_at is null",
        [at, error[:MAX_ERROR], row.delivery_id, row.attempts],
    )


def mark_read(conn: Connection, delivery_id: int, at: datetime) -> None:
    """The receiver's own system says that it arrived. Raises UnknownRowError."""
    changed = conn.execute(
        "update delivery set read_at = coalesce(read_at, %s) where delivery_id = %s",
        [at, delivery_id],
    )
    if changed.rowcount == 0:
        raise UnknownRowError("delivery")


def revive(conn: Connection, delivery_id: int, at: datetime) -> None:
    """Try a dead delivery again, from its first attempt. Raises UnknownRowError."""
    changed = conn.execute(
        "update delivery set dead_at = null, attempts = 0, next_attempt_at = %s"
        " where delivery_id = %s and dead_at is not null",
        [at, delivery_id],
    )
    if changed.rowcount == 0:
        raise UnknownRowError("dead delivery")


def lines(
    conn: Connection, *, dead_only: bool = False, outbox_id: int | None = None, limit: int = 100
) -> list[DeliveryLine]:
    """How deliveries stand, the newest first."""
    with conn.cursor(row_factory=class_row(DeliveryLine)) as cur:
        return cur.execute(
            "select d.delivery_id, d.outbox_id, o.key, o.kind, d.subscription_id, s.name,"
            " s.channel, d.attempts, d.next_attempt_at, d.sent_at, d.receipt, d.read_at,"
            " d.dead_at, d.last_error from delivery d join outbox o using (outbox_id)"
            " join subscription s using (subscription_id)"
            " where (not %s or d.dead_at is not null) and (%s::bigint is null or d.outbox_id = %s)"
            " order by d.delivery_id desc limit %s",
            [dead_only, outbox_id, outbox_id, limit],
        ).fetchall()


def acknowledge(conn: Connection, outbox_id: int, actor: str, at: datetime) -> bool:
    """Somebody has seen a message; False when somebody had before. Raises UnknownRowError."""
    row = conn.execute(
        "select acknowledged_at from outbox where outbox_id = %s for update", [outbox_id]
    ).fetchone()
    if row is None:
        raise UnknownRowError("message")
    if row[0] is not None:
        return False
    conn.execute(
        "update outbox set acknowledged_at = %s, acknowledged_by = %s where outbox_id = %s",
        [at, actor, outbox_id],
    )
    return True


def counts(conn: Connection) -> dict[str, int]:
    """How many deliveries are waiting, sent and dead."""
    rows = conn.execute(
        "select case when sent_at is not null then 'sent' when dead_at is not null then 'dead'"
        " else 'waiting' end, count(*)::int from delivery group by 1"
    )
    return {"waiting": 0, "sent": 0, "dead": 0} | {str(k): int(str(n)) for k, n in rows}


def _rows(conn: Connection, ids: Sequence[object] | None) -> list[Subscription]:
    with conn.cursor(row_factory=class_row(Subscription)) as cur:
        return cur.execute(
            f"select {', '.join(COLUMNS)} from subscription"  # noqa: S608 - field names of ours
            " where %s::uuid[] is null or subscription_id = any(%s) order by name, subscription_id",
            [None if ids is None else list(ids), list(ids or ())],
        ).fetchall()
