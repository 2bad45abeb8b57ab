"""Which crews were asked, and what they said. Rows are added; only the answer is filled in."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from store.database import Connection

Kind = Literal["offer", "broadcast", "second"]
Answer = Literal["accepted", "declined", "expired", "withdrawn"]


def add(
    conn: Connection,
    case_id: uuid.UUID,
    version: int,
    kind: Kind,
    asked: Sequence[tuple[str, float]],
    at: datetime,
) -> None:
    """Crews (unit, ETA in seconds) are asked at once by one step of the case."""
    conn.execute(
        "insert into rescue_offer (case_id, version, unit_id, kind, offered_at, eta_s)"
        " select %s, %s, u, %s, %s, e from unnest(%s::text[], %s::float8[]) a (u, e)"
        " on conflict do nothing",
        [case_id, version, kind, at, [u for u, _ in asked], [e for _, e in asked]],
    )


def answer(
    conn: Connection, case_id: uuid.UUID, unit_id: str, said: Answer, at: datetime
) -> float | None:
    """What a crew said to its open offer; the ETA in seconds it was asked with, or None."""
    row = conn.execute(
        "update rescue_offer set answer = %s, answered_at = %s"
        " where case_id = %s and unit_id = %s and answer is null returning eta_s",
        [said, at, case_id, unit_id],
    ).fetchone()
    return float(str(row[0])) if row else None


def withdraw(conn: Connection, case_id: uuid.UUID, at: datetime) -> list[str]:
    """Whoever has not answered need not any more; their units."""
    rows = conn.execute(
        "update rescue_offer set answer = 'withdrawn', answered_at = %s"
        " where case_id = %s and answer is null returning unit_id",
        [at, case_id],
    )
    return sorted(str(unit) for (unit,) in rows)
