"""The distributed mode's runner: one Faust worker process; start as many as there are cores.

Faust does what it is good at: group membership, rebalancing, fetching. Nothing depends on its
bookkeeping of acknowledgements, which loses records when an agent fails (docs/operations.md):

- reading begins at the ledger's position after every rebalance, never at the group's offset, so
  an offset committed too far or not far enough changes nothing; the group's offsets only show
  progress to monitoring tools;
- the agent takes un-acknowledged messages, acknowledges them after the commit, and lets no
  exception out; a bug ends the whole process, and its successor begins at the ledger again;
- a hole in the positions ends the process too.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, cast

import faust
import structlog
from aiokafka.errors import KafkaError
from faust.transport.drivers.aiokafka import Consumer, Transport
from faust.types import TP
from prometheus_client import Counter, Gauge

from model.clock import Clock
from model.errors import LogUnavailableError, RoadcallError
from model.log import StoredRecord
from roadcall.kafka_log import PARTITIONS, TOPIC, declare_topic
from roadcall.partition_feed import LogHoleError, PartitionFeed
from roadcall.processor import Processor

TAKE_RECORDS = 200
#: How long a take gathers: part of the way from socket to alert.
TAKE_WITHIN_S = 0.02
#: Messages that wait in memory between fetch and agent; 256 x 900 kB at the very worst.
BUFFER_RECORDS = 256
SESSION_LIMIT_S, HEARTBEAT_S, COMMIT_EVERY_S = 10.0, 1.0, 1.0
TICK_EVERY_S = 1.0
WATCH_EVERY_S, ASK_LIMIT_S = 5.0, 5.0
#: No progress for so long although the log has more (or does not answer): the process ends.
STALL_LIMIT_S = 300.0
#: From SIGTERM to the end, whatever happens.
STOP_LIMIT_S = 20.0
#: Exit codes, as in sysexits.h.
EXIT_OK, EXIT_BUG, EXIT_TRY_AGAIN, EXIT_MISCONFIGURED = 0, 70, 75, 78

LAG = Gauge("roadcall_log_lag_records", "Records not yet applied", ["partition"])
APPLIED = Counter("roadcall_log_applied_records", "Records whose effects are committed")

log = structlog.get_logger()


class LogBehindLedgerError(RoadcallError):
    """The log ends before the ledger: it was deleted, recreated or lost its tail."""

    def __init__(self, *, partition: int, ledger: int, end: int) -> None:
        super().__init__(f"partition {partition}: ledger is at {ledger}, the log ends at {end}")
        self.partition, self.ledger, self.end = partition, ledger, end


@dataclass(frozen=True, slots=True)
class WorkerPlan:
    """What one worker process reads, and how patiently."""

    servers: str
    topic: str = TOPIC
    partitions: int = PARTITIONS
    #: The consumer group; None = named after the topic, so that two installations may share Kafka.
    group: str | None = None
    #: A name that outlives the process: a supervised worker gets its partitions back at once
    #: after a crash, but keeps them for a session limit when it is taken away for good.
    instance: str | None = None
    take_records: int = TAKE_RECORDS
    stall_limit_s: float = STALL_LIMIT_S
    stop_limit_s: float = STOP_LIMIT_S


def run(plan: WorkerPlan, processor: Processor, clock: Clock) -> int:
    """Work until SIGTERM or SIGINT; returns the exit code. May end the process itself.

    Raises PartitionCountError, or LogUnavailableError, before anything is read.
    """
    try:
        asyncio.run(declare_topic(plan.servers, plan.topic, plan.partitions))
    except (KafkaError, OSError, TimeoutError) as error:
        raise LogUnavailableError(f"kafka does not answer: {error!r}") from error
    return asyncio.run(_run(plan, processor, clock))


async def _run(plan: WorkerPlan, processor: Processor, clock: Clock) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    with tempfile.TemporaryDirectory(prefix="roadcall-worker-") as folder:
        app, feed = create_app(plan, processor, Path(folder))
        ended = asyncio.create_task(_start_and_watch(app, feed, plan, clock))
        asked = asyncio.create_task(stop.wait())
        await asyncio.wait([ended, asked], return_when=asyncio.FIRST_COMPLETED)
        asked.cancel()
        crashed = ended.done()
        try:
            async with asyncio.timeout(plan.stop_limit_s):
                await _cancelled(ended)
                await app.stop()
        except TimeoutError:
            _end_process(EXIT_TRY_AGAIN, "worker.stop_limit", seconds=plan.stop_limit_s)
        feed.close()
    return EXIT_TRY_AGAIN if crashed else EXIT_OK


async def _start_and_watch(
    app: faust.App, feed: PartitionFeed, plan: WorkerPlan, clock: Clock
) -> None:
    """Return when the app has crashed."""
    app.loop = asyncio.get_running_loop()
    await app.start()
    duties = [asyncio.create_task(_tick(feed, clock)), asyncio.create_task(_watch(app, feed, plan))]
    crash = asyncio.create_task(app.wait_until_stopped())
    try:
        done, _ = await asyncio.wait([*duties, crash], return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
        log.error("worker.crashed", reason=repr(app.crash_reason))
    except Exception:
        log.exception("worker.bug")
        _end_process(EXIT_BUG, "worker.bug")
    finally:
        for task in (*duties, crash):
            task.cancel()


def create_app(
    plan: WorkerPlan, processor: Processor, folder: Path
) -> tuple[faust.App, PartitionFeed]:
    """The Faust application and the feed behind its one agent. Needs a running event loop."""
    app = faust.App(
        plan.group or plan.topic,
        broker=[f"kafka://{server}" for server in plan.servers.split(",")],
        datadir=str(folder),
        store="memory://",
        key_serializer="raw",
        value_serializer="raw",
        processing_guarantee="at_least_once",
        web_enabled=False,
        topic_allow_declare=False,
        topic_disable_leader=True,
        topic_partitions=plan.partitions,
        consumer_group_instance_id=plan.instance,
        table_standby_replicas=0,
        consumer_auto_offset_reset="earliest",
        broker_session_timeout=SESSION_LIMIT_S,
        broker_heartbeat_interval=HEARTBEAT_S,
        broker_commit_interval=COMMIT_EVERY_S,
        stream_wait_empty=True,
        stream_buffer_maxsize=BUFFER_RECORDS,
        worker_redirect_stdouts=False,
    )

    async def oldest(partition: int) -> int:
        place = TP(plan.topic, partition)
        return int((await app.consumer.earliest_offsets(place))[place])

    feed = PartitionFeed(processor, oldest)
    app.transport = LedgerTransport(app.conf.broker_consumer, app)
    topic = app.topic(plan.topic, key_serializer="raw", value_serializer="raw", value_type=bytes)

    def given_up() -> bool:
        return bool(app.rebalancing or app.should_stop)

    @app.agent(topic, concurrency=1, name="frames")
    async def frames(stream: Any) -> None:  # Any: Faust's declaration is wider than its streams
        async for messages in stream.noack_take(plan.take_records, within=TAKE_WITHIN_S):
            try:
                await _apply(app, feed, messages, given_up)
            except LogHoleError as error:
                _end_process(EXIT_TRY_AGAIN, "worker.hole", reason=str(error))
            except Exception:
                # Faust would restart the agent behind the messages it has not acknowledged.
                log.exception("worker.bug")
                _end_process(EXIT_BUG, "worker.bug")

    @app.on_rebalance_complete.connect
    async def rebalanced(*_: Any, **__: Any) -> None:  # Any: Faust's signal arguments
        try:
            await seek_to_ledger(app, feed, plan.topic)
        except LogBehindLedgerError as error:
            _end_process(EXIT_MISCONFIGURED, "worker.log_behind_ledger", reason=str(error))

    return app, feed


class LedgerConsumer(Consumer):
    """Faust's consumer, minus its habit of going back to the group's committed offsets."""

    async def perform_seek(self) -> None:
        """Do nothing: `seek_to_ledger` runs at the end of every rebalance, before this."""

    async def begin_at(self, places: Mapping[TP, int]) -> None:
        """Read on at exactly these positions."""
        await self.seek_wait(places)
        for place, position in places.items():
            self._read_offset[place] = position or None
            self._committed_offset[place] = position or None


class LedgerTransport(Transport):
    """Faust's Kafka driver with our consumer in it."""

    Consumer = LedgerConsumer


async def seek_to_ledger(app: faust.App, feed: PartitionFeed, topic: str) -> None:
    """Own what the group assigned to us, from the ledger's positions on.

    Raises LogBehindLedgerError: new records would stand at positions that the ledger counts as
    done, and be skipped.
    """
    places = {place.partition: place for place in app.consumer.assignment() if place.topic == topic}
    positions = await feed.assign(places.keys())
    if not positions:
        return
    ends = await app.consumer.highwaters(*places.values())
    for partition, position in positions.items():
        if position > ends[places[partition]]:
            end = ends[places[partition]]
            raise LogBehindLedgerError(partition=partition, ledger=position, end=end)
    consumer = cast(LedgerConsumer, app.consumer)
    await consumer.begin_at({places[p]: position for p, position in positions.items()})
    log.info("worker.assigned", positions=positions)


async def _apply(
    app: faust.App, feed: PartitionFeed, messages: Iterable[Any], given_up: Any
) -> None:
    """Any: Faust's own types carry none."""
    records = [stored_record(message.message) for message in messages]
    if await feed.apply(records, given_up):
        APPLIED.inc(len(records))
        for message in messages:
            message.ack()
    else:
        # Never acknowledged, and no longer waited for: the next owner begins at the ledger.
        app.consumer.unacked.difference_update([message.message for message in messages])


def stored_record(message: Any) -> StoredRecord:
    """A Kafka message in our words. Strangers may have written it: any bytes give a record.

    Any: Faust's ConsumerMessage has no types for its fields.
    """
    headers = {name: _text(value or b"") for name, value in message.headers or ()}
    return StoredRecord(
        partition=message.partition,
        position=message.offset,
        vin=_text(message.key or b""),
        headers={name.replace("\x00", "\ufffd"): text for name, text in headers.items()},
        value=message.value or b"",
    )


def _text(raw: bytes) -> str:
    """What a text column of the database takes."""
    return raw.decode("utf-8", "replace").replace("\x00", "\ufffd")


async def _tick(feed: PartitionFeed, clock: Clock) -> None:
    while True:
        await asyncio.sleep(TICK_EVERY_S)
        await feed.tick(clock.now_ns())


async def _watch(app: faust.App, feed: PartitionFeed, plan: WorkerPlan) -> None:
    """Measure the lag by asking the broker, and end the process when nothing moves.

    Faust and aiokafka consumers are known to stop without an error; the end offsets are asked
    for anew each time because a fetcher that has died would not learn of new ones.
    """
    answered_at = time.monotonic()
    while True:
        await asyncio.sleep(WATCH_EVERY_S)
        places = [TP(plan.topic, partition) for partition in feed.next_position]
        try:
            async with asyncio.timeout(ASK_LIMIT_S):
                ends = await app.consumer.highwaters(*places) if places else {}
            answered_at = time.monotonic()
        except Exception as error:
            log.warning("worker.broker_away", reason=repr(error))
            ends = {}
        _note_lag(feed, {place.partition: int(end) for place, end in ends.items()})
        oldest = min([answered_at, *feed.moved_at.values()])
        if time.monotonic() - oldest > plan.stall_limit_s:
            _end_process(EXIT_TRY_AGAIN, "worker.stalled", seconds=plan.stall_limit_s)


def _note_lag(feed: PartitionFeed, ends: Mapping[int, int]) -> None:
    for partition, end in ends.items():
        lag = max(0, end - feed.next_position.get(partition, end))
        LAG.labels(partition).set(lag)
        if lag == 0:
            feed.seen_idle(partition)


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


def _end_process(code: int, why: str, **facts: object) -> NoReturn:
    """End now: no clean-up may acknowledge anything."""
    log.critical(why, exit_code=code, **facts)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
