"""What is due: by distance, time, hours, condition or the car's own word, whichever first. Pure.

Source: domain rules "Maintenance" 2.3, 5.4, 6.7; intervals: rules/packs/maintenance.toml.

    remaining > soon window      OK
    remaining <= soon window     DUE_SOON
    remaining <= 0               DUE
    remaining <= -grace          OVERDUE, grace = 10 % of the interval, at most 1 000 km or 30 d

The car's own figure (distance or time to service) takes the place of our counter of the same kind:
it knows how it was driven. A condition (oil life, pad wear) comes beside the counters, which stay
as the hard cap. Severe use shortens the interval by `use_factor`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from pydantic import Field

from model.errors import TransitionError
from model.maintenance import DueAssessment, DueState, MaintenanceItem
from model.vehicle import Record, Vehicle
from rules.programmes import AlertCount, Condition, Interval, Programme, ProgrammeItem

GRACE_SHARE = 0.10
GRACE_MAX_KM, GRACE_MAX_DAYS, GRACE_MAX_H = 1_000.0, 30.0, 50.0
SOON_SHARE = 0.10
SOON_MIN_KM, SOON_MIN_DAYS, SOON_MIN_H = 500.0, 14.0, 20.0
_URGENCY = list(DueState)
#: A forecast is shown to people as a date; beyond this it is "not in sight".
FORECAST_MAX_DAYS = 3_650.0
#: What a counter without an interval of its own is a share of, to compare it with the others.
SHARE_OF_KM, SHARE_OF_DAYS = 10_000.0, 365.0


class Readings(Record):
    """What is known of a vehicle now. `figures` are fresh signals by catalogue name."""

    odometer_km: float | None = None
    km_per_day: float | None = None
    engine_h: float | None = None
    h_per_day: float | None = None
    figures: Mapping[str, float] = Field(default_factory=dict)
    #: How often each rule has fired inside the window of an `AlertCount`.
    alerts: Mapping[str, int] = Field(default_factory=dict)
    use_factor: float = Field(default=1.0, gt=0)


def items_for(
    vehicle: Vehicle,
    programme: Programme,
    created_at: datetime,
    odometer_km: float | None = None,
) -> list[MaintenanceItem]:
    """Items of a new vehicle. `odometer_km` = reading at which counting starts, if known.

    A service that counts from the warranty is left out where its start is not known.
    """
    found = []
    for row in programme.items:
        base_at, base_km = created_at, odometer_km
        if row.base == "warranty":
            if vehicle.warranty_start is None:
                continue
            start = vehicle.warranty_start
            base_at = created_at.replace(
                year=start.year, month=start.month, day=start.day,
                hour=0, minute=0, second=0, microsecond=0,
            )  # fmt: skip
            base_km = 0.0
        item = MaintenanceItem(
            vin=vehicle.vin, kind=row.kind, base_odometer_km=base_km, base_at=base_at
        )
        found.append(with_interval(item, row, row.first or row.repeat))
    return found


def rebase(
    item: MaintenanceItem,
    done_at: datetime,
    odometer_km: float | None,
    programme: Programme | None = None,
    engine_h: float | None = None,
) -> MaintenanceItem:
    """The item counted anew from a done record; with `programme`, by its repeat interval.

    Raises `TransitionError` when the item counts kilometres and the reading is missing or below 0.
    """
    if item.interval_km is not None and (odometer_km is None or odometer_km < 0):
        raise TransitionError(
            noun="maintenance item", state=item.state, step="done", why="odometer reading missing"
        )
    fresh = item.model_copy(
        update={
            "base_at": done_at,
            "base_odometer_km": odometer_km,
            "base_engine_h": engine_h,
            "state": DueState.OK,
        }
    )
    row = programme.row(item.kind) if programme else None
    return with_interval(fresh, row, row.repeat) if row else fresh


def with_interval(item: MaintenanceItem, row: ProgrammeItem, interval: Interval) -> MaintenanceItem:
    """The item with an interval of its programme and the notice that belongs to it."""
    soon_km = row.soon_km or max(SOON_MIN_KM, SOON_SHARE * (interval.km or 0))
    soon_days = row.soon_days or max(SOON_MIN_DAYS, SOON_SHARE * (interval.days or 0))
    soon_h = row.soon_h or max(SOON_MIN_H, SOON_SHARE * (interval.hours or 0))
    return item.model_copy(
        update={
            "interval_km": interval.km,
            "interval_days": interval.days,
            "interval_h": interval.hours,
            "soon_km": soon_km,
            "soon_days": soon_days,
            "soon_h": soon_h,
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
    item: MaintenanceItem, readings: Readings, now: datetime, row: ProgrammeItem | None = None
) -> DueAssessment:
    """State, what remains, and the forecast date; the most urgent counter decides.

    `row` is the item's row of its programme, if it has one: own figures, conditions and limits.
    """
    by_km = _own_km(item, readings, now, row) or _by_km(item, readings, now, row)
    by_days = _own_days(readings, now, row) or _by_days(item, readings, now, row)
    by_hours = _by_hours(item, readings, now, row)
    more = (_by_flag(readings, now, row), _by_condition(item, readings, now, row))
    found = (by_km, by_days, by_hours, *more, _by_alerts(readings, now, row))
    counters = [c for c in found if c is not None]
    if not counters:
        return DueAssessment(
            state=DueState.OK, remaining_km=None, remaining_days=None, due_at=None, reason="none"
        )
    first = min(counters, key=lambda c: (-_URGENCY.index(c.state), c.left_share))
    return DueAssessment(
        state=first.state,
        remaining_km=by_km.remaining if by_km else None,
        remaining_days=by_days.remaining if by_days else None,
        remaining_h=by_hours.remaining if by_hours else None,
        due_at=min((c.due_at for c in counters if c.due_at), default=None),
        reason=first.reason,
    )


def _by_km(
    item: MaintenanceItem, readings: Readings, now: datetime, row: ProgrammeItem | None
) -> _Counter | None:
    if item.interval_km is None or readings.odometer_km is None:
        return None
    interval = item.interval_km * _factor(readings, row)
    # A replaced or rolled-back odometer never counts as negative distance.
    driven = max(0.0, readings.odometer_km - (item.base_odometer_km or 0.0))
    grace = row.grace_km if row and row.grace_km else min(GRACE_SHARE * interval, GRACE_MAX_KM)
    return _counter(
        "km",
        interval - driven,
        interval,
        _soon(item.soon_km, interval, item.interval_km),
        grace,
        _forecast(interval - driven, readings.km_per_day, now),
    )


def _by_days(
    item: MaintenanceItem, readings: Readings, now: datetime, row: ProgrammeItem | None
) -> _Counter | None:
    if item.interval_days is None:
        return None
    interval = item.interval_days * _factor(readings, row)
    due_at = item.base_at + timedelta(days=interval)
    grace = (
        row.grace_days if row and row.grace_days else min(GRACE_SHARE * interval, GRACE_MAX_DAYS)
    )
    soon = _soon(item.soon_days, interval, item.interval_days)
    return _counter("days", (due_at - now) / timedelta(days=1), interval, soon, grace, due_at)


def _by_hours(
    item: MaintenanceItem, readings: Readings, now: datetime, row: ProgrammeItem | None
) -> _Counter | None:
    if item.interval_h is None or readings.engine_h is None or item.base_engine_h is None:
        return None
    interval = item.interval_h * _factor(readings, row)
    left = interval - max(0.0, readings.engine_h - item.base_engine_h)
    soon = _soon(item.soon_h, interval, item.interval_h)
    grace = min(GRACE_SHARE * interval, GRACE_MAX_H)
    due_at = _forecast(left, readings.h_per_day, now)
    return _counter("hours", left, interval, soon, grace, due_at)


def _own_km(
    item: MaintenanceItem, readings: Readings, now: datetime, row: ProgrammeItem | None
) -> _Counter | None:
    own = row.own if row else None
    left = readings.figures.get(own.km) if own and own.km else None
    if own is None or left is None:
        return None
    interval = item.interval_km or SHARE_OF_KM
    grace = min(GRACE_SHARE * interval, GRACE_MAX_KM)
    due_at = _forecast(left, readings.km_per_day, now)
    return _counter("own", left, interval, own.soon_km, grace, due_at)


def _own_days(readings: Readings, now: datetime, row: ProgrammeItem | None) -> _Counter | None:
    own = row.own if row else None
    left = readings.figures.get(own.days) if own and own.days else None
    if own is None or left is None:
        return None
    due_at = now + timedelta(days=left)
    grace = GRACE_SHARE * SHARE_OF_DAYS
    return _counter("own", left, SHARE_OF_DAYS, own.soon_days, min(grace, GRACE_MAX_DAYS), due_at)


def _by_flag(readings: Readings, now: datetime, row: ProgrammeItem | None) -> _Counter | None:
    """The car says "service due": due, and no more than that."""
    own = row.own if row else None
    if own is None or own.flag is None or not readings.figures.get(own.flag):
        return None
    return _Counter(reason="own", remaining=0, left_share=0, state=DueState.DUE, due_at=now)


def _by_condition(
    item: MaintenanceItem, readings: Readings, now: datetime, row: ProgrammeItem | None
) -> _Counter | None:
    """Wear since the last service, carried on as it went so far."""
    rule: Condition | None = row.condition if row else None
    values = [readings.figures[s] for s in rule.signals if s in readings.figures] if rule else []
    if rule is None or not values:
        return None
    left = min((v - rule.due) / (rule.fresh - rule.due) for v in values)  # 1 = fresh, 0 = due
    used, age_days = 1 - left, (now - item.base_at) / timedelta(days=1)
    per_day = used / age_days if used > 0 and age_days > 0 else None
    due_at = _forecast(left, per_day, now)
    near = due_at is not None and due_at <= now + timedelta(days=rule.soon_days)
    state = _state(left, rule.soon_share, GRACE_SHARE)
    if state is DueState.OK and near:
        state = DueState.DUE_SOON
    return _Counter(reason="condition", remaining=left, left_share=left, state=state, due_at=due_at)


def _by_alerts(readings: Readings, now: datetime, row: ProgrammeItem | None) -> _Counter | None:
    rule: AlertCount | None = row.alerts if row else None
    if rule is None:
        return None
    left = rule.times - max((readings.alerts.get(r, 0) for r in rule.rules), default=0)
    due = left <= 0
    return _Counter(
        reason="alerts",
        remaining=left,
        left_share=left / rule.times,
        state=DueState.DUE if due else DueState.OK,
        due_at=now if due else None,
    )


def _factor(readings: Readings, row: ProgrammeItem | None) -> float:
    return readings.use_factor if row is not None and row.severe else 1.0


def _soon(soon: float, interval: float, full: float) -> float:
    """The notice of a shortened interval: never more of it than of the full one."""
    return soon * min(1.0, interval / full)


def _counter(
    reason: str,
    remaining: float,
    interval: float,
    soon: float,
    grace: float,
    due_at: datetime | None,
) -> _Counter:
    return _Counter(
        reason=reason,
        remaining=remaining,
        left_share=remaining / interval,
        state=_state(remaining, soon, grace),
        due_at=due_at,
    )


def _state(remaining: float, soon: float, grace: float) -> DueState:
    if remaining <= -grace:
        return DueState.OVERDUE
    if remaining <= 0:
        return DueState.DUE
    return DueState.DUE_SOON if remaining <= soon else DueState.OK


def _forecast(remaining: float, per_day: float | None, now: datetime) -> datetime | None:
    """Date at which average use reaches the limit; None when it is not in sight."""
    if not per_day or per_day <= 0:
        return now if remaining <= 0 else None
    days = remaining / per_day
    return now + timedelta(days=days) if abs(days) <= FORECAST_MAX_DAYS else None
