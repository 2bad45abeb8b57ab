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
from model.suppression import STORM
from model.vehicle import Vehicle
from roadcall.pipeline import VehicleMemory, World, waiting_from_memory
from roadcall.rule_library import Library
from roadcall.service_facts import facts_of
from roadcall.shadow import Shadow
from rules import lane
from rules.cohorts import cohort_ids
from rules.facts import NO_FACTS, VehicleFacts
from rules.lane import Step, VehicleRules
from rules.switch import switch
from store import alerts, frame_block, vehicle_state
from store.database import Connection
from store.vehicle_state import StoredState

#: Frames one look into the archive may read; a vehicle sends a million in about two hours.
MAX_ARCHIVE_FRAMES = 2_000_000
#: An alert that was open may lead to an older one; so far the search goes left.
MAX_STEPS_LEFT = 16
#: Transport sessions that began before the first wanted frame are shorter than this.
SESSION_NS = 5 * NS

Decoded = tuple[SignalBatch, tuple[CodeReport, ...]]

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
                    shadow = Shadow(shadow.bundle_hash, again)
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
            switched_ns=memory.rules.watermark_ns if moved.judges else memory.switched_ns,
            refilled=False,
        )

    def rebuilt(
        self, conn: Connection, world: World, memory: VehicleMemory, late_from_ns: int
    ) -> Step:
        """The vehicle's rules over its stored history, from far enough left of the late frames.

        History of more than MAX_ARCHIVE_FRAMES stays stored, and its alerts as they are.
        """
        start_ns, bundle = late_from_ns, world.bundle_for(memory)
        for _ in range(MAX_STEPS_LEFT):
            stored = _stored(conn, memory, start_ns)
            further = lane.history_start(bundle, memory.vehicle, late_from_ns, stored)
            if further >= start_ns:
                break
            start_ns = further
        if start_ns < memory.switched_ns:  # what other rules have judged stays as it is
            start_ns = memory.switched_ns
            stored = _stored(conn, memory, start_ns)
        try:
            batches = self._read(conn, memory, start_ns)
        except LimitExceededError as error:
            log.warning("history.too_long", reason=str(error))
            return Step(memory.rules, ())
        return lane.rebuild(bundle, memory.rules, memory.vehicle, batches, start_ns, stored)

    def _read(self, conn: Connection, memory: VehicleMemory, from_ns: int) -> list[Decoded]:
        tails, decoded = Tails(), []
        for frames in frame_block.read_frames(
            conn, memory.vehicle_id, from_ns, memory.observed_ns + 1, MAX_ARCHIVE_FRAMES
        ):
            found = memory.decoder.decode(frames, tails)
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
            switched_ns=memory.get("switched_ns", 0),
            shadow=shadow,
        )


def _stored(conn: Connection, memory: VehicleMemory, from_ns: int) -> list[lane.StoredAlert]:
    """The vehicle's alerts that were still open at a moment, or fired after it."""
    return [
        lane.StoredAlert(
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
        for row in alerts.overlapping(conn, memory.vehicle_id, utc(from_ns))
        if row.rule_id not in {STORM, *cohort_ids()}  # no rule of the bundle says these
    ]
