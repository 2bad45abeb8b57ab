"""The pipeline on a real database, without HTTP: append, apply, look at what is stored."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from model import wire
from model.clock import Clock, FakeClock
from model.frames import FrameBatch
from model.log import BatchKey, LogRecord
from model.vehicle import Vehicle
from roadcall import wiring
from roadcall.cli_fleet import register_vehicles
from roadcall.embedded_worker import EmbeddedWorker
from roadcall.inbox_log import InboxLog
from roadcall.settings import Settings
from simulators.masters import stations
from store import inbox, masters
from store.database import Pool, transaction

PARTITIONS = 12


@dataclass
class Rig:
    """One installation: inbox, worker, database."""

    pool: Pool
    home: Path
    profiles: tuple[Path, ...] = ()
    clock: Clock = field(default_factory=FakeClock)

    def __post_init__(self) -> None:
        self.settings = Settings(
            home=self.home,
            profile_path=self.profiles,
            dispatch_max_age_s=1e9,
            partitions=PARTITIONS,
        )
        self.worker = self.new_worker()

    def new_worker(self) -> EmbeddedWorker:
        """As after a restart: memory comes from the rows."""
        owner = wiring.owner(self.settings, self.pool, inbox.TOPIC)
        return EmbeddedWorker(self.pool, owner, self.clock, PARTITIONS, 200)

    def register(self, *vehicles: Vehicle) -> None:
        """Stations and vehicles."""
        with transaction(self.pool) as conn:
            masters.upsert_stations(conn, stations())
            register_vehicles(conn, vehicles)

    def send(self, batches: Iterable[FrameBatch], received_ns: int | None = None) -> None:
        """Append and apply. An upload arrives with its last frame, unless said otherwise."""
        log = InboxLog(self.pool, PARTITIONS)

        async def append() -> None:
            for batch in batches:
                await log.append([record(batch, received_ns)])

        asyncio.run(append())
        self.worker.drain()

    def rows(self, statement: str) -> list[tuple[object, ...]]:
        """For comparing what two installations hold."""
        with transaction(self.pool) as conn:
            return conn.execute(statement).fetchall()  # type: ignore[call-overload,no-any-return]

    def alerts(self) -> list[tuple[object, ...]]:
        """Everything a person would see of every alert, in a fixed order."""
        return self.rows(
            "select alert_id, rule_id, instance, severity, state, started_at, fired_at, changed_at,"
            " cleared_at, evidence_at, evidence, thresholds from alert"
            " where state <> 'retracted' order by alert_id"
        )


def record(batch: FrameBatch, received_ns: int | None = None) -> LogRecord:
    """What ingest makes of an upload."""
    body = wire.encode(batch)
    return LogRecord(
        key=BatchKey(batch.gateway_id or "test", batch.vin, batch.batch_id),
        digest=hashlib.sha256(body).hexdigest()[:16],
        received_ns=int(batch.observed_ns.max()) if received_ns is None else received_ns,
        protocol="can",
        value=wire.pack(batch),
    )


def in_seconds(batches: Sequence[FrameBatch]) -> float:
    """Length of a log."""
    first = min(int(b.observed_ns.min()) for b in batches)
    return (max(int(b.observed_ns.max()) for b in batches) - first) / 1e9
