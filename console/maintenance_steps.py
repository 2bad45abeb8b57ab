"""What people do about maintenance: done, answers to reminders, the meter, the use of a car.

Each is one transaction with its audit line. Whatever is decided unsays a reminder that still waits
for the end of quiet hours; what stays due is said anew.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from console.acts import Act, append, seen
from dispatch.cadence import cadence_terms
from dispatch.maintenance_item import MACHINE, ItemStep
from model.errors import TransitionError
from model.maintenance import Answer, DueState, Odometer
from store import maintenance, notify
from store import maintenance_vehicles as care_rows
from store.database import Connection, Pool, transaction
from store.maintenance import StoredItem

NOUN = "maintenance_item"
ODOMETER_MISSING = "done_without_odometer"


def done(
    pool: Pool,
    vin: str,
    kind: str,
    act: Act,
    *,
    done_at: datetime,
    odometer_km: float | None,
    engine_h: float | None = None,
) -> None:
    """A service was done: the next one counts from here, and reminds again.

    Without an odometer reading an item that counts kilometres stays as it is and is flagged.
    Raises UnknownRowError, TransitionError, KeyReusedError and StoreUnavailableError.
    """
    with transaction(pool) as conn:
        item = maintenance.lock(conn, vin, kind)
        noun_id = f"{item.vehicle_id}/{kind}"
        if seen(conn, NOUN, noun_id, "done", act, also={ODOMETER_MISSING}):
            return
        MACHINE.after(item.handling, ItemStep.DONE)
        if done_at > act.now or done_at < item.item.base_at:
            why = "the date is in the future or before the last one"
            raise TransitionError(noun="service", state=item.item.state, step="done", why=why)
        if item.item.interval_km is not None and odometer_km is None:
            maintenance.flag(conn, item, ODOMETER_MISSING)
            append(conn, NOUN, noun_id, ODOMETER_MISSING, act, done_at=done_at.isoformat())
        else:
            maintenance.rebase(
                conn, item, odometer_km=odometer_km, at=done_at, actor=act.actor, engine_h=engine_h
            )
            append(
                conn, NOUN, noun_id, "done", act, odometer_km=odometer_km, at=done_at.isoformat()
            )
        _said(conn, item, vin, act)


def answer(
    pool: Pool,
    vin: str,
    kind: str,
    given: Answer,
    act: Act,
    *,
    until: datetime | None = None,
    station_id: str | None = None,
) -> None:
    """What the owner, or a person for them, said. `until`: put off until, or booked for.

    Raises as `done`.
    """
    with transaction(pool) as conn:
        item = maintenance.lock(conn, vin, kind)
        noun_id = f"{item.vehicle_id}/{kind}"
        if seen(conn, NOUN, noun_id, given, act):
            return
        handling = MACHINE.after(item.handling, ItemStep(given))
        until = _until(item, given, act.now, until)
        maintenance.set_handling(conn, item, handling, until=until, station_id=station_id)
        append(
            conn, NOUN, noun_id, given, act,
            until=until.isoformat() if until else None, station_id=station_id,
        )  # fmt: skip
        _said(conn, item, vin, act)


def set_odometer(pool: Pool, vin: str, act: Act, total_km: float, at: datetime) -> None:
    """A person read the meter, or knows what the car has driven. Raises as `done`."""
    with transaction(pool) as conn:
        care = care_rows.lock(conn, vin)
        if seen(conn, "odometer", str(care.vehicle_id), "set", act):
            return
        if at > act.now:
            raise TransitionError(noun="odometer", state="known", step="set", why="future date")
        before = care.odometer
        # What no signal says has no offset: the reading is the total.
        heard = before if care.odometer_source == "signal" else None
        raw_km = total_km if heard is None else heard.suspect_km or heard.raw_km
        at = at if before is None else max(at, before.at)
        meter = Odometer(raw_km=raw_km, at=at, offset_km=total_km - raw_km)
        care_rows.save_reading(
            conn, care.vehicle_id, meter, at=at, raw_km=raw_km, source="person", verdict="set",
            followed=care.odometer_source,
        )  # fmt: skip
        care_rows.assess_soon(conn, care.vehicle_id)
        append(conn, "odometer", str(care.vehicle_id), "set", act, total_km=total_km)
        notify.due(conn, vin)


def declare_use(pool: Pool, vin: str, act: Act, words: list[str]) -> None:
    """What a person says about the use of a car, instead of what was said before. As `done`."""
    with transaction(pool) as conn:
        care = care_rows.lock(conn, vin)
        if seen(conn, "vehicle_use", str(care.vehicle_id), "declare", act):
            return
        care_rows.declare_use(conn, care.vehicle_id, sorted(set(words)))
        append(conn, "vehicle_use", str(care.vehicle_id), "declare", act, words=sorted(set(words)))


def _until(
    item: StoredItem, given: Answer, now: datetime, until: datetime | None
) -> datetime | None:
    """The date an answer holds for. Raises TransitionError for one that cannot be."""
    terms = cadence_terms().answer
    if given not in {Answer.YES, Answer.POSTPONE}:
        return None
    if given is Answer.POSTPONE:
        if item.item.state is DueState.OK:
            raise _refused(item, given, "nothing is due")
        if item.snoozes >= terms.snoozes:
            raise _refused(item, given, f"put off {item.snoozes} times already")
        if until is not None and until > now + timedelta(days=terms.snooze_most_days):
            raise _refused(item, given, f"longer than {terms.snooze_most_days:.0f} days")
    if until is not None and until <= now:
        raise _refused(item, given, "the date has passed")
    days = terms.snooze_days if given is Answer.POSTPONE else terms.booked_days
    return until or now + timedelta(days=days)


def _refused(item: StoredItem, given: Answer, why: str) -> TransitionError:
    return TransitionError(noun="maintenance item", state=item.item.state, step=given, why=why)


def _said(conn: Connection, item: StoredItem, vin: str, act: Act) -> None:
    care_rows.take_back_reminder(conn, item.vehicle_id, act.now)
    notify.due(conn, vin)
