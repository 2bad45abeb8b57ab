"""What a station hears once a day: at its own time, once, and only where somebody asked for it."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Any

from model.clock import FakeClock, ns_of
from model.subscription import Channel, Subscription
from roadcall.dispatcher_stations import StationDayTurn
from store import subscriptions
from store.database import transaction

World = Any  # tests/roadcall/dispatcher/conftest.py


def subscribe(world: World, *kinds: str) -> None:
    row = Subscription(
        subscription_id=uuid.uuid4(), name="hz", audience="station", station_id="hz",
        kinds=kinds, channel=Channel.APPRISE, address="json://127.0.0.1:9",
    )  # fmt: skip
    with transaction(world.pool) as conn:
        subscriptions.upsert(conn, row)


def told(world: World) -> list[tuple[Any, ...]]:
    query = "select key, kind, body ->> 'zh', body ->> 'day' from outbox order by key"
    return [row for row in world.rows(query) if str(row[1]).startswith("station.")]


def test_once_a_day_after_half_past_seven_of_the_station(world: World) -> None:
    clock = FakeClock(ns_of(datetime(2025, 3, 3, 23, 29, tzinfo=UTC)))  # 07:29 in Hangzhou
    subscribe(world, "station.")
    turn = StationDayTurn(world.pool, clock)
    assert (turn(), told(world)) == (0, [])
    clock.advance(60)
    assert turn() == 1
    rows = {row[1]: row for row in told(world)}
    assert rows["station.report"][0] == "station/report/hz/2025-03-04"
    assert rows["station.report"][3] == "2025-03-03"
    # Nobody is on the roster: all open hours of the next day are gaps.
    assert "无持证人员值班" in str(rows["station.duty_gap"][2])
    assert (turn(), StationDayTurn(world.pool, clock)()) == (0, 0)
    clock.advance(86_400)
    assert turn() == 1
    assert len(told(world)) == 2 * len(rows)


def test_nobody_asked(world: World) -> None:
    subscribe(world, "rescue.")
    subscribe(world)
    clock = FakeClock(ns_of(datetime(2025, 3, 4, 4, 0, tzinfo=UTC)))
    assert StationDayTurn(world.pool, clock)() == 0
