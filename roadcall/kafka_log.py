"""The distributed mode's log: uploads on one Kafka topic, keyed and partitioned by vehicle.

An upload is confirmed after acks=all of an idempotent producer. The producer retries for as long
as it lives, so a record whose gateway was already told "not confirmed" may still arrive later:
harmless, because the gateway repeats it under the same key. Its bytes count as waiting until the
broker has answered, so memory stays bounded while the broker is away.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError, TopicAlreadyExistsError

from model.errors import LogFullError, LogUnavailableError, RoadcallError
from model.log import MAX_RECORD_BYTES, LogRecord
from model.wire import partition_of

TOPIC = "roadcall.frames"
PARTITIONS = 12
#: The largest record with its key, headers and framing; Kafka's own default is a little above.
MAX_MESSAGE_BYTES = MAX_RECORD_BYTES + 100_000
#: Bytes of uploads that may wait for the broker; beyond it gateways get 429.
MAX_WAITING_BYTES = 64_000_000
#: Records of one partition travel together up to this size: one request instead of many.
MAX_BATCH_BYTES = 500_000
LINGER_MS = 2
#: How long one gateway waits for its confirmation before it gets 503.
CONFIRM_LIMIT_S = 10.0
#: One request to a broker; the producer repeats it.
REQUEST_LIMIT_MS = 5_000
READY_LIMIT_S = 2.0
STOP_LIMIT_S = 5.0

log = structlog.get_logger()


class PartitionCountError(RoadcallError):
    """The topic has another partition count than this installation."""

    def __init__(self, *, topic: str, expected: int, got: int) -> None:
        super().__init__(f"topic {topic}: expected {expected} partitions, got {got}")
        self.topic, self.expected, self.got = topic, expected, got


class KafkaLog:
    """`model.log.FrameLog` on a Kafka topic."""

    def __init__(
        self,
        servers: str,
        *,
        topic: str = TOPIC,
        partitions: int = PARTITIONS,
        max_waiting_bytes: int = MAX_WAITING_BYTES,
        confirm_limit_s: float = CONFIRM_LIMIT_S,
    ) -> None:
        self._servers, self._topic, self._partitions = servers, topic, partitions
        self._max_waiting_bytes, self._confirm_limit_s = max_waiting_bytes, confirm_limit_s
        self._waiting_bytes = 0
        self._producer: AIOKafkaProducer | None = None
        self._connecting = asyncio.Lock()
        self._closing: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Connect. A broker that is away is no error: `append` and `ready` try again.

        Raises PartitionCountError.
        """
        try:
            await self._connected()
        except (KafkaError, OSError, TimeoutError) as error:
            log.warning("kafka.away", reason=repr(error))

    async def stop(self) -> None:
        """Send what waits, as far as the broker takes it within a few seconds, and close."""
        self._drop_producer()
        await asyncio.gather(*self._closing)

    async def append(self, records: list[LogRecord]) -> None:
        """Return when the broker has confirmed every record."""
        size = sum(len(record.value) for record in records)
        if self._waiting_bytes and self._waiting_bytes + size > self._max_waiting_bytes:
            raise LogFullError("too many bytes wait for kafka")
        try:
            async with asyncio.timeout(self._confirm_limit_s):
                await self._send(records)
        except TimeoutError:
            raise LogUnavailableError("kafka did not confirm in time") from None
        except (KafkaError, OSError) as error:
            # After a refused record aiokafka's sequence numbers have a hole that the broker
            # never forgives: only a new producer helps.
            self._drop_producer()
            raise LogUnavailableError(f"kafka refused: {type(error).__name__}") from error

    async def ready(self) -> bool:
        """Whether every partition has a leader, as the broker says now."""
        try:
            async with asyncio.timeout(READY_LIMIT_S):
                producer = await self._connected()
                cluster = await producer.client.fetch_all_metadata()
        except (KafkaError, OSError, TimeoutError, RoadcallError):
            return False
        led = cluster.available_partitions_for_topic(self._topic) or ()
        return len(led) == self._partitions

    async def _send(self, records: Sequence[LogRecord]) -> None:
        unsent = sum(len(record.value) for record in records)
        self._waiting_bytes += unsent
        answers: list[asyncio.Future[object]] = []
        try:
            producer = await self._connected()
            for record in records:
                answer = await producer.send(
                    self._topic,
                    value=record.value,
                    key=record.key.vin.encode(),
                    partition=partition_of(record.key.vin, self._partitions),
                    headers=headers_of(record),
                )
                unsent -= len(record.value)
                answer.add_done_callback(partial(self._settle, len(record.value)))
                answers.append(answer)
        finally:
            self._waiting_bytes -= unsent
        # Not `gather`: its cancellation would mark records as answered that still wait.
        await asyncio.wait(answers)
        for answer in answers:
            answer.result()

    def _settle(self, size: int, answer: asyncio.Future[object]) -> None:
        self._waiting_bytes -= size
        if not answer.cancelled():
            answer.exception()  # looked at, even when its gateway no longer waits

    async def _connected(self) -> AIOKafkaProducer:
        async with self._connecting:
            if self._producer is None:
                await declare_topic(self._servers, self._topic, self._partitions)
                self._producer = await self._open_producer()
            return self._producer

    async def _open_producer(self) -> AIOKafkaProducer:
        producer = AIOKafkaProducer(
            bootstrap_servers=self._servers,
            acks="all",
            enable_idempotence=True,
            linger_ms=LINGER_MS,
            max_batch_size=MAX_BATCH_BYTES,
            max_request_size=MAX_MESSAGE_BYTES,
            request_timeout_ms=REQUEST_LIMIT_MS,
        )
        try:
            await producer.start()
        except BaseException:
            await _close(producer)
            raise
        return producer

    def _drop_producer(self) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            closing = asyncio.create_task(_close(producer))
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)


def headers_of(record: LogRecord) -> list[tuple[str, bytes]]:
    """Everything but the vehicle, which is the key, as utf-8 text."""
    texts = record.headers()
    return [(name, text.encode()) for name, text in texts.items()]


async def declare_topic(servers: str, topic: str, partitions: int) -> None:
    """Create the topic unless it is there. Raises PartitionCountError when it has another count."""
    admin = AIOKafkaAdminClient(bootstrap_servers=servers, request_timeout_ms=REQUEST_LIMIT_MS)
    try:
        await admin.start()
        found = await _partition_count(admin, topic)
        if found == 0:
            await _create_topic(admin, topic, partitions)
        async with asyncio.timeout(CONFIRM_LIMIT_S):
            while found == 0:  # the brokers tell each other, and somebody else may have made it
                await asyncio.sleep(0.05)
                found = await _partition_count(admin, topic)
    finally:
        await admin.close()
    if found != partitions:
        raise PartitionCountError(topic=topic, expected=partitions, got=found)


async def _partition_count(admin: AIOKafkaAdminClient, topic: str) -> int:
    (description,) = await admin.describe_topics([topic])
    return len(description["partitions"])


async def _create_topic(admin: AIOKafkaAdminClient, topic: str, partitions: int) -> None:
    # Replication is the broker's default (-1): one for development, three in production.
    wanted = NewTopic(
        topic,
        num_partitions=partitions,
        replication_factor=-1,
        replica_assignments={},
        topic_configs={"max.message.bytes": str(MAX_MESSAGE_BYTES), "cleanup.policy": "delete"},
    )
    response = await admin.create_topics([wanted])
    for _, code, *_ in response.topic_errors:
        if code not in (0, TopicAlreadyExistsError.errno):
            raise KafkaError(f"create topic {topic}: error {code}")


async def _close(producer: AIOKafkaProducer) -> None:
    """Stop a producer even when the broker is away: an idempotent one would wait for ever."""
    try:
        async with asyncio.timeout(STOP_LIMIT_S):
            await producer.stop()
    except (TimeoutError, KafkaError, OSError):
        sender = producer._sender.sender_task
        if sender is not None:
            sender.cancel()
        await producer.client.close()
        # aiokafka leaves the answers of an aborted producer open for ever.
        producer._message_accumulator.fail_all(KafkaError("producer closed"))
