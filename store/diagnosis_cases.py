"""Diagnosis cases: one open case a fault of a vehicle."""

from __future__ import annotations

import uuid
from datetime import datetime

from model.diagnosis_case import DiagnosisCase
from model.severity import Severity
from store import alerts
from store.alerts import StoredAlert
from store.database import Connection
from store.work_rows import SKIP, WorkRows

ROWS = WorkRows(DiagnosisCase, "diagnosis_case", "case_id", "diagnosis case")


def attach(conn: Connection, alert_id: uuid.UUID, case_id: uuid.UUID) -> None:
    """The alert belongs to the case; an alert that has one keeps it."""
    conn.execute(
        "insert into diagnosis_case_alert (alert_id, case_id) values (%s, %s)"
        " on conflict do nothing",
        [alert_id, case_id],
    )


def alert_ids(conn: Connection, case_id: uuid.UUID) -> list[uuid.UUID]:
    """Every alert of the fault, the first one first."""
    rows = conn.execute(
        "select alert_id from diagnosis_case_alert join alert using (alert_id)"
        " where case_id = %s order by fired_at, alert_id",
        [case_id],
    )
    return [uuid.UUID(str(row[0])) for row in rows]


def claim_alert(conn: Connection, least: Severity) -> StoredAlert | None:
    """The worst standing alert without a case, from a severity on or of unknown one, locked."""
    row = conn.execute(
        "select a.alert_id from alert a where a.state in ('firing', 'stale') and not a.history"
        " and (a.severity >= %s or a.severity = -1)"
        " and a.handling not in ('resolved', 'dismissed') and a.suppressed_by is null"
        " and not exists (select from diagnosis_case_alert d where d.alert_id = a.alert_id)"
        " order by a.severity desc, a.fired_at limit 1 for update of a skip locked",
        [int(least)],
    ).fetchone()
    return None if row is None else alerts.find(conn, uuid.UUID(str(row[0])))


def open_of(conn: Connection, vin: str, fault_key: str) -> DiagnosisCase | None:
    """The open case of a fault, locked."""
    return ROWS.first(
        conn,
        " where v.vin = %s and t.fault_key = %s and t.closed_at is null for update of t",
        [vin, fault_key],
    )


def closed_of(conn: Connection, vin: str, fault_key: str) -> DiagnosisCase | None:
    """The case of a fault that was closed last; one whose alert was none does not count."""
    return ROWS.first(
        conn,
        " where v.vin = %s and t.fault_key = %s and t.closed_at is not null"
        " and exists (select from diagnosis_case_alert d join alert a using (alert_id)"
        "   where d.case_id = t.case_id and a.state <> 'retracted')"
        " order by t.closed_at desc limit 1",
        [vin, fault_key],
    )


def of_alert(conn: Connection, alert_id: uuid.UUID) -> DiagnosisCase | None:
    """The case an alert belongs to."""
    return ROWS.first(
        conn,
        " where t.case_id = (select case_id from diagnosis_case_alert where alert_id = %s)",
        [alert_id],
    )


def claim_late(conn: Connection, kinds: list[str], now: datetime) -> DiagnosisCase | None:
    """A case with the station alone whose clock of one of these kinds has run out, locked."""
    return ROWS.first(
        conn,
        " where t.closed_at is null and t.level = 1 and t.state in ('open', 'triaged')"
        " and exists (select from clock k where k.noun = 'diagnosis_case'"
        "   and k.noun_id = t.case_id::text and k.kind = any(%s) and k.stopped_at is null"
        "   and k.running_since is not null and k.due_at <= %s)"
        " order by t.opened_at" + SKIP,
        [kinds, now],
    )


def claim_unfounded(conn: Connection) -> DiagnosisCase | None:
    """A case nobody has begun with whose alerts were all undone by late data, locked."""
    return ROWS.first(
        conn,
        " where t.closed_at is null and t.state in ('open', 'escalated_l2', 'escalated_l3')"
        " and not exists (select from diagnosis_case_alert d join alert a using (alert_id)"
        "   where d.case_id = t.case_id and a.state <> 'retracted')"
        " order by t.opened_at" + SKIP,
        [],
    )


def claim_worse(conn: Connection) -> tuple[DiagnosisCase, Severity] | None:
    """A case one of whose alerts has become graver than it, locked, and how grave that is."""
    case = ROWS.first(
        conn,
        " where t.closed_at is null and exists (select from diagnosis_case_alert d"
        "   join alert a using (alert_id) where d.case_id = t.case_id"
        "   and a.severity > t.severity and a.state <> 'retracted')" + SKIP,
        [],
    )
    if case is None:
        return None
    row = conn.execute(
        "select max(severity)::int from diagnosis_case_alert join alert using (alert_id)"
        " where case_id = %s and state <> 'retracted'",
        [case.case_id],
    ).fetchone()
    assert row is not None
    return case, Severity(int(str(row[0])))
