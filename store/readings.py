"""What a person looks at of one vehicle's signals: the newest values, and one signal over time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from psycopg.rows import class_row

from store.database import Connection, UnknownRowError
from store.signal_names import profile_name, stored_name

NEWEST = """
select n.name, n.unit, s.vals[i] as value, to_timestamp(s.observed_ns[i] / 1e9) as observed_at
from vehicle_state s cross join generate_subscripts(s.signal_ids, 1) i
join signal n on n.signal_id = s.signal_ids[i]
where s.vehicle_id = %s
"""
#: Where several sources send one signal, the lowest source address is drawn.
#: As the view signal_sample, but the index finds the segments: they are cut at the minute
#: (store/segments.py), so one that overlaps starts at most a minute early.
BY_SECOND = """
select date_trunc('second', t) as moment,
    (array_agg(value order by source, segment desc))[1] as value,
    null::float8 as minimum, null::float8 as maximum
from (
    select s.source, s.time as segment, s.vfirst + u.d as value,
        s.time + (u.o - 1) * s.step_ms * interval '1 ms' as t
    from signal_segment s, unnest(s.deltas) with ordinality u (d, o)
    where s.vehicle_id = %(vehicle)s and s.signal_id = %(signal)s and u.d <> 'NaN'::real
        and s.time > %(start)s - interval '1 minute' and s.time < %(end)s
) cell
where t >= %(start)s and t < %(end)s
group by 1 order by 1
"""
BY_MINUTE = """
select date_trunc('minute', time) as moment, sum(vsum) / sum(n) as value,
    min(vmin) as minimum, max(vmax) as maximum
from signal_segment
where vehicle_id = %(vehicle)s and signal_id = %(signal)s and n > 0
    and time >= date_trunc('minute', %(start)s) and time < %(end)s
group by 1 order by 1
"""


@dataclass(frozen=True, slots=True)
class NewestValue:
    """The newest good sample of a signal. `name` is the catalogue's, or `Message.Signal`."""

    name: str
    unit: str
    value: float
    observed_at: datetime


@dataclass(frozen=True, slots=True)
class NewestState:
    """When a vehicle was last heard of, and what it said last."""

    observed_at: datetime | None
    received_at: datetime | None
    values: tuple[NewestValue, ...]


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a chart; by the second there is no range."""

    moment: datetime
    value: float
    minimum: float | None
    maximum: float | None


def newest(conn: Connection, vin: str) -> NewestState:
    """What a vehicle said last; nothing before its first upload. Raises UnknownRowError."""
    vehicle_id, profile = _vehicle(conn, vin)
    heard = conn.execute(
        "select observed_at, received_at from vehicle_state where vehicle_id = %s", [vehicle_id]
    ).fetchone()
    with conn.cursor(row_factory=class_row(NewestValue)) as cur:
        rows = cur.execute(NEWEST, [vehicle_id]).fetchall()
    values = tuple(
        NewestValue(profile_name(profile, row.name), row.unit, row.value, row.observed_at)
        for row in rows
    )
    observed_at, received_at = heard or (None, None)
    assert observed_at is None or isinstance(observed_at, datetime)
    assert received_at is None or isinstance(received_at, datetime)
    return NewestState(observed_at, received_at, values)


def chart(
    conn: Connection, vin: str, name: str, start: datetime, end: datetime, *, by_minute: bool
) -> tuple[str, list[Step]]:
    """Unit and steps of one signal in [start, end): the last value of each second, or mean and
    range of each minute (a minute that overlaps is whole). Raises UnknownRowError.
    """
    vehicle_id, profile = _vehicle(conn, vin)
    known = conn.execute(
        "select signal_id, unit from signal where name = %s", [stored_name(profile, name)]
    ).fetchone()
    if known is None:
        raise UnknownRowError("signal")
    span = {"vehicle": vehicle_id, "signal": known[0], "start": start, "end": end}
    with conn.cursor(row_factory=class_row(Step)) as cur:
        steps = cur.execute(BY_MINUTE if by_minute else BY_SECOND, span).fetchall()
    return str(known[1]), steps


def _vehicle(conn: Connection, vin: str) -> tuple[int, str]:
    row = conn.execute("select vehicle_id, profile from vehicle where vin = %s", [vin]).fetchone()
    if row is None:
        raise UnknownRowError("vehicle")
    return int(str(row[0])), str(row[1])
