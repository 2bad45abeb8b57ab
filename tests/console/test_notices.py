"""Channels, deliveries and acknowledgements over the API."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from httpx import Client

from model.effects import OutboxRecord
from store import outbox
from store.database import Pool, transaction

CHANNEL = {
    "name": "desk",
    "audience": "station",
    "station_id": "hz-1",
    "kinds": ["rescue."],
    "channel": "apprise",
    "address": "wecombot://" + "a" * 36,
    "quiet_from": "21:00:00",
    "quiet_to": "08:00:00",
}


def test_a_channel_is_made_changed_and_removed_and_its_address_never_shown(client: Client) -> None:
    made = client.post("/v1/subscriptions", json=CHANNEL)
    assert made.status_code == 201
    shown = made.json()
    assert (shown["service"], shown["kinds"], shown["quiet_from"]) == (
        "wecombot", ["rescue."], "21:00:00",
    )  # fmt: skip
    assert "a" * 36 not in made.text + client.get("/v1/subscriptions").text
    url = f"/v1/subscriptions/{shown['subscription_id']}"
    changed = client.put(url, json=CHANNEL | {"min_severity": 3})
    assert changed.json()["min_severity"] == 3
    listed = client.get("/v1/subscriptions", params={"station_id": "hz-1"}).json()
    assert [row["name"] for row in listed] == ["desk"]
    assert client.delete(url).status_code == 204
    assert client.delete(url).status_code == 404
    assert client.put(url, json=CHANNEL).status_code == 404


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"address": "nonsense"}, "body.address"),
        ({"channel": "webhook", "address": "ftp://x/", "secret": "s"}, "body.address"),
        ({"channel": "webhook", "address": "https://x/"}, "body"),
        ({"quiet_to": None}, "body"),
        ({"audience": "Every One"}, "body.audience"),
        ({"time_zone": "Mars"}, "body.time_zone"),
        ({"channel": "pigeon"}, "body.channel"),
    ],
)
def test_a_wrong_channel_is_refused(client: Client, change: dict[str, Any], field: str) -> None:
    answer = client.post("/v1/subscriptions", json=CHANNEL | change)
    assert answer.status_code == 422
    assert [e["field"] for e in answer.json()["errors"]] == [field]


def test_a_test_message_waits_to_be_delivered(client: Client) -> None:
    number = client.post("/v1/subscriptions", json=CHANNEL).json()["subscription_id"]
    sent = client.post(f"/v1/subscriptions/{number}/test")
    assert (sent.status_code, sent.json()["kind"]) == (202, "notice.test")
    delivery = sent.json()["delivery_id"]
    assert client.post(f"/v1/deliveries/{delivery}/receipt").status_code == 204
    (line,) = client.get("/v1/deliveries").json()
    assert line["read_at"] is not None and line["sent_at"] is None
    assert client.get("/v1/deliveries", params={"dead": True}).json() == []
    assert client.post(f"/v1/deliveries/{delivery}/retry").status_code == 404
    counts = client.get("/v1/messages/counts").json()
    assert counts["deliveries"] == {"waiting": 1, "sent": 0, "dead": 0}
    assert client.post(f"/v1/subscriptions/{uuid.uuid4()}/test").status_code == 404


def test_a_message_is_acknowledged_once(client: Client, pool: Pool) -> None:
    with transaction(pool) as conn:
        outbox.add(conn, OutboxRecord("k", "rescue.no_unit", {"zh": "x", "en": "x"}))
        ((number,),) = conn.execute("select outbox_id from outbox").fetchall()
    url = f"/v1/messages/{number}/acknowledge"
    for _ in range(2):
        answer = client.post(url, json={"actor": "li.wei"}, headers={"Idempotency-Key": "a1"})
        assert answer.status_code == 204
    with transaction(pool) as conn:
        rows = conn.execute("select acknowledged_by from outbox").fetchall()
        steps = conn.execute("select step from audit where noun = 'notice'").fetchall()
    assert (rows, steps) == ([("li.wei",)], [("acknowledge",)])
    assert client.post("/v1/messages/999/acknowledge", json={"actor": "x"}).status_code == 404
