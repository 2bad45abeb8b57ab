"""What must be true of every simulated year, as queries that find whatever breaks it."""

from __future__ import annotations

from collections import Counter

from store.database import Connection

#: Each finds nothing, or the rows that break it.
NEVER = {
    "a case without an owner": "select case_id from rescue_case where owner = ''",
    "a case left open": """
        select case_id from rescue_case
        where state not in ('cleared', 'cancelled', 'killed', 'gone_on_arrival')""",
    "an open case without a clock": """
        select c.case_id from rescue_case c where c.closed_at is null and not exists
            (select from clock k where k.noun_id = c.case_id::text and k.stopped_at is null)""",
    "a unit still engaged": "select unit_id from rescue_unit where case_id is not null",
    "two units for a case unless a second was asked": """
        select a.case_id from rescue_offer a join rescue_offer b using (case_id)
        where a.answer = 'accepted' and b.answer = 'accepted' and a.unit_id < b.unit_id
            and 'second' not in (a.kind, b.kind)
            and not exists (select from audit d where d.noun = 'rescue_case'
                and d.noun_id = a.case_id::text and d.step in ('decline', 'hand_over')
                and d.detail ->> 'unit_id' in (a.unit_id, b.unit_id))""",
    "a unit with two cases at once": """
        with spell as (
            select detail ->> 'unit_id' as unit_id, noun_id, recorded_at,
                   audit_id, step from audit where noun = 'rescue_case')
        select a.unit_id from rescue_case a join rescue_case b
            on a.unit_id = b.unit_id and a.case_id < b.case_id
        where a.arrived_at is not null and b.arrived_at is not null
            and a.arrived_at < b.closed_at and b.arrived_at < a.closed_at""",
    "a share of a clock told twice": """
        select noun_id, step from audit where noun = 'clock' group by 1, 2 having count(*) > 1""",
    "a clock past a share that was never told": """
        select k.clock_id from clock k, jsonb_array_elements(k.promise -> 'warn') w
        where k.used_s > (k.promise ->> 'target_s')::float8 * (w ->> 'percent')::float8 / 100 + 120
            and not exists (select from audit d where d.noun = 'clock'
                and d.noun_id = k.clock_id::text
                and rtrim(d.step, '%')::int >= (w ->> 'percent')::int)""",
    "an announcement that was not sent": """
        select d.idempotency_key from audit d left join outbox o on o.key = d.idempotency_key
        where d.noun = 'clock' and o.sent_at is null""",
    "a running clock of a closed case": """
        select k.clock_id from clock k join rescue_case c on k.noun_id = c.case_id::text
        where k.noun = 'rescue_case' and k.stopped_at is null and c.closed_at is not null""",
    "a rescue's alert without its one acknowledge clock": """
        select a.alert_id from alert a join rescue_case c using (alert_id)
        left join clock k on k.noun = 'alert' and k.noun_id = a.alert_id::text
            and k.kind = 'acknowledge'
        group by 1 having count(k.clock_id) <> 1""",
    "a running acknowledge clock of an alert somebody has, or that is over": """
        select k.clock_id from clock k join alert a on k.noun_id = a.alert_id::text
        where k.noun = 'alert' and k.stopped_at is null
            and (a.handling <> 'new' or a.state not in ('firing', 'stale'))""",
    "an alert nobody has acknowledged, and its rescue is over": """
        select a.alert_id from alert a join rescue_case c using (alert_id)
        where a.handling = 'new' and a.state = 'firing' and c.closed_at is not null""",
    "an acknowledge clock that outlives a person's confirmation": """
        select k.clock_id from clock k join rescue_case c on k.noun_id = c.alert_id::text
        where k.noun = 'alert' and k.stopped_at > c.confirmed_at and k.met is not null
            and (select bool_and(d.actor <> 'system') from audit d where d.noun = 'rescue_case'
                and d.noun_id = c.case_id::text and d.step = 'confirm')""",
    "a rescue somebody drove to without clocks of arrival, scene and assignment": """
        select c.case_id from rescue_case c where c.arrived_at is not null
            and (select array[count(*) filter (where kind = 'arrival') = 1,
                              count(*) filter (where kind = 'scene') = 1,
                              count(*) filter (where kind = 'assign') >= 1]
                from clock k where k.noun = 'rescue_case' and k.noun_id = c.case_id::text)
            <> array[true, true, true]""",
    "a clock that says kept or missed against its own times": """
        select clock_id from clock where met <> (stopped_at <= due_at)""",
    "a message nobody got": "select key from outbox where sent_at is null",
    "an order that was not an offer": """
        select o.key from outbox o where o.kind = 'rescue.offer' and not exists
            (select from rescue_offer f where f.case_id::text = o.body ->> 'case_id'
                and f.unit_id = o.body ->> 'unit_id')""",
    "a crew without training at a thermal event": """
        select c.case_id from rescue_case c join rescue_unit u using (unit_id)
        where c.thermal and (not 'hv' = any(u.capabilities) or not exists (
            select from certificate e where e.person_id = any(u.crew)
                and e.kind = 'high_voltage'))""",
}
TIMELINESS = """
select zone, count(*)::int, avg(on_time::int)::float8, avg((proven_at is not null)::int)::float8
from rescue_arrival group by 1 order by 1
"""


def broken(conn: Connection) -> dict[str, list[object]]:
    """Truths that do not hold, each with the first rows that break it."""
    found: dict[str, list[object]] = {}
    for truth, query in NEVER.items():
        rows = conn.execute(query).fetchmany(5)
        if rows:
            found[truth] = list(rows)
    return found


def timeliness(conn: Connection) -> list[str]:
    """Arrivals and how many were on time, by zone; then every kind of clock."""
    lines = [
        f"{zone}: {count} arrivals, {float(str(met)):.1%} on time, {float(str(proven)):.0%} proven"
        for zone, count, met, proven in conn.execute(TIMELINESS)
    ]
    kinds = conn.execute(
        "select kind, sum(ended)::int, sum(met)::int from clock_timeliness group by 1 order by 1"
    )
    lines += [f"{k}: {met} of {n} kept" for k, n, met in kinds]
    return lines


def outcomes(conn: Connection) -> Counter[str]:
    """How the cases ended."""
    rows = conn.execute("select state, count(*)::int from rescue_case group by 1")
    return Counter({str(state): int(str(count)) for state, count in rows})
