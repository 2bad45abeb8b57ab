"""The dispatcher's turn over scheduled rules: asks the database every hour, once a finding.

A turn writes at most TAKE alerts a rule, each rule in a transaction of its own. Alert and incident
ids follow from rule, vehicle or model, and period, so a second dispatcher changes nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

from console.acts import Act
from console.work_openings import cohort_incident
from dispatch.rescue import SYSTEM
from model.alerts import AlertState, AlertTransition, alert_id
from model.clock import Clock, ns_of, utc
from roadcall import episodes, suppress
from rules.cohorts import CohortRule, load_cohorts
from store import alerts, cohorts, masters, notify
from store import suppression as rows
from store.cohorts import Finding
from store.database import Connection, Pool, transaction

EVERY = timedelta(hours=1)
#: Alerts of one rule that one turn begins, and ends.
TAKE = 200


class CohortTurn:
    """Says how many alerts and incidents it wrote; 0 until the next hour."""

    def __init__(self, pool: Pool, clock: Clock, paths: Sequence[Path] = ()) -> None:
        self._pool, self._clock, self._rules = pool, clock, load_cohorts(*paths)
        self._asked_at: dict[str, datetime] = {}

    def __call__(self) -> int:
        return sum(self._ask(rule) for rule in self._rules)

    def _ask(self, rule: CohortRule) -> int:
        now = utc(self._clock.now_ns())
        asked_at = self._asked_at.get(rule.id)
        if asked_at is not None and now - asked_at < EVERY:
            return 0
        with transaction(self._pool) as conn:
            if rule.scope == "model":
                wrote = open_incidents(conn, rule, now)
            else:
                wrote = follow_vehicles(conn, rule, now)
        if wrote < TAKE:
            self._asked_at[rule.id] = now
        return wrote


def open_incidents(conn: Connection, rule: CohortRule, now: datetime) -> int:
    """One incident a model and year."""
    found = cohorts.shares(conn, rule.id, rule.rules, {**rule.params, "now": now})
    wrote = 0
    for one in found:
        why = f"{rule.en}: {one.brand} {one.model}, {one.hits} of {one.vehicles}"
        subject = f"{rule.id}|{one.brand}|{one.model}|{now.year}"
        act = Act(SYSTEM, now, why)
        wrote += cohort_incident(conn, one.vin, rule.id, rule.severity, subject, act)
    return wrote


def follow_vehicles(conn: Connection, rule: CohortRule, now: datetime) -> int:
    """Raise what is found and has no alert; end the alerts of what is found no more."""
    values = {**rule.params, "severity": int(rule.severity), "now": now}
    steps: dict[int, list[AlertTransition]] = defaultdict(list)
    for one in cohorts.fresh(conn, rule.id, rule.query, values, TAKE):
        steps[one.vehicle_id].append(_raised(rule, one, now))
    for vehicle_id, row in cohorts.over(conn, rule.id, rule.query, values, TAKE):
        steps[vehicle_id].append(row.told(AlertState.CLEARED, now))
    if not steps:
        return 0
    rows.lock(conn, sorted(steps))
    told = [step for own in steps.values() for step in own]
    touched = alerts.write(conn, told)
    for vehicle_id, own in steps.items():
        since = utc(min(step.fired_ns for step in own))
        vehicle = masters.vehicle(conn, own[0].vin)
        suppress.judge_vehicle(conn, vehicle_id, vehicle, since, now)
    episodes.follow_alerts(conn, list(steps.items()))
    notify.tell(conn, [f"alert:{alert}" for alert in touched])
    return len(told)


def _raised(rule: CohortRule, one: Finding, now: datetime) -> AlertTransition:
    started_ns = ns_of(one.since)
    return AlertTransition(
        alert_id=alert_id(rule.id, one.vin, one.instance, started_ns),
        rule_id=rule.id,
        rule_version=1,
        vin=one.vin,
        instance=one.instance,
        state=AlertState.FIRING,
        severity=one.severity,
        started_ns=started_ns,
        at_ns=ns_of(now),
        fired_ns=started_ns,
        worst_ns=started_ns,
        evidence=one.evidence,
        thresholds=rule.params,
    )
