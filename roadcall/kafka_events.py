"""Events on a Kafka topic: CloudEvents in structured mode, key = VIN.

Source: Kafka protocol binding for CloudEvents 1.0.2, section 3.3. The producer is idempotent with
acks=all, and lives in a loop of its own: senders are called from threads.
"""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from dispatch.delivery import Delivery, Outcome
from dispatch.events import CONTENT_TYPE, bytes_of, is_event
from model.effects import OutboxRecord
from model.errors import RoadcallError
from roadcall.kafka_log import CONFIRM_LIMIT_S, REQUEST_LIMIT_MS, STOP_LIMIT_S, declare_topic

HEADERS = [("content-type", CONTENT_TYPE.encode())]


class KafkaEvents:
    """Sends events, takes everything else without a word. Safe to share between threads."""

    def __init__(self, servers: str, topic: str, partitions: int) -> None:
        self._servers, self._topic, self._partitions = servers, topic, partitions
        self._producer: AIOKafkaProducer | None = None
        self._loop = asyncio.new_event_loop()
        self._opening = asyncio.Lock()
        self._thread = threading.Thread(
            target=self._loop.run_forever, name="roadcall-events", daemon=True
        )
        self._thread.start()

    def send(self, record: OutboxRecord, now_ns: int) -> Delivery:
        """One try; never raises."""
        if not is_event(record):
            return Delivery(Outcome.SENT)
        key = str(record.body["vin"] or record.body["subject"]).encode()
        try:
            self._run(self._send(key, bytes_of(record)))
        except (KafkaError, OSError, TimeoutError, RoadcallError) as error:
            return Delivery(Outcome.RETRY, type(error).__name__)
        return Delivery(Outcome.SENT, receipt=f"kafka {self._topic}")

    def close(self) -> None:
        """Let the producer and its loop go."""
        self._run(self._drop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self, work: object) -> None:
        done: Future[None] = asyncio.run_coroutine_threadsafe(work, self._loop)  # type: ignore[arg-type]
        done.result()

    async def _send(self, key: bytes, value: bytes) -> None:
        try:
            async with asyncio.timeout(CONFIRM_LIMIT_S):
                producer = await self._connected()
                await producer.send_and_wait(self._topic, value, key, headers=HEADERS)
        except BaseException:
            # After a refused record the producer's sequence has a hole: only a new one helps.
            await self._drop()
            raise

    async def _connected(self) -> AIOKafkaProducer:
        async with self._opening:
            if self._producer is None:
                await declare_topic(self._servers, self._topic, self._partitions)
                producer = AIOKafkaProducer(
                    bootstrap_servers=self._servers,
                    acks="all",
                    enable_idempotence=True,
                    request_timeout_ms=REQUEST_LIMIT_MS,
                )
                try:
                    await producer.start()
                except BaseException:
                    await producer.stop()
                    raise
                self._producer = producer
            return self._producer

    async def _drop(self) -> None:
        producer, self._producer = self._producer, None
        if producer is None:
            return
        try:
            async with asyncio.timeout(STOP_LIMIT_S):
                await producer.stop()
        except (KafkaError, OSError, TimeoutError):
            await producer.client.close()
