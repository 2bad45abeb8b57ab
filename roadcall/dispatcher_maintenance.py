"""The dispatcher's turn over maintenance: enrol, follow the meter, assess, remind.

Pure parts: `rules.programmes`, `rules.odometer`, `rules.maintenance`, `dispatch.cadence`. What is
due is stored beside the item, so a done record and the stream can never disagree. A vehicle's row
is locked for its turn: two dispatchers never write two reminders for one vehicle.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from dispatch import messages
from dispatch.cadence import Standing, cadence_terms, next_reminder
from dispatch.maintenance_item import MACHINE, ItemStep
from dispatch.messages import DueService, Service
from model.clock import Clock, utc
from model.maintenance import DueState, ItemHandling, MaintenanceItem
from model.vehicle import Consent, Vehicle
from roadcall.maintenance_meter import MeterTurn
from rules.maintenance import Readings, assess, items_for, with_interval
from rules.programmes import Interval, Programme, ProgrammeItem, programme_of, programmes
from rules.usage import usage_terms
from store import audit, maintenance, masters, notify, outbox
from store import maintenance_vehicles as care_rows
from store.database import Connection, Pool, transaction
from store.maintenance import Assessed, StoredItem
from store.maintenance_vehicles import VehicleCare

#: Vehicles of one turn. A turn that changes nothing waits before the next one, so this also bounds
#: the work of a large fleet: 100 vehicles a second are 360 000 an hour.
TAKE_VEHICLES = 100
URGENCY = list(DueState)
ODOMETER, ENGINE_HOURS = "odometer_km", "engine_hours_h"

Values = Mapping[str, tuple[float, datetime]]


@dataclass(frozen=True, slots=True)
class Car:
    """A vehicle of a turn with all that its items are assessed from."""

    care: VehicleCare
    vehicle: Vehicle
    programme: Programme | None
    values: Values
    since: tuple[datetime, float] | None  # an earlier total, for the average use
    fired: tuple[tuple[str, datetime], ...]


class MaintenanceTurn:
    """Assesses a take of vehicles; says how many items came to another state."""

    def __init__(
        self,
        pool: Pool,
        clock: Clock,
        assess_every_s: float,
        programme_path: Sequence[Path] = (),
    ) -> None:
        self._pool, self._clock = pool, clock
        self._assess_every = timedelta(seconds=assess_every_s)
        self._programmes = programmes(*programme_path)
        self._meter = MeterTurn(usage_terms())
        rows = [row for programme in self._programmes.values() for row in programme.items]
        self._services = {row.kind: Service(kind=row.kind, zh=row.zh, en=row.en) for row in rows}
        self._signals = sorted({ODOMETER, ENGINE_HOURS} | {s for r in rows for s in _signals(r)})
        self._rules = sorted({rule for row in rows if row.alerts for rule in row.alerts.rules})
        self._alert_days = max((row.alerts.days for row in rows if row.alerts), default=0.0)

    def __call__(self) -> int:
        now = utc(self._clock.now_ns())
        with transaction(self._pool) as conn:
            claimed = care_rows.claim_to_assess(conn, now, TAKE_VEHICLES)
            if not claimed:
                return 0
            zones = {s.station_id: s.time_zone for s in masters.stations(conn)}
            cars = self._cars(conn, claimed, now)
            for car in cars:
                if not car.care.enrolled and car.programme is not None:
                    items = items_for(car.vehicle, car.programme, now)
                    maintenance.add_missing(conn, items)
            ids = [care.vehicle_id for care in claimed]
            items_of = maintenance.of_vehicles(conn, ids)
            care_rows.assessed(conn, ids, now + self._assess_every)
            return sum(
                self._vehicle(conn, car, items_of[car.care.vehicle_id], zones, now) for car in cars
            )

    def _cars(self, conn: Connection, claimed: Sequence[VehicleCare], now: datetime) -> list[Car]:
        ids = [care.vehicle_id for care in claimed]
        vehicles = masters.vehicles(conn, {care.vin for care in claimed})
        values = care_rows.newest_values(conn, ids, self._signals)
        followed = [
            self._meter.follow(conn, care, values.get(care.vehicle_id, {}).get(ODOMETER))
            for care in claimed
        ]
        average = usage_terms().average
        totals = care_rows.earliest_totals(conn, ids, now - timedelta(days=average.window_days))
        fired: dict[int, list[tuple[str, datetime]]] = {}
        since = now - timedelta(days=self._alert_days)
        for vehicle_id, rule, at in care_rows.fired(conn, ids, self._rules, since):
            fired.setdefault(vehicle_id, []).append((rule, at))
        return [
            Car(
                care=care,
                vehicle=(vehicle := vehicles[care.vin].vehicle),
                programme=programme_of(vehicle, self._programmes, care.programme),
                values=values.get(care.vehicle_id, {}),
                since=totals.get(care.vehicle_id),
                fired=tuple(fired.get(care.vehicle_id, ())),
            )
            for care in followed
        ]

    def _vehicle(
        self,
        conn: Connection,
        car: Car,
        items: Sequence[StoredItem],
        zones: Mapping[str, str],
        now: datetime,
    ) -> int:
        looked = [_look(car, stored, now) for stored in items]
        reminder = next_reminder(
            [_standing(r) for r, s in zip(looked, items, strict=True) if _may_ask(car, s)],
            reminded_at=car.care.reminded_at,
            zone=zones.get(car.vehicle.preferred_station),
            now=now,
            terms=cadence_terms().reminder,
        )
        if reminder is not None:
            looked = [
                replace(r, reminded_step=reminder.steps.get(r.item.kind, r.reminded_step))
                for r in looked
            ]
            self._remind(
                conn, car, [r for r in looked if r.item.kind in reminder.steps], reminder.not_before
            )
        maintenance.save_assessments(conn, looked, now)
        moved = [
            (s, r) for s, r in zip(items, looked, strict=True) if r.found.state is not s.item.state
        ]
        for stored, row in moved:
            audit.append(
                conn,
                "maintenance_item",
                f"{stored.vehicle_id}/{stored.item.kind}",
                row.found.state,
                actor="system",
                reason=row.found.reason,
                detail={"cycle": stored.cycle, "odometer_km": car.care.odometer_km},
            )
        if moved:
            notify.due(conn, car.vehicle.vin)
        return len(moved)

    def _remind(
        self, conn: Connection, car: Car, rows: Sequence[Assessed], not_before: datetime
    ) -> None:
        number = car.care.reminders + 1
        due = [DueService(service=self._service(conn, row), found=row.found) for row in rows]
        consents = Consent.REMINDER in car.vehicle.consents
        record = messages.reminder(
            car.care.vehicle_id, car.vehicle, due, number=number, to_owner=consents
        )
        outbox.add(conn, record, not_before=not_before)
        care_rows.reminded(
            conn,
            car.care.vehicle_id,
            number=number,
            key=record.key,
            kinds=[row.item.kind for row in rows],
            at=not_before,
        )

    def _service(self, conn: Connection, row: Assessed) -> Service:
        kind = row.item.kind
        known = self._services.get(kind) or _campaign_words(conn, kind)
        return known or Service(kind=kind, zh=kind, en=kind.replace("_", " "))


def _look(car: Car, stored: StoredItem, now: datetime) -> Assessed:
    """The item assessed, and what follows for handling and cadence."""
    row = car.programme.row(stored.item.kind) if car.programme else None
    item = _anchored(car, _current(stored, row))
    found = assess(item, _readings(car, item, row, now), now, row)
    handling, until = stored.handling, stored.handling_until
    since, step = stored.state_since, stored.reminded_step
    if _lapsed(handling, until, now):
        handling, until, step = MACHINE.after(handling, ItemStep.LAPSE), None, -1
    if found.state is not stored.item.state or (since is None) != (found.state is DueState.OK):
        worse = URGENCY.index(found.state) > URGENCY.index(stored.item.state)
        since = None if found.state is DueState.OK else now
        # What became less urgent was said already: no new entry, the cadence goes on.
        step = -1 if worse or stored.reminded_step < 0 else 0
    return Assessed(
        vehicle_id=stored.vehicle_id,
        cycle=stored.cycle,
        item=item,
        found=found,
        handling=handling,
        handling_until=until,
        state_since=since,
        reminded_step=step,
    )


def _lapsed(handling: ItemHandling, until: datetime | None, now: datetime) -> bool:
    """Whether "later" is now, or a booking passed without a service."""
    if until is None:
        return False
    if handling is ItemHandling.SNOOZED:
        return until <= now
    grace = timedelta(days=cadence_terms().answer.booked_grace_days)
    return handling is ItemHandling.BOOKED and until + grace <= now


def _current(stored: StoredItem, row: ProgrammeItem | None) -> MaintenanceItem:
    """The item by its programme's repeat interval once the first service has been done."""
    item = stored.item
    if row is None or row.first is None or not stored.cycle:
        return item
    now = Interval(km=item.interval_km, days=item.interval_days, hours=item.interval_h)
    return with_interval(item, row, row.repeat) if now == row.first else item


def _anchored(car: Car, item: MaintenanceItem) -> MaintenanceItem:
    """Without a service record it counts from the first reading heard, not from zero."""
    bases: dict[str, float] = {}
    if item.base_odometer_km is None and car.care.odometer_km is not None:
        bases["base_odometer_km"] = car.care.odometer_km
    if item.base_engine_h is None and ENGINE_HOURS in car.values:
        bases["base_engine_h"] = car.values[ENGINE_HOURS][0]
    return item.model_copy(update=bases) if bases else item


def _readings(
    car: Car, item: MaintenanceItem, row: ProgrammeItem | None, now: datetime
) -> Readings:
    terms = usage_terms()
    oldest = now - timedelta(days=terms.own.fresh_days)
    hours = car.values.get(ENGINE_HOURS)
    counted: dict[str, int] = {}
    if row is not None and row.alerts is not None:
        since = max(item.base_at, now - timedelta(days=row.alerts.days))
        for rule, at in car.fired:
            counted[rule] = counted.get(rule, 0) + (at >= since)
    return Readings(
        odometer_km=car.care.odometer_km,
        km_per_day=_km_per_day(car, item),
        engine_h=hours[0] if hours else None,
        h_per_day=_per_day(
            hours[0] - (item.base_engine_h or 0.0) if hours else None,
            hours[1] - item.base_at if hours else None,
        ),
        # A figure from before the last service says nothing about the next one.
        figures={
            name: value
            for name, (value, at) in car.values.items()
            if at >= max(oldest, item.base_at)
        },
        alerts=counted,
        use_factor=car.care.use_factor,
    )


def _km_per_day(car: Car, item: MaintenanceItem) -> float | None:
    """Average use lately, else since the item was last counted anew; None where it says little."""
    total, at = car.care.odometer_km, car.care.odometer_at
    if total is None or at is None:
        return None
    if car.since is not None:
        lately = _per_day(total - car.since[1], at - car.since[0])
        if lately is not None:
            return lately
    if item.base_odometer_km is None:
        return None
    return _per_day(total - item.base_odometer_km, at - item.base_at)


def _per_day(amount: float | None, span: timedelta | None) -> float | None:
    if amount is None or span is None or span < timedelta(days=usage_terms().average.min_days):
        return None
    return max(0.0, amount) / (span / timedelta(days=1))


def _standing(row: Assessed) -> Standing:
    return Standing(
        kind=row.item.kind,
        state=row.found.state,
        state_since=row.state_since,
        said_step=row.reminded_step,
        handling=row.handling,
    )


def _may_ask(car: Car, stored: StoredItem) -> bool:
    """A campaign is advertising: without a yes to it nobody hears of it."""
    return stored.campaign_id is None or Consent.CAMPAIGN in car.vehicle.consents


def _signals(row: ProgrammeItem) -> list[str]:
    own = [row.own.km, row.own.days, row.own.flag] if row.own else []
    return [s for s in (*own, *(row.condition.signals if row.condition else ())) if s]


def _campaign_words(conn: Connection, kind: str) -> Service | None:
    from store import campaigns

    words = campaigns.words_of(conn, kind)
    return None if words is None else Service(kind=kind, zh=words[0], en=words[1])
