"""Joins `dispatch.suppression` and the rows: whatever an alert's fate depends on is in the store.

Called with every take that says something of alerts, before rescue cases are written, and by the
dispatcher when time alone changes something.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from dispatch.suppression import CONTEXT, Storm, Surroundings, judge
from model.alerts import AlertState, AlertTransition
from model.clock import ns_of, utc
from model.rescue import RescueCase
from model.suppression import STORM
from model.vehicle import Vehicle
from rules.bundle import Bundle
from store import alerts, masters, notify
from store import suppression as rows
from store.alerts import StoredAlert
from store.database import Connection


@dataclass(frozen=True, slots=True)
class Said:
    """What one look at a vehicle found."""

    vehicle_id: int
    vehicle: Vehicle
    bundle: Bundle
    transitions: Sequence[AlertTransition]
    cases: Sequence[RescueCase]
    now: datetime


def hush(conn: Connection, said: Sequence[Said]) -> set[uuid.UUID]:
    """Write the alerts and judge them; those that shall open no rescue case."""
    said = [s for s in said if s.transitions or s.cases]
    if not said:
        return set()
    rows.lock(conn, [s.vehicle_id for s in said])
    alerts.write(conn, [t for s in said for t in s.transitions])
    causes = {}
    for s in said:
        for t in s.transitions:
            rule = s.bundle.rule(t.rule_id)
            if rule is not None and rule.inhibit_by:
                causes[t.alert_id] = rule.inhibit_by
    rows.name_causes(conn, causes)
    for vehicle_id in dict.fromkeys(s.vehicle_id for s in said):
        own = [s for s in said if s.vehicle_id == vehicle_id]
        fired = [t.fired_ns for s in own for t in s.transitions]
        if fired:
            now = max(s.now for s in own)
            judge_vehicle(conn, vehicle_id, own[-1].vehicle, utc(min(fired)), now)
    wanted = [c.alert_id for s in said for c in s.cases if c.alert_id is not None]
    return rows.in_hand(conn, wanted) if wanted else set()


def judge_vehicle(
    conn: Connection, vehicle_id: int, vehicle: Vehicle, since: datetime, now: datetime
) -> None:
    """Write what holds for a vehicle's alerts that stood at `since` or later."""
    context = since - CONTEXT
    facts = rows.rows_of(conn, vehicle_id, context)
    around = Surroundings(
        vehicle, rows.silences(conn, context), rows.modes(conn, context, vehicle_id=vehicle_id)
    )
    rulings, storms = judge(facts, around, since, now)
    changed = rows.rule(conn, rulings, now)
    changed += _follow_storms(conn, vehicle_id, vehicle.vin, storms, since, now)
    if changed:
        rows.follow_handling(conn, changed)
        notify.tell(conn, [f"alert:{alert}" for alert in changed])


def judge_standing(conn: Connection, vehicle_id: int, now: datetime) -> None:
    """Judge a vehicle anew because time has passed."""
    rows.lock(conn, [vehicle_id])
    standing = rows.standing_since(conn, vehicle_id)
    if standing is not None:
        vin, since = standing
        judge_vehicle(conn, vehicle_id, masters.vehicle(conn, vin), since, now)


def _follow_storms(
    conn: Connection,
    vehicle_id: int,
    vin: str,
    storms: Sequence[Storm],
    since: datetime,
    now: datetime,
) -> list[uuid.UUID]:
    """Write storms, and take back those that late data has undone."""
    stored = {a.alert_id: a for a in rows.storms_since(conn, vehicle_id, since)}
    said = [_storm_step(vin, storm) for storm in storms]
    fresh = [step for step in said if _differs(stored.get(step.alert_id), step)]
    known = {storm.alert_id for storm in storms}
    fresh += [
        row.told(AlertState.RETRACTED, now)
        for row in stored.values()
        if row.alert_id not in known and row.fired_at >= since
    ]
    alerts.write(conn, fresh)
    told = [step.alert_id for step in fresh]
    rows.lift(conn, told, now)
    return told


def _differs(row: StoredAlert | None, step: AlertTransition) -> bool:
    """Whether a storm is not yet stored as it stands."""
    return row is None or (row.state, row.severity, row.worst_at, row.evidence) != (
        step.state,
        step.severity,
        utc(step.worst_ns),
        step.evidence,
    )


def _storm_step(vin: str, storm: Storm) -> AlertTransition:
    """The storm as it stands, in the form in which every alert is told."""
    started_ns = ns_of(storm.started_at)
    return AlertTransition(
        alert_id=storm.alert_id,
        rule_id=STORM,
        rule_version=1,
        vin=vin,
        instance="",
        state=AlertState.CLEARED if storm.ended_at else AlertState.FIRING,
        severity=storm.severity,
        started_ns=started_ns,
        at_ns=ns_of(storm.ended_at or storm.worst_at),
        fired_ns=started_ns,
        worst_ns=ns_of(storm.worst_at),
        evidence={"alerts": float(len(storm.alerts))},
    )
