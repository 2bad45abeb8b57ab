"""Who hears of what, on which channel."""

from __future__ import annotations

import uuid
from datetime import time
from enum import StrEnum
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from model.hours import zone_name
from model.record import Key, Label, Record
from model.vehicle import Vin


class Channel(StrEnum):
    """How a message leaves."""

    WEBHOOK = "webhook"  # our own signed JSON, docs/webhooks.md
    APPRISE = "apprise"  # mail, SMS gateways, WeCom, DingTalk, Feishu … by one address


class Language(StrEnum):
    """What a person reads."""

    ZH = "zh"
    EN = "en"
    BOTH = "both"


class Subscription(Record):
    """One channel of one audience. `address` and `secret` are never shown and never logged."""

    subscription_id: uuid.UUID
    name: Label = Field(min_length=1)
    #: A role: station, crew, call_centre, region, hq, owner, customer, operator …
    audience: str = Field(pattern=r"^[a-z][a-z_]{0,39}$")
    #: At most one of these narrows it; none = everybody's.
    station_id: Key | None = None
    region_id: Key | None = None
    vin: Vin | None = None
    #: Prefixes of message kinds; none = all.
    kinds: tuple[str, ...] = ()
    min_severity: int = Field(-1, ge=-1, le=4)
    channel: Channel
    address: str = Field(min_length=1, max_length=2000, repr=False)
    secret: str = Field("", max_length=200, repr=False)
    language: Language = Language.ZH
    quiet_from: time | None = None
    quiet_to: time | None = None
    time_zone: Annotated[str, AfterValidator(zone_name)] = "Asia/Shanghai"
    active: bool = True

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if sum(x is not None for x in (self.station_id, self.region_id, self.vin)) > 1:
            raise ValueError("one of station_id, region_id and vin at most")
        if (self.quiet_from is None) != (self.quiet_to is None):
            raise ValueError("quiet_from and quiet_to go together")
        if self.channel is Channel.WEBHOOK and not self.secret:
            raise ValueError("a webhook needs a secret")
        return self
