"""The whole chain: socket -> ingest -> Kafka -> decode, rules -> committed rows, on this machine.

Claims: frames a second from the first byte sent to the last row committed, everything on the same
processors (broker, database, load generator too); and the time from sending an upload that fires
an alert to the alert's row being readable, at a tenth of that load.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import httpx
import numpy as np

from bench._database import database, report
from bench._pusher import fire, load
from model.clock import NS, ns_of
from model.severity import Severity
from roadcall.cli_fleet import register_vehicles
from simulators.fleet import Fleet
from simulators.masters import rescue_units, stations
from store import figures, masters
from store.database import Pool, open_pool, transaction

VEHICLES, SLICES, SEED = 200, 12, 3
LATENCY_SLICES = 8
WARM_SLICES = 2
FAULTS = 100
FLOOR_FRAMES_S, LATENCY_SHARE, CEILING_MS = 200_000.0, 0.1, 500.0
CONNECTIONS = 16
PORT = 18_480
DRAIN_LIMIT_S = 120.0
FIRED = (
    "select v.vin, a.fired_at from alert a join vehicle v using (vehicle_id) where a.severity >= %s"
)


def main() -> int:
    """Needs a broker: ROADCALL_TEST_KAFKA, or one started by scripts/apache-kafka."""
    if "ROADCALL_TEST_KAFKA" not in os.environ:
        script = str(Path(__file__).resolve().parent.parent / "scripts" / "apache-kafka")
        os.execv(script, [script, "run", "--", sys.executable, "-m", "bench.chain"])
    start_ns = time.time_ns() - 3600 * NS
    fleet = Fleet(VEHICLES, SEED, ("oil_pressure",) * FAULTS, start_ns)
    with _system(fleet) as (pool, token):
        rate = _throughput(pool, token, fleet)
        p50, p99 = np.percentile(_latency(pool, token, fleet, rate * LATENCY_SHARE), [50, 99])
    print(f"socket to alert: p50 {p50:.0f} ms, p99 {p99:.0f} ms")
    missed = report(
        claim="whole chain on Kafka, socket to committed rows",
        value=rate,
        floor=FLOOR_FRAMES_S,
        unit="frames/s",
        peer="none yet: an absolute figure of this machine",
    )
    return missed | report(
        claim="socket to readable alert, p99, at a tenth of that load",
        value=float(p99),
        ceiling=CEILING_MS,
        unit="ms",
        peer="none: an absolute figure of this machine",
    )


@contextmanager
def _system(fleet: Fleet) -> Iterator[tuple[Pool, str]]:
    with database() as server:
        pool = open_pool(server.dsn, 4)
        with transaction(pool) as conn:
            masters.upsert_stations(conn, stations())
            masters.upsert_units(conn, rescue_units())
            register_vehicles(conn, fleet.vehicles)
            token = masters.create_gateway(conn, "bench", [v.vin for v in fleet.vehicles])
        with _processes(server.dsn):
            yield pool, token
        pool.close()


@contextmanager
def _processes(dsn: str) -> Iterator[None]:
    environment = {
        **os.environ,
        "ROADCALL_DSN": dsn,
        "ROADCALL_KAFKA": os.environ["ROADCALL_TEST_KAFKA"],
        "ROADCALL_KAFKA_TOPIC": f"bench.{os.getpid()}",
        "ROADCALL_PORT": str(PORT),
        "ROADCALL_DISPATCH_MAX_AGE_S": "86400",
    }
    children = [
        subprocess.Popen([sys.executable, "-m", "roadcall.cli", name], env=environment)
        for name in ("ingest", "worker")
    ]
    try:
        _wait_until_ready()
        yield
    finally:
        for child in children:
            child.terminate()
        for child in children:
            child.wait(30)


def _wait_until_ready() -> None:
    for _ in range(300):
        try:
            if httpx.get(f"http://127.0.0.1:{PORT}/readyz").status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.2)
    raise TimeoutError("ingest is not ready")


def _throughput(pool: Pool, token: str, fleet: Fleet) -> float:
    slices = [[load(b, token) for b in fleet.upload(n)] for n in range(WARM_SLICES + SLICES)]
    warm = [s for part in slices[:WARM_SLICES] for s in part]
    shots = [s for part in slices[WARM_SLICES:] for s in part]
    asyncio.run(fire(PORT, warm, CONNECTIONS))
    before = sum(s.frames for s in warm)
    _drained(pool, before)
    started = time.time()
    asyncio.run(fire(PORT, shots, CONNECTIONS))
    acknowledged = time.time() - started
    frames = sum(s.frames for s in shots)
    _drained(pool, before + frames)
    took = time.time() - started
    size = sum(len(s.request) for s in shots) / len(shots)
    print(
        f"{frames} frames in {len(shots)} uploads of {size / 1000:.1f} kB: acknowledged in"
        f" {acknowledged:.2f} s, committed in {took:.2f} s"
    )
    return frames / took


def _drained(pool: Pool, frames: int) -> None:
    deadline = time.time() + DRAIN_LIMIT_S
    while time.time() < deadline:
        with transaction(pool) as conn:
            if figures.counts(conn)["frames_stored"] >= frames:
                return
        time.sleep(0.02)
    raise TimeoutError("the worker did not commit everything")


def _latency(pool: Pool, token: str, fleet: Fleet, frames_s: float) -> list[float]:
    """Milliseconds from sending the upload that fires an alert to reading the alert's row."""
    faulty = {f.vin for f in fleet.seeded_faults()}
    cars = [i for i, v in enumerate(fleet.vehicles) if v.vin in faulty]
    numbers = range(WARM_SLICES + SLICES, WARM_SLICES + SLICES + LATENCY_SLICES)
    batches = [(n, fleet.upload_of(i, n)) for n in numbers for i in cars]
    shots = [load(batch, token) for _, batch in batches]
    mean = sum(s.frames for s in shots) / len(shots)
    readable: dict[tuple[str, int], float] = {}
    stop = threading.Event()
    watch = threading.Thread(target=_watch, args=(pool, fleet, readable, stop))
    watch.start()
    times = asyncio.run(fire(PORT, shots, CONNECTIONS, frames_s / mean))
    time.sleep(1)
    stop.set()
    watch.join()
    sent = {(s.vin, n): t for s, (n, _), (t, _) in zip(shots, batches, times, strict=True)}
    return [1000 * (at - sent[key]) for key, at in readable.items() if key in sent]


def _watch(
    pool: Pool, fleet: Fleet, readable: dict[tuple[str, int], float], stop: threading.Event
) -> None:
    """When each severity 3 alert was first seen, by car and the slice that fired it."""
    while not stop.is_set():
        with transaction(pool) as conn:
            rows = conn.execute(FIRED, [int(Severity.STOP)]).fetchall()
        now = time.time()
        for vin, fired_at in rows:
            assert isinstance(vin, str) and isinstance(fired_at, datetime)
            number = (ns_of(fired_at) - fleet.start_ns) // fleet.slice_ns
            readable.setdefault((vin, number), now)
        time.sleep(0.02)


if __name__ == "__main__":
    sys.exit(main())
