"""The routing adapter against a real HTTP server that answers as OSRM documents it."""

from __future__ import annotations

import json
import math
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dispatch import osrm
from dispatch.osrm import REST_S, OsrmRouter
from dispatch.rescue_choice import Place
from model.clock import FakeClock

BERLIN = [(52.517037, 13.388860), (52.529407, 13.397634)]
THERE = (52.523219, 13.428555)
#: The shape of docs/http.md of Project OSRM: way points beside the table.
WAYPOINT = {"hint": "x", "distance": 4.15, "name": "Friedrichstraße", "location": [13.38, 52.51]}


def table(*seconds: float | None) -> bytes:
    rows = [[value] for value in seconds]
    said = {"code": "Ok", "durations": rows, "sources": [WAYPOINT] * len(rows)}
    return json.dumps(said | {"destinations": [WAYPOINT]}).encode()


@dataclass
class Engine:
    """What it answers next, and every path that was asked for."""

    url: str = ""
    status: int = 200
    body: bytes = b""
    chunk_pause_s: float = 0.0
    asked: list[str] = field(default_factory=list)


@pytest.fixture
def engine() -> Iterator[Engine]:
    made = Engine()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            made.asked.append(self.path)
            self.send_response(made.status)
            self.send_header("Content-Length", str(len(made.body)))
            self.end_headers()
            half = len(made.body) // 2
            try:
                self.wfile.write(made.body[:half])
                time.sleep(made.chunk_pause_s)
                self.wfile.write(made.body[half:])
            except OSError:
                pass  # nobody waits any more

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        made.url = f"http://127.0.0.1:{server.server_port}"
        try:
            yield made
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(0)


@pytest.fixture
def router(engine: Engine, clock: FakeClock) -> Iterator[OsrmRouter]:
    made = OsrmRouter(engine.url + "/", clock, timeout_s=5)
    yield made
    made.close()


def failures(reason: str) -> float:
    return osrm.FAILED.labels(reason)._value.get()


def test_one_request_asks_for_all_crews(engine: Engine, router: OsrmRouter) -> None:
    engine.body = table(421.7, None)
    assert router.seconds(BERLIN, THERE) == [421.7, math.inf]
    (path,) = engine.asked
    url = urlsplit(path)
    # longitude first, as GeoJSON has it
    places = "13.388860,52.517037;13.397634,52.529407;13.428555,52.523219"
    assert url.path == f"/table/v1/driving/{places}"
    asked = {"sources": ["0;1"], "destinations": ["2"], "annotations": ["duration"]}
    assert parse_qs(url.query) == asked


def test_more_crews_than_an_engine_takes_at_once(engine: Engine, router: OsrmRouter) -> None:
    engine.body = table(*[60.0] * 99)
    assert router.seconds([THERE] * 198, THERE) == [60.0] * 198
    assert [len(path.split("?")[0].split(";")) for path in engine.asked] == [100, 100]


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [
        (400, b'{"code": "TooBig", "message": "Too many table coordinates"}', "http 400"),
        (400, b'{"code": "NoSegment"}', "http 400"),
        (200, b'{"code": "NoTable"}', "not understood"),
        (503, b"", "http 503"),
        (302, b"", "http 302"),
        (200, b"<html>", "not understood"),
        (200, table(1.0), "not understood"),
        (200, table(1.0, -1.0), "not understood"),
        (200, b'{"code": "Ok", "durations": [[1, 2], [1, 2]]}', "not understood"),
        (200, table(1.0, 2.0) + b" " * osrm.LONGEST_ANSWER, "too long"),
    ],
)
def test_a_failure_is_counted_and_the_engine_rests(
    engine: Engine, router: OsrmRouter, clock: FakeClock, status: int, body: bytes, reason: str
) -> None:
    engine.status, engine.body = status, body
    before = failures(reason)
    assert router.seconds(BERLIN, THERE) is None
    assert failures(reason) == before + 1
    engine.status, engine.body = 200, table(1.0, 2.0)
    assert router.seconds(BERLIN, THERE) is None
    assert len(engine.asked) == 1
    clock.advance(REST_S)
    assert router.seconds(BERLIN, THERE) == [1.0, 2.0]


def test_an_engine_that_is_away_or_slow(engine: Engine, clock: FakeClock) -> None:
    before = failures("unreachable"), failures("time-out")
    away = OsrmRouter("http://127.0.0.1:9", clock)
    assert away.seconds(BERLIN, THERE) is None
    slow = OsrmRouter(engine.url, clock, timeout_s=0.1)
    engine.body, engine.chunk_pause_s = table(1.0, 2.0), 1.0
    assert slow.seconds(BERLIN, THERE) is None
    assert (failures("unreachable"), failures("time-out")) == (before[0] + 1, before[1] + 1)
    away.close()
    slow.close()


def test_a_clock_that_is_set_back_keeps_nobody_waiting(
    engine: Engine, router: OsrmRouter, clock: FakeClock
) -> None:
    clock.advance(3600)
    engine.status = 500
    assert router.seconds(BERLIN, THERE) is None
    engine.status, engine.body = 200, table(1.0, 2.0)
    clock.advance(-1800)
    assert router.seconds(BERLIN, THERE) == [1.0, 2.0]


def test_where_the_map_ends_nobody_is_passed_over(engine: Engine, router: OsrmRouter) -> None:
    engine.body = table(None, None)
    assert router.seconds(BERLIN, THERE) is None
    engine.body = table(5.0, None)
    assert router.seconds(BERLIN, THERE) == [5.0, math.inf]  # it answered: no rest


places = st.lists(st.tuples(st.floats(-90, 90), st.floats(-180, 180)), min_size=1, max_size=3)
json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["code", "durations", "x"]), inner, max_size=3)
    ),
    max_leaves=12,
)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(places=places, said=json_values.map(lambda v: json.dumps(v).encode()) | st.binary())
def test_whatever_it_says_an_answer_fits_or_is_none(
    engine: Engine, router: OsrmRouter, clock: FakeClock, places: list[Place], said: bytes
) -> None:
    clock.advance(REST_S)
    engine.body = said
    answer = router.seconds(places, THERE)
    assert answer is None or (len(answer) == len(places) and all(s >= 0 for s in answer))
