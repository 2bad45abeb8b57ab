"""What a worker knows of vehicles: read from rows, refilled and rebuilt from the frame archive."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

import structlog

from dbc.profile import ProfileError
from decoders.decode import Decoder, Tails
from model.alerts import AlertState
from model.clock import NS, ns_of, utc
from model.codes import CodeReport
from model.errors import LimitExceededError
from model.signals import SignalBatch
from model.vehicle import Vehicle
from roadcall.arrival import decode_upload
from roadcall.pipeline import VehicleMemory, World, waiting_from_memory
from roadcall.rule_library import Library
from roadcall.service_facts import facts_of
from roadcall.shadow import Shadow
from rules import lane
from rules.bundle import Bundle
from rules.facts import NO_FACTS, VehicleFacts
from rules.lane import Step, VehicleRules
from rules.switch import sense, switch
from store import alerts, frame_block, shadow_alerts, vehicle_state
from store.database import Connection
from store.vehicle_state import StoredState

#: Frames one look into the archive may read; a vehicle sends a million in about two hours.
MAX_ARCHIVE_FRAMES = 2_000_000
#: An alert that was open may lead to an older one; so far the search goes left.
MAX_STEPS_LEFT = 16
#: Transport sessions that began before the first wanted frame are shorter than this.
SESSION_NS = 5 * NS

#: A database keeps microseconds.
US = 1000

Decoded = tuple[SignalBatch, tuple[CodeReport, ...]]
#: Alerts a run over history is held against, and rules that judge nothing before a moment.
Stored = tuple[list[lane.StoredAlert], dict[str, int]]

log = structlog.get_logger()


class Recall:
    """Reads memory; holds none but the compiled decoders behind `decoder_of`."""

    def __init__(self, decoder_of: Callable[[Vehicle], Decoder], library: Library) -> None:
        self._decoder_of, self._library = decoder_of, library

    def partition(self, conn: Connection, partition: int) -> dict[str, VehicleMemory]:
        """All vehicles of a partition whose profile can be loaded."""
        return self._remembered(conn, vehicle_state.load(conn, partition))

    def newcomers(self, conn: Connection, vins: Iterable[str]) -> dict[str, VehicleMemory]:
        """Vehicles registered since; those unknown, or of a broken profile, are left out."""
        return self._remembered(conn, vehicle_state.load(conn, vins=vins))

    def refilled(self, conn: Connection, world: World, memory: VehicleMemory) -> VehicleMemory:
        """Memory that fits the bundle in force, its buffer above the watermark from the archive.

        The buffer is empty after a restart, and after a change of the bundle.
        """
        memory = self._switched(conn, world, memory)
        if memory.refilled:
            return memory
        rules, shadow = memory.rules, memory.shadow
        if rules.watermark_ns and memory.observed_ns >= rules.watermark_ns:
            since_ns = min([rules.since_ns, *([shadow.rules.since_ns] if shadow else [])])
            try:
                batches = self._read(conn, memory, since_ns - SESSION_NS)
            except LimitExceededError as error:
                log.warning("refill.too_long", reason=str(error))
            else:
                bundle, vehicle = world.bundle_for(memory), memory.vehicle
                rules = lane.refill(bundle, replace(rules, chunks=()), vehicle, batches)
                if shadow and world.shadow and world.shadow.hash == shadow.bundle_hash:
                    again = replace(shadow.rules, chunks=())
                    again = lane.refill(world.shadow, again, vehicle, batches)
                    shadow = replace(shadow, rules=again)
        return replace(memory, rules=rules, shadow=shadow, refilled=True)

    def _switched(self, conn: Connection, world: World, memory: VehicleMemory) -> VehicleMemory:
        """The vehicle's rules moved to the bundle in force, at its watermark."""
        for name in set(memory.finishing.values()):  # `World.bundle_for` asks for them
            self._library.bundle(conn, name)
        now = world.bundle.hash
        if memory.bundle_hash == now:
            return memory
        earlier = self._library.bundle(conn, memory.bundle_hash) if memory.bundle_hash else None
        if earlier is None or not memory.rules.newest_ns:
            return replace(memory, bundle_hash=now)
        before = self._library.mixed(earlier, memory.finishing)
        moved = switch(before, world.bundle, memory.rules, memory.vehicle, memory.finishing)
        parting = tuple(
            replace(
                t,
                bundle_hash=memory.finishing.get(t.rule_id, earlier.hash),
                profile_hash=memory.decoder.plan.hash,
            )
            for t in moved.transitions
        )
        return replace(
            memory,
            rules=moved.rules,
            bundle_hash=now,
            finishing=moved.finishing,
            parting=(*memory.parting, *parting),
            refilled=False,
        )

    def rebuilt(
        self, conn: Connection, world: World, memory: VehicleMemory, late_from_ns: int
    ) -> Step:
        """The vehicle's rules over its stored history, from far enough left of the late frames.

        History of more than MAX_ARCHIVE_FRAMES stays stored, and its alerts as they are.
        """
        bundle = world.bundle_for(memory)

        def stored(since_ns: int) -> Stored:
            rows = alerts.overlapping(conn, memory.vehicle_id, utc(since_ns))
            return self._left_alone(conn, bundle, rows)

        return self._rebuilt(conn, memory, bundle, memory.rules, late_from_ns, stored)

    def tried(
        self, conn: Connection, world: World, memory: VehicleMemory, late_from_ns: int
    ) -> Shadow | None:
        """The same for the bundle on trial, from where it began."""
        shadow, bundle = memory.shadow, world.shadow
        if shadow is None or bundle is None:
            return shadow

        def stored(since_ns: int) -> Stored:
            rows = shadow_alerts.overlapping(
                conn, shadow.bundle_hash, memory.vehicle_id, utc(since_ns)
            )
            return list(map(_as_stored, rows)), {}

        step = self._rebuilt(
            conn, memory, bundle, shadow.rules, late_from_ns, stored, shadow.begun_ns
        )
        return shadow.after(step)

    def _rebuilt(
        self,
        conn: Connection,
        memory: VehicleMemory,
        bundle: Bundle,
        rules: VehicleRules,
        late_from_ns: int,
        read_stored: Callable[[int], Stored],
        floor_ns: int = 0,
    ) -> Step:
        for ledger in (rules.ledger, None):  # exact in long windows too, where that can be read
            start_ns = late_from_ns
            for _ in range(MAX_STEPS_LEFT):
                stored, floors = read_stored(start_ns)
                further = lane.history_start(bundle, memory.vehicle, late_from_ns, stored, ledger)
                if max(further, floor_ns) >= start_ns:
                    break
                start_ns = max(further, floor_ns)
            start_ns = max(start_ns, floor_ns)
            try:
                batches = self._read(conn, memory, start_ns)
            except LimitExceededError as error:
                log.warning("history.too_long", reason=str(error), again=ledger is not None)
            else:
                vehicle = memory.vehicle
                return lane.rebuild(bundle, rules, vehicle, batches, start_ns, stored, floors)
        return Step(rules, ())

    def _left_alone(
        self, conn: Connection, bundle: Bundle, rows: Sequence[alerts.StoredAlert]
    ) -> Stored:
        """Alerts that today's rules may correct, and until when they judge nothing anew.

        What a rule said while its condition was another stays said: neither it nor what was before
        it is judged again.
        """
        stored, floors = [], dict[str, int]()
        for row in rows:
            if bundle.rule(row.rule_id) is None:
                continue  # a storm, a question to the whole fleet, a rule that is no more
            if row.cleared_at is not None and self._meant_otherwise(conn, bundle, row):
                floors[row.rule_id] = max(floors.get(row.rule_id, 0), ns_of(row.cleared_at) + US)
            else:
                stored.append(_as_stored(row))
        return stored, floors

    def _meant_otherwise(self, conn: Connection, bundle: Bundle, row: alerts.StoredAlert) -> bool:
        """Whether the rule that raised an alert had another condition than it has in a bundle."""
        now = bundle.rule(row.rule_id)
        if now is None or row.bundle_hash in {"", bundle.hash}:
            return False
        earlier = self._library.bundle(conn, row.bundle_hash)
        then = earlier.rule(row.rule_id) if earlier else None
        return then is None or sense(then) != sense(now)

    def _read(self, conn: Connection, memory: VehicleMemory, from_ns: int) -> list[Decoded]:
        tails, decoded = Tails(), []
        for frames in frame_block.read_frames(
            conn, memory.vehicle_id, from_ns, memory.observed_ns + 1, MAX_ARCHIVE_FRAMES, whole=True
        ):
            found = decode_upload(memory.decoder, frames, tails)
            tails = found.tails
            decoded.append((found.signals, found.reports))
        return decoded

    def _remembered(
        self, conn: Connection, states: Sequence[StoredState]
    ) -> dict[str, VehicleMemory]:
        found = {}
        facts = facts_of(conn, [state.vehicle_id for state in states])
        for state in states:
            try:
                known = facts.get(state.vehicle_id, NO_FACTS)
                found[state.vehicle.vin] = self._memory(state, known)
            except ProfileError as error:
                log.error("vehicle.profile", profile=state.vehicle.profile, reason=str(error))
        return found

    def _memory(self, state: StoredState, facts: VehicleFacts) -> VehicleMemory:
        vehicle = state.vehicle
        memory: dict[str, Any] = state.memory  # our own JSON, as `VehicleMemory.snapshot` made it
        known = bool(memory)
        rules = VehicleRules.from_memory(memory["rules"]) if known else VehicleRules.fresh()
        shadow = Shadow.from_memory(memory.get("shadow"))
        if shadow is not None:
            shadow = replace(shadow, rules=replace(shadow.rules, facts=facts))
        return VehicleMemory(
            vehicle_id=state.vehicle_id,
            vehicle=vehicle,
            decoder=self._decoder_of(vehicle),
            tails=Tails.from_memory(memory["tails"]) if known else Tails(),
            rules=replace(rules, facts=facts),
            last=state.last,
            observed_ns=state.observed_ns,
            received_ns=state.received_ns,
            waiting=tuple(
                waiting_from_memory(vehicle.vin, row) for row in memory.get("waiting", ())
            ),
            refilled=not known,
            bundle_hash=memory.get("bundle", ""),
            finishing=memory.get("finishing", {}),
            shadow=shadow,
        )


def _as_stored(row: alerts.StoredAlert | shadow_alerts.ShadowAlert) -> lane.StoredAlert:
    """A row as the history lane compares it."""
    return lane.StoredAlert(
        alert_id=row.alert_id,
        rule_id=row.rule_id,
        instance=row.instance,
        state=AlertState.STALE if row.state is AlertState.EXPIRED else row.state,
        severity=row.severity,
        started_ns=ns_of(row.started_at),
        fired_ns=ns_of(row.fired_at),
        worst_ns=ns_of(row.worst_at),
        changed_ns=ns_of(row.changed_at),
        evidence=row.evidence,
        cleared_ns=ns_of(row.cleared_at) if row.cleared_at else None,
    )
