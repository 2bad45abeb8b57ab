"""The segment writer against the fastest plain table: `python -m bench.segments`.

1 000 vehicles x 40 signals x 60 s at 1 Hz, J1939-like values. The peer is a binary COPY of the
same values, one row each, into an unlogged table without an index, its buffer built by NumPy in
the timed part like ours. Both write 2.4 M values a round, in turns; medians count.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable

import numpy as np

from bench._database import Database, database, report
from model.clock import NS
from model.signals import SignalBatch, SignalTable
from store import copy_binary, segments
from store.database import Connection

VEHICLES, SIGNALS, SECONDS, ROUNDS = 1000, 40, 60, 5
START_NS = 1_700_000_040 * NS  # a whole minute
NARROW = (("vehicle_id", ">i4"), ("signal_id", ">i4"), ("time", ">i8"), ("value", ">f8"))
TABLE = SignalTable("bench", tuple(f"M.S{i}" for i in range(SIGNALS)), ("",) * SIGNALS)


def uploads(seed: int) -> list[segments.Upload]:
    """One minute of the fleet: random walks on a grid of 0.125, times jittered by the bus."""
    rng = np.random.default_rng(seed)
    ids = np.arange(1, SIGNALS + 1, dtype=np.int32)
    n = SIGNALS * SECONDS
    made = []
    for vehicle in range(VEHICLES):
        walk = np.cumsum(rng.integers(-8, 9, (SIGNALS, SECONDS)), axis=1) * 0.125 + 800
        offset = rng.integers(0, NS // 2, (SIGNALS, 1))
        times = START_NS + np.arange(SECONDS) * NS + offset
        batch = SignalBatch(
            table=TABLE,
            run_signal=np.arange(SIGNALS, dtype=np.uint16),
            run_source=np.full(SIGNALS, -1, np.int16),
            run_start=np.arange(0, n + 1, SECONDS),
            observed_ns=times.reshape(-1),
            value=walk.reshape(-1).astype(np.float64),
            quality=np.zeros(n, np.uint8),
            frame_status=np.zeros(0, np.uint8),
        )
        made.append(segments.Upload(vehicle + 1, batch, ids))
    return made


def write_narrow(conn: Connection, minute: list[segments.Upload]) -> None:
    """The limit: one row a value, as few bytes as PostgreSQL allows."""
    with conn.cursor().copy("copy narrow from stdin (format binary)") as copy:
        copy.write(copy_binary.HEADER)
        for at in range(0, len(minute), 40):
            part = minute[at : at + 40]
            times = np.concatenate([u.signals.observed_ns for u in part])
            numbers = [u.signal_ids[u.signals.run_signal] for u in part]
            lengths = [np.diff(u.signals.run_start) for u in part]
            values: dict[str, np.ndarray[tuple[int, ...], np.dtype[np.generic]]] = {
                "vehicle_id": np.repeat(
                    [u.vehicle_id for u in part], [len(u.signals) for u in part]
                ),
                "signal_id": np.repeat(np.concatenate(numbers), np.concatenate(lengths)),
                "time": copy_binary.timestamps(times),
                "value": np.concatenate([u.signals.value for u in part]),
            }
            copy.write(copy_binary.rows(NARROW, values))
        copy.write(copy_binary.TRAILER)


def write_segments(conn: Connection, minute: list[segments.Upload]) -> None:
    """Ours, as the pipeline calls it."""
    segments.write(conn, minute)


def timed(conn: Connection, write: Callable[[], None]) -> float:
    """Seconds of one transaction."""
    start = time.perf_counter()
    write()
    conn.commit()
    return time.perf_counter() - start


def measure(server: Database) -> tuple[float, float]:
    """Values a second: ours, the peer's."""
    minute = uploads(1)
    values = sum(len(u.signals) for u in minute)
    ours, peer = [], []
    with server.connect() as conn:
        conn.execute(
            "create unlogged table narrow (vehicle_id int, signal_id int, time timestamptz,"
            " value double precision)"
        )
        conn.commit()
        for _ in range(ROUNDS):
            conn.execute("truncate narrow")
            conn.execute("truncate signal_segment")
            conn.commit()
            peer.append(timed(conn, lambda: write_narrow(conn, minute)))
            ours.append(timed(conn, lambda: write_segments(conn, minute)))
        stored = conn.execute("select sum(n) from signal_segment").fetchone()
        assert stored == (values,), stored
    return values / statistics.median(ours), values / statistics.median(peer)


def main() -> int:
    with database() as server:
        ours, peer = measure(server)
    print(f"segments {ours / 1e6:.1f} M values/s, narrow rows {peer / 1e6:.1f} M values/s")
    return report(
        claim="segment writer against an unlogged narrow COPY",
        value=ours / peer,
        floor=3.0,
        unit="x",
        peer="COPY BINARY into an unlogged table without index",
    )


if __name__ == "__main__":
    sys.exit(main())
