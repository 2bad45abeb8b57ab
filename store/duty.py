"""Who is on duty with which certificate, and where nobody is.

Times are half-open. A certificate counts on its last day too, by the station's own calendar.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime

from psycopg.rows import class_row

from model.record import Record
from store.database import Connection


class Gap(Record):
    """Open hours of a station without a certified person on duty."""

    station_id: str
    name: str
    name_en: str
    from_at: datetime
    to_at: datetime


class EndingCertificate(Record):
    """A certificate that nothing follows; `valid_to` is its last day."""

    person_id: str
    station_id: str | None
    kind: str
    valid_to: date


class UnprovenUnit(Record):
    """A unit that says it can, and whose crew does not prove it: it is not sent there."""

    unit_id: str
    station_id: str
    crew_named: bool
    missing: list[str]


def gaps(
    conn: Connection,
    start: datetime,
    end: datetime,
    certificates: Sequence[str] = (),
    station_id: str | None = None,
) -> list[Gap]:
    """Open stretches that nobody with one of these certificates covers; none named = any.

    Whether a station is open follows its hours; hours that are not known count as always open.
    """
    with conn.cursor(row_factory=class_row(Gap)) as cur:
        return cur.execute(
            "select s.station_id, s.name, s.name_en, lower(gap) as from_at, upper(gap) as to_at"
            " from station s, unnest("
            "   station_open(s, %(start)s, %(end)s)"
            "   - station_certified(s, %(start)s, %(end)s, %(kinds)s)) gap"
            " where s.active and (%(station)s::text is null or s.station_id = %(station)s)"
            " order by s.station_id, lower(gap)",
            {"start": start, "end": end, "kinds": list(certificates), "station": station_id},
        ).fetchall()


def ending_certificates(
    conn: Connection,
    now: datetime,
    days: int,
    kinds: Sequence[str] = (),
    station_id: str | None = None,
) -> list[EndingCertificate]:
    """Certificates of active persons whose last day lies between today and so many days on.

    One that a later certificate of the kind follows without a gap is left out. Today is UTC's.
    """
    with conn.cursor(row_factory=class_row(EndingCertificate)) as cur:
        return cur.execute(
            "select p.person_id, p.station_id, c.kind, c.valid_to"
            " from certificate c join person p using (person_id)"
            " where p.active and c.valid_to between %(today)s::date and %(today)s::date + %(days)s"
            " and (%(kinds)s::text[] = '{}' or c.kind = any(%(kinds)s))"
            " and (%(station)s::text is null or p.station_id = %(station)s)"
            " and not exists (select from certificate n"
            "   where n.person_id = c.person_id and n.kind = c.kind"
            "   and n.valid_from <= c.valid_to + 1"
            "   and (n.valid_to is null or n.valid_to > c.valid_to))"
            " order by c.valid_to, p.person_id, c.kind",
            {"today": now, "days": days, "kinds": list(kinds), "station": station_id},
        ).fetchall()


def unproven_units(
    conn: Connection,
    now: datetime,
    capabilities: Sequence[str],
    certificates: Sequence[str],
    station_id: str | None = None,
) -> list[UnprovenUnit]:
    """Units with these capabilities whose crews lack one of these certificates today.

    Today is the station's own. Units of stations that have closed down are left out.
    """
    with conn.cursor(row_factory=class_row(UnprovenUnit)) as cur:
        return cur.execute(
            "select u.unit_id, u.station_id, u.crew <> '{}' as crew_named, m.missing"
            " from rescue_unit u join station s using (station_id), lateral ("
            "   select array_agg(wanted order by wanted) as missing"
            "   from unnest(%(certificates)s::text[]) wanted where not exists ("
            "     select from certificate c join person p using (person_id)"
            "     where c.person_id = any(u.crew) and p.active and c.kind = wanted"
            "     and c.valid_from <= (%(now)s::timestamptz at time zone s.time_zone)::date"
            "     and (c.valid_to is null"
            "       or c.valid_to >= (%(now)s::timestamptz at time zone s.time_zone)::date))) m"
            " where s.active and u.capabilities @> %(capabilities)s::text[]"
            " and m.missing is not null"
            " and (%(station)s::text is null or u.station_id = %(station)s)"
            " order by u.station_id, u.unit_id",
            {
                "now": now,
                "capabilities": list(capabilities),
                "certificates": list(certificates),
                "station": station_id,
            },
        ).fetchall()


def cover(
    conn: Connection,
    station_id: str,
    start: datetime,
    end: datetime,
    certificates: Sequence[str] = (),
) -> tuple[float, float]:
    """Open seconds of a station, and how many of them somebody certified was on duty."""
    row = conn.execute(
        "select open_s, covered_s from duty_cover(%s, %s, %s) where station_id = %s",
        [start, end, list(certificates), station_id],
    ).fetchone()
    return (float(str(row[0])), float(str(row[1]))) if row else (0.0, 0.0)
