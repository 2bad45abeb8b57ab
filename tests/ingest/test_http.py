"""Every answer of the gateway protocol, over a real socket.

The log here exists to fail on demand; the happy path on PostgreSQL is test_http_store.py.
"""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from email.utils import formatdate

import httpx
import numpy as np
import pytest
from fastapi import FastAPI

from ingest.http import GatewayAccess, IngestLimits, create_app
from model import wire
from model.clock import NS, FakeClock
from model.errors import LogFullError, LogUnavailableError, StoreUnavailableError
from model.frames import frame_batch
from model.log import LogRecord

VIN, OTHER_VIN = "LRDCALL0000000001", "LRDCALL0000000002"
NOW_NS = 1_700_000_000 * NS
FRAMES = "application/vnd.roadcall.frames"


class FaultLog:
    """Keeps what it is given; fails or waits when told."""

    def __init__(self) -> None:
        self.records: list[LogRecord] = []
        self.failure: Exception | None = None
        self.wait_s = 0.0
        self.is_ready = True

    async def append(self, records: list[LogRecord]) -> None:
        await asyncio.sleep(self.wait_s)
        if self.failure:
            raise self.failure
        self.records += records

    async def ready(self) -> bool:
        await asyncio.sleep(self.wait_s)
        return self.is_ready


class Directory:
    """One gateway; counts how often it is asked."""

    def __init__(self) -> None:
        self.asked = 0
        self.away = self.revoked = False

    def find(self, token_sha256: bytes) -> GatewayAccess | None:
        self.asked += 1
        if self.away:
            raise StoreUnavailableError("away")
        known = token_sha256 == hashlib.sha256(b"secret").digest() and not self.revoked
        return GatewayAccess("gw-1", frozenset([VIN])) if known else None


class Service:
    """One running service and what it stands on."""

    def __init__(self, limits: IngestLimits) -> None:
        self.log, self.directory, self.clock = FaultLog(), Directory(), FakeClock(NOW_NS)
        self.database_ready: Callable[[], bool] = lambda: True
        self.app = create_app(self.log, self.directory, limits, self.clock, self.database)
        self.client = httpx.Client(timeout=20)

    def database(self) -> bool:
        return self.database_ready()

    def post(
        self, body: bytes | Iterator[bytes], vin: str = VIN, **headers: str | None
    ) -> httpx.Response:
        named = {"Authorization": "Bearer secret", "Content-Type": FRAMES, "Idempotency-Key": "k1"}
        named |= {name.replace("_", "-"): value for name, value in headers.items()}  # type: ignore[misc]
        kept = {name: value for name, value in named.items() if value is not None}
        return self.client.post(f"/v1/vehicles/{vin}/frames", content=body, headers=kept)


Running = Callable[..., AbstractContextManager[Service]]


@pytest.fixture(scope="session")
def running(serving: Callable[[FastAPI], AbstractContextManager[str]]) -> Running:
    """Start a service with some limits changed."""

    @contextmanager
    def start(**limits: float) -> Iterator[Service]:
        service = Service(IngestLimits(**limits))  # type: ignore[arg-type]
        with serving(service.app) as url, service.client:
            service.client.base_url = httpx.URL(url)
            yield service

    return start


@pytest.fixture(scope="module")
def service(running: Running) -> Iterator[Service]:
    with running(max_body_bytes=100_000, max_inflated_bytes=200_000, max_frames=1000) as one:
        yield one


@pytest.fixture(autouse=True)
def forget(request: pytest.FixtureRequest) -> None:
    if "service" in request.fixturenames:
        request.getfixturevalue("service").log.__init__()


def frames(n: int = 3, ahead_s: int = 0) -> bytes:
    times = NOW_NS + ahead_s * NS - np.arange(n, dtype=np.int64)
    eight = np.full(n, 8, np.uint8)
    ids = np.full(n, 0x123, np.uint32)
    zeros = np.zeros((n, 8), np.uint8)
    return wire.encode(frame_batch(observed_ns=times, can_id=ids, length=eight, payload8=zeros))


def problem(answer: httpx.Response, status: int, kind: str, *fields: str) -> dict[str, object]:
    """Check the RFC 9457 form; returns the body."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert body["type"] == f"urn:roadcall:problem:{kind}"
    assert body["status"] == status
    assert body["title"]
    assert body["detail"]
    assert [e["field"] for e in body["errors"]] == list(fields)
    assert all(e["reason"] for e in body["errors"])
    assert VIN not in answer.text
    return dict(body)


def test_202_after_the_log_has_it(service: Service) -> None:
    answer = service.post(frames())
    assert answer.status_code == 202
    assert answer.json() == {"batch_id": "k1", "frames": 3, "parts": 1}
    (record,) = service.log.records
    assert (record.key.gateway_id, record.key.vin, record.key.batch_id) == ("gw-1", VIN, "k1")
    assert record.received_ns == service.clock.now_ns()
    assert wire.inflate(record.value) == frames()
    again = service.post(frames())
    assert (again.status_code, again.json()) == (202, answer.json())
    assert service.log.records[1] == record


@pytest.mark.parametrize(
    ("media_type", "body"),
    [
        ("text/plain; charset=utf-8", b"(1.5) can0 123#00\n(1.6) can1 18FEEE00#0102\n"),
        ("application/x-ndjson", b'{"t":1,"id":1}\n{"t_ns":2,"id":"18FEEE00","data":"00"}\n'),
    ],
)
@pytest.mark.parametrize("encoding", [None, "gzip", "identity"])
def test_text_bodies(service: Service, media_type: str, body: bytes, encoding: str | None) -> None:
    sent = gzip.compress(body) if encoding == "gzip" else body
    answer = service.post(
        sent, Content_Type=media_type, Content_Encoding=encoding, Idempotency_Key=None
    )
    assert (answer.status_code, answer.json()["frames"]) == (202, 2)
    assert answer.json()["batch_id"].startswith("sha256-")
    assert service.log.records[0].key.batch_id == answer.json()["batch_id"]


def test_400(service: Service) -> None:
    problem(service.post(frames(), vin="SHORT"), 400, "vin", "vin")
    problem(service.post(frames(), vin="IOQCALL0000000001"), 400, "vin", "vin")
    for key in ("", "x" * 129, "\x80".encode("latin-1")):
        answer = service.post(frames(), Idempotency_Key=key)  # type: ignore[arg-type]
        problem(answer, 400, "idempotency-key", "Idempotency-Key")
    answer = service.post(b"not gzip", Content_Encoding="gzip")
    problem(answer, 400, "content-coding", "Content-Encoding")
    assert not service.log.records


def test_401_and_403(service: Service) -> None:
    for token in (None, "Basic secret", "Bearer", "Bearer wrong"):
        answer = service.post(frames(), Authorization=token)
        problem(answer, 401, "token", "Authorization")
        assert answer.headers["www-authenticate"].startswith("Bearer")
    problem(service.post(frames(), vin=OTHER_VIN), 403, "vehicle-not-bound", "vin")
    assert not service.log.records


def test_404_and_405(service: Service) -> None:
    problem(service.client.get("/v2"), 404, "not-found")
    answer = service.client.get(f"/v1/vehicles/{VIN}/frames")
    problem(answer, 405, "method")
    assert answer.headers["allow"] == "POST"


def test_408(running: Running) -> None:
    def slow() -> Iterator[bytes]:
        yield frames()[:10]
        time.sleep(0.5)
        yield frames()[10:]

    with running(body_timeout_s=0.1) as service:
        problem(service.post(slow()), 408, "body-timeout")


def test_413(service: Service) -> None:
    problem(service.post(bytes(100_001)), 413, "too-large", "body")
    chunks = iter([bytes(60_000), bytes(60_000)])
    problem(service.post(chunks), 413, "too-large", "body")
    bomb = gzip.compress(bytes(10_000_000))
    assert len(bomb) < 100_000
    problem(service.post(bomb, Content_Encoding="gzip"), 413, "too-large", "body")
    problem(service.post(frames(1001)), 413, "too-large", "frames")
    assert not service.log.records


def test_415(service: Service) -> None:
    answer = service.post(frames(), Content_Type="application/json")
    problem(answer, 415, "media-type", "Content-Type")
    assert FRAMES in answer.headers["accept"]
    problem(service.post(frames(), Content_Type=None), 415, "media-type", "Content-Type")
    for encoding in ("br", "gzip, zstd"):
        answer = service.post(frames(), Content_Encoding=encoding)
        problem(answer, 415, "content-encoding", "Content-Encoding")
        assert answer.headers["accept-encoding"] == "identity, gzip, zstd"


@pytest.mark.parametrize(
    ("date", "offset_s"),
    [
        (NOW_NS // NS, 0),
        (NOW_NS // NS - 100, -100),
        (NOW_NS // NS + 8 * 3600, 28_800),
        (0, -32_767),
        ("yesterday", None),
        ("Sun, 06 Nov 1994 08:49:37 -0000", None),  # of no known zone
        (None, None),
    ],
)
def test_the_gateways_clock_goes_with_the_record(
    service: Service, date: int | str | None, offset_s: int | None
) -> None:
    text = formatdate(date, usegmt=True) if isinstance(date, int) else date
    assert service.post(frames(), Date=text).status_code == 202
    (record,) = service.log.records
    assert record.clock_offset_s == offset_s
    told = {} if offset_s is None else {"clock_offset_s": str(offset_s)}
    assert record.headers().items() >= told.items()
    assert ("clock_offset_s" in record.headers()) == bool(told)


def test_422(service: Service) -> None:
    problem(service.post(frames()[:-1]), 422, "frames", "body")
    problem(service.post(frames(ahead_s=32_401)), 422, "frames", "observed_ns")
    answer = service.post(b"(1.0) can0 123#00\nx\n", Content_Type="text/plain")
    problem(answer, 422, "frames", "line 2")
    assert not service.log.records
    assert service.post(frames(ahead_s=32_399)).status_code == 202


def test_429_when_the_log_is_full(service: Service) -> None:
    service.log.failure = LogFullError("full")
    answer = service.post(frames())
    problem(answer, 429, "slow-down")
    assert int(answer.headers["retry-after"]) > 0


def test_429_when_too_much_is_in_flight(running: Running) -> None:
    with running(max_in_flight=1) as service:
        service.log.wait_s = 1
        first = threading.Thread(target=service.post, args=(frames(),))
        first.start()
        while "in_flight 1.0" not in service.client.get("/metrics").text:
            time.sleep(0.01)
        answer = service.post(frames())
        problem(answer, 429, "slow-down")
        assert int(answer.headers["retry-after"]) > 0
        first.join()
        service.log.wait_s = 0
        assert service.post(frames()).status_code == 202
    with running(max_buffered_bytes=50) as service:
        problem(service.post(frames()), 429, "slow-down")
        assert service.post(frames(1)).status_code == 202  # nothing is held any more


def test_503_when_the_log_is_gone_or_slow(running: Running) -> None:
    with running(append_timeout_s=0.1) as service:
        service.log.failure = LogUnavailableError("gone")
        answer = service.post(frames())
        problem(answer, 503, "unavailable")
        assert int(answer.headers["retry-after"]) > 0
        service.log.failure, service.log.wait_s = None, 1
        problem(service.post(frames()), 503, "unavailable")
        service.log.wait_s = 0
        assert service.post(frames()).status_code == 202


def test_500_tells_nothing(running: Running, caplog: pytest.LogCaptureFixture) -> None:
    with running() as service, caplog.at_level(logging.CRITICAL, "uvicorn.error"):
        service.log.failure = ZeroDivisionError("secret")
        answer = service.post(frames())
        problem(answer, 500, "internal")
        assert "secret" not in answer.text


def test_the_directory_is_asked_seldom_and_may_be_away(running: Running) -> None:
    with running(token_ttl_s=10, token_stale_s=100) as service:
        directory = service.directory
        for _ in range(3):
            assert service.post(frames()).status_code == 202
        assert directory.asked == 1
        directory.away = True
        service.clock.advance(11)
        assert service.post(frames()).status_code == 202
        problem(service.post(frames(), Authorization="Bearer new"), 503, "unavailable")
        service.clock.advance(90)
        problem(service.post(frames()), 503, "unavailable")
        directory.away, directory.revoked = False, True
        problem(service.post(frames()), 401, "token", "Authorization")


def test_readiness_asks_and_names_what_failed(running: Running) -> None:
    with running(ready_timeout_s=0.2) as service:
        get = service.client.get
        assert get("/healthz").json() == {"status": "ok"}
        assert get("/readyz").json() == {"status": "ok", "failed": []}
        service.log.is_ready = False
        answer = get("/readyz")
        assert (answer.status_code, answer.json()["failed"]) == (503, ["log"])
        service.log.is_ready, service.log.wait_s = True, 1
        assert get("/readyz").json()["failed"] == ["log"]
        service.log.wait_s, service.database_ready = 0, lambda: False
        time.sleep(1)
        assert get("/readyz").json()["failed"] == ["database"]

        def broken() -> bool:
            raise StoreUnavailableError("gone")

        service.database_ready = broken
        assert get("/readyz").json()["failed"] == ["database"]


def test_metrics_count_without_naming_anyone(service: Service) -> None:
    def value(name: str) -> float:
        lines = service.client.get("/metrics").text.splitlines()
        return sum(float(line.split()[-1]) for line in lines if line.startswith(f"{name} "))

    names = ("uploads_total", "frames_total", "bytes_total", "append_seconds_count")
    before = {name: value(f"roadcall_ingest_{name}") for name in names}
    refused = value('roadcall_ingest_refusals_total{status="415"}')
    service.post(frames(7))
    service.post(frames(), Content_Type="image/png")
    gained = [value(f"roadcall_ingest_{name}") - before[name] for name in names]
    assert gained == [1, 7, len(frames(7)), 1]
    assert value('roadcall_ingest_refusals_total{status="415"}') == refused + 1
    text = service.client.get("/metrics").text
    assert VIN not in text
    assert "gw-1" not in text


def test_no_vin_in_the_log(service: Service, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        service.post(frames())
        service.post(b"broken")
    ours = [
        r.getMessage() for r in caplog.records if not r.name.startswith("http")
    ]  # not the client
    assert not [text for text in ours if VIN in text]


def test_openapi_lists_every_answer(service: Service) -> None:
    document = service.client.get("/openapi.json").json()
    answers = document["paths"]["/v1/vehicles/{vin}/frames"]["post"]["responses"]
    wanted = {"202", "400", "401", "403", "408", "413", "415", "422", "429", "500", "503"}
    assert wanted == set(answers)


def test_a_gateway_that_hangs_up_leaves_nothing_behind(service: Service) -> None:
    url = service.client.base_url
    with socket.create_connection((url.host, url.port or 0)) as wire_:
        head = f"POST /v1/vehicles/{VIN}/frames HTTP/1.1\r\nHost: x\r\nContent-Length: 500\r\n"
        head += f"Authorization: Bearer secret\r\nContent-Type: {FRAMES}\r\n\r\n"
        wire_.sendall(head.encode() + b"RCFB")
        while "in_flight 1.0" not in service.client.get("/metrics").text:
            time.sleep(0.01)
    while "in_flight 0.0" not in service.client.get("/metrics").text:
        time.sleep(0.01)
    assert not service.log.records
