"""Who may approve and who can help, from the records of persons, certificates and duty."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import date, datetime
from typing import LiteralString

from psycopg.rows import dict_row

from store.database import Connection

#: The regions above a station, the nearest first.
ABOVE: LiteralString = """
with recursive above (region_id, parent_id, step) as (
    select r.region_id, r.parent_id, 0 from region r join station s using (region_id)
    where s.station_id = %(station)s
    union all
    select r.region_id, r.parent_id, a.step + 1 from region r
    join above a on r.region_id = a.parent_id where a.step < 10
)
"""
HELP: LiteralString = """
select p.person_id from person p left join above a using (region_id)
where p.active and p.role = %(role)s
order by a.step is null,
    (select count(*) from unnest(p.skills) s where s = any(%(skills)s)) desc,
    not exists (select from duty_span d where d.person_id = p.person_id
        and d.from_at <= %(at)s and d.to_at > %(at)s),
    a.step,
    (select count(*) from diagnosis_case c where c.owner = p.person_id and c.closed_at is null),
    p.skill_level desc, p.person_id
limit 1
"""
#: An expert is asked for what he knows, wherever he sits.
EXPERT: LiteralString = """
select p.person_id from person p
where p.active and p.role = %(role)s
order by (select count(*) from unnest(p.skills) s where s = any(%(skills)s)) desc,
    not exists (select from duty_span d where d.person_id = p.person_id
        and d.from_at <= %(at)s and d.to_at > %(at)s),
    (select count(*) from diagnosis_case c where c.owner = p.person_id and c.closed_at is null),
    p.skill_level desc, p.person_id
limit 1
"""


def approver(conn: Connection, person_id: str, day: date) -> dict[str, object] | None:
    """Somebody's activity, level and the certificates that hold on a day; None: not on record."""
    with conn.cursor(row_factory=dict_row) as cur:
        return cur.execute(
            "select p.person_id, p.active, p.skill_level,"
            " coalesce((select array_agg(distinct kind) from certificate c"
            "   where c.person_id = p.person_id and c.valid_from <= %(day)s"
            "   and (c.valid_to is null or c.valid_to >= %(day)s)), '{}') as certificates"
            " from person p where p.person_id = %(person)s",
            {"person": person_id, "day": day},
        ).fetchone()


def engineer(
    conn: Connection, station_id: str | None, skills: Collection[str], at: datetime
) -> str | None:
    """The engineer of the nearest region above a station: skilled, on duty, least loaded."""
    facts = {"station": station_id, "role": "engineer", "skills": sorted(skills), "at": at}
    return _first(conn, ABOVE + HELP, facts)


def expert(conn: Connection, skills: Collection[str], at: datetime) -> str | None:
    """The expert who knows most of these: on duty first, then the least loaded."""
    return _first(conn, EXPERT, {"role": "expert", "skills": sorted(skills), "at": at})


def _first(conn: Connection, query: LiteralString, facts: Mapping[str, object]) -> str | None:
    row = conn.execute(query, facts).fetchone()
    return None if row is None else str(row[0])
