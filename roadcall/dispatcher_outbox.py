"""The dispatcher's turn over the outbox: claim, send, mark.

A claim is a lease: it is committed before anything is sent, so that no transaction waits for a
receiver. Whoever dies while sending leaves the row to the next claim after `LEASE_S`.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import structlog

from dispatch.delivery import Delivery, Outcome, Sender, delay_s, given_up
from dispatch.terms import DeliveryTerms
from model.clock import Clock, utc
from model.effects import OutboxRecord
from roadcall.dispatcher_notices import tell_operators
from store import outbox
from store.database import Connection, Pool, transaction
from store.outbox import ClaimedRecord

#: Rows one claim takes, and how many of them are sent at the same time.
CLAIM_ROWS, SENDING_AT_ONCE = 32, 8
#: Longer than the slowest claim: rows / at once x the time-out of one try.
LEASE_S = 60

log = structlog.get_logger("roadcall.outbox")


class OutboxTurn:
    """Sends what is due; says how many records it tried."""

    def __init__(
        self, pool: Pool, clock: Clock, senders: Sequence[Sender], terms: DeliveryTerms
    ) -> None:
        self._pool, self._clock, self._senders, self._terms = pool, clock, senders, terms
        self._workers = ThreadPoolExecutor(SENDING_AT_ONCE, "dispatch-send")
        self._jitter = random.Random()  # noqa: S311 - spreads retries, guards nothing

    def __call__(self) -> int:
        now = utc(self._clock.now_ns())
        with transaction(self._pool) as conn:
            lease_until = now + timedelta(seconds=LEASE_S)
            claimed = outbox.claim(conn, now, lease_until, CLAIM_ROWS)
        deliveries = list(self._workers.map(self._send, [row.record for row in claimed]))
        if claimed:
            with transaction(self._pool) as conn:
                for row, delivery in zip(claimed, deliveries, strict=True):
                    self._mark(conn, row, delivery)
        return len(claimed)

    def close(self) -> None:
        """Let the sending threads go."""
        self._workers.shutdown()

    def _send(self, record: OutboxRecord) -> Delivery:
        """Through all senders in order; the first that did not take it decides."""
        for sender in self._senders:
            delivery = sender.send(record, self._clock.now_ns())
            if delivery.outcome is not Outcome.SENT:
                return delivery
        return Delivery(Outcome.SENT)

    def _mark(self, conn: Connection, row: ClaimedRecord, delivery: Delivery) -> None:
        now = utc(self._clock.now_ns())
        if delivery.outcome is Outcome.SENT:
            outbox.mark_sent(conn, row, now)
        elif delivery.outcome is Outcome.DEAD or given_up(row.attempts, self._terms):
            outbox.mark_dead(conn, row, delivery.error, now)
            tell_operators(
                conn,
                row.record,
                f"outbox/{row.outbox_id}",
                channel="outbox",
                attempts=row.attempts,
                error=delivery.error,
            )
            log.error("outbox.dead", id=row.record.key, kind=row.record.kind, error=delivery.error)
        else:
            seconds = delay_s(
                row.attempts, self._terms, jitter=self._jitter.random(), wait_s=delivery.wait_s
            )
            outbox.mark_failed(conn, row, delivery.error, now + timedelta(seconds=seconds))
            log.warning("outbox.retry", id=row.record.key, attempts=row.attempts, in_s=seconds)
