"""Rescue units as dispatch sees them: who could go, who is taken, where they are."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from math import cos, radians
from typing import TypeAlias, cast

from psycopg.rows import dict_row
from pydantic import TypeAdapter

from model.coverage import Coverage, MultiPolygon, Polygon
from model.rescue import Candidate
from store.database import Connection, UnknownRowError

#: Kilometres a degree of latitude, at least; the box must not be smaller than the radius.
KM_PER_DEGREE = 110.5
#: How many of the nearest able units are looked at: what a routing engine's table of 100 places
#: takes beside the vehicle's own (our own).
NEAREST = 99
#: Areas kept decoded.
AREAS = 4096

#: A certificate counts on its last day too, by the calendar of the crew's station. `offset 0`: each
#: station by its key; a join of a plan's own choosing took 40 ms where the rows were misjudged.
CANDIDATES = """
with able as (
    select u.unit_id, u.station_id, u.name, u.capabilities, u.latitude_deg, u.longitude_deg,
        u.position_at, u.crew, s.stars, s.coverage,
        (%(now)s::timestamptz at time zone s.time_zone)::date as today,
        (u.latitude_deg - %(latitude)s) ^ 2
            + ((u.longitude_deg - %(longitude)s) * cosd(%(latitude)s)) ^ 2 as far
    from rescue_unit u
    cross join lateral (
        select stars, coverage, time_zone from station where station_id = u.station_id offset 0) s
    where u.case_id is null
        and (u.on_duty or exists (select from duty_span d where d.unit_id = u.unit_id
             and d.from_at <= %(now)s and d.to_at > %(now)s))
        and u.capabilities @> %(capabilities)s and u.unit_id <> all(%(without)s)
        and (s.coverage is not null
             or (u.latitude_deg between %(south)s and %(north)s
                 and u.longitude_deg between %(west)s and %(east)s))),
near as materialized (
    select * from able a
    where %(certificates)s::text[] = '{}'
        or (a.crew <> '{}' and %(certificates)s::text[] <@ array(
            select c.kind from unnest(a.crew) member
            cross join lateral (select from person where person_id = member and active offset 0) p
            cross join lateral (
                select kind from certificate where person_id = member and valid_from <= a.today
                    and (valid_to is null or valid_to >= a.today) offset 0) c))
    order by far, unit_id limit %(limit)s),
busy as materialized (
    select station_id, count(*)::int as units from rescue_unit where case_id is not null group by 1)
select n.unit_id, n.station_id, n.name, n.capabilities, n.latitude_deg, n.longitude_deg,
    n.coverage::text,
    coalesce((select units from busy b where b.station_id = n.station_id), 0),
    n.stars, n.position_at
from near n order by n.far, n.unit_id
"""
#: The row lock decides between rivals: two cases never get one unit. Nobody waits for a rival.
ENGAGE = """
with free as (
    select unit_id from rescue_unit u where unit_id = %(unit)s
        and (on_duty or exists (select from duty_span d where d.unit_id = u.unit_id
             and d.from_at <= %(now)s and d.to_at > %(now)s))
        and (case_id is null or case_id = %(case)s)
    for update skip locked)
update rescue_unit u set case_id = %(case)s, near_since = null
from free where u.unit_id = free.unit_id
"""


#: One line of CANDIDATES.
_Row: TypeAlias = tuple[
    str, str, str, list[str], float, float, str | None, int, int, datetime | None
]


@dataclass(frozen=True, slots=True)
class Position:
    """One report of a unit's position."""

    latitude_deg: float
    longitude_deg: float
    at: datetime
    #: None: the feed does not say.
    speed_kmh: float | None = None


@dataclass(frozen=True, slots=True)
class PlacedUnit:
    """Where a unit was last, and for whom it works."""

    unit_id: str
    position: Position | None
    case_id: uuid.UUID | None
    near_since: datetime | None


def candidates(
    conn: Connection,
    place: tuple[float, float],
    radius_km: float,
    now: datetime,
    *,
    capabilities: frozenset[str] = frozenset(),
    certificates: frozenset[str] = frozenset(),
    without: Sequence[str] = (),
    limit: int = NEAREST,
) -> list[Candidate]:
    """Free, able, certified units on duty around a place, about the nearest first.

    Units of a station with an area of its own are not cut at the radius: their area decides.
    """
    latitude, longitude = place
    height = radius_km / KM_PER_DEGREE
    # Near a pole every longitude is near; no road goes there.
    width = min(180.0, height / max(0.05, _cosine(abs(latitude) + height)))
    rows = conn.execute(
        CANDIDATES,
        {
            "now": now, "latitude": latitude, "longitude": longitude,
            "south": latitude - height, "north": latitude + height,
            "west": longitude - width, "east": longitude + width,
            "capabilities": sorted(capabilities), "certificates": sorted(certificates),
            "without": list(without), "limit": limit,
        },
    ).fetchall()  # fmt: skip
    return [_candidate(cast(_Row, row), certificates) for row in rows]


def engage(conn: Connection, unit_id: str, case_id: uuid.UUID, now: datetime) -> bool:
    """Give a free unit on duty to a case; False when it is not free or a rival is taking it."""
    values = {"unit": unit_id, "case": case_id, "now": now}
    return conn.execute(ENGAGE, values).rowcount == 1


def lock(conn: Connection, unit_id: str) -> PlacedUnit:
    """A unit's place, nobody else's until the transaction ends. Raises UnknownRowError."""
    row = conn.execute(
        "select latitude_deg, longitude_deg, position_at, speed_kmh, case_id, near_since"
        " from rescue_unit where unit_id = %s for update",
        [unit_id],
    ).fetchone()
    if row is None:
        raise UnknownRowError("rescue unit")
    return _placed(unit_id, row)


def find(conn: Connection, unit_id: str) -> PlacedUnit:
    """A unit's place. Raises UnknownRowError."""
    row = conn.execute(
        "select latitude_deg, longitude_deg, position_at, speed_kmh, case_id, near_since"
        " from rescue_unit where unit_id = %s",
        [unit_id],
    ).fetchone()
    if row is None:
        raise UnknownRowError("rescue unit")
    return _placed(unit_id, row)


def move(
    conn: Connection, unit_id: str, position: Position, *, near_since: datetime | None
) -> None:
    """Where a unit is now; lock it first, and leave older reports alone."""
    conn.execute(
        "update rescue_unit set latitude_deg = %s, longitude_deg = %s, position_at = %s,"
        " speed_kmh = %s, near_since = %s where unit_id = %s",
        [
            position.latitude_deg, position.longitude_deg, position.at, position.speed_kmh,
            near_since, unit_id,
        ],
    )  # fmt: skip


def scorecard(conn: Connection) -> list[dict[str, object]]:
    """The view rescue_scorecard, by unit."""
    with conn.cursor(row_factory=dict_row) as cur:
        return cur.execute("select * from rescue_scorecard order by unit_id").fetchall()


def _placed(unit_id: str, row: tuple[object, ...]) -> PlacedUnit:
    latitude, longitude, at, speed, case_id, near_since = row
    assert isinstance(latitude, float) and isinstance(longitude, float)
    assert speed is None or isinstance(speed, float)
    assert case_id is None or isinstance(case_id, uuid.UUID)
    assert near_since is None or isinstance(near_since, datetime)
    position = Position(latitude, longitude, at, speed) if isinstance(at, datetime) else None
    return PlacedUnit(unit_id, position, case_id, near_since)


def _candidate(row: _Row, proved: frozenset[str]) -> Candidate:
    unit, station, name, capabilities, north, east, area, load, stars, at = row
    return Candidate(
        unit,
        station,
        name,
        frozenset(capabilities),
        north,
        east,
        proved,
        None if area is None else _area(area),
        load,
        stars,
        at,
    )


@lru_cache(AREAS)
def _area(text: str) -> Polygon | MultiPolygon:
    area: Polygon | MultiPolygon = TypeAdapter(Coverage).validate_json(text)
    return area


def _cosine(degrees: float) -> float:
    return cos(radians(min(89.9, degrees)))
