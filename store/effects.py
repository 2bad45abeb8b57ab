"""Everything one or many uploads make true, written in the caller's transaction.

All but the alerts: they are written and judged before, since a hushed one opens no case
(roadcall/suppress.py). Who watches them is told here.

Two COPYs for the bulk, then one pipeline for the rest: the number of round trips does not grow
with the number of uploads.
"""

from __future__ import annotations

from collections.abc import Sequence

from model.alerts import AlertTransition
from model.effects import Effects, OutboxRecord, VehicleSnapshot
from model.rescue import RescueCase
from store import (
    cases,
    frame_block,
    notify,
    outbox,
    segments,
    shadow_alerts,
    signal_names,
    vehicle_state,
)
from store.database import Connection


def write(conn: Connection, effects: Sequence[Effects]) -> None:
    """Write the effects of uploads, in their order; a vehicle may come more than once."""
    if not effects:
        return
    numbers = signal_names.numbers_of(conn)
    segments.write(
        conn,
        [
            segments.Upload(e.vehicle_id, e.signals, numbers.column(conn, e.signals.table))
            for e in effects
        ],
    )
    frame_block.write(conn, [(e.vehicle_id, e.frames) for e in effects])
    snapshots = [(e.snapshot, e.signals.table.profile) for e in effects]
    known = numbers.of(conn, dict.fromkeys(sorted(vehicle_state.names_in(snapshots)), ""))
    with conn.pipeline():
        vehicle_state.upsert(conn, snapshots, known)
        _write_people(
            conn,
            [t for e in effects for t in e.transitions],
            [c for e in effects for c in e.cases],
            [o for e in effects for o in e.outbox],
        )
        shadow_alerts.write(conn, [t for e in effects for t in e.shadow])


def correct(
    conn: Connection,
    snapshots: Sequence[VehicleSnapshot],
    transitions: Sequence[AlertTransition],
    requested: Sequence[RescueCase],
    shadow: Sequence[AlertTransition] = (),
) -> None:
    """Write what a look at vehicles without a new upload found: a tick, a run over history."""
    if not snapshots:
        return
    with conn.pipeline():
        vehicle_state.save_memory(conn, snapshots)
        _write_people(conn, transitions, requested, [])
        shadow_alerts.write(conn, shadow)


def _write_people(
    conn: Connection,
    transitions: Sequence[AlertTransition],
    requested: Sequence[RescueCase],
    records: Sequence[OutboxRecord],
) -> None:
    cases.insert_requested(conn, requested)
    outbox.add(conn, *records)
    told = dict.fromkeys(f"alert:{t.alert_id}" for t in transitions)
    notify.tell(conn, [*told, *(f"case:{c.case_id}" for c in requested)])
