"""KafkaLog against librdkafka's mock cluster and Apache Kafka; read back by librdkafka."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest
from confluent_kafka import Consumer, Message, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from model.errors import LogFullError, LogUnavailableError
from model.log import MAX_RECORD_BYTES, BatchKey, LogRecord
from model.wire import partition_of
from roadcall.kafka_log import KafkaLog, PartitionCountError

VIN = "LRW3E7FS0PC000017"


def record(batch: str, vin: str = VIN, value: bytes = b"bytes") -> LogRecord:
    key = BatchKey("gw-1", vin, batch, part=3)
    return LogRecord(key, "0123456789abcdef", 1_700_000_000_000_000_001, "can", value)


@contextlib.asynccontextmanager
async def opened(broker, topic: str, **options) -> AsyncIterator[KafkaLog]:
    log = KafkaLog(broker.servers, topic=topic, partitions=broker.partitions, **options)
    await log.start()
    try:
        yield log
    finally:
        await log.stop()
        assert log._waiting_bytes == 0


def read_until(broker, topic: str, wanted: set[str]) -> list[Message]:
    """The topic from its beginning until these batches have been seen; by another client."""
    reader = Consumer({"bootstrap.servers": broker.servers, "group.id": "reader"})
    reader.assign([TopicPartition(topic, p, 0) for p in range(broker.partitions)])
    found: list[Message] = []
    missing = set(wanted)
    while missing:
        message = reader.poll(30)
        assert message is not None, missing
        assert message.error() is None
        found.append(message)
        missing.discard(batch_of(message))
    reader.close()
    return found


def batch_of(message: Message) -> str:
    return dict(message.headers())["batch"].decode()


def test_a_record_stands_on_its_partition_with_key_headers_and_bytes(broker) -> None:
    topic = broker.new_topic()

    async def scene() -> None:
        async with opened(broker, topic) as log:
            await log.append([record("b-1", value=b"\x00\xff")])

    asyncio.run(scene())
    (message,) = read_until(broker, topic, {"b-1"})
    assert message.partition() == partition_of(VIN, broker.partitions)
    assert message.key() == VIN.encode()
    assert message.value() == b"\x00\xff"
    assert dict(message.headers()) == {
        "gateway": b"gw-1",
        "batch": b"b-1",
        "part": b"3",
        "digest": b"0123456789abcdef",
        "received_ns": b"1700000000000000001",
        "protocol": b"can",
    }


def test_records_of_one_vehicle_keep_their_order(broker) -> None:
    topic = broker.new_topic()
    vins = [f"LRW3E7FS0PC00{n:04d}" for n in range(20)]

    async def scene() -> None:
        async with opened(broker, topic) as log:
            for turn in range(10):
                await asyncio.gather(*(log.append([record(f"{vin}-{turn}", vin)]) for vin in vins))

    asyncio.run(scene())
    seen: dict[str, list[str]] = {}
    wanted = {f"{vin}-{turn}" for vin in vins for turn in range(10)}
    for message in sorted(read_until(broker, topic, wanted), key=lambda m: m.offset()):
        seen.setdefault(message.key().decode(), []).append(batch_of(message))
    assert seen == {vin: [f"{vin}-{turn}" for turn in range(10)] for vin in vins}


def test_the_largest_record_fits(broker) -> None:
    topic = broker.new_topic()

    async def scene() -> None:
        async with opened(broker, topic) as log:
            await log.append([record("big", value=bytes(MAX_RECORD_BYTES)), record("next")])

    asyncio.run(scene())
    assert {len(m.value()) for m in read_until(broker, topic, {"big", "next"})} == {
        MAX_RECORD_BYTES,
        5,
    }


def test_ready_asks_the_broker(broker) -> None:
    async def scene() -> None:
        async with opened(broker, broker.new_topic()) as log:
            assert await log.ready()

    asyncio.run(scene())


def test_another_partition_count_is_refused(broker) -> None:
    topic = broker.new_topic()

    async def scene() -> None:
        async with opened(broker, topic):
            pass
        with pytest.raises(PartitionCountError, match=f"expected 5 .*, got {broker.partitions}"):
            await KafkaLog(broker.servers, topic=topic, partitions=5).start()

    asyncio.run(scene())


def test_more_bytes_than_may_wait_are_refused(mock_kafka) -> None:
    async def scene() -> None:
        async with opened(mock_kafka, mock_kafka.new_topic(), max_waiting_bytes=1000) as log:
            first, second = await asyncio.gather(
                log.append([record("1", value=bytes(900))]),
                log.append([record("2", value=bytes(900))]),
                return_exceptions=True,
            )
            assert first is None
            assert isinstance(second, LogFullError)
            await log.append([record("2", value=bytes(900))])

    asyncio.run(scene())


def test_a_broker_that_is_away_is_said_and_asked_again() -> None:
    async def scene() -> None:
        log = KafkaLog("127.0.0.1:1", confirm_limit_s=1.0)
        await log.start()
        assert not await log.ready()
        with pytest.raises(LogUnavailableError):
            await log.append([record("1")])
        await log.stop()

    asyncio.run(scene())


@pytest.mark.kafka
def test_a_refused_record_does_not_block_the_next_one(apache_kafka) -> None:
    topic = apache_kafka.new_topic()
    admin = AdminClient({"bootstrap.servers": apache_kafka.servers})
    small = NewTopic(topic, apache_kafka.partitions, 1, config={"max.message.bytes": "1000"})
    admin.create_topics([small])[topic].result(30)

    async def scene() -> None:
        async with opened(apache_kafka, topic) as log:
            with pytest.raises(LogUnavailableError, match="MessageSizeTooLarge"):
                await log.append([record("big", value=bytes(5000))])
            await log.append([record("small")])

    asyncio.run(scene())
    (message,) = read_until(apache_kafka, topic, {"small"})
    assert batch_of(message) == "small"


@pytest.mark.kafka
@pytest.mark.slow
def test_what_was_confirmed_survives_a_killed_broker(own_kafka) -> None:
    broker = own_kafka.start()
    topic = broker.new_topic()
    confirmed: list[str] = []

    async def push(log: KafkaLog, name: str) -> None:
        with contextlib.suppress(LogUnavailableError):
            await log.append([record(name)])
            confirmed.append(name)

    async def scene() -> None:
        async with opened(broker, topic, confirm_limit_s=3.0) as log:
            await asyncio.gather(*(push(log, f"before-{n}") for n in range(200)))
            assert len(confirmed) == 200
            kill = asyncio.to_thread(own_kafka.kill)
            await asyncio.gather(*(push(log, f"during-{n}") for n in range(200)), kill)
            assert not await log.ready()
            with pytest.raises(LogUnavailableError):
                await log.append([record("away")])
            await asyncio.to_thread(own_kafka.start)
            while not await log.ready():
                await asyncio.sleep(0.1)
            await log.append([record("after")])

    asyncio.run(scene())
    read_until(broker, topic, {*confirmed, "after"})
