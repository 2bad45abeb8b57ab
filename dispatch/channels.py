"""One message on one subscription's channel."""

from __future__ import annotations

from functools import lru_cache

from dispatch import apprise_channel, notices
from dispatch.delivery import Delivery
from dispatch.webhook import WebhookSender
from model.effects import OutboxRecord
from model.subscription import Channel, Subscription

#: Webhooks kept open; each holds a pool of connections.
OPEN_WEBHOOKS = 200


@lru_cache(maxsize=OPEN_WEBHOOKS)
def _webhook(address: str, secret: str) -> WebhookSender:
    return WebhookSender(address, secret.encode())


def send(row: Subscription, record: OutboxRecord, now_ns: int) -> Delivery:
    """One try; never raises."""
    if row.channel is Channel.WEBHOOK:
        return _webhook(row.address, row.secret).send(record, now_ns)
    return apprise_channel.send(row.address, *notices.words(record, row.language))
