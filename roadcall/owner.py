"""The owner of partitions: makes each upload's effects durable, exactly once.

One transaction over a take of records, in this order: move the ledger (the fence), claim the
batch keys, advance the fresh uploads, write everything, run late history again, commit. Memory
is replaced after the commit; after any failure it is dropped and read again.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from prometheus_client import Counter

from model.clock import NS, utc
from model.effects import DeadLetter, Effects
from model.errors import DecodeError
from model.log import StoredRecord
from model.rescue import RescueCase
from model.wire import partition_of
from roadcall import episodes, suppress
from roadcall.intake import Upload, read_upload
from roadcall.pipeline import VehicleMemory, World, advance, said, settle
from roadcall.recall import Recall
from roadcall.rule_metrics import Applicability
from roadcall.shadow import follow
from rules import lane
from rules.bundle import Bundle
from rules.lane import Step, VehicleRules
from store import (
    batches,
    cases,
    dead_letters,
    effects,
    ledger,
    masters,
    rule_bundles,
    service_history,
)
from store.batches import Claim
from store.database import Connection, Pool, transaction
from store.rule_bundles import Standing

#: Stations and vehicles that an operator changed are seen after this long.
WORLD_EVERY_NS = 30 * NS
#: Vehicles one tick looks at; after a restart all are due, and each reads the archive.
TICK_VEHICLES = 500
#: How often old batch keys are forgotten; while a call takes all it may, the next tick goes on.
FORGET_EVERY_NS = 3600 * NS

FUTURE_FRAMES = Counter(
    "roadcall_future_frames", "Frames from over 60 s after their arrival, taken as of the arrival"
)

Memory = dict[str, VehicleMemory]
#: A vehicle's memory after a look without a new upload, what the rules said, the cases to open.
Correction = tuple[VehicleMemory, Step, tuple[RescueCase, ...]]


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
    #: The same for the bundle on trial.
    trial_late_ns: dict[str, int] = field(default_factory=dict)

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
        read_world: Callable[[Connection, Standing], World],
        recall: Recall,
        keep_keys_ns: int,
    ) -> None:
        self._pool, self._topic, self._partitions = pool, topic, partitions
        self._read_world, self._recall = read_world, recall
        self._keep_keys_ns, self._forgot_ns = keep_keys_ns, 0
        self._world: World | None = None
        self._standing: Standing | None = None
        self._world_read_ns = 0
        self._next: dict[int, int] = {}
        self._memory: dict[int, Memory] = {}
        self._applicability = Applicability()

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
                take.effects = _hushed(conn, take)
                effects.write(conn, take.effects)
                episodes.follow(conn, take.effects)
                dead_letters.add(conn, self._topic, take.letters)
                self._run_history(conn, take)
        except BaseException:
            self._forget(moves)
            raise
        self._remember(take.memory)
        FUTURE_FRAMES.inc(sum(upload.ahead for upload in take.uploads))
        self._next.update({p: after for p, (_, after) in moves.items()})

    def tick(self, now_ns: int) -> None:
        """Silence rules, the watermark of vehicles that stopped sending, old batch keys."""
        try:
            with transaction(self._pool) as conn:
                fresh = self._refresh(conn, now_ns)
                take = _Take(self._current_world(conn))
                if fresh:
                    every = (m for p in self._memory.values() for m in p.values())
                    self._applicability.show(take.world.bundle, every)
                due = [
                    m
                    for p in self._next
                    for m in self._partition(conn, p).values()
                    if m.rules.newest_ns and (now_ns >= m.due_ns or take.world.changes(m))
                ]
                found = [self._tick_one(conn, take, m, now_ns) for m in due[:TICK_VEHICLES]]
                _correct(conn, take, found, now_ns)
                self._fence(conn, take)
        except BaseException:
            self._forget(list(self._memory))
            raise
        self._remember(take.memory)
        self._forget_keys(now_ns)

    def _refresh(self, conn: Connection, now_ns: int) -> bool:
        """See what people changed: stations and rules' world, vehicles, profiles, services."""
        if now_ns - self._world_read_ns < WORLD_EVERY_NS:
            return False
        since = utc(self._world_read_ns - WORLD_EVERY_NS)
        if self._world_read_ns:
            changed = {
                *masters.changed_since(conn, since),
                *service_history.changed_since(conn, since),
            }
            self._remember(self._recall.newcomers(conn, changed))
        self._world, self._world_read_ns = None, now_ns
        return True

    def _tick_one(
        self, conn: Connection, take: _Take, memory: VehicleMemory, now_ns: int
    ) -> Correction:
        world, memory = take.world, self._recall.refilled(conn, take.world, memory)

        def run(bundle: Bundle, rules: VehicleRules) -> Step:
            return lane.tick(bundle, rules, memory.vehicle, now_ns, world.lateness_ns)

        step = said(world, memory, run(world.bundle_for(memory), memory.rules))
        after, requested = settle(world, memory, step, now_ns)
        shadow = follow(world.shadow, memory.shadow, run, memory.rules.facts)
        return replace(after, shadow=shadow), step, requested

    def _fence(self, conn: Connection, take: _Take) -> None:
        """Nothing was read from the log, yet only the owner of a partition may write for it."""
        partitions = {partition_of(vin, self._partitions) for vin in take.memory}
        still = {p: (self._next[p], self._next[p]) for p in partitions}
        ledger.advance(conn, self._topic, still)

    def _forget_keys(self, now_ns: int) -> None:
        """A bounded number of batch keys that no gateway repeats any more."""
        if now_ns - self._forgot_ns < FORGET_EVERY_NS:
            return
        limit, older_than = batches.PRUNE_LIMIT, utc(now_ns - self._keep_keys_ns)
        with transaction(self._pool) as conn:
            gone = batches.prune(conn, older_than, limit)
        if gone < limit:
            self._forgot_ns = now_ns

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
            shadow = advanced.memory.shadow
            for late, from_ns in (
                (take.late_from_ns, advanced.late_from_ns),
                (take.trial_late_ns, shadow.late_from_ns if shadow else None),
            ):
                if from_ns is not None:
                    late[vin] = min(late.get(vin, from_ns), from_ns)

    def _run_history(self, conn: Connection, take: _Take) -> None:
        found: list[Correction] = []
        world = take.world
        for vin in {**take.late_from_ns, **take.trial_late_ns}:
            memory = take.memory[vin]
            step = Step(memory.rules, ())
            if vin in take.late_from_ns:
                step = self._recall.rebuilt(conn, world, memory, take.late_from_ns[vin])
                step = said(world, memory, step)
                memory, _ = settle(world, memory, step, memory.received_ns)
            if vin in take.trial_late_ns:
                shadow = self._recall.tried(conn, world, memory, take.trial_late_ns[vin])
                memory = replace(memory, shadow=shadow)
            found.append((memory, step, ()))
        _correct(conn, take, found)
        cases.follow(conn, [pair for _, step, _ in found for pair in step.replaced])

    def _current_world(self, conn: Connection) -> World:
        """Read again when an operator changed the rules: the next take goes by the new ones."""
        now = rule_bundles.standing(conn)
        if self._world is None or now != self._standing:
            self._world, self._standing = self._read_world(conn, now), now
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


def _hushed(conn: Connection, take: _Take) -> list[Effects]:
    """The effects without rescue cases for alerts that nobody shall hear of."""
    said = []
    for e in take.effects:
        memory = take.memory[e.key.vin]
        bundle, now = take.world.bundle_for(memory), utc(memory.received_ns)
        said.append(
            suppress.Said(e.vehicle_id, memory.vehicle, bundle, e.transitions, e.cases, now)
        )
    quiet = suppress.hush(conn, said)
    return [
        replace(e, cases=tuple(c for c in e.cases if c.alert_id not in quiet)) if e.cases else e
        for e in take.effects
    ]


def _correct(conn: Connection, take: _Take, found: Sequence[Correction], now_ns: int = 0) -> None:
    """Write all of them at once, and let the take remember them."""
    quiet = suppress.hush(
        conn,
        [
            suppress.Said(
                m.vehicle_id, m.vehicle, take.world.bundle_for(m), s.transitions, c,
                utc(max(m.received_ns, now_ns)),
            )
            for m, s, c in found
        ],
    )  # fmt: skip
    effects.correct(
        conn,
        [memory.snapshot() for memory, _, _ in found],
        [transition for _, step, _ in found for transition in step.transitions],
        [case for _, _, opened in found for case in opened if case.alert_id not in quiet],
        [t for memory, _, _ in found if memory.shadow for t in memory.shadow.said],
    )
    episodes.follow_alerts(conn, [(m.vehicle_id, s.transitions) for m, s, _ in found])
    take.memory |= {memory.vehicle.vin: memory for memory, _, _ in found}
