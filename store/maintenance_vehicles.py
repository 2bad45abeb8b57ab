"""A vehicle as maintenance sees it: meter, use, trips, and when to look again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import LiteralString

from psycopg import sql
from psycopg.rows import class_row, dict_row
from psycopg.types.json import Jsonb

from model.maintenance import Odometer, Trip
from store.database import Connection, UnknownRowError

SELECT: LiteralString = (
    "select c.vehicle_id, v.vin, c.enrolled, c.programme, c.odometer_km, c.odometer_at,"
    " c.odometer_source, c.raw_km, c.offset_km, c.suspect_km, c.suspect_at, c.suspect_count,"
    " c.use_declared, c.use_factor, c.use_reasons, c.use_figures, c.trips_until, c.reminded_at,"
    " c.reminders from maintenance_vehicle c join vehicle v using (vehicle_id)"
)
#: What trips are made of; each signal by the minute, the lowest source address where several send.
MINUTES: LiteralString = """
select date_trunc('minute', s.time) as at, n.name,
       (array_agg(s.vsum / s.n order by s.source))[1] as mean, max(s.vmax) as highest,
       (array_agg(s.vfirst order by s.time))[1] as first,
       (array_agg(s.vlast order by s.time desc))[1] as last
from signal_segment s join signal n using (signal_id)
where s.vehicle_id = %s and n.name = any(%s) and s.n > 0 and s.time > %s and s.time <= %s
group by 1, 2 order by 1 limit %s
"""
TRIP_SIGNALS = ("speed_kmh", "engine_speed_rpm", "odometer_km", "ambient_temp_c")


@dataclass(frozen=True, slots=True)
class VehicleCare:
    """One row: `odometer_*` is the meter as followed, `use_*` how hard the vehicle is used."""

    vehicle_id: int
    vin: str
    enrolled: bool
    programme: str | None
    odometer_km: float | None
    odometer_at: datetime | None
    odometer_source: str | None
    raw_km: float | None
    offset_km: float
    suspect_km: float | None
    suspect_at: datetime | None
    suspect_count: int
    use_declared: list[str]
    use_factor: float
    use_reasons: list[str]
    use_figures: dict[str, object]
    trips_until: datetime | None
    reminded_at: datetime | None
    reminders: int

    @property
    def odometer(self) -> Odometer | None:
        """The meter, once it has been heard."""
        if self.raw_km is None or self.odometer_at is None:
            return None
        return Odometer(
            raw_km=self.raw_km,
            at=self.odometer_at,
            offset_km=self.offset_km,
            suspect_km=self.suspect_km,
            suspect_at=self.suspect_at,
            suspect_count=self.suspect_count,
        )


@dataclass(frozen=True, slots=True)
class SignalMinute:
    """One signal in one minute."""

    at: datetime
    name: str
    mean: float
    highest: float
    first: float
    last: float


@dataclass(frozen=True, slots=True)
class ReadingRow:
    """One kept reading of a meter."""

    observed_at: datetime
    raw_km: float
    offset_km: float
    source: str
    verdict: str


def claim_to_assess(conn: Connection, now: datetime, limit: int) -> list[VehicleCare]:
    """Vehicles that want a look, longest waiting first, locked."""
    tail: LiteralString = (
        " where c.assess_at <= %s order by c.assess_at limit %s for update of c skip locked"
    )
    return _rows(conn, tail, [now, limit])


def claim_for_trips(conn: Connection, now: datetime, limit: int) -> list[VehicleCare]:
    """Vehicles whose signals were not looked through lately, locked."""
    tail: LiteralString = (
        " where c.trips_at <= %s order by c.trips_at limit %s for update of c skip locked"
    )
    return _rows(conn, tail, [now, limit])


def lock(conn: Connection, vin: str) -> VehicleCare:
    """One vehicle's row, nobody else's until the transaction ends. Raises UnknownRowError."""
    found = _rows(conn, " where v.vin = %s for update of c", [vin])
    if not found:
        raise UnknownRowError("vehicle")
    return found[0]


def find(conn: Connection, vin: str) -> VehicleCare:
    """One vehicle's row. Raises UnknownRowError."""
    found = _rows(conn, " where v.vin = %s", [vin])
    if not found:
        raise UnknownRowError("vehicle")
    return found[0]


def assessed(conn: Connection, vehicle_ids: Sequence[int], again_at: datetime) -> None:
    """Looked at; look again then."""
    conn.execute(
        "update maintenance_vehicle set assess_at = %s, enrolled = true where vehicle_id = any(%s)",
        [again_at, list(vehicle_ids)],
    )


def save_odometer(conn: Connection, vehicle_id: int, meter: Odometer, source: str) -> None:
    """The meter as followed up to now."""
    conn.execute(
        "update maintenance_vehicle set odometer_km = %s, odometer_at = %s, odometer_source = %s,"
        " raw_km = %s, offset_km = %s, suspect_km = %s, suspect_at = %s, suspect_count = %s"
        " where vehicle_id = %s",
        [
            meter.total_km, meter.at, source, meter.raw_km, meter.offset_km, meter.suspect_km,
            meter.suspect_at, meter.suspect_count, vehicle_id,
        ],
    )  # fmt: skip


def save_reading(
    conn: Connection,
    vehicle_id: int,
    meter: Odometer,
    *,
    at: datetime,
    raw_km: float,
    source: str,
    verdict: str,
    followed: str | None = None,
) -> None:
    """The meter after a reading, and the reading as a record: of good ones the first a day (UTC).

    `source` read it; `followed` is what the meter follows, where that is something else.
    """
    save_odometer(conn, vehicle_id, meter, followed or source)
    conn.execute(
        "insert into odometer_reading (vehicle_id, observed_at, raw_km, offset_km, source, verdict)"
        " select %(vehicle)s, %(at)s, %(raw)s, %(offset)s, %(source)s, %(verdict)s"
        " where %(verdict)s <> 'good' or not exists (select from odometer_reading"
        "   where vehicle_id = %(vehicle)s and verdict = 'good'"
        "   and observed_at >= date_trunc('day', %(at)s::timestamptz) and observed_at <= %(at)s)"
        " on conflict do nothing",
        {
            "vehicle": vehicle_id,
            "at": at,
            "raw": raw_km,
            "offset": meter.offset_km,
            "source": source,
            "verdict": verdict,
        },
    )


def earliest_totals(
    conn: Connection, vehicle_ids: Sequence[int], since: datetime
) -> dict[int, tuple[datetime, float]]:
    """The first kept total of each vehicle since then, and since a person last set the meter."""
    rows = conn.execute(
        "select distinct on (vehicle_id) vehicle_id, observed_at, raw_km + offset_km"
        " from odometer_reading r where vehicle_id = any(%(ids)s) and observed_at >= %(since)s"
        " and verdict in ('good', 'replaced', 'set') and observed_at >= coalesce((select"
        "   max(observed_at) from odometer_reading s where s.vehicle_id = r.vehicle_id"
        "   and s.verdict = 'set'), '-infinity') order by vehicle_id, observed_at",
        {"ids": list(vehicle_ids), "since": since},
    )
    found: dict[int, tuple[datetime, float]] = {}
    for vehicle_id, at, total in rows:
        assert isinstance(vehicle_id, int) and isinstance(at, datetime)
        found[vehicle_id] = (at, float(str(total)))
    return found


def readings(conn: Connection, vin: str, limit: int = 100) -> list[ReadingRow]:
    """Kept readings of a vehicle, newest first."""
    with conn.cursor(row_factory=class_row(ReadingRow)) as cur:
        return cur.execute(
            "select observed_at, raw_km, offset_km, source, verdict from odometer_reading"
            " join vehicle v using (vehicle_id) where v.vin = %s"
            " order by observed_at desc limit %s",
            [vin, limit],
        ).fetchall()


def newest_values(
    conn: Connection, vehicle_ids: Sequence[int], names: Sequence[str]
) -> dict[int, dict[str, tuple[float, datetime]]]:
    """The newest good sample of some signals: (value, observed at) by vehicle and name."""
    rows = conn.execute(
        "select s.vehicle_id, n.name, s.vals[i], to_timestamp(s.observed_ns[i] / 1e9)"
        " from vehicle_state s cross join signal n"
        " cross join lateral (select array_position(s.signal_ids, n.signal_id) as i) p"
        " where s.vehicle_id = any(%s) and n.name = any(%s) and i is not null",
        [list(vehicle_ids), list(names)],
    )
    found: dict[int, dict[str, tuple[float, datetime]]] = {}
    for vehicle_id, name, value, at in rows:
        assert isinstance(vehicle_id, int) and isinstance(value, float) and isinstance(at, datetime)
        found.setdefault(vehicle_id, {})[str(name)] = (value, at)
    return found


def fired(
    conn: Connection, vehicle_ids: Sequence[int], rules: Sequence[str], since: datetime
) -> list[tuple[int, str, datetime]]:
    """(vehicle_id, rule, fired at) of alerts since then; retracted ones are none."""
    rows = conn.execute(
        "select vehicle_id, rule_id, fired_at from alert where vehicle_id = any(%s)"
        " and rule_id = any(%s) and fired_at >= %s and state <> 'retracted'",
        [list(vehicle_ids), list(rules), since],
    )
    return [(int(str(v)), str(r), at) for v, r, at in rows if isinstance(at, datetime)]


def minutes(
    conn: Connection, vehicle_id: int, after: datetime, until: datetime, limit: int
) -> list[SignalMinute]:
    """What trips are made of, by minute."""
    with conn.cursor(row_factory=class_row(SignalMinute)) as cur:
        return cur.execute(
            MINUTES, [vehicle_id, list(TRIP_SIGNALS), after, until, limit]
        ).fetchall()


def add_trips(conn: Connection, vehicle_id: int, trips: Sequence[Trip]) -> None:
    """Finished trips; one that is known already stays."""
    conn.cursor().executemany(
        "insert into trip values (%s, %s, %s, %s, %s, %s, %s) on conflict do nothing",
        [
            (vehicle_id, t.started_at, t.ended_at, t.distance_km, t.idle_s, t.fast_s, t.ambient_c)
            for t in trips
        ],
    )


def trips(conn: Connection, vehicle_id: int, since: datetime) -> list[Trip]:
    """Trips that began since then, oldest first."""
    with conn.cursor(row_factory=class_row(Trip)) as cur:
        return cur.execute(
            "select started_at, ended_at, distance_km, idle_s, fast_s, ambient_c from trip"
            " where vehicle_id = %s and started_at >= %s order by started_at",
            [vehicle_id, since],
        ).fetchall()


def save_use(
    conn: Connection,
    vehicle_id: int,
    *,
    factor: float,
    reasons: Sequence[str],
    figures: Mapping[str, object],
) -> None:
    """How hard it is used; intervals will be looked at again at once."""
    conn.execute(
        "update maintenance_vehicle set use_factor = %s, use_reasons = %s, use_figures = %s,"
        " assess_at = '-infinity' where vehicle_id = %s",
        [factor, list(reasons), Jsonb(dict(figures)), vehicle_id],
    )


def looked_for_trips(
    conn: Connection, vehicle_id: int, until: datetime | None, again_at: datetime
) -> None:
    """Signals up to then have been looked through."""
    conn.execute(
        "update maintenance_vehicle set trips_until = coalesce(%s, trips_until), trips_at = %s"
        " where vehicle_id = %s",
        [until, again_at, vehicle_id],
    )


def assess_soon(conn: Connection, vehicle_id: int) -> None:
    """Something about the vehicle changed."""
    conn.execute(
        "update maintenance_vehicle set assess_at = '-infinity' where vehicle_id = %s", [vehicle_id]
    )


def declare_use(conn: Connection, vehicle_id: int, words: Sequence[str]) -> None:
    """What a person says about the use of a vehicle; trips are looked at again at once."""
    conn.execute(
        "update maintenance_vehicle set use_declared = %s, trips_at = '-infinity'"
        " where vehicle_id = %s",
        [list(words), vehicle_id],
    )


def choose_programme(conn: Connection, vehicle_id: int, name: str | None) -> None:
    """A programme somebody chose, or None for the one that fits."""
    conn.execute(
        "update maintenance_vehicle set programme = %s, enrolled = false, assess_at = '-infinity'"
        " where vehicle_id = %s",
        [name, vehicle_id],
    )


def reminded(
    conn: Connection, vehicle_id: int, *, number: int, key: str, kinds: Sequence[str], at: datetime
) -> None:
    """A message was written, to be sent at `at`."""
    conn.execute(
        "insert into maintenance_reminder (vehicle_id, number, outbox_key, kinds, said_at)"
        " values (%s, %s, %s, %s, %s)",
        [vehicle_id, number, key, list(kinds), at],
    )
    conn.execute(
        "update maintenance_vehicle set reminded_at = %s, reminders = %s where vehicle_id = %s",
        [at, number, vehicle_id],
    )


def take_back_reminder(conn: Connection, vehicle_id: int, now: datetime) -> bool:
    """Unsay the last message if it waits for the morning: its items will be looked at again."""
    row = conn.execute(
        "delete from outbox o using maintenance_reminder r where r.vehicle_id = %s"
        " and r.outbox_key = o.key and o.attempts = 0 and o.sent_at is null"
        " and o.next_attempt_at > %s returning r.number, r.kinds",
        [vehicle_id, now],
    ).fetchone()
    if row is None:
        return False
    conn.execute(
        "delete from maintenance_reminder where vehicle_id = %s and number = %s",
        [vehicle_id, row[0]],
    )
    conn.execute(
        "update maintenance_item set reminded_step = -1 where vehicle_id = %s and kind = any(%s)",
        [vehicle_id, row[1]],
    )
    conn.execute(
        "update maintenance_vehicle set assess_at = '-infinity', reminded_at = (select"
        " max(said_at) from maintenance_reminder r where r.vehicle_id = %(id)s)"
        " where vehicle_id = %(id)s",
        {"id": vehicle_id},
    )
    return True


def _rows(conn: Connection, tail: LiteralString, values: Sequence[object]) -> list[VehicleCare]:
    with conn.cursor(row_factory=dict_row) as cur:
        rows = cur.execute(sql.SQL(SELECT + tail), values).fetchall()
    return [VehicleCare(**row) for row in rows]
