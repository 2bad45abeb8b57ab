"""Service history as rules read it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from model.clock import ns_of
from rules.facts import Closed, Done, VehicleFacts
from store import service_history
from store.database import Connection


def facts_of(conn: Connection, vehicle_ids: Sequence[int]) -> dict[int, VehicleFacts]:
    """Everything known of these vehicles; those without any history are left out."""
    done: dict[int, list[Done]] = defaultdict(list)
    closed: dict[int, list[Closed]] = defaultdict(list)
    for d in service_history.done(conn, vehicle_ids):
        done[d.vehicle_id].append(Done(d.kind, ns_of(d.done_at), d.odometer_km, d.engine_h))
    for c in service_history.closed(conn, vehicle_ids):
        row = Closed(c.rule_id, ns_of(c.at), c.kind, c.instance, c.odometer_km)
        closed[c.vehicle_id].append(row)
    return {
        key: VehicleFacts(tuple(done[key]), tuple(closed[key]))
        for key in done.keys() | closed.keys()
    }
