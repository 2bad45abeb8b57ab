"""A small real HTTP server that takes batches, and fails when told to."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from model import wire
from model.frames import FrameBatch


@dataclass
class Station:
    """What the server saw. `plan` holds what to do with the next requests: a status or "drop"."""

    url: str = ""
    plan: list[int | str] = field(default_factory=list)
    requests: list[tuple[str, str, bytes]] = field(default_factory=list)
    taken: list[FrameBatch] = field(default_factory=list)
    tokens: set[str] = field(default_factory=set)
    lock: threading.Lock = field(default_factory=threading.Lock)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        station: Station = self.server.station
        body = self.rfile.read(int(self.headers["Content-Length"]))
        vin, key = self.path.split("/")[3], self.headers["Idempotency-Key"]
        with station.lock:
            station.tokens.add(self.headers["Authorization"])
            station.requests.append((vin, key, body))
            step = station.plan.pop(0) if station.plan else 202
            if step == "drop":
                self.close_connection = True
                return
            if step == 202:
                plain = wire.inflate(body)
                station.taken.append(
                    wire.decode(plain, vin=vin, gateway_id="g", batch_id=key, received_ns=0)
                )
        self.send_response(step)
        self.send_header("Content-Length", "2")
        if step in (429, 503):
            self.send_header("Retry-After", "0")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_: object) -> None:
        """Quiet."""


class Server(ThreadingHTTPServer):
    daemon_threads = True
    station: Station


@pytest.fixture
def station() -> Iterator[Station]:
    with Server(("127.0.0.1", 0), Handler) as server:
        server.station = Station(url=f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield server.station
        server.shutdown()
        thread.join()
