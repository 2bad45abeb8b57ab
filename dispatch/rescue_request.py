"""How a case begins: an alert, a driver or the call centre asks for help. Pure."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime

from dispatch.geodesy import great_circle_km
from dispatch.terms import Terms, load_terms
from model.alerts import AlertState, AlertTransition
from model.clock import NS, utc
from model.rescue import CALL_CENTRE, CaseSource, CaseState, RescueCase, case_id
from model.severity import Severity
from model.vehicle import Station, Zone


def request_for(
    transition: AlertTransition,
    position: tuple[float, float] | None,
    stations: Sequence[Station],
    now_ns: int,
    max_age_s: float | None = None,
    *,
    terms: Terms | None = None,
) -> RescueCase | None:
    """The case a firing alert opens, or None: too mild, too old, found in history, no position.

    `position` is (latitude, longitude) in degrees; `max_age_s` replaces the profile's. Severity 4
    confirms itself, at once or after `auto_confirm_s` of the profile.
    """
    terms = terms or load_terms()
    max_age_ns = round((terms.max_age_s if max_age_s is None else max_age_s) * NS)
    dispatches = (
        transition.state is AlertState.FIRING
        and transition.severity >= Severity.STOP
        and not transition.history
        and now_ns - transition.at_ns <= max_age_ns
    )
    if not dispatches or position is None:
        return None
    emergency = transition.severity >= Severity.EMERGENCY and terms.auto_confirm_s == 0
    now, station = utc(now_ns), station_at(position, stations)
    return RescueCase(
        case_id=case_id(transition.alert_id),
        alert_id=transition.alert_id,
        vin=transition.vin,
        severity=transition.severity,
        state=CaseState.CONFIRMED if emergency else CaseState.REQUESTED,
        latitude_deg=position[0],
        longitude_deg=position[1],
        zone=_zone(station, terms),
        requested_at=now,
        thermal=terms.thermal.is_told_by(transition.rule_id),
        owner=station.station_id if station else CALL_CENTRE,
        confirmed_at=now if emergency else None,
    )


def request_by_person(
    number: uuid.UUID,
    source: CaseSource,
    vin: str,
    position: tuple[float, float],
    stations: Sequence[Station],
    now: datetime,
    *,
    severity: Severity = Severity.STOP,
    note: str = "",
    needed: tuple[str, ...] = (),
    thermal: bool = False,
    terms: Terms | None = None,
) -> RescueCase:
    """The case a driver or the call centre opens. A burning battery is an emergency.

    The call centre has spoken with the driver: its request needs no further confirmation.
    """
    terms = terms or load_terms()
    severity = Severity.EMERGENCY if thermal else severity
    spoken = source is CaseSource.CALL_CENTRE or thermal
    station = station_at(position, stations)
    return RescueCase(
        case_id=number,
        alert_id=None,
        vin=vin,
        severity=severity,
        state=CaseState.CONFIRMED if spoken else CaseState.REQUESTED,
        latitude_deg=position[0],
        longitude_deg=position[1],
        zone=_zone(station, terms),
        requested_at=now,
        source=source,
        note=note,
        needed=tuple(sorted(set(needed))),
        thermal=thermal,
        owner=station.station_id if station else CALL_CENTRE,
        confirmed_at=now if spoken else None,
    )


def located(
    case: RescueCase,
    position: tuple[float, float],
    stations: Sequence[Station],
    terms: Terms | None = None,
) -> RescueCase:
    """The case at another place: zone and owner follow."""
    terms, station = terms or load_terms(), station_at(position, stations)
    return case.model_copy(
        update={
            "latitude_deg": position[0],
            "longitude_deg": position[1],
            "zone": _zone(station, terms),
            "owner": station.station_id if station else CALL_CENTRE,
        }
    )


def station_at(position: tuple[float, float], stations: Sequence[Station]) -> Station | None:
    """The station of a place: the nearest whose area holds it, else the nearest of all."""
    working = [s for s in stations if s.active]
    covering = [s for s in working if s.coverage is not None and s.coverage.contains(*position)]
    return min(
        covering or working,
        key=lambda s: (great_circle_km(position, (s.latitude_deg, s.longitude_deg)), s.station_id),
        default=None,
    )


def zone_at(position: tuple[float, float], stations: Sequence[Station], terms: Terms) -> Zone:
    """The promise class of a place: that of its station."""
    return _zone(station_at(position, stations), terms)


def _zone(station: Station | None, terms: Terms) -> Zone:
    return terms.zone_without_station if station is None else station.zone
