"""Messages on channels: spread once, retried, given up with a word to operators, escalated."""

from __future__ import annotations

import json
import uuid
from datetime import time, timedelta
from typing import Any

from dispatch import messages
from dispatch.terms import load_terms
from model.effects import OutboxRecord
from model.subscription import Channel, Subscription
from roadcall.dispatcher_notices import LEASE_S, SpreadTurn
from store import clocks, outbox, subscriptions
from store.database import transaction
from tests.receiver import Receiver, receiving

World = Any  # tests/roadcall/dispatcher/conftest.py
ATTEMPTS = load_terms().delivery.attempts


def subscribe(world: World, station: Receiver, audience: str = "station", **more: Any) -> uuid.UUID:
    facts = {
        "subscription_id": uuid.uuid4(),
        "name": audience,
        "audience": audience,
        "channel": Channel.APPRISE,
        "address": station.url.replace("http://", "json://"),
    }
    row = Subscription.model_validate(facts | more)
    with transaction(world.pool) as conn:
        subscriptions.upsert(conn, row)
    return row.subscription_id


def say(world: World, kind: str = "case.escalated", key: str = "k1", **body: Any) -> None:
    record = OutboxRecord(key, kind, {"zh": "请处理", "en": "please look"} | body)
    with transaction(world.pool) as conn:
        outbox.add(conn, record)


def lines(world: World) -> list[Any]:
    with transaction(world.pool) as conn:
        return list(reversed(subscriptions.lines(conn)))


def texts(station: Receiver) -> list[str]:
    return [json.loads(body)["message"] for _, body in station.seen]


def test_each_channel_gets_the_message_once(world: World) -> None:
    with receiving() as station:
        station.status = 200
        subscribe(world, station)
        subscribe(world, station, station_id="hz", name="hz", language="en")
        subscribe(world, station, station_id="nb", name="nb")
        subscribe(world, station, kinds=["rescue."], name="rescue")
        say(world, to="station,hq", station_id="hz")
        world.drain()
        world.drain()
        assert sorted(texts(station)) == ["please look", "请处理"]
    assert sorted((r.name, r.receipt, r.attempts) for r in lines(world)) == [
        ("hz", "taken by the service", 1),
        ("station", "taken by the service", 1),
    ]


def test_a_signed_webhook_keeps_its_id_over_the_tries(world: World) -> None:
    with receiving() as station:
        station.status = 503
        subscribe(world, station, channel="webhook", address=station.url, secret="whsec")
        say(world)
        world.drain()
        station.status = 204
        world.clock.advance(60)
        world.drain()
        assert station.ids == ["k1", "k1"]
        assert all("X-Roadcall-Signature" in headers for headers, _ in station.seen)
    (line,) = lines(world)
    assert (line.attempts, line.receipt, line.last_error) == (2, "http 204", None)


def test_who_dies_while_sending_leaves_it_to_the_next_one_under_the_same_id(world: World) -> None:
    with receiving() as station:
        subscribe(world, station, channel="webhook", address=station.url, secret="whsec")
        say(world)
        SpreadTurn(world.pool, world.clock)()
        with transaction(world.pool) as conn:  # claimed, committed, and then killed
            lease = world.now() + timedelta(seconds=LEASE_S)
            (claimed,) = subscriptions.claim(conn, world.now(), lease, 10)
        assert claimed.record.key == "k1"
        world.drain()
        assert station.ids == []
        world.clock.advance(LEASE_S + 1)
        world.drain()
        world.drain()
        assert station.ids == ["k1"]


def test_given_up_after_n_tries_the_operators_hear_of_it_and_it_may_be_tried_again(
    world: World,
) -> None:
    with receiving() as broken, receiving() as desk:
        broken.status, desk.status = 500, 200
        subscribe(world, broken)
        subscribe(world, desk, "operator", language="en")
        say(world, vin="LRDCALL0000000001")
        for _ in range(ATTEMPTS + 2):
            world.drain()
            world.clock.advance(700)
        assert len(broken.seen) == ATTEMPTS
        (told,) = texts(desk)
        assert told == (
            f"A message was not delivered: case.escalated, channel station, {ATTEMPTS} tries:"
            " the service did not take it. Please look."
        )
        assert "LRDCALL" not in told
        (dead,) = [r for r in lines(world) if r.dead_at]
        broken.status = 200
        with transaction(world.pool) as conn:
            subscriptions.revive(conn, dead.delivery_id, world.now())
        world.drain()
        assert len(broken.seen) == ATTEMPTS + 1
        assert not [r for r in lines(world) if r.dead_at]


def test_an_operators_own_dead_channel_makes_no_further_messages(world: World) -> None:
    with receiving() as broken:
        broken.status = 410
        subscribe(world, broken, "operator", channel="webhook", address=broken.url, secret="whsec")
        subscribe(world, broken, channel="webhook", address=broken.url, secret="whsec")
        say(world)
        for _ in range(3):
            world.drain()
            world.clock.advance(60)
    ((count,),) = world.rows("select count(*) from outbox")
    assert count == 2


def test_quiet_hours_wait_for_the_morning_but_not_with_severity_3(world: World) -> None:
    at = world.now()
    world.clock.advance((15 * 3600 - (at.hour * 3600 + at.minute * 60 + at.second)) % 86_400)
    with receiving() as station:
        station.status = 200
        night = {"quiet_from": time(21), "quiet_to": time(8)}
        subscribe(world, station, **night)
        say(world, key="calm", severity=2, zh="不急")
        say(world, key="serious", severity=3, zh="急")
        world.drain()
        assert texts(station) == ["急"]
        world.clock.advance(9 * 3600)
        world.drain()
        assert texts(station) == ["急", "不急"]


def test_what_nobody_acknowledges_goes_to_the_next_level(world: World) -> None:
    """dispatch/clocks.toml, notice: 5 min, then region at 10 and headquarters at 15."""
    with receiving() as centre, receiving() as region, receiving() as hq:
        for place, role in ((centre, "call_centre"), (region, "region"), (hq, "hq")):
            place.status = 200
            subscribe(world, place, role)
        say(world, "rescue.no_unit", "n1", plate="浙A12345")
        say(world, "rescue.no_unit", "n2", plate="浙A99999")
        world.drain()
        assert (len(centre.seen), len(region.seen)) == (2, 0)
        ((first, second),) = [[r.outbox_id for r in lines(world)]]
        world.clock.advance(301)
        world.drain()
        assert (len(centre.seen), len(region.seen)) == (4, 0)
        with transaction(world.pool) as conn:
            assert subscriptions.acknowledge(conn, first, "li.wei", world.now())
            assert not subscriptions.acknowledge(conn, first, "wang", world.now())
            clocks.stop(conn, "notice", str(first), world.now())
        world.clock.advance(300)
        world.drain()
        assert (len(region.seen), len(hq.seen)) == (1, 0)
        assert "浙A99999" in texts(region)[0]
        world.clock.advance(300)
        world.drain()
        assert len(hq.seen) == 1
        assert second != first


def test_a_changed_subscription_counts_from_the_next_message(world: World) -> None:
    with receiving() as station:
        station.status = 200
        number = subscribe(world, station)
        say(world, key="a")
        world.drain()
        with transaction(world.pool) as conn:
            row = subscriptions.find(conn, number)
            subscriptions.upsert(conn, row.model_copy(update={"active": False}))
        say(world, key="b")
        world.drain()
        assert len(station.seen) == 1


def test_a_reminder_planned_for_the_morning_is_not_sent_at_night(world: World) -> None:
    with receiving() as station:
        station.status = 200
        subscribe(world, station)
        later = world.now() + timedelta(hours=5)
        with transaction(world.pool) as conn:
            outbox.add(
                conn, OutboxRecord("m", "maintenance.worklist", {"zh": "x", "en": "x"}),
                not_before=later,
            )  # fmt: skip
        world.drain()
        assert station.seen == []
        world.clock.advance(5 * 3600 + 1)
        world.drain()
        assert len(station.seen) == 1


def test_the_words_for_operators_name_no_car() -> None:
    record = messages.undelivered("rescue.offer", "x", channel="c", attempts=3, error="http 500")
    assert set(record.body) == {"about", "channel", "attempts", "error", "zh", "en"}
