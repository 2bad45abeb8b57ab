"""Complaints and incidents, and the clusters of alerts that become one."""

from __future__ import annotations

import uuid
from datetime import datetime

from model.complaint import Complaint, Incident
from model.severity import Severity
from store import alerts
from store.alerts import StoredAlert
from store.database import Connection
from store.work_rows import WorkRows

COMPLAINTS = WorkRows(Complaint, "complaint", "complaint_id", "complaint")
INCIDENTS = WorkRows(Incident, "incident", "incident_id", "incident")


def find_emergency(conn: Connection) -> StoredAlert | None:
    """A standing alert of severity 4 with a case but without an incident."""
    row = conn.execute(
        "select a.alert_id from alert a join diagnosis_case_alert d using (alert_id)"
        " where a.state in ('firing', 'stale') and a.severity = 4 and not a.history"
        " and not exists (select from incident i where i.case_id = d.case_id)"
        " order by a.fired_at limit 1"
    ).fetchone()
    return None if row is None else alerts.find(conn, uuid.UUID(str(row[0])))


def cluster(
    conn: Connection, *, severity: Severity, least: int, since: datetime
) -> tuple[str, str, str, str, datetime] | None:
    """So many vehicles of one model with one rule at one station, and no incident about it yet.

    Returns rule, model, station, the VIN that made it full and when that alert fired.
    """
    row = conn.execute(
        "select rule_id, model, station, (array_agg(vin order by fired_at desc))[1],"
        " max(fired_at) from ("
        "  select distinct on (a.rule_id, a.vehicle_id) a.rule_id, a.fired_at, m.vin,"
        "   m.brand || ' ' || m.model as model, m.preferred_station as station"
        "  from alert a join vehicle_master m using (vehicle_id)"
        "  join station s on s.station_id = m.preferred_station"
        "  where a.fired_at >= %(since)s and a.severity >= %(severity)s and not a.history"
        "  and a.state <> 'retracted' and a.suppressed_by is null and m.model <> ''"
        "  order by a.rule_id, a.vehicle_id, a.fired_at) one"
        " where not exists (select from incident i join vehicle_master o using (vehicle_id)"
        "  where i.cause = 'cluster' and i.rule_id = one.rule_id and i.station_id = one.station"
        "  and o.brand || ' ' || o.model = one.model and i.opened_at >= %(since)s)"
        " group by 1, 2, 3 having count(*) >= %(least)s order by 5 limit 1",
        {"since": since, "severity": int(severity), "least": least},
    ).fetchone()
    if row is None:
        return None
    rule_id, model, station, vin, fired_at = row
    assert isinstance(fired_at, datetime)
    return str(rule_id), str(model), str(station), str(vin), fired_at
