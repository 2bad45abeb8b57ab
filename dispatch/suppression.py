"""Which alerts of one vehicle hush, and which are a fault that has come back. Pure.

Everything is judged over rows, at the last moment of each alert: its end, or now while it stands.
So the answer does not depend on the order in which the rows came to be, and an alert that outlives
what hushed it is heard after all. Parameters: dispatch/suppression.toml. In order:

    mode      the vehicle is in a workshop, on a transporter, being flashed, or shows a demo
    silence   a person said so
    rule      a root cause stands, and the alert did not fire before it
    storm     too many alerts at once: one alert stands for them

People may be at risk in severity 4: no root cause and no storm ever hushes it, and of modes and
silences only those that say so.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from functools import cache
from typing import Annotated

from pydantic import Field

from model.alerts import alert_id
from model.clock import ns_of
from model.record import Record
from model.severity import Severity
from model.suppression import STORM, AlertFacts, Mode, Ruling, Silence, VehicleMode
from model.terms_files import read_terms
from model.vehicle import Vehicle

Seconds = Annotated[float, Field(gt=0)]

#: Alerts that ended so long before the moment asked about are not needed: the longest of the times
#: in suppression.toml that look back, with room.
CONTEXT = timedelta(hours=25)


class RootCauseTerms(Record):
    """How close in time a consequence is to its cause."""

    lead_s: Seconds
    grace_s: Seconds


class StormTerms(Record):
    """How many new alerts are too many."""

    more_than: Annotated[int, Field(ge=1)]
    within_s: Seconds


class Within(Record):
    """A time that still counts."""

    within_s: Seconds


class GroupTerms(Record):
    """How notices of alerts from this severity on are gathered and repeated."""

    severity: Severity
    wait_s: Seconds
    repeat_s: Seconds


class SnoozeTerms(Record):
    """What a person may put off."""

    severity_max: Severity
    longest_s: Seconds


class ExpiryTerms(Record):
    """When silence of the vehicle ends an alert."""

    after_s: Seconds


class SuppressionTerms(Record):
    """dispatch/suppression.toml."""

    root_cause: RootCauseTerms
    storm: StormTerms
    reopening: Within
    group: tuple[GroupTerms, ...]
    snooze: SnoozeTerms
    expiry: ExpiryTerms

    def group_for(self, severity: Severity) -> GroupTerms:
        """The line with the highest severity that is not above this one."""
        fitting = [line for line in self.group if line.severity <= severity]
        return max(fitting, key=lambda line: line.severity)


@cache
def suppression_terms() -> SuppressionTerms:
    """Raises ValidationError when the file is wrong."""
    return SuppressionTerms.model_validate(read_terms("suppression.toml"))


class Storm(Record):
    """The alert that stands for many."""

    alert_id: uuid.UUID
    severity: Severity
    started_at: datetime
    worst_at: datetime
    ended_at: datetime | None
    alerts: tuple[uuid.UUID, ...]


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What is known of the vehicle beside its alerts."""

    vehicle: Vehicle
    silences: Sequence[Silence] = ()
    modes: Sequence[VehicleMode] = ()


def judge(
    alerts: Iterable[AlertFacts],
    around: Surroundings,
    since: datetime,
    now: datetime,
    terms: SuppressionTerms | None = None,
) -> tuple[dict[uuid.UUID, Ruling], list[Storm]]:
    """What holds for the alerts that stood at `since` or later, and the storms they make.

    `alerts` are all of the vehicle that stood `CONTEXT` before `since` or later, because what an
    alert is depends on those before it. Whatever fired before `since` keeps its place in a storm
    and its count.
    """
    terms = terms or suppression_terms()
    rows = sorted(alerts, key=lambda a: (a.fired_at, a.alert_id))
    hushed = {}
    for alert in rows:
        at = alert.ended_at or max(now, alert.fired_at)
        hushed[alert.alert_id] = (
            _by_mode(alert, around, at)
            or _by_silence(alert, around, at)
            or _by_cause(alert, rows, at, terms.root_cause)
        )
    loud = [a for a in rows if not hushed[a.alert_id] and a.severity < Severity.EMERGENCY]
    storms = _storms(loud, around.vehicle.vin, terms.storm)
    folded = {alert: f"storm:{storm.alert_id}" for storm in storms for alert in storm.alerts}
    chain = _reopened(rows, since, timedelta(seconds=terms.reopening.within_s))
    rulings = {}
    for alert in rows:
        if alert.ended_at is not None and alert.ended_at < since:
            continue
        earlier = alert.suppressed_by if alert.fired_at < since else None
        storm = earlier if (earlier or "").startswith("storm:") else folded.get(alert.alert_id)
        by, until = hushed[alert.alert_id] or (storm, None)
        occurrence, first = chain[alert.alert_id]
        rulings[alert.alert_id] = Ruling(
            suppressed_by=by, until=until, occurrence=occurrence, first_alert_id=first
        )
    fired = {alert.alert_id: alert.fired_at for alert in rows}
    return rulings, [s for s in storms if any(fired[a] >= since for a in s.alerts)]


Hushed = tuple[str, datetime | None] | None


def _by_mode(alert: AlertFacts, around: Surroundings, at: datetime) -> Hushed:
    standing = [
        row
        for row in around.modes
        if row.starts_at <= at < row.ends_at
        and (alert.severity < Severity.EMERGENCY or row.mode is Mode.DEMO)
    ]
    last = max(standing, key=lambda row: row.ends_at, default=None)
    return None if last is None else (f"mode:{last.mode}", last.ends_at)


def _by_silence(alert: AlertFacts, around: Surroundings, at: datetime) -> Hushed:
    standing = [
        row
        for row in around.silences
        if row.starts_at <= at < row.ends_at
        and (alert.severity < Severity.EMERGENCY or row.emergencies)
        and row.matchers.match(alert.rule_id, alert.severity, around.vehicle)
    ]
    last = max(standing, key=lambda row: (row.ends_at, row.silence_id), default=None)
    return None if last is None else (f"silence:{last.silence_id}", last.ends_at)


def _by_cause(
    alert: AlertFacts, rows: Sequence[AlertFacts], at: datetime, terms: RootCauseTerms
) -> Hushed:
    """The cause that holds longest; of two that name each other the one that began first."""
    if alert.severity >= Severity.EMERGENCY or not alert.inhibit_by:
        return None
    lead, grace = timedelta(seconds=terms.lead_s), timedelta(seconds=terms.grace_s)
    causes = [
        row
        for row in rows
        if _names(alert, row)
        and row.started_at <= alert.fired_at + lead
        and (row.ended_at is None or at < row.ended_at + grace)
        and not (_names(row, alert) and _began(alert) < _began(row))
    ]
    if not causes:
        return None
    standing = [row for row in causes if row.ended_at is None]
    if standing:
        return f"rule:{min(standing, key=_began).rule_id}", None
    ended = {row.ended_at + grace: row for row in sorted(causes, key=_began) if row.ended_at}
    until = max(ended)
    return f"rule:{ended[until].rule_id}", until


def _names(alert: AlertFacts, cause: AlertFacts) -> bool:
    """Whether the alert's rule names the other one as a root cause."""
    return cause.alert_id != alert.alert_id and any(
        fnmatchcase(cause.rule_id, row.rule)
        and ("instance" not in row.equal or cause.instance == alert.instance)
        for row in alert.inhibit_by
    )


def _began(alert: AlertFacts) -> tuple[datetime, uuid.UUID]:
    return alert.started_at, alert.alert_id


def _storms(loud: Sequence[AlertFacts], vin: str, terms: StormTerms) -> list[Storm]:
    """Alerts fired while there are too many; the ones before stay as they are."""
    within = timedelta(seconds=terms.within_s)
    found: list[list[AlertFacts]] = []
    first, last = 0, None
    for place, alert in enumerate(loud):
        while loud[first].fired_at <= alert.fired_at - within:
            first += 1
        many = place - first + 1 > terms.more_than
        lasts = last is not None and alert.fired_at <= last + within
        if many and not lasts:
            found.append([])
        if many or lasts:
            found[-1].append(alert)
        if many:
            last = alert.fired_at
    return [_storm(members, vin) for members in found]


def _storm(members: Sequence[AlertFacts], vin: str) -> Storm:
    started_at = members[0].fired_at
    ends = [m.ended_at for m in members if m.ended_at is not None]
    worst = max(members, key=lambda m: (m.severity, -ns_of(m.fired_at)))
    return Storm(
        alert_id=alert_id(STORM, vin, "", ns_of(started_at)),
        severity=worst.severity,
        started_at=started_at,
        worst_at=worst.fired_at,
        ended_at=max(ends) if len(ends) == len(members) else None,
        alerts=tuple(m.alert_id for m in members),
    )


def _reopened(
    rows: Sequence[AlertFacts], since: datetime, within: timedelta
) -> Mapping[uuid.UUID, tuple[int, uuid.UUID | None]]:
    """How often each fault was there, and the alert it began with; `rows` in order of firing."""
    found: dict[uuid.UUID, tuple[int, uuid.UUID | None]] = {}
    before: dict[tuple[str, str], AlertFacts] = {}
    for alert in rows:
        key = (alert.rule_id, alert.instance)
        earlier = before.get(key)
        if alert.fired_at < since:  # the chain may begin before what was read
            found[alert.alert_id] = (alert.occurrence, alert.first_alert_id)
        elif earlier and (not earlier.ended_at or alert.fired_at - earlier.ended_at <= within):
            count, first = found[earlier.alert_id]
            found[alert.alert_id] = (count + 1, first or earlier.alert_id)
        else:
            found[alert.alert_id] = (1, None)
        before[key] = alert
    return found
