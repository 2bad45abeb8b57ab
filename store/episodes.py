"""Fault episodes as rows: which stand, the facts they are folded from, and writing them again."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from psycopg.types.json import Jsonb

from model.clock import NS, ns_of
from model.episodes import (
    BUCKET_NS,
    BUCKETS_A_DAY,
    Clear,
    Episode,
    EpisodeKind,
    EpisodeParameters,
    EpisodeState,
    FaultKey,
    Heard,
    RulePresence,
    Sighting,
    Sign,
    SignKind,
)
from model.severity import Severity
from store.code_facts import Identity
from store.database import Connection

#: From where the facts of a fault are read: a window before its newest one, or the start of the
#: episode that was not over by more than a day there.
SINCE = """
select k.place, least(k.newest_ns - %(window)s, (
    select min(e.started_ns) from fault_episode e
    where e.vehicle_id = k.vehicle_id and e.kind = k.kind and e.ecu = k.ecu
        and e.protocol = k.protocol and e.code = k.code and e.failure_type = k.failure_type
        and e.instance = k.instance and e.started_ns < k.newest_ns - %(window)s
        and coalesce(e.ended_ns, e.last_seen_ns) >= k.newest_ns - %(window)s - %(reopen)s))
from (
    select w.*, case w.kind when 'code' then (
            select max(bucket)::bigint * %(bucket)s from code_sighting s
            where s.vehicle_id = w.vehicle_id and s.ecu = w.ecu and s.protocol = w.protocol
                and s.code = w.code and s.failure_type = w.failure_type)
        else (
            select (extract(epoch from max(a.started_at)) * 1000000)::bigint * 1000 from alert a
            where a.vehicle_id = w.vehicle_id and a.rule_id = w.code and a.instance = w.instance
                and a.state <> 'retracted') end as newest_ns
    from jsonb_to_recordset(%(keys)s) w (place int, vehicle_id int, kind text, ecu int,
        protocol text, code text, failure_type smallint, instance text)
) k order by k.place
"""
SIGHTINGS = """
select w.place, s.scope, s.bucket, s.first_ns, s.last_ns, s.n, s.status_any, s.status,
       s.occurrence_count, s.conversion_method, s.lamp, s.graded, s.freeze_frames, s.freeze_ns
from jsonb_to_recordset(%s) w (place int, vehicle_id int, ecu int, protocol text, code text,
                               failure_type smallint, since_ns bigint)
join code_sighting s using (vehicle_id, ecu, protocol, code, failure_type)
where s.bucket >= w.since_ns / %s
"""
HEARD = """
select w.vehicle_id, h.ecu, h.protocol, h.scope, h.day, h.buckets::text, h.last_report_ns
from (select vehicle_id, ecu, protocol, min(since_ns) as since_ns
      from jsonb_to_recordset(%s) w (vehicle_id int, ecu int, protocol text, since_ns bigint)
      group by 1, 2, 3) w
join ecu_heard h using (vehicle_id, ecu, protocol)
where h.day >= w.since_ns / 86400000000000
"""
SIGNS = """
select vehicle_id, ecu, protocol, kind, at_ns from code_sign where vehicle_id = any(%s)
"""
CLEARS = """
select vehicle_id, ecu, protocol, code_group, first_ns, last_ns from code_clear
where vehicle_id = any(%s)
"""
PRESENCES = """
select w.place, a.started_at, a.changed_at, a.cleared_at, a.severity
from jsonb_to_recordset(%s) w (place int, vehicle_id int, code text, instance text,
                               since_ns bigint)
join alert a on a.vehicle_id = w.vehicle_id and a.rule_id = w.code and a.instance = w.instance
where a.state <> 'retracted' and a.started_at >= to_timestamp(w.since_ns / 1000000000)
"""
DROP = """
delete from fault_episode e
using jsonb_to_recordset(%s) w (vehicle_id int, kind text, ecu int, protocol text, code text,
                                failure_type smallint, instance text, since_ns bigint)
where e.vehicle_id = w.vehicle_id and e.kind = w.kind and e.ecu = w.ecu
    and e.protocol = w.protocol and e.code = w.code and e.failure_type = w.failure_type
    and e.instance = w.instance and e.started_ns >= w.since_ns and e.episode_id <> all (%s::uuid[])
"""
WRITE = """
insert into fault_episode as e
select * from jsonb_populate_recordset(null::fault_episode, %s) order by started_ns
on conflict (episode_id) do update set
    (state, is_open, severity, count, repeat, last_seen_ns, since_ns, ended_ns, status,
     occurrence_count, conversion_method, freeze_frames)
    = row (excluded.state, excluded.is_open, excluded.severity, excluded.count, excluded.repeat,
     excluded.last_seen_ns, excluded.since_ns, excluded.ended_ns, excluded.status,
     excluded.occurrence_count, excluded.conversion_method, excluded.freeze_frames)
"""
STANDING = """
select vehicle_id, kind, ecu, protocol, code, failure_type, instance, state, last_seen_ns, ended_ns
from fault_episode
where vehicle_id = any(%s) and (is_open or state = 'cleared' or ended_ns >= %s)
"""
SEEN = """
update fault_episode e set last_seen_ns = w.last_ns
from jsonb_to_recordset(%s) w (vehicle_id int, ecu int, protocol text, code text,
                               failure_type smallint, last_ns bigint)
where e.is_open and e.kind = 'code' and e.vehicle_id = w.vehicle_id and e.ecu = w.ecu
    and e.protocol = w.protocol and e.code = w.code and e.failure_type = w.failure_type
    and e.last_seen_ns < w.last_ns
"""


@dataclass(frozen=True, slots=True)
class Standing:
    """An episode that new facts may change."""

    vehicle_id: int
    key: FaultKey
    state: EpisodeState
    last_seen_ns: int
    ended_ns: int | None


@dataclass(frozen=True, slots=True)
class StoredFacts:
    """All that one fault is folded from, since `since_ns`."""

    vehicle_id: int
    key: FaultKey
    since_ns: int
    sightings: tuple[Sighting, ...]
    presences: tuple[RulePresence, ...]
    heard: tuple[Heard, ...]
    signs: tuple[Sign, ...]
    clears: tuple[Clear, ...]


def standing(conn: Connection, vehicle_ids: Sequence[int], ended_since_ns: int) -> list[Standing]:
    """Episodes of vehicles that are open, cleared but not verified, or ended only since then."""
    rows = conn.execute(STANDING, [list(vehicle_ids), ended_since_ns]).fetchall()
    return [
        Standing(_int(v), key_of_row(key), EpisodeState(str(state)), _int(seen), _maybe(ended))
        for v, *key, state, seen, ended in rows
    ]


def key_of_row(row: Sequence[object]) -> FaultKey:
    """Of the columns kind, ecu, protocol, code, failure_type, instance."""
    kind, ecu, protocol, code, failure_type, instance = row
    return FaultKey(
        EpisodeKind(str(kind)),
        _int(ecu),
        str(protocol),
        str(code),
        _int(failure_type),
        str(instance),
    )


def read_facts(
    conn: Connection, faults: Sequence[Identity], parameters: EpisodeParameters
) -> list[StoredFacts]:
    """What is known of each fault, within the window. Lock the vehicles first."""
    keys = [{"place": i, **_columns(v, k)} for i, (v, k) in enumerate(faults)]
    spans = {"window": parameters.window_s * NS, "reopen": parameters.reopen_s * NS}
    since = conn.execute(SINCE, {"keys": Jsonb(keys), "bucket": BUCKET_NS, **spans}).fetchall()
    since_ns = {_int(place): _maybe(start) or 0 for place, start in since}
    wanted = [row | {"since_ns": since_ns[i]} for i, row in enumerate(keys)]
    codes = Jsonb([w for w in wanted if w["kind"] == EpisodeKind.CODE])
    seen: dict[int, list[Sighting]] = {}
    for place, *row in conn.execute(SIGHTINGS, [codes, BUCKET_NS]):
        seen.setdefault(_int(place), []).append(_sighting(faults[_int(place)][1], row))
    heard: dict[tuple[int, int, str], list[Heard]] = {}
    for vehicle_id, *row in conn.execute(HEARD, [codes]):
        h = _heard(row)
        heard.setdefault((_int(vehicle_id), h.ecu, h.protocol), []).append(h)
    told: dict[int, list[RulePresence]] = {}
    for place, *row in conn.execute(
        PRESENCES, [Jsonb([w for w in wanted if w["kind"] == EpisodeKind.RULE])]
    ):
        told.setdefault(_int(place), []).append(_presence(row))
    signs: dict[int, list[Sign]] = {}
    for vehicle_id, *row in conn.execute(SIGNS, [sorted({v for v, _ in faults})]):
        signs.setdefault(_int(vehicle_id), []).append(_sign(row))
    clears: dict[int, list[Clear]] = {}
    for vehicle_id, *row in conn.execute(CLEARS, [sorted({v for v, _ in faults})]):
        clears.setdefault(_int(vehicle_id), []).append(_clear(row))
    return [
        StoredFacts(
            vehicle_id=v,
            key=key,
            since_ns=since_ns[i],
            sightings=tuple(seen.get(i, ())),
            presences=tuple(told.get(i, ())),
            heard=tuple(heard.get((v, key.ecu, key.protocol), ())),
            signs=tuple(s for s in signs.get(v, ()) if s.ecu in (key.ecu, -1)),
            clears=tuple(clears.get(v, ())),
        )
        for i, (v, key) in enumerate(faults)
    ]


def heard_until(conn: Connection, vehicle_id: int, at_ns: int) -> list[Heard]:
    """In which tens of minutes each ECU of a vehicle sent a whole list, up to a moment's day."""
    rows = conn.execute(
        "select ecu, protocol, scope, day, buckets::text, last_report_ns from ecu_heard"
        " where vehicle_id = %s and day <= %s",
        [vehicle_id, at_ns // (BUCKETS_A_DAY * BUCKET_NS)],
    )
    return [_heard(row) for row in rows]


def write(conn: Connection, folded: Sequence[tuple[StoredFacts, Sequence[Episode]]]) -> None:
    """Put episodes in the place of those that were folded from the same facts before."""
    if not folded:
        return
    gone = [_columns(f.vehicle_id, f.key) | {"since_ns": f.since_ns} for f, _ in folded]
    rows = [_row(f.vehicle_id, e) for f, episodes in folded for e in episodes]
    kept: list[uuid.UUID] = [e.episode_id for _, episodes in folded for e in episodes]
    conn.execute(DROP, [Jsonb(gone), kept])
    conn.execute(WRITE, [Jsonb(rows)])


def see(conn: Connection, last_ns: dict[Identity, int]) -> None:
    """Codes that are there and named again: nothing changes but when they were last seen."""
    if last_ns:
        rows = [_columns(v, k) | {"last_ns": at} for (v, k), at in last_ns.items()]
        conn.execute(SEEN, [Jsonb(rows)])


def _columns(vehicle_id: int, key: FaultKey) -> dict[str, object]:
    return {
        "vehicle_id": vehicle_id,
        "kind": key.kind,
        "ecu": key.ecu,
        "protocol": key.protocol,
        "code": key.code,
        "failure_type": key.failure_type,
        "instance": key.instance,
    }


def _row(vehicle_id: int, e: Episode) -> dict[str, object]:
    return {
        "episode_id": str(e.episode_id),
        **_columns(vehicle_id, e.key),
        "state": e.state,
        "is_open": e.is_open,
        "severity": int(e.severity),
        "count": e.count,
        "repeat": e.repeat,
        "started_ns": e.started_ns,
        "last_seen_ns": e.last_seen_ns,
        "since_ns": e.since_ns,
        "ended_ns": e.ended_ns,
        "status": e.status,
        "occurrence_count": e.occurrence_count,
        "conversion_method": e.conversion_method,
        "freeze_frames": e.freeze_frames,
    }


def _sighting(key: FaultKey, row: Sequence[object]) -> Sighting:
    scope, bucket, first, last, n, any_, status, count, method, lamp, graded, frames, at = row
    return Sighting(
        key=key,
        scope=str(scope),
        bucket=_int(bucket),
        first_ns=_int(first),
        last_ns=_int(last),
        n=_int(n),
        status_any=_maybe(any_),
        status=_maybe(status),
        occurrence_count=_maybe(count),
        conversion_method=_int(method),
        lamp=Severity(_int(lamp)),
        graded=Severity(_int(graded)),
        freeze_frames=None if frames is None else str(frames),
        freeze_ns=_maybe(at),
    )


def _heard(row: Sequence[object]) -> Heard:
    ecu, protocol, scope, day, buckets, last = row
    return Heard(_int(ecu), str(protocol), str(scope), _int(day), int(str(buckets), 2), _int(last))


def _clear(row: Sequence[object]) -> Clear:
    ecu, protocol, group, first, last = row
    return Clear(_int(ecu), str(protocol), _int(group), _int(first), _int(last))


def _sign(row: Sequence[object]) -> Sign:
    ecu, protocol, kind, at = row
    return Sign(_int(ecu), str(protocol), SignKind(str(kind)), _int(at))


def _presence(row: Sequence[object]) -> RulePresence:
    started, changed, cleared, severity = row
    return RulePresence(
        started_ns=_moment(started),
        seen_ns=_moment(changed),
        cleared_ns=None if cleared is None else _moment(cleared),
        severity=Severity(_int(severity)),
    )


def _moment(value: object) -> int:
    assert isinstance(value, datetime)
    return ns_of(value)


def _int(value: object) -> int:
    assert isinstance(value, int)
    return value


def _maybe(value: object) -> int | None:
    return None if value is None else _int(value)
