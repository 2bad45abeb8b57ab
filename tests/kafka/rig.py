"""A topic, a table and worker processes: what the fault tests play with."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from model.errors import LogUnavailableError
from model.log import BatchKey, LogRecord
from roadcall.kafka_log import KafkaLog
from store.database import connect
from store.embedded import EmbeddedPostgres

WORKER = Path(__file__).with_name("rows_worker.py")
PATIENCE_S = 60.0
GATEWAYS, PAUSE_S = 20, 0.1


class Rig:
    """Pushes records, remembers which were confirmed, and counts the rows they became."""

    def __init__(self, broker, postgres: EmbeddedPostgres) -> None:
        self.broker, self.postgres = broker, postgres
        self.topic = broker.new_topic()
        self.confirmed: list[str] = []
        self.workers: list[subprocess.Popen[bytes]] = []

    def log(self) -> KafkaLog:
        servers, partitions = self.broker.servers, self.broker.partitions
        return KafkaLog(servers, topic=self.topic, partitions=partitions, confirm_limit_s=5.0)

    def start_worker(
        self, instance: str = "one", stall_limit_s: float = 300.0
    ) -> subprocess.Popen[bytes]:
        """A supervised worker keeps its instance name and gets its partitions back at once."""
        facts = [self.postgres.dsn, self.broker.servers, self.topic, str(self.broker.partitions)]
        facts += [instance, str(stall_limit_s)]
        worker = subprocess.Popen([sys.executable, WORKER, *facts])
        self.workers.append(worker)
        return worker

    def kill(self, worker: subprocess.Popen[bytes]) -> None:
        worker.kill()
        worker.wait()

    def terminate(self, worker: subprocess.Popen[bytes]) -> int:
        worker.send_signal(signal.SIGTERM)
        return worker.wait(30)

    def close(self) -> None:
        """End all workers; if the test has failed its output shows where they stood."""
        for worker in self.workers:
            if worker.poll() is None:
                worker.send_signal(signal.SIGUSR1)
                time.sleep(0.1)
            self.kill(worker)

    async def push(self, log: KafkaLog, names: Iterator[str], pause_s: float = 0.0) -> None:
        """Push as a gateway does: again until it is confirmed."""
        for name in names:
            while True:
                with contextlib.suppress(LogUnavailableError):
                    await log.append([record(name)])
                    break
                await asyncio.sleep(0.2)
            self.confirmed.append(name)
            await asyncio.sleep(pause_s)

    def push_now(self, names: Iterable[str]) -> None:
        """Push all of them, through twenty gateways, and return."""
        asyncio.run(self._gateways(iter(names), 0.0))

    @contextlib.contextmanager
    def load(self) -> Iterator[None]:
        """Push without end in the background."""
        done = threading.Event()
        names = itertools.takewhile(lambda _: not done.is_set(), map(str, itertools.count()))
        thread = threading.Thread(target=lambda: asyncio.run(self._gateways(names, PAUSE_S)))
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()

    async def _gateways(self, names: Iterator[str], pause_s: float) -> None:
        log = self.log()
        await log.start()
        await asyncio.gather(*(self.push(log, names, pause_s) for _ in range(GATEWAYS)))
        await log.stop()

    def wait_for_more(self, count: int) -> None:
        """Until so many rows have landed that were not there yet."""
        begin, deadline = len(self.rows()), time.monotonic() + PATIENCE_S
        while len(self.rows()) < begin + count:
            assert time.monotonic() < deadline, "nothing lands"
            time.sleep(0.05)

    def rows(self) -> list[tuple[int, int, str]]:
        """(partition, position, batch) of every row."""
        with connect(self.postgres.dsn) as conn:
            query = "select partition, position, batch from landed where topic = %s order by 1, 2"
            found = conn.execute(query, [self.topic]).fetchall()
        return [(p, position, batch) for p, position, batch in found]

    def wait_for(self, names: set[str]) -> None:
        """Until every batch has landed."""
        deadline = time.monotonic() + PATIENCE_S
        while missing := names - {batch for _, _, batch in self.rows()}:
            assert time.monotonic() < deadline, f"{len(missing)} have not landed"
            time.sleep(0.1)

    def assert_exactly_once(self) -> None:
        """Everything confirmed landed; every place of the log became one row; none is skipped."""
        self.wait_for(set(self.confirmed))
        rows = self.rows()
        places = Counter((partition, position) for partition, position, _ in rows)
        assert set(places.values()) == {1}
        ends = Counter(partition for partition, _ in places)
        assert places.keys() == {(p, n) for p, count in ends.items() for n in range(count)}


def record(name: str) -> LogRecord:
    vin = f"LRW3E7FS0PC{sum(name.encode()) % 500:06d}"
    return LogRecord(BatchKey("gw", vin, name), "00", 1, "can", name.encode() * 50)


def kill_kafka(home: Path) -> None:
    """kill -9 of the node that scripts/apache-kafka runs in `home`; returns when it is gone."""
    pid = int((home / "pid").read_text())
    os.kill(pid, signal.SIGKILL)
    show = ["ps", "-ww", "-o", "command=", "-p", str(pid)]
    while (
        "server.properties"
        in subprocess.run(show, check=False, stdout=subprocess.PIPE, text=True).stdout
    ):
        time.sleep(0.05)
