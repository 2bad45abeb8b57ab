"""How a vehicle is used: trips from minutes, severe use from trips. Pure.

Source: domain rules M17 (conditions: Geely MK workshop manual); parameters: rules/packs/usage.toml.

A trip is a run of minutes in which the engine ran or the car moved; a pause longer than `gap_s`
ends it. Distance is the odometer's where there is one, else mean speed times time. Towing, dust and
the trade of a car are in no signal: a person declares them.
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import cache
from importlib.resources import files

from model.maintenance import Trip
from model.vehicle import Record

MINUTE_S = 60.0


class TripTerms(Record):
    """What a trip is."""

    gap_s: float
    running_rpm: float
    standing_kmh: float
    fast_kmh: float


class SevereTerms(Record):
    """When use counts as severe, and what follows."""

    window_days: float
    min_trips: int
    short_km: float
    short_share: float
    cold_c: float
    cold_share: float
    idle_share: float
    fast_h: float
    factor: float
    declared: tuple[str, ...]


class OdometerTerms(Record):
    """How a meter may move."""

    jump_km: float
    max_kmh: float
    back_km: float
    confirm_count: int
    confirm_s: float


class AverageTerms(Record):
    """Over which days the average use is taken."""

    window_days: float
    min_days: float


class OwnTerms(Record):
    """How long the car's own figures count."""

    fresh_days: float


class UsageTerms(Record):
    """All parameters of rules/packs/usage.toml."""

    trip: TripTerms
    severe: SevereTerms
    odometer: OdometerTerms
    average: AverageTerms
    own: OwnTerms


@cache
def usage_terms() -> UsageTerms:
    """The parameters. Raises ValidationError when the file is wrong."""
    text = files("rules.packs").joinpath("usage.toml").read_text("utf-8")
    return UsageTerms.model_validate(tomllib.loads(text))


class Minute(Record):
    """One minute of one vehicle's signals; what was not heard is None."""

    at: datetime
    speed_mean_kmh: float | None = None
    speed_max_kmh: float | None = None
    engine_rpm: float | None = None
    odometer_first_km: float | None = None
    odometer_last_km: float | None = None
    ambient_c: float | None = None


class Use(Record):
    """How hard a vehicle is used. `factor` multiplies intervals; a figure not known is None."""

    factor: float = 1.0
    reasons: tuple[str, ...] = ()
    trips: int = 0
    short_share: float | None = None
    cold_share: float | None = None
    idle_share: float | None = None
    longest_fast_h: float | None = None


def trips_of(minutes: Sequence[Minute], terms: TripTerms) -> list[Trip]:
    """The trips in a series of minutes in order of time; the last one may still go on."""
    found: list[list[Minute]] = []
    for minute in minutes:
        if not _active(minute, terms):
            continue
        pause = (minute.at - found[-1][-1].at).total_seconds() - MINUTE_S if found else None
        if pause is None or pause > terms.gap_s:
            found.append([])
        found[-1].append(minute)
    return [_trip(run, terms) for run in found]


def severe_use(
    trips: Sequence[Trip], declared: Sequence[str], terms: SevereTerms, now: datetime
) -> Use:
    """Factor and reasons from the trips of the window and from what people declared."""
    recent = [t for t in trips if t.started_at >= now - timedelta(days=terms.window_days)]
    reasons = [f"declared:{word}" for word in declared if word in terms.declared]
    if len(recent) < terms.min_trips:
        return Use(
            factor=terms.factor if reasons else 1.0, reasons=tuple(reasons), trips=len(recent)
        )
    short = _share([t.distance_km < terms.short_km for t in recent])
    known = [t.ambient_c < terms.cold_c for t in recent if t.ambient_c is not None]
    cold = _share(known) if known else None
    lasted_s = sum((t.ended_at - t.started_at).total_seconds() for t in recent)
    idle = sum(t.idle_s for t in recent) / lasted_s
    fast_h = max(t.fast_s for t in recent) / 3600
    checks = {
        "short_trips": short > terms.short_share,
        "cold": cold is not None and cold > terms.cold_share,
        "idling": idle > terms.idle_share,
        "fast": fast_h > terms.fast_h,
    }
    reasons = [name for name, found in checks.items() if found] + reasons
    return Use(
        factor=terms.factor if reasons else 1.0,
        reasons=tuple(reasons),
        trips=len(recent),
        short_share=short,
        cold_share=cold,
        idle_share=idle,
        longest_fast_h=fast_h,
    )


def _share(answers: Sequence[bool]) -> float:
    return sum(answers) / len(answers)


def _active(minute: Minute, terms: TripTerms) -> bool:
    moving = (minute.speed_max_kmh or 0.0) > terms.standing_kmh
    return moving or (minute.engine_rpm or 0.0) > terms.running_rpm


def _trip(run: Sequence[Minute], terms: TripTerms) -> Trip:
    idle = [m for m in run if (m.speed_max_kmh or 0.0) <= terms.standing_kmh]
    fast = [m for m in run if (m.speed_mean_kmh or 0.0) > terms.fast_kmh]
    ambient = [m.ambient_c for m in run if m.ambient_c is not None]
    return Trip(
        started_at=run[0].at,
        ended_at=run[-1].at + timedelta(seconds=MINUTE_S),
        distance_km=_distance_km(run),
        idle_s=len(idle) * MINUTE_S,
        fast_s=len(fast) * MINUTE_S,
        ambient_c=sum(ambient) / len(ambient) if ambient else None,
    )


def _distance_km(run: Sequence[Minute]) -> float:
    first = next((m.odometer_first_km for m in run if m.odometer_first_km is not None), None)
    last = next((m.odometer_last_km for m in reversed(run) if m.odometer_last_km is not None), None)
    by_speed = sum((m.speed_mean_kmh or 0.0) for m in run) * MINUTE_S / 3600
    if first is None or last is None or last < first:
        return by_speed
    return last - first
