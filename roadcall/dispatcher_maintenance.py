"""The dispatcher's turn over maintenance: assess what was not looked at lately, remind once.

The pure assessment is `rules.maintenance.assess`; what is due is stored beside the item, so a done
record and the stream can never disagree.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from dispatch import messages
from dispatch.messages import Service
from model.clock import Clock, utc
from model.maintenance import DueAssessment, DueState, MaintenanceItem
from model.vehicle import Vehicle
from rules.maintenance import Interval, assess, programmes, rebase
from store import audit, maintenance, masters, notify, outbox
from store.database import Connection, Pool, transaction
from store.maintenance import StoredItem

#: Items of one turn. A turn that changes nothing waits before the next one, so this also bounds the
#: work of a large fleet: 100 items a second are 360 000 an hour.
TAKE_ITEMS = 100
#: An average over fewer days says little about how a car is used.
AVERAGE_MIN_DAYS = 7
URGENCY = list(DueState)


class MaintenanceTurn:
    """Assesses a take of items; says how many came to another state."""

    def __init__(self, pool: Pool, clock: Clock, assess_every_s: float) -> None:
        self._pool, self._clock = pool, clock
        self._assess_every = timedelta(seconds=assess_every_s)
        self._services = {
            row.kind: Service(kind=row.kind, zh=row.zh, en=row.en)
            for programme in programmes().values()
            for row in programme.items
        }

    def __call__(self) -> int:
        now = utc(self._clock.now_ns())
        with transaction(self._pool) as conn:
            items = maintenance.claim_unassessed(conn, now - self._assess_every, TAKE_ITEMS)
            vehicles = masters.vehicles(conn, {stored.item.vin for stored in items})
            return sum(
                self._assess(conn, stored, vehicles[stored.item.vin].vehicle, now)
                for stored in items
            )

    def _assess(
        self, conn: Connection, stored: StoredItem, vehicle: Vehicle, now: datetime
    ) -> bool:
        item = after_first(stored, vehicle)
        if item != stored.item:
            maintenance.upsert(conn, [item])
        if item.base_odometer_km is None and stored.odometer_km is not None:
            # Without a service record it counts from the first reading heard, not from zero.
            item = item.model_copy(update={"base_odometer_km": stored.odometer_km})
            maintenance.anchor(conn, stored.vehicle_id, item.kind, stored.odometer_km)
        found = assess(item, stored.odometer_km, km_per_day(stored), now)
        maintenance.save_assessment(conn, stored, found, at=now, odometer_km=stored.odometer_km)
        if found.state is item.state:
            return False
        if URGENCY.index(found.state) > URGENCY.index(item.state):
            self._remind(conn, stored, vehicle, found)
        audit.append(
            conn,
            "maintenance_item",
            f"{stored.vehicle_id}/{item.kind}",
            found.state,
            actor="system",
            reason=found.reason,
            detail={"cycle": stored.cycle, "odometer_km": stored.odometer_km},
        )
        notify.due(conn, item.vin)
        return True

    def _remind(
        self, conn: Connection, stored: StoredItem, vehicle: Vehicle, found: DueAssessment
    ) -> None:
        kind = stored.item.kind
        service = self._services.get(kind, Service(kind=kind, zh=kind, en=kind.replace("_", " ")))
        outbox.add(
            conn,
            messages.reminder(stored.vehicle_id, vehicle, service, found, cycle=stored.cycle),
        )


def after_first(stored: StoredItem, vehicle: Vehicle) -> MaintenanceItem:
    """The item by its programme's repeat interval once the first service has been done."""
    item, programme = stored.item, programmes().get(vehicle.powertrain)
    if programme is None or not stored.cycle:
        return item
    current = Interval(km=item.interval_km, days=item.interval_days)
    if all(row.kind != item.kind or row.first != current for row in programme.items):
        return item
    return rebase(item, item.base_at, item.base_odometer_km, programme)


def km_per_day(stored: StoredItem) -> float | None:
    """Average use since the item was last counted anew, or None where that says little."""
    base_km, odometer_km = stored.item.base_odometer_km, stored.odometer_km
    if base_km is None or odometer_km is None or stored.odometer_at is None:
        return None
    days = (stored.odometer_at - stored.item.base_at) / timedelta(days=1)
    return max(0.0, odometer_km - base_km) / days if days >= AVERAGE_MIN_DAYS else None
