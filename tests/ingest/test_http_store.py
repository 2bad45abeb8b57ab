"""The happy path for real: socket, service, PostgreSQL; what is acknowledged is on disk."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from prometheus_client import CollectorRegistry

from ingest.http import IngestLimits, create_app
from model import wire
from model.clock import SystemClock
from model.vehicle import Vehicle
from roadcall.directory import StoredGateways
from roadcall.inbox_log import InboxLog
from store import inbox, masters
from store.database import Pool, answers, open_pool, transaction
from store.embedded import EmbeddedPostgres
from store.migrate import migrate

PARTITIONS = 12
#: How long a test waits for what must happen; no test measures time.
PATIENCE_S = 60
VINS = [f"LRDCALL00000010{i:02}" for i in range(4)]
HEADERS = {"Content-Type": "text/plain", "Content-Encoding": "identity"}


class Stand:
    """A running service over a real database."""

    def __init__(self, server: EmbeddedPostgres, pool: Pool, url: str, token: str) -> None:
        self.server, self.pool, self.token = server, pool, token
        self.client = httpx.Client(base_url=url, timeout=30)

    def post(self, vin: str, key: str, text: str) -> httpx.Response:
        headers = HEADERS | {"Authorization": f"Bearer {self.token}", "Idempotency-Key": key}
        return self.client.post(f"/v1/vehicles/{vin}/frames", content=text, headers=headers)

    def stored(self, vin: str) -> list[tuple[dict[str, str], bytes]]:
        """Headers and uncompressed values of one vehicle, in the order of the log."""
        with transaction(self.pool) as conn:
            rows = inbox.read(conn, wire.partition_of(vin, PARTITIONS), 0, 10_000)
        return [(r.headers, wire.inflate(r.value)) for r in rows if r.vin == vin]


@pytest.fixture(scope="module")
def stand(serving: Callable[[FastAPI], AbstractContextManager[str]]) -> Iterator[Stand]:
    home = Path(tempfile.mkdtemp(prefix="roadcall-ingest-"))
    home.chmod(0o755)
    server = EmbeddedPostgres(home)
    pool = open_pool(server.start(), 4)
    with transaction(pool) as conn:
        migrate(conn, PARTITIONS, timescale=False)
        masters.upsert_vehicles(conn, [Vehicle(vin=vin, profile="demo_car") for vin in VINS])
        token = masters.create_gateway(conn, "gw-1", VINS[:3])
    app = create_app(
        InboxLog(pool, PARTITIONS),
        StoredGateways(pool),
        IngestLimits(token_ttl_s=0),
        SystemClock(),
        lambda: answers(pool),
        registry=CollectorRegistry(),
    )
    with serving(app) as url:
        stand = Stand(server, pool, url, token)
        yield stand
        stand.client.close()
    pool.close()
    server.stop()
    shutil.rmtree(server.home)


def line(i: int) -> str:
    return f"(1700000000.{i:06d}) can0 123#{i % 65536:04X}\n"


def test_a_batch_is_in_the_inbox_when_it_is_acknowledged(stand: Stand) -> None:
    answer = stand.post(VINS[0], "one", line(1) + line(2))
    assert (answer.status_code, answer.json()["frames"]) == (202, 2)
    ((headers, plain),) = stand.stored(VINS[0])
    assert (headers["gateway"], headers["batch"], headers["part"]) == ("gw-1", "one", "0")
    batch = wire.decode(plain, vin=VINS[0], gateway_id="", batch_id="", received_ns=0)
    assert batch.observed_ns.tolist() == [1_700_000_000_000_001_000, 1_700_000_000_000_002_000]


def test_many_at_once_are_all_there_once_and_in_order_of_their_vehicle(stand: Stand) -> None:
    def send(sender: int) -> list[str]:
        keys = [f"{sender}-{i}" for i in range(40)]
        for i, key in enumerate(keys):
            assert stand.post(VINS[1], key, line(i)).status_code == 202
        return keys

    with ThreadPoolExecutor(6) as pool:
        sent = list(pool.map(send, range(6)))
    stored = [headers["batch"] for headers, _ in stand.stored(VINS[1])]
    assert sorted(stored) == sorted(key for keys in sent for key in keys)
    for sender, keys in enumerate(sent):
        assert [key for key in stored if key.startswith(f"{sender}-")] == keys


def test_a_large_upload_arrives_in_parts_together(stand: Stand) -> None:
    text = "".join(line(i) for i in range(60_000))
    answer = stand.post(VINS[2], "large", text)
    assert (answer.status_code, answer.json()["parts"]) == (202, 2)
    parts = stand.stored(VINS[2])
    assert [headers["part"] for headers, _ in parts] == ["0", "1"]
    batches = [
        wire.decode(plain, vin=VINS[2], gateway_id="", batch_id="", received_ns=0)
        for _, plain in parts
    ]
    assert sum(map(len, batches)) == 60_000


def test_bindings_and_revocation_are_the_databases(stand: Stand) -> None:
    assert stand.post(VINS[3], "x", line(1)).status_code == 403
    with transaction(stand.pool) as conn:
        token = masters.create_gateway(conn, "gw-2", VINS)
    stand.token, kept = token, stand.token
    try:
        assert stand.post(VINS[3], "x", line(1)).status_code == 202
        with transaction(stand.pool) as conn:
            masters.revoke_gateway(conn, "gw-2")
        assert stand.post(VINS[3], "y", line(1)).status_code == 401
    finally:
        stand.token = kept


def test_without_its_database_the_service_says_so_and_comes_back(stand: Stand) -> None:
    assert stand.client.get("/readyz").status_code == 200
    stand.server.stop()
    try:
        ready = stand.client.get("/readyz")
        assert (ready.status_code, set(ready.json()["failed"])) == (503, {"log", "database"})
        answer = stand.post(VINS[0], "while away", line(9))
        assert answer.status_code == 503
        assert int(answer.headers["retry-after"]) > 0
    finally:
        stand.server.start()
    deadline = time.monotonic() + PATIENCE_S
    while stand.post(VINS[0], "while away", line(9)).status_code != 202:
        assert time.monotonic() < deadline, "it never comes back"
        time.sleep(0.1)
    assert [h["batch"] for h, _ in stand.stored(VINS[0])].count("while away") == 1
    assert stand.client.get("/readyz").status_code == 200
