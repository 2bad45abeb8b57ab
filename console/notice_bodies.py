"""What the API says about channels and deliveries. An address is shown without what is secret."""

from __future__ import annotations

import uuid
from datetime import datetime, time

from pydantic import BaseModel, ConfigDict, Field

from console.bodies import Body, StepBody
from model.subscription import Channel, Language, Subscription


class SubscriptionBody(BaseModel):
    """A channel somebody wants messages on."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(min_length=1, max_length=80, examples=["杭州一站值班手机"])
    audience: str = Field(
        description="station, crew, call_centre, region, hq, owner, customer, operator …",
        examples=["station"],
    )
    station_id: str | None = None
    region_id: str | None = None
    vin: str | None = Field(None, description="An owner's own channel.")
    kinds: list[str] = Field(
        default_factory=list, max_length=50, description="Prefixes; none = all.",
        examples=[["rescue.", "clock.arrival"]],
    )  # fmt: skip
    min_severity: int = Field(-1, ge=-1, le=4)
    channel: Channel
    address: str = Field(
        min_length=1,
        max_length=2000,
        description="A URL for `webhook`, an apprise address for `apprise`. Never shown again.",
        examples=["wecombot://KEY"],
    )
    secret: str = Field("", max_length=200, description="Signs a webhook. Never shown again.")
    language: Language = Language.ZH
    quiet_from: time | None = Field(None, description="Local; not for severity 3 and more.")
    quiet_to: time | None = None
    time_zone: str = "Asia/Shanghai"
    active: bool = True


class SubscriptionView(Body):
    """A channel as stored, without its secrets."""

    subscription_id: uuid.UUID
    name: str
    audience: str
    station_id: str | None
    region_id: str | None
    vin: str | None
    kinds: list[str]
    min_severity: int
    channel: Channel
    service: str = Field(description="The kind of address only.", examples=["wecombot"])
    language: Language
    quiet_from: time | None
    quiet_to: time | None
    time_zone: str
    active: bool


class DeliveryBody(Body):
    """One message on one channel."""

    delivery_id: int
    message_id: int
    kind: str
    subscription_id: uuid.UUID
    name: str
    channel: Channel
    attempts: int
    next_attempt_at: datetime | None
    sent_at: datetime | None
    receipt: str | None = Field(description="What the channel answered.")
    read_at: datetime | None = Field(description="The receiver's system says: arrived.")
    dead_at: datetime | None
    last_error: str | None


class NoticeCounts(Body):
    """How messages stand."""

    outbox: dict[str, int] = Field(examples=[{"waiting": 0, "sent": 12, "dead": 0}])
    deliveries: dict[str, int]


class AcknowledgeBody(StepBody):
    """Who has seen a message."""


def view(row: Subscription) -> SubscriptionView:
    """Without address and secret."""
    kept = row.model_dump(exclude={"address", "secret"})
    return SubscriptionView.model_validate({**kept, "service": row.address.split(":", 1)[0]})
