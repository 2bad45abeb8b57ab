"""Quiet hours: a span of local time in which nobody is disturbed. Pure."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from model.vehicle import Record


class Quiet(Record):
    """From a local time to another one, usually across midnight; equal times mean never."""

    quiet_from: time
    quiet_to: time
    time_zone: str

    def until(self, now: datetime) -> datetime | None:
        """The aware end of the quiet span `now` lies in, or None."""
        if self.quiet_from == self.quiet_to:
            return None
        local = now.astimezone(ZoneInfo(self.time_zone))
        start, end, moment = self.quiet_from, self.quiet_to, local.time()
        over_midnight = start > end
        inside = moment >= start or moment < end if over_midnight else start <= moment < end
        if not inside:
            return None
        day = local.date()
        if over_midnight and moment >= start:
            day += timedelta(days=1)
        return datetime.combine(day, end, local.tzinfo).astimezone(now.tzinfo)
