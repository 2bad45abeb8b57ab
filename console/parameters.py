"""Parameters that many routes share."""

from __future__ import annotations

from typing import Annotated

from fastapi import Header, Path, Query

from console.cursors import MAX_CURSOR, PAGE_AT_MOST
from console.steps import Act
from model.clock import Clock, utc
from model.vehicle import Vin

VIN_EXAMPLE = "LRDCALLDEM0000001"

#: A key made of text: the database's text holds no NUL.
Key = Annotated[str, Path(min_length=1, max_length=200, pattern=r"^[^\x00]+$")]
VinPath = Annotated[Vin, Path(description="ISO 3779 VIN.", examples=[VIN_EXAMPLE])]
VinQuery = Annotated[Vin | None, Query(description="Only this vehicle's.", examples=[VIN_EXAMPLE])]
Cursor = Annotated[
    str | None, Query(description="`next_cursor` of the page before.", max_length=MAX_CURSOR)
]
Limit = Annotated[int, Query(ge=1, le=PAGE_AT_MOST, description="Items on a page.")]
IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=200,
        pattern=r"^[\x21-\x7e]+$",
        description="Repeating a step under the same key changes nothing and answers the same.",
    ),
]


def act(clock: Clock, actor: str, reason: str, key: str | None) -> Act:
    """A step taken now."""
    return Act(actor=actor, now=utc(clock.now_ns()), reason=reason, key=key)
