"""Forgetting old bulk rows, only when told to: nothing is dropped behind anybody's back.

What alerts were raised from is set aside first (store/evidence.py).

A background retention policy would drop a replayed old log while it is being looked at.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from psycopg import sql

from store import evidence
from store.database import Connection
from store.migrate import has_timescale

#: Rows of one DELETE; call again while that many go.
DELETE_ROWS = 20_000

Bulk = Literal["signal_segment", "frame_block"]


def prune(conn: Connection, table: Bulk, before: datetime) -> int:
    """Delete rows older than that: at most DELETE_ROWS, or with TimescaleDB every whole chunk.

    How many rows, or chunks, went.
    """
    if table == "frame_block":
        evidence.keep_frames(conn, before)
    else:
        evidence.keep_context(conn, before)
    if has_timescale(conn):
        chunks = conn.execute("select drop_chunks(%s, older_than => %s)", [table, before])
        return len(chunks.fetchall())
    query = sql.SQL(
        "delete from {table} where ctid = any(array("
        "select ctid from {table} where time < %s limit %s))"
    ).format(table=sql.Identifier(table))
    return conn.execute(query, [before, DELETE_ROWS]).rowcount
