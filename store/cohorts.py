"""Scheduled questions about silence, parking, repairs and models (domain.md D10, N24, N26, N27,
E33, M20). Pure SQL; every threshold is a parameter.

A question about vehicles answers with rows `vehicle_id, instance, severity, since, evidence`.
`since` depends on stored facts alone, so that the same finding has the same alert id every time.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import LiteralString

from psycopg import sql
from psycopg.rows import class_row

from model.severity import Severity
from store import alerts
from store.alerts import StoredAlert
from store.database import Connection

#: Signals whose newest value is asked for; `%(speed_kmh)s` is the number of the signal.
SIGNALS = (
    "speed_kmh",
    "latitude_deg",
    "longitude_deg",
    "state_of_charge_percent",
    "state_of_charge_bms_percent",
)
#: When nobody is heard, the silence is ours: it counts until anybody was heard last. A parked car
#: that only woke up between two silences is in the first one still: the same alert goes on.
SILENT: LiteralString = """
select s.vehicle_id, '' as instance, %(severity)s::int as severity,
       coalesce(before.started_at, s.received_at + h.hours * interval '1 h') as since,
       jsonb_build_object('silent_after_h', h.hours) as evidence
from vehicle_state s
cross join lateral (
    select case when s.vals[array_position(s.signal_ids, %(speed_kmh)s::int)] > %(moving_kmh)s
        then %(moving_h)s::float8 else %(stopped_h)s::float8 end as hours) h
left join lateral (
    select a.started_at from alert a
    where a.vehicle_id = s.vehicle_id and a.rule_id = %(rule)s and a.state = 'cleared'
        and a.cleared_at >= s.received_at - %(contact_h)s * interval '1 h'
        and not exists (select from trip t
                        where t.vehicle_id = s.vehicle_id and t.ended_at > a.started_at)
    order by a.started_at desc limit 1) before on true
where s.received_at + h.hours * interval '1 h'
    <= least(%(now)s, (select max(received_at) from vehicle_state))
"""
OFFLINE: LiteralString = """
select s.vehicle_id, '' as instance, %(severity)s::int as severity,
       s.received_at + d.days * interval '1 d' as since,
       jsonb_build_object('offline_after_d', d.days) as evidence
from vehicle_state s join vehicle_master m using (vehicle_id)
cross join lateral (select case when m.use = 'commercial'
    then %(commercial_d)s::float8 else %(private_d)s::float8 end as days) d
where m.powertrain in ('electric', 'hybrid') and s.received_at + d.days * interval '1 d' < %(now)s
"""
#: Bands of one distance from south to north, so that only neighbours are compared.
CROWDED: LiteralString = """
select vehicle_id, '' as instance, %(severity)s::int as severity, since,
       jsonb_build_object('vehicles_near', near, 'state_of_charge_percent', soc) as evidence
from (
    with parked as materialized (
        select s.vehicle_id, p.soc, p.lat, p.lon,
               t.ended_at + %(parked_d)s * interval '1 d' as since,
               floor(p.lat * 111195 / %(within_m)s) as band
        from vehicle_state s join vehicle_master m using (vehicle_id)
        cross join lateral (
            select coalesce(
                    s.vals[array_position(s.signal_ids, %(state_of_charge_percent)s::int)],
                    s.vals[array_position(s.signal_ids, %(state_of_charge_bms_percent)s::int)]
                ) as soc,
                s.vals[array_position(s.signal_ids, %(latitude_deg)s::int)] as lat,
                s.vals[array_position(s.signal_ids, %(longitude_deg)s::int)] as lon,
                s.vals[array_position(s.signal_ids, %(speed_kmh)s::int)] as speed) p
        cross join lateral (select max(ended_at) as ended_at from trip
                            where trip.vehicle_id = s.vehicle_id) t
        where m.powertrain in ('electric', 'hybrid') and p.soc > %(soc_percent)s
            and p.lat is not null and p.lon is not null
            and coalesce(p.speed, 0) <= %(moving_kmh)s
            and t.ended_at + %(parked_d)s * interval '1 d' < %(now)s)
    select a.vehicle_id, a.since, a.soc, count(*) as near
    from parked a join generate_series(-1, 1) d on true join parked b on b.band = a.band + d
    where 12742000 * asin(least(1, sqrt(power(sin(radians(b.lat - a.lat) / 2), 2)
        + cos(radians(a.lat)) * cos(radians(b.lat))
          * power(sin(radians(b.lon - a.lon) / 2), 2)))) <= %(within_m)s
    group by 1, 2, 3 having count(*) >= %(vehicles)s) found
"""
#: The last repair of a vehicle counts. 13 = status bits 0, 2, 3.
RECURRED: LiteralString = """
select c.vehicle_id,
       c.ecu || ':' || c.code || case c.failure_type when -1 then ''
           else '-' || lpad(to_hex(c.failure_type::int), 2, '0') end as instance,
       %(severity)s::int as severity, to_timestamp(min(c.first_ns) / 1e9) as since,
       jsonb_build_object('days_after_repair', min(c.first_ns - r.done_ns) / 86400e9) as evidence
from (
    select vehicle_id,
           (extract(epoch from max(handed_over_at)) * 1000000)::bigint * 1000 as done_ns,
           max(handed_over_at) as done_at
    from work_order where source <> 'maintenance' and handed_over_at <= %(now)s
    group by 1) r
join code_sighting c on c.vehicle_id = r.vehicle_id and c.first_ns > r.done_ns
    and c.first_ns <= r.done_ns + (%(within_d)s * 86400)::bigint * 1000000000
where r.done_at > %(now)s - %(shown_d)s * interval '1 d'
    and case when c.scope = 'permanent' then not exists (
            select from code_sighting p where (p.vehicle_id, p.ecu, p.protocol, p.code,
                p.failure_type) = (c.vehicle_id, c.ecu, c.protocol, c.code, c.failure_type)
                and p.scope = 'permanent' and p.first_ns <= r.done_ns)
        when c.status_any is not null then c.status_any & 13 <> 0
        else c.scope in ('active', 'confirmed', 'pending', 'emission') end
    and exists (
        select from code_sighting p where (p.vehicle_id, p.ecu, p.protocol, p.code, p.failure_type)
            = (c.vehicle_id, c.ecu, c.protocol, c.code, c.failure_type)
            and p.first_ns <= r.done_ns
            and p.last_ns >= r.done_ns - (%(before_d)s * 86400)::bigint * 1000000000)
group by 1, 2
"""
#: A visit counts as repaired when quality was passed; days run on while the car is inside.
GUARANTEES: LiteralString = """
select vehicle_id, instance,
       case when n >= reached then %(reached_severity)s::int else %(severity)s::int end as severity,
       since, jsonb_build_object(what, n) as evidence
from (
    with visit as materialized (
        select w.vehicle_id, d.fault_key, d.severity, s.from_at, s.to_at,
               extract(epoch from coalesce(s.to_at, %(now)s) - s.from_at) / 86400 as days
        from work_order w join vehicle_master m using (vehicle_id)
        left join diagnosis_case d using (case_id)
        join lateral (
            select h.at as from_at, lead(h.at) over (order by h.version) as to_at, h.step
            from step_history h where h.noun = 'work_order' and h.noun_id = w.work_order_id::text
                and h.step in ('check_in', 'pass_quality')
        ) s on s.step = 'check_in'
        where w.source <> 'maintenance' and m.use <> 'commercial'
            and (s.to_at is not null or w.state in ('checked_in', 'diagnosing', 'quoted',
                'approved', 'in_repair', 'waiting_parts', 'quality_check'))
            and (m.warranty_start is null
                 or s.from_at < m.warranty_start + %(term_d)s * interval '1 d')
            and (w.odometer_km is null or w.odometer_km <= %(term_km)s))
    select vehicle_id, 'severe' as instance, 'severe_repairs' as what, count(*) as n,
           min(to_at) as since, %(severe_soon)s::float8 as soon, %(severe)s::float8 as reached
    from visit where to_at is not null and severity >= %(severe_severity)s group by 1
    union all
    select vehicle_id, 'same:' || fault_key, 'same_repairs', count(*), min(to_at),
           %(same_soon)s, %(same_above)s::float8 + 1
    from visit where to_at is not null and fault_key is not null group by 1, 2
    union all
    select vehicle_id, 'days', 'repair_days', sum(days), min(from_at),
           %(days_soon)s, %(days_above)s::float8 + 1e-9
    from visit group by 1) counted
where n >= soon
"""
QUERIES: dict[str, LiteralString] = {
    "silent": SILENT,
    "offline": OFFLINE,
    "crowded": CROWDED,
    "recurred": RECURRED,
    "guarantees": GUARANTEES,
}
#: Vehicles of a model with such an alert, of all of the model; nobody looked at a dismissed one.
SHARE: LiteralString = """
with hit as (
    select a.vehicle_id, max(a.fired_at) as at from alert a
    where a.rule_id = any(%(rules)s) and a.severity >= %(least_severity)s
        and a.state <> 'retracted' and a.handling <> 'dismissed'
        and coalesce(a.suppressed_by, '') not like 'mode:%%'
        and a.fired_at > %(now)s - %(days)s * interval '1 d' and a.fired_at <= %(now)s
    group by 1)
select m.brand, m.model, count(h.vehicle_id) as hits, count(*) as vehicles,
       (array_agg(m.vin order by h.at desc, m.vin) filter (where h.at is not null))[1] as vin
from vehicle_master m left join hit h using (vehicle_id)
where m.model <> '' and m.powertrain in ('electric', 'hybrid')
    and not exists (select from incident i join vehicle_master o using (vehicle_id)
        where i.cause = 'cohort' and i.rule_id = %(rule)s and (o.brand, o.model)
            = (m.brand, m.model) and i.opened_at > %(now)s - %(days)s * interval '1 d')
group by 1, 2
having count(*) >= %(least_vehicles)s and count(h.vehicle_id) >= 1
    and count(h.vehicle_id) * 100 >= count(*) * %(share_percent)s
order by 1, 2
"""


@dataclass(frozen=True, slots=True)
class Finding:
    """A vehicle for which an alert is to be raised."""

    vehicle_id: int
    vin: str
    instance: str
    severity: Severity
    since: datetime
    evidence: dict[str, float]


@dataclass(frozen=True, slots=True)
class ModelShare:
    """A model with too many vehicles hit; `vin` is the one hit last."""

    brand: str
    model: str
    hits: int
    vehicles: int
    vin: str


def fresh(
    conn: Connection, rule_id: str, query: str, values: Mapping[str, object], limit: int
) -> list[Finding]:
    """Findings without an open alert of the same severity."""
    asked = sql.SQL(
        "select f.vehicle_id, v.vin, f.instance, f.severity, f.since, f.evidence"
        " from ({}) f join vehicle v using (vehicle_id)"
        " where not exists (select from alert a where a.vehicle_id = f.vehicle_id"
        "  and a.rule_id = %(rule)s and a.instance = f.instance and a.severity = f.severity"
        "  and a.state in ('firing', 'stale'))"
        " order by f.vehicle_id, f.instance limit %(limit)s"
    ).format(sql.SQL(QUERIES[query]))
    with conn.cursor(row_factory=class_row(Finding)) as cur:
        known = {**_numbers(conn), **values, "rule": rule_id, "limit": limit}
        return cur.execute(asked, known).fetchall()


def over(
    conn: Connection, rule_id: str, query: str, values: Mapping[str, object], limit: int
) -> list[tuple[int, StoredAlert]]:
    """Open alerts of a rule that no finding holds up any more, with their vehicles' numbers."""
    asked = sql.SQL(
        "select a.vehicle_id, a.alert_id from alert a where a.rule_id = %(rule)s"
        " and a.state in ('firing', 'stale') and (a.vehicle_id, a.instance) not in"
        " (select f.vehicle_id, f.instance from ({}) f)"
        " order by 1, 2 limit %(limit)s"
    ).format(sql.SQL(QUERIES[query]))
    known = {**_numbers(conn), **values, "rule": rule_id, "limit": limit}
    rows = conn.execute(asked, known).fetchall()
    return [(int(str(number)), alerts.find(conn, uuid.UUID(str(key)))) for number, key in rows]


def shares(
    conn: Connection, rule_id: str, rules: Sequence[str], values: Mapping[str, object]
) -> list[ModelShare]:
    """Models over the limit without an incident of the rule in the time looked at."""
    with conn.cursor(row_factory=class_row(ModelShare)) as cur:
        return cur.execute(
            sql.SQL(SHARE), {**values, "rule": rule_id, "rules": list(rules)}
        ).fetchall()


def _numbers(conn: Connection) -> dict[str, int | None]:
    """Which signal is which; None = nobody ever sent it."""
    rows = conn.execute("select name, signal_id from signal where name = any(%s)", [list(SIGNALS)])
    return dict.fromkeys(SIGNALS) | {str(name): int(str(number)) for name, number in rows}
