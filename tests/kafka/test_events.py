"""Events on a Kafka topic, read back by another client."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from confluent_kafka import Consumer, Message, TopicPartition

from dispatch.delivery import Outcome
from dispatch.events import CONTENT_TYPE
from model.effects import OutboxRecord
from roadcall.kafka_events import KafkaEvents

VINS = ["LRW3E7FS0PC000017", "LRW3E7FS0PC000018"]
CLOCK = {
    "clock_id": "7e9f4a52-19a5-4fb5-9d3c-6d4b6a6a2d11",
    "kind": "arrival",
    "noun": "rescue_case",
    "noun_id": "1",
    "brand": None,
    "variant": None,
    "target_s": 1800.0,
    "started_at": "2025-03-01T08:00:00Z",
    "due_at": "2025-03-01T08:30:00Z",
    "stopped_at": None,
}


def breach(number: int, vin: str | None) -> OutboxRecord:
    body = {"subject": "clock/1", "time": "2025-03-01T08:30:00Z", "sequence": number, "vin": vin}
    body |= {"source": "/test", "data": CLOCK | {"vin": vin}}
    return OutboxRecord(f"event/clock/1/{number}", "event.clock.breached", body)


def read(broker, topic: str, wanted: int) -> list[Message]:
    reader = Consumer({"bootstrap.servers": broker.servers, "group.id": "events-reader"})
    reader.assign([TopicPartition(topic, p, 0) for p in range(broker.partitions)])
    found: list[Message] = []
    while len(found) < wanted:
        message = reader.poll(30)
        assert message is not None, len(found)
        assert message.error() is None
        found.append(message)
    reader.close()
    return found


@pytest.fixture
def sender(broker) -> Iterator[KafkaEvents]:
    made = KafkaEvents(broker.servers, broker.new_topic(), broker.partitions)
    yield made
    made.close()


def test_an_event_is_one_record_with_the_vin_as_its_key(broker, sender: KafkaEvents) -> None:
    sent = [breach(n, VINS[n % 2]) for n in range(6)] + [breach(6, None)]
    assert {sender.send(record, 0).outcome for record in sent} == {Outcome.SENT}
    found = read(broker, sender._topic, len(sent))
    keys = {json.loads(m.value())["id"]: m.key() for m in found}
    assert keys == {r.key: (r.body["vin"] or "clock/1").encode() for r in sent}
    homes = {m.key(): m.partition() for m in found}
    assert len(found) == len({(m.partition(), m.offset()) for m in found})
    assert all(homes[m.key()] == m.partition() for m in found)
    assert {tuple(m.headers()) for m in found} == {(("content-type", CONTENT_TYPE.encode()),)}
    first = next(json.loads(m.value()) for m in found if m.value().find(b"clock/1/0") > 0)
    assert (first["specversion"], first["partitionkey"]) == ("1.0", VINS[0])


def test_messages_to_people_stay_where_they_are(sender: KafkaEvents) -> None:
    message = OutboxRecord("case/1/offer/1", "rescue.offer", {"zh": "…", "en": "…"})
    assert sender.send(message, 0).outcome is Outcome.SENT
    assert sender._producer is None


def test_no_broker_is_tried_again() -> None:
    away = KafkaEvents("127.0.0.1:9", "roadcall.events", 4)
    assert away.send(breach(0, VINS[0]), 0).outcome is Outcome.RETRY
    away.close()
