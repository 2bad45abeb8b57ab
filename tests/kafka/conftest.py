"""Brokers and a database for the tests of the distributed transport. Real ones, or none.

- `mock_kafka`: librdkafka's mock cluster, anywhere. It creates a topic with 4 partitions when
  somebody asks for it, keeps about 5 MB a partition and cannot rebalance.
- `apache_kafka`: Apache Kafka, from ROADCALL_TEST_KAFKA or scripts/apache-kafka.
- `own_kafka`: an Apache Kafka of the test's own, to be killed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from confluent_kafka import Producer

from store.database import connect
from store.embedded import EmbeddedPostgres
from store.migrate import migrate
from tests.kafka.rig import Rig, kill_kafka

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "scripts" / "apache-kafka"
MOCK_PARTITIONS, PARTITIONS = 4, 12
CREATE_LANDED = (
    "create table landed"
    " (topic text, partition int, position bigint, vin text, batch text, value bytea)"
)


@dataclass(frozen=True)
class Broker:
    """Where it answers, and how many partitions a topic has there."""

    servers: str
    partitions: int

    def new_topic(self) -> str:
        """A name nobody has used."""
        return f"roadcall.test.{time.time_ns()}"


class OwnKafka:
    """A node that a test may kill; its records outlive it."""

    def __init__(self, home: Path) -> None:
        self._home = home

    def start(self) -> Broker:
        """The same address again after a kill."""
        port = [] if (self._home / "port").exists() else ["--port", "0"]
        command = [SCRIPT, "start", "--home", self._home, *port]
        said = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        return Broker(said.stdout.strip(), PARTITIONS)

    def kill(self) -> None:
        kill_kafka(self._home)

    def stop(self) -> None:
        subprocess.run([SCRIPT, "stop", "--home", self._home], check=True)


@pytest.fixture(scope="session")
def mock_kafka() -> Iterator[Broker]:
    cluster = Producer({"bootstrap.servers": "none:1", "test.mock.num.brokers": 1, "log_level": 0})
    brokers = cluster.list_topics(timeout=10).brokers.values()
    yield Broker(",".join(f"{b.host}:{b.port}" for b in brokers), MOCK_PARTITIONS)
    del cluster


@pytest.fixture(scope="session")
def apache_kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    named = os.environ.get("ROADCALL_TEST_KAFKA")
    if named:
        yield Broker(named, PARTITIONS)
        return
    node = OwnKafka(_home(tmp_path_factory))
    yield node.start()
    node.stop()


@pytest.fixture
def own_kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnKafka]:
    node = OwnKafka(_home(tmp_path_factory))
    yield node
    node.stop()


def _home(paths: pytest.TempPathFactory) -> Path:
    if shutil.which("java") is None or shutil.which("mvn") is None:
        pytest.skip("Apache Kafka: neither ROADCALL_TEST_KAFKA nor Java and Maven are here")
    return paths.mktemp("apache-kafka")


@pytest.fixture(params=["mock", pytest.param("apache", marks=pytest.mark.kafka)])
def broker(request: pytest.FixtureRequest) -> Broker:
    """Each broker in turn."""
    found = request.getfixturevalue(f"{request.param}_kafka")
    assert isinstance(found, Broker)
    return found


@pytest.fixture(scope="session")
def postgres() -> Iterator[EmbeddedPostgres]:
    """A server that tests may stop, as long as they start it again."""
    with tempfile.TemporaryDirectory(prefix="roadcall-kafka-") as name:
        Path(name).chmod(0o755)
        server = EmbeddedPostgres(Path(name) / "postgres")
        with connect(server.start(), autocommit=True) as conn:
            migrate(conn, PARTITIONS, timescale=False)
            conn.execute(CREATE_LANDED)
            conn.commit()
        yield server
        server.stop()


@pytest.fixture
def rig_of(postgres: EmbeddedPostgres) -> Iterator[Callable[[Broker], Rig]]:
    """Makes a rig on any broker and ends its workers."""
    made: list[Rig] = []

    def make(broker: Broker) -> Rig:
        made.append(Rig(broker, postgres))
        return made[-1]

    yield make
    for rig in made:
        rig.close()


@pytest.fixture
def rig(broker: Broker, rig_of: Callable[[Broker], Rig]) -> Rig:
    """On each broker in turn."""
    return rig_of(broker)


@pytest.fixture
def apache_rig(apache_kafka: Broker, rig_of: Callable[[Broker], Rig]) -> Rig:
    """On Apache Kafka: what the mock cluster cannot do."""
    return rig_of(apache_kafka)
