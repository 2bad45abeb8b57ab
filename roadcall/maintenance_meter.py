"""Following meters and trips: what the rules say, written down. One place for both turns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import structlog

from model.clock import Clock, utc
from model.maintenance import Odometer, Trip
from rules.odometer import Verdict, follow
from rules.usage import Minute, UsageTerms, severe_use, trips_of, usage_terms
from store import maintenance_vehicles as care_rows
from store.database import Connection, Pool, transaction
from store.maintenance_vehicles import SignalMinute, VehicleCare

#: Vehicles of one turn, how often each is looked at, and how much of its past one look takes.
TAKE_VEHICLES = 20
LOOK_EVERY = timedelta(minutes=15)
LOOK_AT_MOST = timedelta(days=7)
MINUTE = timedelta(minutes=1)
#: Four signals a minute.
ROWS_AT_MOST = 7 * 1440 * 4

log = structlog.get_logger("roadcall.maintenance")


class MeterTurn:
    """Takes readings of odometers."""

    def __init__(self, terms: UsageTerms) -> None:
        self._terms = terms.odometer

    def follow(
        self, conn: Connection, care: VehicleCare, reading: tuple[float, datetime] | None
    ) -> VehicleCare:
        """The vehicle after the newest reading of its odometer, stored."""
        if reading is None:
            return care
        raw_km, at = reading
        if care.odometer is None and raw_km == 0:
            return care  # instruments wake with it; the next reading says more
        # A meter that starts to speak after trips were counted goes on from where they stood.
        counted = care.odometer_source in {"trips", "person"} and care.raw_km == care.odometer_km
        before = care.odometer
        if before is not None and counted and at > before.at and abs(raw_km - before.raw_km) > 1:
            before = Odometer(raw_km=raw_km, at=before.at, offset_km=before.total_km - raw_km)
        meter, verdict = follow(before, raw_km, at, self._terms)
        if verdict is Verdict.OLD:
            return care
        care_rows.save_reading(
            conn, care.vehicle_id, meter, at=at, raw_km=raw_km, source="signal", verdict=verdict
        )
        if verdict is not Verdict.GOOD:
            log.warning("odometer.doubtful", vehicle_id=care.vehicle_id, verdict=verdict)
        return replace(
            care, odometer_km=meter.total_km, odometer_at=meter.at, odometer_source="signal"
        )


class TripTurn:
    """Finds the trips of a take of vehicles; says how many it found."""

    def __init__(self, pool: Pool, clock: Clock) -> None:
        self._pool, self._clock, self._terms = pool, clock, usage_terms()

    def __call__(self) -> int:
        now = utc(self._clock.now_ns())
        with transaction(self._pool) as conn:
            claimed = care_rows.claim_for_trips(conn, now, TAKE_VEHICLES)
            return sum(self._vehicle(conn, care, now) for care in claimed)

    def _vehicle(self, conn: Connection, care: VehicleCare, now: datetime) -> int:
        start = care.trips_until or now - LOOK_AT_MOST
        rows = care_rows.minutes(conn, care.vehicle_id, start, now, ROWS_AT_MOST)
        found = trips_of(minutes_of(rows), self._terms.trip)
        gap = timedelta(seconds=self._terms.trip.gap_s)
        newest = rows[-1].at + MINUTE if rows else None
        # The last trip may go on: it is found again when it has surely ended.
        done = [
            t for t in found if newest is not None and t.ended_at + gap < max(newest, now - gap)
        ]
        open_trip = found[-1] if found and found[-1] not in done else None
        until = open_trip.started_at - timedelta(microseconds=1) if open_trip else newest
        care_rows.add_trips(conn, care.vehicle_id, done)
        care_rows.looked_for_trips(conn, care.vehicle_id, until, now + LOOK_EVERY)
        if care.odometer_source in {"person", "trips"}:
            self._count(conn, care, done)
        self._use(conn, care, now)
        return len(done)

    def _count(self, conn: Connection, care: VehicleCare, trips: Sequence[Trip]) -> None:
        """A vehicle whose odometer is in no signal is counted by its trips."""
        before = care.odometer
        assert before is not None
        new = [t for t in trips if t.ended_at > before.at]
        if new:
            total = before.total_km + sum(t.distance_km for t in new)
            meter = Odometer(raw_km=total, at=new[-1].ended_at)
            care_rows.save_odometer(conn, care.vehicle_id, meter, "trips")

    def _use(self, conn: Connection, care: VehicleCare, now: datetime) -> None:
        terms = self._terms.severe
        since = now - timedelta(days=terms.window_days)
        trips = care_rows.trips(conn, care.vehicle_id, since)
        use = severe_use(trips, care.use_declared, terms, now)
        figures = use.model_dump(exclude={"factor", "reasons"}, exclude_none=True)
        before = (care.use_factor, care.use_reasons, care.use_figures)
        if before != (use.factor, list(use.reasons), figures):
            care_rows.save_use(
                conn, care.vehicle_id, factor=use.factor, reasons=use.reasons, figures=figures
            )


def minutes_of(rows: Sequence[SignalMinute]) -> list[Minute]:
    """One record a minute from one row a signal and minute."""
    by_minute: dict[datetime, dict[str, float]] = {}
    for row in rows:
        fields = by_minute.setdefault(row.at, {})
        match row.name:
            case "speed_kmh":
                fields |= {"speed_mean_kmh": row.mean, "speed_max_kmh": row.highest}
            case "engine_speed_rpm":
                fields["engine_rpm"] = row.mean
            case "odometer_km":
                fields |= {"odometer_first_km": row.first, "odometer_last_km": row.last}
            case "ambient_temp_c":
                fields["ambient_c"] = row.mean
    return [Minute.model_validate({"at": at, **fields}) for at, fields in sorted(by_minute.items())]
