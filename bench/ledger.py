"""What exactly-once costs: `python -m bench.ledger`.

The same transactions with and without the ledger's conditional update, in turns: ten uploads of
1 000 values and 250 frames each, everything `store.effects.write` writes, one commit.
"""

from __future__ import annotations

import statistics
import sys
import time

import numpy as np

from bench._database import Database, database, report
from model.clock import NS
from model.effects import Effects, LastValues, VehicleSnapshot
from model.frames import frame_batch
from model.log import BatchKey
from model.signals import SignalBatch, SignalTable
from model.vehicle import Vehicle
from store import effects, ledger, masters

UPLOADS, SIGNALS, SECONDS, FRAMES, ROUNDS = 10, 40, 25, 250, 300
START_NS = 1_700_000_040 * NS
TABLE = SignalTable("bench", tuple(f"M.S{i}" for i in range(SIGNALS)), ("",) * SIGNALS)
VINS = [f"LRDCALL00000000{i:02}" for i in range(UPLOADS)]
TOPIC = "bench"


def upload(vin: str, vehicle_id: int, rng: np.random.Generator) -> Effects:
    """25 s of one vehicle."""
    n = SIGNALS * SECONDS
    values = np.cumsum(rng.integers(-8, 9, (SIGNALS, SECONDS)), axis=1) * 0.125
    signals = SignalBatch(
        table=TABLE,
        run_signal=np.arange(SIGNALS, dtype=np.uint16),
        run_source=np.full(SIGNALS, -1, np.int16),
        run_start=np.arange(0, n + 1, SECONDS),
        observed_ns=np.tile(START_NS + np.arange(SECONDS) * NS, SIGNALS),
        value=values.reshape(-1).astype(np.float64),
        quality=np.zeros(n, np.uint8),
        frame_status=np.zeros(FRAMES, np.uint8),
    )
    frames = frame_batch(
        vin=vin,
        observed_ns=START_NS + np.arange(FRAMES) * NS // 10,
        can_id=rng.integers(0x100, 0x110, FRAMES).astype(np.uint32),
        length=np.full(FRAMES, 8, np.uint8),
        payload8=rng.integers(0, 4, (FRAMES, 8)).astype(np.uint8),
    )
    last = LastValues({n: (v, START_NS) for n, v in zip(TABLE.names, values[:, -1], strict=True)})
    snapshot = VehicleSnapshot(vehicle_id, START_NS, START_NS, last, {"rules": {}})
    key = BatchKey("bench", vin, "b")
    return Effects(vehicle_id, key, frames, signals, (), (), (), (), snapshot)


def measure(server: Database) -> tuple[float, float]:
    """Median seconds of a transaction with and without the ledger."""
    rng = np.random.default_rng(1)
    with_ledger, without = [], []
    with server.connect() as conn:
        fleet = masters.upsert_vehicles(conn, [Vehicle(vin=v, profile="bench") for v in VINS])
        batch = [upload(vin, vehicle_id, rng) for vin, vehicle_id in fleet.items()]
        position = ledger.positions(conn, TOPIC, [0])[0]
        conn.commit()
        for _ in range(ROUNDS):
            start = time.perf_counter()
            ledger.advance(conn, TOPIC, {0: (position, position + UPLOADS)})
            effects.write(conn, batch)
            conn.commit()
            with_ledger.append(time.perf_counter() - start)
            position += UPLOADS
            start = time.perf_counter()
            effects.write(conn, batch)
            conn.commit()
            without.append(time.perf_counter() - start)
    return statistics.median(with_ledger), statistics.median(without)


def main() -> int:
    with database() as server:
        ours, bare = measure(server)
    print(f"transaction of 10 000 values: {ours * 1e3:.2f} ms, without {bare * 1e3:.2f} ms")
    return report(
        claim="ledger cost at 10 000 values a batch",
        value=100 * (ours / bare - 1),
        ceiling=15.0,
        unit="%",
        peer="the same transaction without the ledger",
    )


if __name__ == "__main__":
    sys.exit(main())
