"""What an alert was raised from: its frames, kept past retention, and where the car was.

Nothing is copied while the archive has it. Before old frames and signals are forgotten
(store/retention.py) what alerts need of them is set aside.
"""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import LiteralString

from pydantic import JsonValue

from model.frames import FrameBatch
from store import frame_block
from store.database import Connection, UnknownRowError

#: Signals of the row that says under which circumstances an alert came up.
CONTEXT = (
    "odometer_km",
    "speed_kmh",
    "latitude_deg",
    "longitude_deg",
    "ambient_temp_c",
    "state_of_charge_percent",
    "state_of_charge_bms_percent",
)
#: A window has at least so many seconds on both sides (domain.md 2.2, freeze frame).
MARGIN_S = 30
#: A value older than this says nothing about the moment (our own).
CONTEXT_AGE_H = 24

WINDOW = """
a.started_at - greatest(a.lead_s, %(margin)s) * interval '1 s' as starts,
a.evidence_at + %(margin)s * interval '1 s' as ends
"""
#: The newest value of each signal at the moment of an alert `a`. Segments are cut at the minute;
#: the newest three hold the newest sample of every source a car has in practice.
AT_MOMENT = """
select coalesce(
    jsonb_object_agg(n.name, jsonb_build_object('value', v.value, 'at', v.moment)), '{}')
from signal n cross join lateral (
    select s.vfirst + u.d as value, s.time + (u.o - 1) * s.step_ms * interval '1 ms' as moment
    from (
        select * from signal_segment g
        where g.vehicle_id = a.vehicle_id and g.signal_id = n.signal_id
            and g.time <= a.evidence_at
            and g.time > a.evidence_at - %(age)s * interval '1 hour'
        order by g.time desc limit 3
    ) s, unnest(s.deltas) with ordinality u (d, o)
    where u.d <> 'NaN'::real
        and s.time + (u.o - 1) * s.step_ms * interval '1 ms' <= a.evidence_at
    order by 2 desc limit 1
) v
where n.name = any(%(names)s)
"""
COPY_BLOCKS: LiteralString = (
    "insert into evidence_block (block_id, vehicle_id, time, t_end, received_at, n, codec, frames)"
    " select b.block_id, b.vehicle_id, b.time, b.t_end, b.received_at, b.n, b.codec, b.frames"
    " from frame_block b where b.time < %(before)s and exists (select 1 from alert a"
    "   where a.vehicle_id = b.vehicle_id and a.state <> 'retracted'"
    "   and b.t_end >= least(a.started_at - greatest(a.lead_s, %(margin)s) * interval '1 s', ("
    "     select to_timestamp(m.since_ns / 1e9) from alert_memory m where m.alert_id = a.alert_id))"
    "   and b.time <= a.evidence_at + %(margin)s * interval '1 s')"
    " on conflict (block_id) do nothing"
)


def window(conn: Connection, alert_id: uuid.UUID) -> tuple[int, datetime, datetime]:
    """Vehicle and span of an alert's frames. Raises UnknownRowError."""
    row = conn.execute(
        f"select a.vehicle_id, {WINDOW} from alert a where a.alert_id = %(alert)s",  # noqa: S608
        {"alert": alert_id, "margin": MARGIN_S},
    ).fetchone()
    if row is None:
        raise UnknownRowError("alert")
    vehicle_id, starts, ends = row
    assert isinstance(vehicle_id, int)
    assert isinstance(starts, datetime) and isinstance(ends, datetime)
    return vehicle_id, starts, ends


def memory(conn: Connection, alert_id: uuid.UUID) -> tuple[int, dict[str, JsonValue]] | None:
    """What its rule remembered before it was raised, and the moment in ns its frames begin then."""
    row = conn.execute(
        "select since_ns, memory from alert_memory where alert_id = %s", [alert_id]
    ).fetchone()
    if row is None:
        return None
    since_ns, content = row
    assert isinstance(since_ns, int) and isinstance(content, dict)
    return since_ns, content


def frames(
    conn: Connection, vehicle_id: int, from_ns: int, to_ns: int, limit_frames: int
) -> list[FrameBatch]:
    """As `frame_block.read_frames`, with blocks that were set aside."""
    return frame_block.read_frames(
        conn, vehicle_id, from_ns, to_ns, limit_frames, query=frame_block.READ_KEPT
    )


def context(conn: Connection, alert_id: uuid.UUID) -> dict[str, dict[str, object]]:
    """Signal name: value and moment, the newest at the alert's moment; what is not known is not
    there."""
    row = conn.execute(
        f"select coalesce(a.context, ({AT_MOMENT})) from alert a"  # noqa: S608 - our own text
        " where a.alert_id = %(alert)s",
        {"alert": alert_id, "age": CONTEXT_AGE_H, "names": list(CONTEXT)},
    ).fetchone()
    found = row[0] if row else {}
    assert isinstance(found, dict)
    return found


def keep_frames(conn: Connection, before: datetime) -> int:
    """Set aside the blocks before a moment that some alert needs; how many."""
    return conn.execute(COPY_BLOCKS, {"before": before, "margin": MARGIN_S}).rowcount


def keep_context(conn: Connection, before: datetime) -> int:
    """Write down the circumstances of alerts whose signals are about to be forgotten; how many."""
    return conn.execute(
        f"update alert a set context = ({AT_MOMENT}) where a.context is null"  # noqa: S608
        " and a.evidence_at < %(before)s::timestamptz + %(age)s * interval '1 hour'",
        {"before": before, "age": CONTEXT_AGE_H, "names": list(CONTEXT)},
    ).rowcount
