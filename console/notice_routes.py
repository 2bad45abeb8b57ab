"""/v1/subscriptions …, /v1/deliveries …, POST /v1/messages/{id}/acknowledge."""

from __future__ import annotations

import uuid
from dataclasses import asdict
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import APIRouter, Path, Query
from pydantic import ValidationError

from console import acts
from console.notice_bodies import (
    AcknowledgeBody,
    DeliveryBody,
    NoticeCounts,
    SubscriptionBody,
    SubscriptionView,
    view,
)
from console.parameters import IdempotencyKey, Limit, act
from console.problems import documented, field_problem
from console.reads import Reads
from dispatch import apprise_channel, messages
from model.clock import utc
from model.subscription import Channel, Subscription
from store import clocks as clock_rows
from store import outbox, subscriptions
from store.database import transaction

NOTICE = "notice"

RowId = Annotated[int, Path(ge=1, le=2**63 - 1)]
DeadOnly = Annotated[bool, Query(description="Only those that were given up.")]
MessageId = Annotated[int | None, Query(ge=1, le=2**63 - 1, description="Only this message's.")]
StationId = Annotated[
    str | None, Query(max_length=80, pattern=r"^[^\x00]*$", description="Only this station's.")
]


def add(router: APIRouter, reads: Reads) -> None:
    """Add the routes."""
    _add_subscriptions(router, reads)
    _add_deliveries(router, reads)


def _add_subscriptions(router: APIRouter, reads: Reads) -> None:
    @router.get("/subscriptions", tags=["notices"], summary="Who hears of what, on which channel")
    def list_subscriptions(station_id: StationId = None) -> list[SubscriptionView]:
        with transaction(reads.pool) as conn:
            return [view(row) for row in subscriptions.every(conn, station_id)]

    @router.post("/subscriptions", tags=["notices"], summary="A new channel", status_code=201)
    def create_subscription(body: SubscriptionBody) -> SubscriptionView:
        return _save(reads, uuid.uuid4(), body)

    @router.put(
        "/subscriptions/{subscription_id}",
        tags=["notices"],
        summary="Replace a channel",
        responses=documented("not-found"),
    )
    def put_subscription(subscription_id: uuid.UUID, body: SubscriptionBody) -> SubscriptionView:
        with transaction(reads.pool) as conn:
            subscriptions.find(conn, subscription_id)
        return _save(reads, subscription_id, body)

    @router.delete(
        "/subscriptions/{subscription_id}",
        tags=["notices"],
        summary="Remove a channel and what still waits on it",
        status_code=204,
        responses=documented("not-found"),
    )
    def delete_subscription(subscription_id: uuid.UUID) -> None:
        with transaction(reads.pool) as conn:
            subscriptions.remove(conn, subscription_id)

    @router.post(
        "/subscriptions/{subscription_id}/test",
        tags=["notices"],
        summary="Send a test message to one channel; its delivery says how it went",
        status_code=202,
        responses=documented("not-found"),
    )
    def test_subscription(subscription_id: uuid.UUID) -> DeliveryBody:
        now = utc(reads.clock.now_ns())
        with transaction(reads.pool) as conn:
            row = subscriptions.find(conn, subscription_id)
            record = messages.trial(str(subscription_id), row.name, reads.clock.now_ns())
            number = outbox.add_for_channels(conn, record)
            subscriptions.spread(conn, [number], [(number, subscription_id, now)], now)
            (line,) = subscriptions.lines(conn, outbox_id=number)
        return _line(line)


def _add_deliveries(router: APIRouter, reads: Reads) -> None:
    @router.get("/deliveries", tags=["notices"], summary="Messages on channels, newest first")
    def list_deliveries(
        dead: DeadOnly = False, message_id: MessageId = None, limit: Limit = 50
    ) -> list[DeliveryBody]:
        with transaction(reads.pool) as conn:
            found = subscriptions.lines(conn, dead_only=dead, outbox_id=message_id, limit=limit)
        return [_line(row) for row in found]

    @router.get(
        "/messages/counts", tags=["notices"], summary="How many wait, were sent, were given up"
    )
    def count_messages() -> NoticeCounts:
        with transaction(reads.pool) as conn:
            return NoticeCounts(outbox=outbox.counts(conn), deliveries=subscriptions.counts(conn))

    @router.post(
        "/deliveries/{delivery_id}/retry",
        tags=["notices"],
        summary="Try a delivery that was given up once more, from its first attempt",
        status_code=204,
        responses=documented("not-found"),
    )
    def retry_delivery(delivery_id: RowId) -> None:
        with transaction(reads.pool) as conn:
            subscriptions.revive(conn, delivery_id, utc(reads.clock.now_ns()))

    @router.post(
        "/deliveries/{delivery_id}/receipt",
        tags=["notices"],
        summary="The receiver's system says that a message arrived or was read",
        status_code=204,
        responses=documented("not-found"),
    )
    def receipt(delivery_id: RowId) -> None:
        with transaction(reads.pool) as conn:
            subscriptions.mark_read(conn, delivery_id, utc(reads.clock.now_ns()))

    @router.post(
        "/messages/{message_id}/acknowledge",
        tags=["notices"],
        summary="Somebody has seen a message: nobody further up is told",
        status_code=204,
        responses=documented("not-found", "key-reused"),
    )
    def acknowledge(message_id: RowId, body: AcknowledgeBody, key: IdempotencyKey = None) -> None:
        taken = act(reads.clock, body.actor, body.reason, key)
        with transaction(reads.pool) as conn:
            if acts.seen(conn, NOTICE, str(message_id), "acknowledge", taken):
                return
            if subscriptions.acknowledge(conn, message_id, taken.actor, taken.now):
                clock_rows.stop(conn, NOTICE, str(message_id), taken.now)
                acts.append(conn, NOTICE, str(message_id), "acknowledge", taken)


def _save(reads: Reads, subscription_id: uuid.UUID, body: SubscriptionBody) -> SubscriptionView:
    try:
        row = Subscription(subscription_id=subscription_id, **body.model_dump())
    except ValidationError as error:
        fault = error.errors()[0]
        field = ".".join(str(part) for part in fault["loc"])
        raise field_problem(f"body.{field}".rstrip("."), fault["msg"].lower()) from None
    if row.channel is Channel.APPRISE and not apprise_channel.understood(row.address):
        raise field_problem("body.address", "not an address of a known service")
    if row.channel is Channel.WEBHOOK and urlsplit(row.address).scheme not in {"http", "https"}:
        raise field_problem("body.address", "not an http or https address")
    with transaction(reads.pool) as conn:
        if row.vin is not None:
            reads.vehicle(row.vin)
        subscriptions.upsert(conn, row)
    return view(row)


def _line(row: subscriptions.DeliveryLine) -> DeliveryBody:
    return DeliveryBody.model_validate({**asdict(row), "message_id": row.outbox_id})
