"""Repair plans: every version a row; a row is written once and approved once."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime

from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from model.repair_plan import RepairPlan
from store.database import Connection, UnknownRowError


def insert(conn: Connection, plan: RepairPlan) -> bool:
    """Write a version; False when it is there already."""
    written = conn.execute(
        "insert into repair_plan (case_id, version, body, templates, author, created_at)"
        " values (%s, %s, %s, %s, %s, %s) on conflict do nothing",
        [
            plan.case_id, plan.version, Jsonb(plan.body.model_dump(mode="json")),
            list(plan.templates), plan.author, plan.created_at,
        ],
    )  # fmt: skip
    return written.rowcount == 1


def approve(
    conn: Connection, case_id: uuid.UUID, version: int, person_id: str, at: datetime
) -> bool:
    """Add the approval; False when the version is approved already."""
    changed = conn.execute(
        "update repair_plan set approved_by = %s, approved_at = %s"
        " where case_id = %s and version = %s and approved_by is null",
        [person_id, at, case_id, version],
    )
    return changed.rowcount == 1


def versions(conn: Connection, case_id: uuid.UUID) -> list[RepairPlan]:
    """Every version, the first one first."""
    with conn.cursor(row_factory=dict_row) as cur:
        rows = cur.execute(
            "select case_id, version, body, templates, author, created_at, approved_by, approved_at"
            " from repair_plan where case_id = %s order by version",
            [case_id],
        ).fetchall()
    return [RepairPlan.model_validate(row) for row in rows]


def latest(conn: Connection, case_id: uuid.UUID) -> RepairPlan:
    """The newest version. Raises UnknownRowError."""
    found = versions(conn, case_id)
    if not found:
        raise UnknownRowError("repair plan")
    return found[-1]


def approved(conn: Connection, case_id: uuid.UUID) -> RepairPlan | None:
    """The newest version somebody approved."""
    return next((p for p in reversed(versions(conn, case_id)) if p.approved_by), None)


def stock(conn: Connection, part_nos: Sequence[str]) -> dict[str, tuple[float, float | None]]:
    """What all warehouses have of these parts, and the shortest way there in hours."""
    rows = conn.execute(
        "select part_no, sum(quantity), min(eta_h) filter (where quantity > 0) from part_stock"
        " where part_no = any(%s) group by 1",
        [list(part_nos)],
    )
    return {
        str(part_no): (float(str(quantity)), None if eta_h is None else float(str(eta_h)))
        for part_no, quantity, eta_h in rows
    }
