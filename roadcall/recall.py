"""What a worker knows of vehicles: read from rows, refilled and rebuilt from the frame archive."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import structlog

from dbc.profile import ProfileError
from decoders.decode import Decoder, Tails
from model.clock import NS, ns_of, utc
from model.codes import CodeReport
from model.errors import LimitExceededError
from model.signals import SignalBatch
from model.vehicle import Vehicle
from roadcall.pipeline import VehicleMemory, World, waiting_from_memory
from rules import lane
from rules.lane import Step, VehicleRules
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

    def __init__(self, decoder_of: Callable[[Vehicle], Decoder]) -> None:
        self._decoder_of = decoder_of

    def partition(self, conn: Connection, partition: int) -> dict[str, VehicleMemory]:
        """All vehicles of a partition whose profile can be loaded."""
        return self._remembered(vehicle_state.load(conn, partition))

    def newcomers(self, conn: Connection, vins: Iterable[str]) -> dict[str, VehicleMemory]:
        """Vehicles registered since; those unknown, or of a broken profile, are left out."""
        return self._remembered(vehicle_state.load(conn, vins=vins))

    def refilled(self, conn: Connection, world: World, memory: VehicleMemory) -> VehicleMemory:
        """After a restart the rules' buffer above the watermark comes from the archive."""
        if memory.refilled:
            return memory
        watermark_ns = memory.rules.watermark_ns
        rules = memory.rules
        if watermark_ns and memory.observed_ns >= watermark_ns:
            try:
                batches = self._read(conn, memory, watermark_ns - SESSION_NS)
                rules = lane.refill(world.bundle, rules, memory.vehicle, batches)
            except LimitExceededError as error:
                log.warning("refill.too_long", reason=str(error))
        return replace(memory, rules=rules, refilled=True)

    def rebuilt(
        self, conn: Connection, world: World, memory: VehicleMemory, late_from_ns: int
    ) -> Step:
        """The vehicle's rules over its stored history, from far enough left of the late frames.

        History of more than MAX_ARCHIVE_FRAMES stays stored, and its alerts as they are.
        """
        start_ns = late_from_ns
        for _ in range(MAX_STEPS_LEFT):
            stored = _stored(conn, memory, start_ns)
            further = lane.history_start(world.bundle, memory.vehicle, late_from_ns, stored)
            if further >= start_ns:
                break
            start_ns = further
        try:
            batches = self._read(conn, memory, start_ns)
        except LimitExceededError as error:
            log.warning("history.too_long", reason=str(error))
            return Step(memory.rules, ())
        return lane.rebuild(world.bundle, memory.rules, memory.vehicle, batches, start_ns, stored)

    def _read(self, conn: Connection, memory: VehicleMemory, from_ns: int) -> list[Decoded]:
        tails, decoded = Tails(), []
        for frames in frame_block.read_frames(
            conn, memory.vehicle_id, from_ns, memory.observed_ns + 1, MAX_ARCHIVE_FRAMES
        ):
            found = memory.decoder.decode(frames, tails)
            tails = found.tails
            decoded.append((found.signals, found.reports))
        return decoded

    def _remembered(self, states: Iterable[StoredState]) -> dict[str, VehicleMemory]:
        found = {}
        for state in states:
            try:
                found[state.vehicle.vin] = self._memory(state)
            except ProfileError as error:
                log.error("vehicle.profile", profile=state.vehicle.profile, reason=str(error))
        return found

    def _memory(self, state: StoredState) -> VehicleMemory:
        vehicle = state.vehicle
        memory: dict[str, Any] = state.memory  # our own JSON, as `VehicleMemory.snapshot` made it
        known = bool(memory)
        return VehicleMemory(
            vehicle_id=state.vehicle_id,
            vehicle=vehicle,
            decoder=self._decoder_of(vehicle),
            tails=Tails.from_memory(memory["tails"]) if known else Tails(),
            rules=VehicleRules.from_memory(memory["rules"]) if known else VehicleRules.fresh(),
            last=state.last,
            observed_ns=state.observed_ns,
            received_ns=state.received_ns,
            waiting=tuple(
                waiting_from_memory(vehicle.vin, row) for row in memory.get("waiting", ())
            ),
            refilled=not known,
        )


def _stored(conn: Connection, memory: VehicleMemory, from_ns: int) -> list[lane.StoredAlert]:
    """The vehicle's alerts that were still open at a moment, or fired after it."""
    return [
        lane.StoredAlert(
            alert_id=row.alert_id,
            rule_id=row.rule_id,
            instance=row.instance,
            state=row.state,
            severity=row.severity,
            started_ns=ns_of(row.started_at),
            fired_ns=ns_of(row.fired_at),
            changed_ns=ns_of(row.changed_at),
            cleared_ns=ns_of(row.cleared_at) if row.cleared_at else None,
        )
        for row in alerts.overlapping(conn, memory.vehicle_id, utc(from_ns))
    ]
