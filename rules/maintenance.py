"""What is due: by distance and by time, whichever comes first. Pure.

Source: domain rules "Maintenance" (windows, caps, forecast); intervals are in
rules/packs/maintenance.toml, each with its own source.

    remaining > soon window      OK
    remaining <= soon window     DUE_SOON
    remaining <= 0               DUE
    remaining <= -grace          OVERDUE, grace = 10 % of the interval, at most 1 000 km or 30 d

An item nobody ever recorded counts its distance from 0 km and its time from creation.
"""

from __future__ import annotations

import tomllib
from datetime import datetime, timedelta
from functools import cache
from importlib.resources import files

from pydantic import Field

from model.errors import TransitionError
from model.maintenance import DueAssessment, DueState, MaintenanceItem
from model.vehicle import Record, Vehicle

GRACE_SHARE = 0.10
GRACE_MAX_KM, GRACE_MAX_DAYS = 1_000.0, 30.0
SOON_SHARE = 0.10
SOON_MIN_KM, SOON_MIN_DAYS = 500.0, 14.0
_URGENCY = list(DueState)
#: A forecast is shown to people as a date; beyond this it is "not in sight".
FORECAST_MAX_DAYS = 3_650.0


class Interval(Record):
    """Distance and time of one service; either may be missing."""

    km: float | None = Field(default=None, gt=0)
    days: float | None = Field(default=None, gt=0)


class ProgrammeItem(Record):
    """One kind of service: the first one may differ from the rest."""

    kind: str
    repeat: Interval
    first: Interval | None = None
    soon_km: float | None = None
    soon_days: float | None = None
    zh: str
    en: str
    source: str


class Programme(Record):
    """All services of one powertrain."""

    name: str
    items: tuple[ProgrammeItem, ...]


@cache
def programmes() -> dict[str, Programme]:
    """Built-in programmes by powertrain. Raises pydantic's ValidationError for a wrong file."""
    text = files("rules.packs").joinpath("maintenance.toml").read_text("utf-8")
    tables = tomllib.loads(text)
    return {
        name: Programme(
            name=name,
            items=tuple(ProgrammeItem(kind=kind, **row) for kind, row in rows.items()),
        )
        for name, rows in tables.items()
    }


def items_for(
    vehicle: Vehicle,
    programme: Programme,
    created_at: datetime,
    odometer_km: float | None = None,
) -> list[MaintenanceItem]:
    """Items of a new vehicle. `odometer_km` = reading at which counting starts, if known."""
    return [
        _with_interval(
            MaintenanceItem(
                vin=vehicle.vin, kind=row.kind, base_odometer_km=odometer_km, base_at=created_at
            ),
            row,
            row.first or row.repeat,
        )
        for row in programme.items
    ]


def rebase(
    item: MaintenanceItem,
    done_at: datetime,
    odometer_km: float | None,
    programme: Programme | None = None,
) -> MaintenanceItem:
    """The item counted anew from a done record; with `programme`, by its repeat interval.

    Raises `TransitionError` when the item counts kilometres and the reading is missing or below 0.
    """
    if item.interval_km is not None and (odometer_km is None or odometer_km < 0):
        raise TransitionError(
            noun="maintenance item", state=item.state, step="done", why="odometer reading missing"
        )
    fresh = item.model_copy(
        update={"base_at": done_at, "base_odometer_km": odometer_km, "state": DueState.OK}
    )
    rows = [row for row in programme.items if row.kind == item.kind] if programme else []
    return _with_interval(fresh, rows[0], rows[0].repeat) if rows else fresh


def _with_interval(
    item: MaintenanceItem, row: ProgrammeItem, interval: Interval
) -> MaintenanceItem:
    soon_km = row.soon_km or max(SOON_MIN_KM, SOON_SHARE * (interval.km or 0))
    soon_days = row.soon_days or max(SOON_MIN_DAYS, SOON_SHARE * (interval.days or 0))
    return item.model_copy(
        update={
            "interval_km": interval.km,
            "interval_days": interval.days,
            "soon_km": soon_km,
            "soon_days": soon_days,
        }
    )


class _Counter(Record):
    """One counter of one item as it stands."""

    reason: str
    remaining: float
    left_share: float
    state: DueState
    due_at: datetime | None


def assess(
    item: MaintenanceItem, odometer_km: float | None, km_per_day: float | None, now: datetime
) -> DueAssessment:
    """State, what remains, and the forecast date; the more urgent counter decides."""
    by_km = _assess_km(item, odometer_km, km_per_day, now)
    by_days = _assess_days(item, now)
    counters = [c for c in (by_km, by_days) if c is not None]
    if not counters:
        return DueAssessment(
            state=DueState.OK, remaining_km=None, remaining_days=None, due_at=None, reason="none"
        )
    first = min(counters, key=lambda c: (-_URGENCY.index(c.state), c.left_share))
    return DueAssessment(
        state=first.state,
        remaining_km=by_km.remaining if by_km else None,
        remaining_days=by_days.remaining if by_days else None,
        due_at=min((c.due_at for c in counters if c.due_at), default=None),
        reason=first.reason,
    )


def _assess_km(
    item: MaintenanceItem, odometer_km: float | None, km_per_day: float | None, now: datetime
) -> _Counter | None:
    if item.interval_km is None or odometer_km is None:
        return None
    # A replaced or rolled-back odometer never counts as negative distance.
    driven = max(0.0, odometer_km - (item.base_odometer_km or 0.0))
    remaining = item.interval_km - driven
    return _Counter(
        reason="km",
        remaining=remaining,
        left_share=remaining / item.interval_km,
        state=_state(remaining, item.soon_km, min(GRACE_SHARE * item.interval_km, GRACE_MAX_KM)),
        due_at=_forecast(remaining, km_per_day, now),
    )


def _assess_days(item: MaintenanceItem, now: datetime) -> _Counter | None:
    if item.interval_days is None:
        return None
    due_at = item.base_at + timedelta(days=item.interval_days)
    remaining = (due_at - now) / timedelta(days=1)
    grace = min(GRACE_SHARE * item.interval_days, GRACE_MAX_DAYS)
    return _Counter(
        reason="days",
        remaining=remaining,
        left_share=remaining / item.interval_days,
        state=_state(remaining, item.soon_days, grace),
        due_at=due_at,
    )


def _state(remaining: float, soon: float, grace: float) -> DueState:
    if remaining <= -grace:
        return DueState.OVERDUE
    if remaining <= 0:
        return DueState.DUE
    return DueState.DUE_SOON if remaining <= soon else DueState.OK


def _forecast(remaining_km: float, km_per_day: float | None, now: datetime) -> datetime | None:
    """Date at which average use reaches the due reading; None when it is not in sight."""
    if not km_per_day or km_per_day <= 0:
        return now if remaining_km <= 0 else None
    days = remaining_km / km_per_day
    return now + timedelta(days=days) if abs(days) <= FORECAST_MAX_DAYS else None
