"""What the pipeline remembers of each vehicle: newest values and rule memory, one row a vehicle."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import chain

import numpy as np
import orjson
from psycopg.types.json import set_json_loads

from model.clock import ns_of, utc
from model.effects import LastValues, VehicleSnapshot
from model.vehicle import Vehicle
from store.arrays import array, register
from store.database import Connection
from store.masters import vehicle_of
from store.signal_names import stored_name, stored_names

LOAD = """
select v.vehicle_id, v.vin, v.profile, v.attrs, s.newest_ns, s.received_at, s.vals, s.observed_ns,
       s.memory, s.signal_ids
from vehicle v left join vehicle_state s using (vehicle_id)
"""

#: Newer values win one by one; rows are cut out of flat columns by their bounds.
UPSERT = """
insert into vehicle_state as s (vehicle_id, partition, observed_at, newest_ns, received_at,
                                signal_ids, vals, observed_ns, memory)
select v.vehicle_id, v.partition, r.observed_at, r.newest_ns, r.received_at,
       (%(signal_ids)b::int[])[r.low:r.high], (%(vals)b::float8[])[r.low:r.high],
       (%(val_ns)b::bigint[])[r.low:r.high], r.memory
from unnest(%(vehicle_ids)s::int[], %(observed_at)s::timestamptz[], %(newest_ns)s::bigint[],
            %(received_at)s::timestamptz[], %(low)s::int[], %(high)s::int[], %(memory)s::jsonb[])
     r (vehicle_id, observed_at, newest_ns, received_at, low, high, memory)
join vehicle v using (vehicle_id)
order by v.vehicle_id
on conflict (vehicle_id) do update set
    observed_at = greatest(s.observed_at, excluded.observed_at),
    newest_ns = greatest(s.newest_ns, excluded.newest_ns),
    received_at = greatest(s.received_at, excluded.received_at),
    memory = excluded.memory,
    (signal_ids, vals, observed_ns) = (
        select coalesce(array_agg(id), '{}'), coalesce(array_agg(val), '{}'),
               coalesce(array_agg(ns), '{}')
        from (select distinct on (id) id, val, ns
              from (select 0 as later, o.* from unnest(s.signal_ids, s.vals, s.observed_ns)
                        o (id, val, ns)
                    union all
                    select 1, e.* from unnest(excluded.signal_ids, excluded.vals,
                                              excluded.observed_ns) e (id, val, ns)) both_
              order by id, ns desc, later desc) newest)
"""


@dataclass(frozen=True, slots=True, eq=False)
class StoredState:
    """A vehicle and what is remembered of it; before its first upload times are 0."""

    vehicle_id: int
    vehicle: Vehicle
    observed_ns: int
    received_ns: int
    last: LastValues
    memory: dict[str, object]


def load(
    conn: Connection, partition: int | None = None, vins: Iterable[str] | None = None
) -> list[StoredState]:
    """Every vehicle of a partition, or the given ones that exist."""
    names = stored_names(conn)
    with conn.cursor(binary=True) as cur:
        set_json_loads(orjson.loads, cur)
        if vins is None:
            cur.execute(LOAD + "where v.partition = %s", [partition])
        else:
            cur.execute(LOAD + "where v.vin = any(%s)", [list(vins)])
        return [_state(row, names) for row in cur]


def _state(row: tuple[object, ...], names: Mapping[int, str]) -> StoredState:
    vehicle_id, vin, profile, attrs, newest_ns, received_at, vals, val_ns, memory, numbers = row
    assert isinstance(vehicle_id, int)
    vehicle = vehicle_of(vin, profile, attrs)
    if not isinstance(newest_ns, int):
        return StoredState(vehicle_id, vehicle, 0, 0, LastValues(), {})
    assert isinstance(received_at, datetime) and isinstance(memory, dict)
    assert isinstance(vals, list) and isinstance(val_ns, list) and isinstance(numbers, list)
    prefix = vehicle.profile + ":"
    own = [names[n].removeprefix(prefix) for n in numbers]
    last = LastValues(dict(zip(own, zip(vals, val_ns, strict=True), strict=True)))
    return StoredState(vehicle_id, vehicle, newest_ns, ns_of(received_at), last, memory)


def upsert(
    conn: Connection,
    snapshots: Sequence[tuple[VehicleSnapshot, str]],
    numbers: Mapping[str, int],
) -> None:
    """Write (snapshot, profile) back; of one vehicle's the last one's memory stays.

    `numbers` holds the signal_id of every stored name (see `names_in`).
    """
    if not snapshots:
        return
    merged = list(_merged(snapshots, numbers))
    sizes = [len(values) for _, values in merged]
    high = np.cumsum(sizes)
    flat = [v for _, values in merged for v in values.values()]
    register(conn)
    conn.execute(
        UPSERT,
        {
            "signal_ids": array(
                np.fromiter(chain.from_iterable(v for _, v in merged), np.int64), ">i4"
            ),
            "vals": array(np.array([value for value, _ in flat], np.float64), ">f8"),
            "val_ns": array(np.array([ns for _, ns in flat], np.int64), ">i8"),
            "vehicle_ids": [s.vehicle_id for s, _ in merged],
            "observed_at": [utc(s.observed_ns) for s, _ in merged],
            "newest_ns": [s.observed_ns for s, _ in merged],
            "received_at": [utc(s.received_ns) for s, _ in merged],
            "low": (high - sizes + 1).tolist(),
            "high": high.tolist(),
            "memory": [orjson.dumps(s.memory).decode() for s, _ in merged],
        },
    )


def names_in(snapshots: Sequence[tuple[VehicleSnapshot, str]]) -> set[str]:
    """Stored names of every value."""
    return {stored_name(profile, n) for s, profile in snapshots for n in s.last.values}


def save_memory(conn: Connection, snapshots: Sequence[VehicleSnapshot]) -> None:
    """Write memory and times back; the values stay as they are."""
    upsert(conn, [(replace(snapshot, last=LastValues()), "") for snapshot in snapshots], {})


Values = dict[int, tuple[float, int]]


def _merged(
    snapshots: Sequence[tuple[VehicleSnapshot, str]], numbers: Mapping[str, int]
) -> Iterator[tuple[VehicleSnapshot, Values]]:
    """One snapshot a vehicle: the last, with the newest moments and values of all."""
    found: dict[int, tuple[VehicleSnapshot, Values]] = {}
    for snapshot, profile in snapshots:
        before, values = found.get(snapshot.vehicle_id, (snapshot, {}))
        for name, (value, ns) in snapshot.last.values.items():
            number = numbers[stored_name(profile, name)]
            if number not in values or values[number][1] <= ns:
                values[number] = (value, ns)
        newest = replace(
            snapshot,
            observed_ns=max(before.observed_ns, snapshot.observed_ns),
            received_ns=max(before.received_ns, snapshot.received_ns),
        )
        found[snapshot.vehicle_id] = (newest, values)
    yield from found.values()
