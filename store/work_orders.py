"""Work orders, and what the stream says about a repair after the hand-over."""

from __future__ import annotations

import uuid
from datetime import datetime

from psycopg import sql

from model.repair_plan import SimilarCase
from model.work_order import WorkOrder
from store import readings
from store.database import Connection
from store.work_rows import WorkRows

ROWS = WorkRows(WorkOrder, "work_order", "work_order_id", "work order")
#: Newest values with this ending say whether a monitor of the car has finished.
MONITOR = "_monitor_ready"
#: How many lasting repairs of the same fault a plan shows.
SIMILAR = 5


def of_case(conn: Connection, case_id: uuid.UUID) -> WorkOrder | None:
    """The order of a diagnosis case, locked."""
    return ROWS.first(conn, " where t.case_id = %s for update of t", [case_id])


def queue(conn: Connection, station_id: str | None, limit: int) -> list[WorkOrder]:
    """Orders in hand: the priority lane first, then as they came."""
    return ROWS.select(
        conn,
        sql.SQL(
            " where t.state not in ('closed', 'declined', 'cancelled')"
            " and (%s::text is null or t.station_id = %s)"
            " order by t.priority_lane desc, t.opened_at, t.work_order_id limit %s"
        ),
        [station_id, station_id, limit],
    )


def unproven(conn: Connection, before: datetime) -> uuid.UUID | None:
    """A repair nobody has looked at since then; lock it before anything else."""
    row = conn.execute(
        "select work_order_id from work_order where state in ('handed_over', 'verifying')"
        " and (checked_at is null or checked_at < %s) order by checked_at nulls first limit 1",
        [before],
    ).fetchone()
    return None if row is None else uuid.UUID(str(row[0]))


def lock(conn: Connection, work_order_id: uuid.UUID) -> WorkOrder:
    """One order and its case, nobody else's until the transaction ends. Raises UnknownRowError.

    Everybody locks the case first, so nobody waits in a circle.
    """
    conn.execute(
        "select from diagnosis_case where case_id ="
        " (select case_id from work_order where work_order_id = %s) for update",
        [work_order_id],
    )
    return ROWS.lock(conn, work_order_id)


def looked_at(conn: Connection, work_order_id: uuid.UUID, at: datetime) -> None:
    """Verification was looked at."""
    conn.execute(
        "update work_order set checked_at = %s where work_order_id = %s", [at, work_order_id]
    )


def heard(conn: Connection, vin: str) -> tuple[datetime | None, float | None, bool | None]:
    """What a vehicle said last: when, its odometer in km, whether its monitors are complete.

    None where it did not say.
    """
    state = readings.newest(conn, vin)
    odometer = next((v.value for v in state.values if v.name == "odometer_km"), None)
    monitors = [bool(v.value) for v in state.values if v.name.endswith(MONITOR)]
    return state.observed_at, odometer, all(monitors) if monitors else None


def fault_since(
    conn: Connection, vin: str, fault_key: str, since: datetime
) -> tuple[bool, datetime | None]:
    """Whether a fault stands, and when it fired first after a moment of the vehicle's clock.

    Severities below the one that opens a case count too: a repair that half holds does not hold.
    """
    row = conn.execute(
        "select coalesce(bool_or(a.state in ('firing', 'stale')), false),"
        " min(a.fired_at) filter (where a.fired_at > %s)"
        " from alert a join vehicle v using (vehicle_id)"
        " where v.vin = %s and a.state <> 'retracted'"
        " and a.rule_id || case when a.instance = '' then '' else '#' || a.instance end = %s",
        [since, vin, fault_key],
    ).fetchone()
    assert row is not None
    assert row[1] is None or isinstance(row[1], datetime)
    return bool(row[0]), row[1]


def similar(conn: Connection, vin: str, fault_key: str) -> list[SimilarCase]:
    """Repairs of the same fault in the same model that were closed, the proven ones first."""
    rows = conn.execute(
        "select w.work_order_id, w.confirmed_cause, w.correction, w.verified_at is not null"
        " from work_order w join diagnosis_case c using (case_id)"
        " join vehicle_master o on o.vehicle_id = w.vehicle_id"
        " join vehicle_master m on m.vin = %s and m.brand = o.brand and m.model = o.model"
        " where c.fault_key = %s and w.state = 'closed' and w.confirmed_cause <> ''"
        " order by w.verified_at is null, w.closed_at desc limit %s",
        [vin, fault_key, SIMILAR],
    )
    return [
        SimilarCase(
            work_order_id=uuid.UUID(str(key)),
            confirmed_cause=str(cause),
            correction=str(correction),
            verified=bool(verified),
        )
        for key, cause, correction, verified in rows
    ]
