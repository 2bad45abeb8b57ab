"""The dispatcher's turns over notices: look up who wants a message, and send it on each channel.

As with the outbox, a claim is a lease that is committed before anything is sent: whoever dies while
sending leaves the delivery to the next claim, under the same id.
"""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

import structlog
from prometheus_client import Counter

from dispatch import channels, messages
from dispatch.clocks import NOTICE, find_promise
from dispatch.delivery import Delivery, Outcome, delay_s, given_up
from dispatch.notices import Directory, moment, notice_of, told_twice
from dispatch.terms import DeliveryTerms
from model.clock import Clock, utc
from model.effects import OutboxRecord
from model.promises import Fact
from store import clocks as clock_rows
from store import outbox, subscriptions
from store.database import Connection, Pool, transaction
from store.subscriptions import ClaimedDelivery

TAKE_MESSAGES = 500
#: Deliveries one claim takes, and how many of them are sent at the same time.
CLAIM_ROWS, SENDING_AT_ONCE = 128, 16
#: Longer than the slowest claim: rows / at once x the time-out of one try.
LEASE_S = 120
#: Messages about messages: their own failures make no further ones.
ABOUT_NOTICES = "notice."


SENT = Counter("roadcall_deliveries_sent", "Deliveries a channel took", ["channel"])
FAILED = Counter("roadcall_deliveries_failed", "Tries that failed", ["channel"])
DEAD = Counter("roadcall_deliveries_dead", "Deliveries given up", ["channel"])

log = structlog.get_logger("roadcall.notices")


class SpreadTurn:
    """Makes deliveries of new messages; says how many messages it looked at."""

    def __init__(self, pool: Pool, clock: Clock) -> None:
        self._pool, self._clock = pool, clock
        self._version: tuple[object, ...] | None = None
        self._directory = Directory((), {})

    def __call__(self) -> int:
        now = utc(self._clock.now_ns())
        with transaction(self._pool) as conn:
            found = subscriptions.claim_unspread(conn, TAKE_MESSAGES)
            if not found:
                return 0
            self._refresh(conn)
            wanted = [
                (outbox_id, row.subscription_id, moment(row, record, now))
                for outbox_id, record in found
                for row in told_twice(self._directory.wanting(record))
            ]
            subscriptions.spread(conn, [outbox_id for outbox_id, _ in found], wanted, now)
            for outbox_id, record in found:
                watch(conn, outbox_id, record, now)
        return len(found)

    def _refresh(self, conn: Connection) -> None:
        version = subscriptions.version(conn)
        if version != self._version:
            self._directory = Directory(subscriptions.every(conn), subscriptions.regions(conn))
            self._version = version


def watch(conn: Connection, outbox_id: int, record: OutboxRecord, now: datetime) -> None:
    """Start the clock of a message that somebody must acknowledge; it tells the next level."""
    notice = notice_of(record.kind)
    promise = find_promise(NOTICE) if notice.acknowledge else None
    if promise is None:
        return
    facts: dict[str, Fact] = {
        "message": record.kind,
        "message_zh": notice.zh,
        "message_en": notice.en,
        "severity": notice.severity,
    }
    facts |= {name: record.body.get(name) for name in ("plate", "station_id", "region_id")}
    facts["plate"] = facts["plate"] or notice.zh
    clock_rows.start(conn, promise, NOTICE, str(outbox_id), now, facts=facts)


class DeliveryTurn:
    """Sends what is due on each channel; says how many deliveries it tried."""

    def __init__(self, pool: Pool, clock: Clock, terms: DeliveryTerms) -> None:
        self._pool, self._clock, self._terms = pool, clock, terms
        self._workers = ThreadPoolExecutor(SENDING_AT_ONCE, "dispatch-channel")
        self._jitter = random.Random()  # noqa: S311 - spreads retries, guards nothing

    def __call__(self) -> int:
        now = utc(self._clock.now_ns())
        with transaction(self._pool) as conn:
            lease_until = now + timedelta(seconds=LEASE_S)
            claimed = subscriptions.claim(conn, now, lease_until, CLAIM_ROWS)
        if not claimed:
            return 0
        results = list(self._workers.map(self._send, claimed))
        now = utc(self._clock.now_ns())
        with transaction(self._pool) as conn:
            taken = {
                row.delivery_id: result.receipt
                for row, result in zip(claimed, results, strict=True)
                if result.outcome is Outcome.SENT
            }
            subscriptions.mark_sent(conn, taken, now)
            for row, result in zip(claimed, results, strict=True):
                if result.outcome is Outcome.SENT:
                    SENT.labels(row.subscription.channel).inc()
                else:
                    self._failed(conn, row, result, now)
        return len(claimed)

    def close(self) -> None:
        """Let the sending threads go."""
        self._workers.shutdown()

    def _send(self, row: ClaimedDelivery) -> Delivery:
        return channels.send(row.subscription, row.record, self._clock.now_ns())

    def _failed(
        self, conn: Connection, row: ClaimedDelivery, result: Delivery, now: datetime
    ) -> None:
        channel = row.subscription.channel
        FAILED.labels(channel).inc()
        if result.outcome is not Outcome.DEAD and not given_up(row.attempts, self._terms):
            seconds = delay_s(
                row.attempts, self._terms, jitter=self._jitter.random(), wait_s=result.wait_s
            )
            again_at = now + timedelta(seconds=seconds)
            subscriptions.mark_failed(conn, row, result.error, again_at)
            log.warning("delivery.retry", delivery=row.delivery_id, attempts=row.attempts)
            return
        subscriptions.mark_dead(conn, row, result.error, now)
        DEAD.labels(channel).inc()
        log.error("delivery.dead", delivery=row.delivery_id, kind=row.record.kind)
        tell_operators(
            conn,
            row.record,
            f"delivery/{row.delivery_id}/{row.attempts}",
            channel=row.subscription.name,
            attempts=row.attempts,
            error=result.error,
        )


def tell_operators(
    conn: Connection, record: OutboxRecord, key: str, *, channel: str, attempts: int, error: str
) -> None:
    """A message was given up: a person must look. Names the kind, never the car or the address."""
    if not record.kind.startswith(ABOUT_NOTICES):
        outbox.add(
            conn,
            messages.undelivered(record.kind, key, channel=channel, attempts=attempts, error=error),
        )
