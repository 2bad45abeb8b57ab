"""Tell whoever watches that something changed. The tables are the truth; this only says "look".

Sent at commit. Commits that notify wait for each other, so bulk transactions do it only when there
is an alert or a case.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence

from store.database import Connection

CHANNEL = "roadcall"


def alert(conn: Connection, alert_id: uuid.UUID) -> None:
    """An alert changed."""
    tell(conn, [f"alert:{alert_id}"])


def case(conn: Connection, case_id: uuid.UUID) -> None:
    """A rescue case changed."""
    tell(conn, [f"case:{case_id}"])


def due(conn: Connection, vin: str) -> None:
    """A maintenance item of a vehicle changed."""
    tell(conn, [f"due:{vin}"])


def tell(conn: Connection, payloads: Sequence[str]) -> None:
    """Many at once."""
    if payloads:
        conn.execute("select pg_notify(%s, p) from unnest(%s::text[]) p", [CHANNEL, list(payloads)])


def listen(conn: Connection) -> None:
    """Subscribe an autocommit connection; read with `conn.notifies(timeout=...)`."""
    conn.execute("listen roadcall")
