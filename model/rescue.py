"""A rescue case and the steps people take in it (domain.md 6.5)."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from model.alerts import NAMESPACE
from model.coverage import MultiPolygon, Polygon
from model.record import Record
from model.severity import Severity
from model.vehicle import Zone

#: Who has a case that no station has.
CALL_CENTRE = "call_centre"


class CaseState(StrEnum):
    """States of a rescue case."""

    REQUESTED = "requested"
    GEOCODED = "geocoded"
    CONFIRMED = "confirmed"
    OFFERED = "offered"
    BROADCAST = "broadcast"
    ACCEPTED = "accepted"
    EN_ROUTE = "en_route"
    ON_SCENE = "on_scene"
    FIXED_ON_SITE = "fixed_on_site"
    TOWING = "towing"
    AT_STATION = "at_station"
    CLEARED = "cleared"
    NO_UNIT = "no_unit"
    CANCELLED = "cancelled"
    KILLED = "killed"
    GONE_ON_ARRIVAL = "gone_on_arrival"


class CaseSource(StrEnum):
    """Who asked for help."""

    ALERT = "alert"
    DRIVER = "driver"
    CALL_CENTRE = "call_centre"


def case_id(alert: uuid.UUID) -> uuid.UUID:
    """One case an alert, however often the alert is written."""
    return uuid.uuid5(NAMESPACE, f"case|{alert}")


def request_id(source: CaseSource, key: str) -> uuid.UUID:
    """One case a request of a person, however often it is sent."""
    return uuid.uuid5(NAMESPACE, f"case|{source}|{key}")


class RescueCase(Record):
    """One rescue from request to cleared."""

    case_id: uuid.UUID
    #: None: a person asked, not an alert.
    alert_id: uuid.UUID | None
    vin: str
    severity: Severity
    state: CaseState
    latitude_deg: float
    longitude_deg: float
    zone: Zone
    requested_at: datetime
    source: CaseSource = CaseSource.ALERT
    #: What a person said is wrong.
    note: str = ""
    #: What a crew must be able to do beyond the profile.
    needed: tuple[str, ...] = ()
    #: The traction battery burns or is about to.
    thermal: bool = False
    #: Never empty: the station or the call centre that must act.
    owner: str = CALL_CENTRE
    unit_id: str | None = None
    offered_at: datetime | None = None
    declined_by: tuple[str, ...] = ()
    #: Every crew that may answer a broadcast.
    asked: tuple[str, ...] = ()
    #: The newest confirmation; the search for a crew counts from here.
    confirmed_at: datetime | None = None
    #: When the accepting crew said it would be there, and when it will be by its position.
    promised_at: datetime | None = None
    eta_at: datetime | None = None
    #: The crew's button, how far it was then, and the proof by position.
    arrived_at: datetime | None = None
    arrived_m: float | None = None
    proven_at: datetime | None = None
    #: A second crew asked beside the first, because that one will be late.
    second_unit_id: str | None = None
    second_at: datetime | None = None
    second_joined: bool = False
    seconds_asked: int = 0
    closed_at: datetime | None = None
    #: Counts every change; a writer that saw an older version is refused.
    version: int = 0


@dataclass(frozen=True, slots=True)
class Candidate:
    """A free unit on duty, with all that decides whether it may be sent."""

    unit_id: str
    station_id: str
    name: str
    capabilities: frozenset[str]
    latitude_deg: float
    longitude_deg: float
    #: Of those asked for, what somebody in its crew proves today; one not named proves none.
    certificates: frozenset[str] = frozenset()
    coverage: Polygon | MultiPolygon | None = None
    #: Units of its station that are on the road.
    load: int = 0
    stars: int = 0
    position_at: datetime | None = None
