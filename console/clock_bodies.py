"""A running promise as readers of the API see it."""

from __future__ import annotations

from datetime import datetime

from console.bodies import ClockBody
from model.promises import ClockRow


def clock_body(row: ClockRow, now: datetime) -> ClockBody:
    """The row as it stands now."""
    return ClockBody(
        kind=row.kind,
        started_at=row.started_at,
        due_at=row.due_at,
        stopped_at=row.stopped_at,
        warned_percent=row.warned_percent,
        used_percent=_used_percent(row, now),
        paused=row.is_paused,
        met=row.met,
    )


def _used_percent(row: ClockRow, now: datetime) -> float:
    """Share of the promised time; a promise of no time is used up at once."""
    target_s = row.promise.target_s
    return round(100 * row.used_at(now) / target_s, 1) if target_s else 100.0
