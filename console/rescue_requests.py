"""A driver or the call centre asks for help: one case a request, however often it is sent."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta

from console.acts import Act, append, seen
from console.case_steps import NOUN, apply
from dispatch.rescue import Step, request_by_person
from dispatch.rescue_request import located
from model.rescue import CaseSource, RescueCase, request_id
from model.severity import Severity
from store import cases, masters, notify, readings, rescue_stations
from store.database import Connection, Pool, UnknownRowError, transaction

#: The car's own last fix says where it stands if it is no older than this (our own).
FIX_AT_MOST = timedelta(minutes=15)


class PlaceUnknownError(UnknownRowError):
    """Neither the caller nor the car says where it is."""

    def __init__(self) -> None:
        super().__init__("position of the vehicle: say where it is")


@dataclass(frozen=True, slots=True)
class HelpWanted:
    """What a caller says."""

    source: CaseSource
    vin: str
    place: tuple[float, float] | None = None
    severity: Severity = Severity.STOP
    note: str = ""
    needed: tuple[str, ...] = ()
    thermal: bool = False


def request(pool: Pool, wanted: HelpWanted, act: Act) -> RescueCase:
    """Open a case. Raises UnknownRowError for a vehicle or place nobody knows, KeyReusedError.

    Without an Idempotency-Key each call is a request of its own.
    """
    number = request_id(wanted.source, act.key or uuid.uuid4().hex)
    with transaction(pool) as conn:
        if seen(conn, NOUN, str(number), "ask", act):
            return cases.find(conn, number)
        masters.vehicle(conn, wanted.vin)
        place = wanted.place or _last_fix(conn, wanted.vin, act.now)
        case = request_by_person(
            number,
            wanted.source,
            wanted.vin,
            place,
            rescue_stations.around(conn, place),
            act.now,
            severity=wanted.severity,
            note=wanted.note,
            needed=wanted.needed,
            thermal=wanted.thermal,
        )
        cases.insert_requested(conn, [case])
        append(conn, NOUN, str(number), "ask", act, source=wanted.source)
        notify.case(conn, number)
        return cases.find(conn, number)


def locate(pool: Pool, case_id: uuid.UUID, place: tuple[float, float], act: Act) -> RescueCase:
    """Say where the vehicle really is; zone and owner follow. Raises as `case_steps.take`."""
    with transaction(pool) as conn:
        case = cases.lock(conn, case_id)
        if seen(conn, NOUN, str(case_id), Step.LOCATE, act):
            return case
        moved = located(case, place, rescue_stations.around(conn, place))
        fields = ("latitude_deg", "longitude_deg", "zone", "owner")
        changes = {field: getattr(moved, field) for field in fields}
        return apply(conn, case, Step.LOCATE, act, changes=changes)


def _last_fix(conn: Connection, vin: str, now: datetime) -> tuple[float, float]:
    """Where the car says it is, unless that was long ago. Raises PlaceUnknownError."""
    known = {v.name: v for v in readings.newest(conn, vin).values}
    latitude, longitude = known.get("latitude_deg"), known.get("longitude_deg")
    if latitude is None or longitude is None:
        raise PlaceUnknownError
    if min(latitude.observed_at, longitude.observed_at) < now - FIX_AT_MOST:
        raise PlaceUnknownError
    return latitude.value, longitude.value
