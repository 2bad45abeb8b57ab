"""Facts for fault episodes: merged into what is stored, in any order (rules/sightings.py).

Exactly once comes from the batch claim in the same transaction; whoever writes facts of a vehicle
or folds them holds its lock.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from psycopg.types.json import Jsonb

from model.episodes import (
    BUCKET_NS,
    BUCKETS_A_DAY,
    Clear,
    EpisodeKind,
    FaultKey,
    Heard,
    Sighting,
    Sign,
)
from store.database import Connection

#: First half of the advisory locks of vehicles' episodes; the second is the vehicle.
LOCKS = 9
#: A fault of a vehicle.
Identity = tuple[int, FaultKey]
#: An ECU of a vehicle, by protocol.
EcuPlace = tuple[int, int, str]

WRITE_SIGHTINGS = """
with given as (select * from jsonb_populate_recordset(null::code_sighting, %s)),
old as (select s.* from code_sighting s join given
        using (vehicle_id, ecu, protocol, code, failure_type, scope, bucket)),
merged as (
    insert into code_sighting as s select * from given
    on conflict (vehicle_id, ecu, protocol, code, failure_type, scope, bucket) do update set
        first_ns = least(s.first_ns, excluded.first_ns),
        last_ns = greatest(s.last_ns, excluded.last_ns),
        n = s.n + excluded.n,
        status_any = coalesce(s.status_any | excluded.status_any, s.status_any,
                              excluded.status_any),
        (status, lamp, graded) = (
            select case sign(excluded.last_ns - s.last_ns) when 1 then excluded.status
                       when 0 then greatest(s.status, excluded.status) else s.status end,
                   case sign(excluded.last_ns - s.last_ns) when 1 then excluded.lamp
                       when 0 then greatest(s.lamp, excluded.lamp) else s.lamp end,
                   case sign(excluded.last_ns - s.last_ns) when 1 then excluded.graded
                       when 0 then greatest(s.graded, excluded.graded) else s.graded end),
        occurrence_count = greatest(s.occurrence_count, excluded.occurrence_count),
        conversion_method = greatest(s.conversion_method, excluded.conversion_method),
        freeze_frames = case
            when s.freeze_ns < excluded.freeze_ns or excluded.freeze_ns is null
                then s.freeze_frames
            when s.freeze_ns = excluded.freeze_ns
                then least(s.freeze_frames, excluded.freeze_frames)
            else excluded.freeze_frames end,
        freeze_ns = least(s.freeze_ns, excluded.freeze_ns)
    returning s.*
)
select m.vehicle_id, m.ecu, m.protocol, m.code, m.failure_type
from merged m left join old o using (vehicle_id, ecu, protocol, code, failure_type, scope, bucket)
where (m.first_ns, m.status_any, m.status, m.occurrence_count, m.conversion_method, m.lamp,
       m.graded, m.freeze_ns, m.freeze_frames)
    is distinct from
      (o.first_ns, o.status_any, o.status, o.occurrence_count, o.conversion_method, o.lamp,
       o.graded, o.freeze_ns, o.freeze_frames)
"""
WRITE_HEARD = """
with given as (select * from jsonb_populate_recordset(null::ecu_heard, %s)),
old as (select h.* from ecu_heard h join given using (vehicle_id, ecu, protocol, scope, day)),
merged as (
    insert into ecu_heard as h select * from given
    on conflict (vehicle_id, ecu, protocol, scope, day) do update set
        buckets = h.buckets | excluded.buckets,
        last_report_ns = greatest(h.last_report_ns, excluded.last_report_ns)
    returning h.*
)
select m.vehicle_id, m.ecu, m.protocol
from merged m left join old o using (vehicle_id, ecu, protocol, scope, day)
where m.buckets is distinct from o.buckets
"""
WRITE_SIGNS = """
insert into code_sign as s (vehicle_id, ecu, protocol, kind, bucket, at_ns)
select vehicle_id, ecu, protocol, kind, bucket, at_ns
from jsonb_populate_recordset(null::code_sign, %s)
on conflict (vehicle_id, ecu, protocol, kind, bucket)
    do update set at_ns = excluded.at_ns where excluded.at_ns < s.at_ns
returning s.vehicle_id, s.ecu
"""
WRITE_CLEARS = """
insert into code_clear as c (vehicle_id, ecu, protocol, code_group, bucket, first_ns, last_ns)
select vehicle_id, ecu, protocol, code_group, bucket, first_ns, last_ns
from jsonb_populate_recordset(null::code_clear, %s)
on conflict (vehicle_id, ecu, protocol, code_group, bucket) do update set
    first_ns = least(c.first_ns, excluded.first_ns), last_ns = greatest(c.last_ns, excluded.last_ns)
    where excluded.first_ns < c.first_ns or excluded.last_ns > c.last_ns
returning c.vehicle_id, c.ecu
"""

#: Rows of one DELETE; call again while that many go.
PRUNE_ROWS = 20_000
PRUNE_SIGHTINGS = """
delete from code_sighting where ctid = any(array(
    select f.ctid from code_sighting f where f.bucket < %s
    and not exists (select from fault_episode e where e.vehicle_id = f.vehicle_id and e.is_open
                    and e.started_ns < %s) limit %s))
"""
PRUNE_HEARD = """
delete from ecu_heard where ctid = any(array(
    select f.ctid from ecu_heard f where f.day < %s
    and not exists (select from fault_episode e where e.vehicle_id = f.vehicle_id and e.is_open
                    and e.started_ns < %s) limit %s))
"""
PRUNE_SIGNS = """
delete from code_sign where ctid = any(array(
    select f.ctid from code_sign f where f.bucket < %s and not f.due
    and not exists (select from fault_episode e where e.vehicle_id = f.vehicle_id and e.is_open
                    and e.started_ns < %s) limit %s))
"""
PRUNE_CLEARS = """
delete from code_clear where ctid = any(array(
    select f.ctid from code_clear f where f.bucket < %s
    and not exists (select from fault_episode e where e.vehicle_id = f.vehicle_id and e.is_open
                    and e.started_ns < %s) limit %s))
"""


@dataclass(frozen=True, slots=True)
class Changed:
    """What the facts changed: faults, ECUs heard in new buckets, ECUs with new signs or clears."""

    faults: frozenset[Identity]
    heard: frozenset[EcuPlace]
    signs: frozenset[tuple[int, int]]


def lock(conn: Connection, vehicle_ids: Sequence[int]) -> None:
    """Nobody else writes facts of these vehicles, or folds them, until the transaction ends."""
    conn.execute(
        "select pg_advisory_xact_lock(%s, v) from unnest(%s::int[]) v",
        [LOCKS, sorted(set(vehicle_ids))],
    )


def write(
    conn: Connection,
    sightings: Mapping[int, Sequence[Sighting]],
    heard: Mapping[int, Sequence[Heard]],
    signs: Mapping[int, Sequence[Sign]],
    clears: Mapping[int, Sequence[Clear]],
) -> Changed:
    """Merge facts by vehicle: a statement for each kind there is. Lock the vehicles first."""
    seen = [_sighting_row(v, s) for v, rows in sightings.items() for s in rows]
    lists = [_heard_row(v, h) for v, rows in heard.items() for h in rows]
    said = [_sign_row(v, s) for v, rows in signs.items() for s in rows]
    erased = [_clear_row(v, c) for v, rows in clears.items() for c in rows]
    faults = conn.execute(WRITE_SIGHTINGS, [Jsonb(seen)]).fetchall() if seen else []
    places = conn.execute(WRITE_HEARD, [Jsonb(lists)]).fetchall() if lists else []
    told = conn.execute(WRITE_SIGNS, [Jsonb(said)]).fetchall() if said else []
    told += conn.execute(WRITE_CLEARS, [Jsonb(erased)]).fetchall() if erased else []
    return Changed(
        frozenset((int(str(v)), code_key(*rest)) for v, *rest in faults),
        frozenset((int(str(v)), int(str(ecu)), str(protocol)) for v, ecu, protocol in places),
        frozenset((int(str(v)), int(str(ecu))) for v, ecu in told),
    )


def prune(conn: Connection, before_ns: int, limit: int = PRUNE_ROWS) -> int:
    """Forget facts from before a moment, at most `limit` of each kind; how many went.

    Keep more than the window of `EpisodeParameters`. Facts of vehicles with an open episode that
    began before the moment stay: it is folded from its start.
    """
    bucket = before_ns // BUCKET_NS
    gone = 0
    for query, place in (
        (PRUNE_SIGHTINGS, bucket),
        (PRUNE_HEARD, bucket // BUCKETS_A_DAY),
        (PRUNE_SIGNS, bucket),
        (PRUNE_CLEARS, bucket),
    ):
        gone += conn.execute(query, [place, before_ns, limit]).rowcount
    return gone


def code_key(ecu: object, protocol: object, code: object, failure_type: object) -> FaultKey:
    """Of a row's columns."""
    return FaultKey(
        EpisodeKind.CODE, int(str(ecu)), str(protocol), str(code), int(str(failure_type))
    )


def _sighting_row(vehicle_id: int, s: Sighting) -> dict[str, object]:
    return {
        "vehicle_id": vehicle_id,
        "ecu": s.key.ecu,
        "protocol": s.key.protocol,
        "code": s.key.code,
        "failure_type": s.key.failure_type,
        "scope": s.scope,
        "bucket": s.bucket,
        "first_ns": s.first_ns,
        "last_ns": s.last_ns,
        "n": s.n,
        "status_any": s.status_any,
        "status": s.status,
        "occurrence_count": s.occurrence_count,
        "conversion_method": s.conversion_method,
        "lamp": int(s.lamp),
        "graded": int(s.graded),
        "freeze_frames": s.freeze_frames,
        "freeze_ns": s.freeze_ns,
    }


def _heard_row(vehicle_id: int, h: Heard) -> dict[str, object]:
    return {
        "vehicle_id": vehicle_id,
        "ecu": h.ecu,
        "protocol": h.protocol,
        "scope": h.scope,
        "day": h.day,
        "buckets": f"{h.buckets:0{BUCKETS_A_DAY}b}",
        "last_report_ns": h.last_report_ns,
    }


def _sign_row(vehicle_id: int, s: Sign) -> dict[str, object]:
    return {
        "vehicle_id": vehicle_id,
        "ecu": s.ecu,
        "protocol": s.protocol,
        "kind": s.kind,
        "bucket": s.bucket,
        "at_ns": s.at_ns,
    }


def _clear_row(vehicle_id: int, c: Clear) -> dict[str, object]:
    return {
        "vehicle_id": vehicle_id,
        "ecu": c.ecu,
        "protocol": c.protocol,
        "code_group": c.group,
        "bucket": c.bucket,
        "first_ns": c.first_ns,
        "last_ns": c.last_ns,
    }
