"""What a step of a case, work order, complaint or incident leaves: its audit line, its clocks."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from typing import TypeVar

import structlog

from console import acts
from console.acts import Act
from dispatch import clocks, work_clocks
from dispatch.clocks import UnknownPromiseError, find_promise
from dispatch.geodesy import great_circle_km
from dispatch.work_clocks import ClockRule
from model.errors import TransitionError
from model.promises import Fact, Promise
from model.vehicle import Vehicle
from store import clocks as clock_rows
from store import masters, notify, readings
from store.database import Connection, UnknownRowError

log = structlog.get_logger("roadcall.steps")

CASE, ORDER, COMPLAINT, INCIDENT = "diagnosis_case", "work_order", "complaint", "incident"
PLAN = "repair_plan"
#: The brand of vehicles whose maker gives no promises of its own.
NO_BRAND = "default"

#: Who owns what belongs to no station.
HEADQUARTERS = "hq"

R = TypeVar("R")


def vehicle_of(conn: Connection, vin: str) -> Vehicle:
    """The vehicle a row is about. Raises UnknownRowError."""
    return masters.vehicle(conn, vin)


def brand_of(vehicle: Vehicle) -> str:
    """Whose promises count."""
    brand = vehicle.brand.lower()
    return brand if brand in clocks.brands() else NO_BRAND


def station_of(conn: Connection, vehicle: Vehicle) -> str | None:
    """The owner's station, else the nearest one to where the car is, else none."""
    stations = [s for s in masters.stations(conn) if s.active]
    if any(s.station_id == vehicle.preferred_station for s in stations):
        return vehicle.preferred_station
    last = {v.name: v.value for v in readings.newest(conn, vehicle.vin).values}
    if "latitude_deg" not in last or "longitude_deg" not in last:
        return None
    here = (last["latitude_deg"], last["longitude_deg"])
    nearest = min(
        stations,
        key=lambda s: (great_circle_km(here, (s.latitude_deg, s.longitude_deg)), s.station_id),
        default=None,
    )
    return nearest.station_id if nearest else None


def check_station(conn: Connection, station_id: str | None) -> None:
    """Raises UnknownRowError when a station is named that does not exist."""
    if station_id and all(s.station_id != station_id for s in masters.stations(conn)):
        raise UnknownRowError("station")


def write_down(
    conn: Connection,
    noun: str,
    key: uuid.UUID,
    step: str,
    act: Act,
    before: StrEnum | None,
    after: StrEnum,
    version: int,
    **more: object,
) -> None:
    """The audit line of a step, and the word to whoever watches. Raises KeyReusedError."""
    at = {"at": act.now.isoformat()} | more
    acts.append(conn, noun, str(key), step, act, state=after, version=version,
                **{"from": before}, **at)  # fmt: skip
    notify.tell(conn, [f"{noun}:{key}"])


def or_logged(noun: str, key: uuid.UUID, take: Callable[[], R]) -> R:
    """What `take` gives; a refusal is logged and raised."""
    try:
        return take()
    except TransitionError as error:
        log.warning("step.refused", noun=noun, id=str(key), step=error.step, reason=str(error))
        raise


def follow_clocks(
    conn: Connection,
    rules: Sequence[ClockRule],
    noun: str,
    key: uuid.UUID,
    verb: str,
    state: StrEnum,
    act: Act,
    vehicle: Vehicle,
    *,
    brand: str = "",
    variant: str = "",
    station_id: str | None = None,
    targets_s: Mapping[str, float | None] | None = None,
    skip: Sequence[str] = (),
) -> None:
    """Start, start again and stop the clocks of a subject after a step.

    `variant` is used where a clock has several targets, `targets_s` replaces a profile's target,
    and clocks named in `skip` are not started.
    """
    noun_id = str(key)
    facts: dict[str, Fact] = {"vin": vehicle.vin, "plate": vehicle.plate or vehicle.vin}
    facts |= {"station_id": station_id, "state": str(state)}
    turn = work_clocks.turn(rules, verb, state)
    if turn.stop:
        clock_rows.stop(conn, noun, noun_id, act.now, kinds=turn.stop)
    if not turn.start and not turn.restart:
        return
    running = {c.kind for c in clock_rows.of(conn, noun, [noun_id]) if c.stopped_at is None}
    for kind in (*turn.start, *turn.restart):
        if kind in skip or (kind in running and kind in turn.start):
            continue
        promise = _promise(kind, brand or vehicle.brand, variant, (targets_s or {}).get(kind))
        if promise is not None:
            clock_rows.restart(conn, promise, noun, noun_id, act.now, facts=facts)


def _promise(kind: str, brand: str, variant: str, target_s: float | None) -> Promise | None:
    """What a brand promises; a clock with one target has no variants."""
    try:
        return find_promise(kind, brand, variant, target_s=target_s)
    except UnknownPromiseError:
        return find_promise(kind, brand, target_s=target_s)
