"""Following a vehicle's meter: jumps, roll-backs, replaced instruments. Pure.

Source: domain rules 6.7, D03 (+4 km in 30 s, or backwards: the meter is frozen); parameters:
rules/packs/usage.toml.

    follows the last reading          good        the total moves on
    too far ahead / behind            jump / rollback   the total is frozen, the reading is kept
    `confirm_count` readings over `confirm_s` that follow the doubtful one
                                      replaced    the offset takes the step: the total goes on
                                                  from where it stood

The total never goes back by itself; only a person's reading (`set_total`) may lower it.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from model.maintenance import Odometer
from rules.usage import OdometerTerms


class Verdict(StrEnum):
    """What became of a reading."""

    GOOD = "good"
    OLD = "old"  # not newer than the last one
    JUMP = "jump"
    ROLLBACK = "rollback"
    REPLACED = "replaced"
    SET = "set"


def follow(
    before: Odometer | None, raw_km: float, at: datetime, terms: OdometerTerms
) -> tuple[Odometer, Verdict]:
    """The meter after one reading."""
    if before is None:
        return Odometer(raw_km=raw_km, at=at), Verdict.GOOD
    newest = before.suspect_at or before.at
    if at <= before.at or (before.suspect_at is not None and at <= newest):
        return before, Verdict.OLD
    if _follows(before.raw_km, before.at, raw_km, at, terms):
        moved = max(before.raw_km, raw_km)
        return Odometer(raw_km=moved, at=at, offset_km=before.offset_km), Verdict.GOOD
    if before.suspect_km is None or before.suspect_at is None:
        return _doubt(before, raw_km, at, 1)
    if not _follows(before.suspect_km, before.suspect_at, raw_km, at, terms):
        return _doubt(before, raw_km, at, 1)
    count = before.suspect_count + 1
    waited_s = (at - before.at).total_seconds()
    if count < terms.confirm_count or waited_s < terms.confirm_s:
        return _doubt(before, raw_km, at, count)
    offset_km = before.total_km - raw_km
    return Odometer(raw_km=raw_km, at=at, offset_km=offset_km), Verdict.REPLACED


def set_total(before: Odometer | None, total_km: float, at: datetime) -> Odometer:
    """A person read the meter or knows better: from here on the total is this."""
    if before is None:
        return Odometer(raw_km=total_km, at=at)
    raw_km = before.suspect_km if before.suspect_km is not None else before.raw_km
    return Odometer(raw_km=raw_km, at=max(at, before.at), offset_km=total_km - raw_km)


def _follows(
    last_km: float, last_at: datetime, raw_km: float, at: datetime, terms: OdometerTerms
) -> bool:
    hours = (at - last_at).total_seconds() / 3600
    # 4 km are within reach in no time at all: readings are rounded, and clocks a little off.
    return -terms.back_km <= raw_km - last_km <= terms.jump_km + terms.max_kmh * hours


def _doubt(before: Odometer, raw_km: float, at: datetime, count: int) -> tuple[Odometer, Verdict]:
    doubtful = before.model_copy(
        update={"suspect_km": raw_km, "suspect_at": at, "suspect_count": count}
    )
    return doubtful, Verdict.JUMP if raw_km > before.raw_km else Verdict.ROLLBACK
