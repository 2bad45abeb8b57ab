"""The owner of partitions: makes each upload's effects durable, exactly once.

One transaction over a take of records, in this order: move the ledger (the fence), claim the
batch keys, advance the fresh uploads, write everything, run late history again, commit. Memory
is replaced after the commit; after any failure it is dropped and read again.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from model.clock import NS, utc
from model.effects import DeadLetter, Effects
from model.errors import DecodeError
from model.log import StoredRecord
from model.wire import partition_of
from roadcall.intake import Upload, read_upload
from roadcall.pipeline import VehicleMemory, World, advance, settle
from roadcall.recall import Recall
from rules import lane
from store import batches, cases, dead_letters, effects, ledger, masters
from store.batches import Claim
from store.database import Connection, Pool, transaction

#: Stations and vehicles that an operator changed are seen after this long.
WORLD_EVERY_NS = 30 * NS
#: Vehicles one tick looks at; after a restart all are due, and each reads the archive.
TICK_VEHICLES = 500

Memory = dict[str, VehicleMemory]


@dataclass(slots=True)
class _Take:
    """One transaction's work. `memory` shadows the owner's memory until the commit."""

    world: World
    moves: dict[int, tuple[int, int]] = field(default_factory=dict)
    uploads: list[Upload] = field(default_factory=list)
    letters: list[DeadLetter] = field(default_factory=list)
    effects: list[Effects] = field(default_factory=list)
    memory: Memory = field(default_factory=dict)
    late_from_ns: dict[str, int] = field(default_factory=dict)

    def read(self, records: Iterable[StoredRecord], partitions: int) -> None:
        """Sort records into uploads and dead letters."""
        for record in records:
            try:
                upload = read_upload(record)
            except DecodeError as error:
                self.letters.append(DeadLetter(record, str(error)))
                continue
            if record.partition == partition_of(record.vin, partitions):
                self.uploads.append(upload)
            else:  # its vehicle has another owner
                self.refuse(upload, "not the partition of this vehicle")

    def refuse(self, upload: Upload, reason: str) -> None:
        """What can be read but not applied."""
        self.letters.append(DeadLetter(upload.record, reason))


class Owner:
    """`roadcall.processor.Processor` over the real store."""

    def __init__(
        self,
        pool: Pool,
        topic: str,
        partitions: int,
        read_world: Callable[[Connection], World],
        recall: Recall,
    ) -> None:
        self._pool, self._topic, self._partitions = pool, topic, partitions
        self._read_world, self._recall = read_world, recall
        self._world: World | None = None
        self._world_read_ns = 0
        self._next: dict[int, int] = {}
        self._memory: dict[int, Memory] = {}

    def assigned(self, partitions: Collection[int]) -> dict[int, int]:
        """Positions from the ledger; memory is read with the first take or tick."""
        with transaction(self._pool) as conn:
            positions = ledger.positions(conn, self._topic, partitions)
        self.revoked(partitions)
        self._next.update(positions)
        return positions

    def revoked(self, partitions: Collection[int]) -> None:
        """Forget."""
        for partition in partitions:
            self._memory.pop(partition, None)
            self._next.pop(partition, None)

    def apply(self, records: Mapping[int, Sequence[StoredRecord]]) -> None:
        """See `Processor.apply`."""
        fresh = {
            p: [r for r in rs if r.position >= self._next[p]]
            for p, rs in records.items()
            if p in self._next
        }
        moves = {p: (self._next[p], rs[-1].position + 1) for p, rs in fresh.items() if rs}
        if not moves:
            return
        try:
            with transaction(self._pool) as conn:
                take = _Take(self._current_world(conn), moves)
                ledger.advance(conn, self._topic, moves)
                for partition in moves:
                    take.read(fresh[partition], self._partitions)
                self._claim(conn, take)
                self._advance(conn, take)
                effects.write(conn, take.effects)
                dead_letters.add(conn, self._topic, take.letters)
                self._run_history(conn, take)
        except BaseException:
            self._forget(moves)
            raise
        self._remember(take.memory)
        self._next.update({p: after for p, (_, after) in moves.items()})

    def tick(self, now_ns: int) -> None:
        """Silence rules, and the watermark of vehicles that stopped sending."""
        try:
            with transaction(self._pool) as conn:
                self._refresh(conn, now_ns)
                take = _Take(self._current_world(conn))
                due = [
                    m
                    for p in self._next
                    for m in self._partition(conn, p).values()
                    if m.rules.newest_ns and now_ns >= m.rules.due_ns
                ]
                for memory in due[:TICK_VEHICLES]:
                    self._tick_one(conn, take, memory, now_ns)
                self._fence(conn, take)
        except BaseException:
            self._forget(list(self._memory))
            raise
        self._remember(take.memory)

    def _refresh(self, conn: Connection, now_ns: int) -> None:
        """See what operators changed: stations and rules' world, vehicles and their profiles."""
        if now_ns - self._world_read_ns < WORLD_EVERY_NS:
            return
        since = utc(self._world_read_ns - WORLD_EVERY_NS)
        if self._world_read_ns:
            changed = masters.changed_since(conn, since)
            self._remember(self._recall.newcomers(conn, changed))
        self._world, self._world_read_ns = None, now_ns

    def _tick_one(self, conn: Connection, take: _Take, memory: VehicleMemory, now_ns: int) -> None:
        memory = self._recall.refilled(conn, take.world, memory)
        step = lane.tick(take.world.bundle, memory.rules, memory.vehicle, now_ns)
        after, requested = settle(take.world, memory, step, now_ns)
        take.memory[memory.vehicle.vin] = after
        effects.correct(conn, after.snapshot(), step.transitions, requested)

    def _fence(self, conn: Connection, take: _Take) -> None:
        """Nothing was read from the log, yet only the owner of a partition may write for it."""
        partitions = {partition_of(vin, self._partitions) for vin in take.memory}
        still = {p: (self._next[p], self._next[p]) for p in partitions}
        ledger.advance(conn, self._topic, still)

    def _claim(self, conn: Connection, take: _Take) -> None:
        """Leave only uploads of known vehicles that were never applied before."""
        known = self._known(conn, take)
        uploads = []
        for upload in take.uploads:
            if upload.key.vin in known:
                uploads.append(upload)
            else:
                take.refuse(upload, "vehicle is not registered, or its profile cannot be loaded")
        claims = batches.claim(conn, [(u.key, u.digest, u.frames.received_ns) for u in uploads])
        take.uploads = []
        for upload, claim in zip(uploads, claims, strict=True):
            if claim is Claim.NEW:
                take.uploads.append(upload)
            elif claim is Claim.CONFLICT:
                take.refuse(upload, "batch key was used before with other content")

    def _known(self, conn: Connection, take: _Take) -> Memory:
        """Memory of every vehicle in the take that is registered."""
        known: Memory = {}
        strangers = set()
        for upload in take.uploads:
            vin = upload.key.vin
            partition = self._partition(conn, upload.record.partition)
            if vin in partition:
                known[vin] = partition[vin]
            else:
                strangers.add(vin)
        if strangers:
            known |= self._recall.newcomers(conn, strangers)
        take.memory = known
        return known

    def _advance(self, conn: Connection, take: _Take) -> None:
        for upload in take.uploads:
            vin = upload.key.vin
            memory = self._recall.refilled(conn, take.world, take.memory[vin])
            advanced = advance(take.world, memory, upload.key, upload.frames)
            take.memory[vin] = advanced.memory
            take.effects.append(advanced.effects)
            if advanced.late_from_ns is not None:
                earlier = take.late_from_ns.get(vin, advanced.late_from_ns)
                take.late_from_ns[vin] = min(earlier, advanced.late_from_ns)

    def _run_history(self, conn: Connection, take: _Take) -> None:
        for vin, late_from_ns in take.late_from_ns.items():
            memory = take.memory[vin]
            step = self._recall.rebuilt(conn, take.world, memory, late_from_ns)
            after, _ = settle(take.world, memory, step, memory.received_ns)
            take.memory[vin] = after
            effects.correct(conn, after.snapshot(), step.transitions, ())
            cases.follow(conn, step.replaced)

    def _current_world(self, conn: Connection) -> World:
        if self._world is None:
            self._world = self._read_world(conn)
        return self._world

    def _partition(self, conn: Connection, partition: int) -> Memory:
        if partition not in self._memory:
            self._memory[partition] = self._recall.partition(conn, partition)
        return self._memory[partition]

    def _remember(self, memory: Memory) -> None:
        for vin, vehicle in memory.items():
            partition = partition_of(vin, self._partitions)
            if partition in self._memory:
                self._memory[partition][vin] = vehicle

    def _forget(self, partitions: Collection[int]) -> None:
        for partition in partitions:
            self._memory.pop(partition, None)
