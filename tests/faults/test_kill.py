"""kill -9 of every process under load: what was acknowledged is stored, and stored once.

A run with faults must leave the same rows as a run without.
"""

from __future__ import annotations

import asyncio
import shutil
import threading
import time
from collections.abc import AsyncIterator, Iterator

import pytest

from model.frames import FrameBatch
from simulators.fleet import Fleet
from simulators.gateway import Gateway, Retry, Totals
from simulators.masters import rescue_units, stations
from store import masters
from store.database import transaction
from tests.faults.system import System

START_NS = 1_700_000_000_000_000_000
VEHICLES, SEED = 12, 11
SCENARIOS = ("overheating", "oil_pressure")
PAUSE_S = 0.3
FRAMES_BETWEEN_KILLS = 20_000
EMBEDDED = ["ingest", "worker", "postgres"] * 3 + ["worker"]
KAFKA = ["ingest", "worker", "postgres", "kafka"] * 2 + ["worker", "ingest"]

#: Everything the pipeline stores, without surrogate keys and without times of our own clock. What
#: was told of a car that only seemed silent, and taken back, depends on how long the kills took.
STORED = {
    "segments": """
        select v.vin, s.name, g.source, g.time, g.step_ms, g.n, g.n_bad, g.vmin, g.vmax,
               g.vfirst, g.vlast, g.vsum, g.deltas::text
        from signal_segment g join vehicle v using (vehicle_id) join signal s using (signal_id)""",
    "frames": """
        select v.vin, b.time, b.t_end, b.n, b.codec, md5(b.frames)
        from frame_block b join vehicle v using (vehicle_id)""",
    "batches": "select gateway_id, vin, batch_id, part, digest from pushed_batch",
    "alerts": """
        select a.alert_id, a.rule_id, a.instance, a.severity, a.started_at, a.fired_at
        from alert a where a.state <> 'retracted'""",
}


class Load:
    """A gateway that pushes slice after slice of a fleet's life in a thread of its own."""

    def __init__(self, system: System, fleet: Fleet) -> None:
        with transaction(system.pool) as conn:
            masters.upsert_stations(conn, stations())
            masters.upsert_units(conn, rescue_units())
            masters.upsert_vehicles(conn, fleet.vehicles)
            token = masters.create_gateway(conn, "gw", [v.vin for v in fleet.vehicles])
        retry = Retry(attempts=1000, longest_s=1.0, timeout_s=15.0)
        self._gateway = Gateway(system.address, token, connections=6, retry=retry)
        self._fleet, self._done = fleet, threading.Event()
        self.slices = 0

    def start(self) -> None:
        self._thread = threading.Thread(target=lambda: self.push(10**9, PAUSE_S))
        self._thread.start()

    def flow(self, system: System) -> None:
        """Return while uploads are being acknowledged and stored, as they were not a kill ago."""
        system.wait_until_ready()
        begin = self._gateway.totals.frames
        while self._gateway.totals.frames < begin + FRAMES_BETWEEN_KILLS:
            assert self._thread.is_alive()
            time.sleep(0.05)
        system.wait_for_frames(begin + FRAMES_BETWEEN_KILLS)

    def finish(self) -> Totals:
        """No further slice; returns once everything is acknowledged."""
        self._done.set()
        self._thread.join()
        return self._gateway.totals

    def push(self, slices: int, pause_s: float) -> Totals:
        async def batches() -> AsyncIterator[FrameBatch]:
            while self.slices < slices and not self._done.is_set():
                for batch in self._fleet.upload(self.slices):
                    yield batch
                self.slices += 1
                await asyncio.sleep(pause_s)

        return asyncio.run(self._gateway.send(batches()))


@pytest.fixture
def new_system() -> Iterator[object]:
    made: list[System] = []

    def make(*, with_kafka: bool) -> System:
        made.append(System(with_kafka=with_kafka))
        made[-1].wait_until_ready()
        return made[-1]

    yield make
    for system in made:
        system.ingest.stop()
        system.worker.stop()
        system.close()


def stored(system: System) -> dict[str, list[tuple[object, ...]]]:
    """Row count and digest of what each query shows."""
    digest = "select count(*), md5(string_agg(r::text, '|' order by r::text)) from ({}) r"
    return {name: system.ask(digest.format(query)) for name, query in STORED.items()}


def new_fleet() -> Fleet:
    return Fleet(VEHICLES, SEED, SCENARIOS, START_NS)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    "victims",
    [
        pytest.param(EMBEDDED, id="embedded"),
        pytest.param(KAFKA, id="kafka", marks=pytest.mark.kafka),
    ],
)
def test_what_was_acknowledged_is_stored_once(new_system, victims) -> None:
    if "kafka" in victims and not (shutil.which("java") and shutil.which("mvn")):
        pytest.skip(
            "Apache Kafka: Java and Maven are not here, and a named broker is not ours to kill"
        )
    system = new_system(with_kafka="kafka" in victims)
    load = Load(system, new_fleet())
    load.start()
    for victim in victims:
        load.flow(system)
        system.kill(victim)
    load.flow(system)
    system.kill_ingest_while_its_log_is_away()
    acknowledged = load.finish()
    system.wait_for_frames(acknowledged.frames)

    clean = new_system(with_kafka=False)
    calm = Load(clean, new_fleet())
    assert calm.push(load.slices, 0.0).frames == acknowledged.frames
    clean.wait_for_frames(acknowledged.frames)

    assert system.frames() == clean.frames() == acknowledged.frames
    assert system.ask("select count(*) from frame_block") == [(acknowledged.batches,)]
    assert system.ask("select count(*) from dead_letter") == [(0,)]
    found = stored(system)
    print(f"{acknowledged}, {len(victims) + 2} kills, {found}")
    assert found == stored(clean)
    assert all(count for ((count, _),) in found.values())
