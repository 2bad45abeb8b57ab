"""Fault episodes as people read them: with what operators think of their codes."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import LiteralString

from psycopg import sql
from psycopg.rows import class_row

from model.code_book import CodeList
from model.code_names import keys
from model.episodes import BUCKET_NS, CodeVerdict, EpisodeKind, EpisodeState, FaultKey
from model.record import Label, Record
from model.severity import Severity
from store import code_facts, code_lists
from store.database import Connection, UnknownRowError

SELECT: LiteralString = (
    "select e.episode_id, v.vin, v.attrs ->> 'plate' as plate, v.attrs ->> 'brand' as brand,"
    " v.attrs ->> 'model' as model, e.kind, e.ecu, e.protocol, e.code, e.failure_type, e.instance,"
    " e.state, e.count, e.repeat, e.started_ns, e.last_seen_ns, e.since_ns, e.ended_ns, e.status,"
    " e.occurrence_count, e.conversion_method, e.freeze_frames, o.verdict, o.zh, o.en,"
    " g.severity, greatest(e.last_seen_ns, case e.kind when 'code' then ("
    "   select max(h.last_report_ns) from ecu_heard h where h.vehicle_id = e.vehicle_id"
    "       and h.ecu = e.ecu and h.protocol = e.protocol)"
    " else (select s.newest_ns from vehicle_state s where s.vehicle_id = e.vehicle_id) end)"
    " as heard_ns"
    " from fault_episode e join vehicle v using (vehicle_id) left join lateral ("
    "   select o.verdict, o.zh, o.en from code_override o where e.kind = 'code' and o.code in"
    "       (e.code, e.code || '-' || lpad(upper(to_hex(e.failure_type::int)), 2, '0'),"
    "        split_part(e.code, '/', 1))"
    "   order by length(o.code) desc limit 1) o on true"
    # A code an operator calls critical stops the car, whatever the vehicle says.
    " cross join lateral (select case o.verdict when 'critical' then greatest(e.severity, 3)"
    "   else e.severity end as severity) g"
)


class StoredEpisode(Record):
    """One episode as kept. `heard_ns` is when its ECU, or for a rule the vehicle, last spoke."""

    episode_id: uuid.UUID
    vin: str
    plate: str
    brand: str
    model: str
    kind: EpisodeKind
    ecu: int
    protocol: str
    code: str
    failure_type: int
    instance: str
    state: EpisodeState
    severity: Severity
    count: int
    repeat: int
    started_ns: int
    last_seen_ns: int
    since_ns: int
    ended_ns: int | None
    heard_ns: int
    status: int | None
    occurrence_count: int | None
    conversion_method: int
    freeze_frames: str | None
    verdict: CodeVerdict | None
    zh: str | None
    en: str | None

    @property
    def key(self) -> FaultKey:
        """Which fault."""
        return FaultKey(
            self.kind, self.ecu, self.protocol, self.code, self.failure_type, self.instance
        )


class Override(Record):
    """What an operator thinks of a code; `code` as `model.code_names.key_of` writes it."""

    code: str
    verdict: CodeVerdict | None = None
    zh: Label = ""
    en: Label = ""
    actor: str
    reason: str = ""
    changed_at: datetime


def of_vehicle(
    conn: Connection,
    vin: str,
    *,
    after: tuple[int, uuid.UUID] | None = None,
    limit: int = 50,
    open_only: bool = False,
) -> list[StoredEpisode]:
    """Newest first; `after` is (started_ns, episode_id) of the last row of the page before."""
    started_ns, episode_id = after or (None, None)
    return _rows(
        conn,
        " where v.vin = %s and (not %s or e.is_open) and (%s::bigint is null or e.started_ns < %s"
        "   or (e.started_ns = %s and e.episode_id > %s))"
        " order by e.started_ns desc, e.episode_id limit %s",
        [vin, open_only, started_ns, started_ns, started_ns, episode_id, limit],
    )


def open_page(
    conn: Connection,
    *,
    after: tuple[int, int, uuid.UUID] | None = None,
    limit: int = 50,
    with_ignored: bool = False,
) -> list[StoredEpisode]:
    """Open ones, worst first, then newest; `after` is (severity, started_ns, episode_id)."""
    severity, started_ns, episode_id = after or (None, None, None)
    return _rows(
        conn,
        " where e.is_open and (%s or o.verdict is distinct from 'ignore')"
        " and (%s::bigint is null or g.severity < %s or (g.severity = %s"
        "   and (e.started_ns < %s or (e.started_ns = %s and e.episode_id > %s))))"
        " order by g.severity desc, e.started_ns desc, e.episode_id limit %s",
        [with_ignored, severity, severity, severity, started_ns, started_ns, episode_id, limit],
    )


def lists_for(conn: Connection, rows: Sequence[StoredEpisode]) -> list[CodeList]:
    """The operators' lists that name their codes."""
    codes = [r.key.dtc(r.conversion_method) for r in rows if r.kind is EpisodeKind.CODE]
    return code_lists.naming(conn, codes) if codes else []


def exact_name(row: StoredEpisode) -> str:
    """P0217-44, 110/0, or the rule's id."""
    return keys(row.key.dtc())[0] if row.kind is EpisodeKind.CODE else row.code


def overrides(conn: Connection) -> list[Override]:
    """All of them, by code."""
    with conn.cursor(row_factory=class_row(Override)) as cur:
        return cur.execute("select * from code_override order by code").fetchall()


def put_override(conn: Connection, override: Override) -> None:
    """Create or replace. Holds for open episodes at once: it is read, never folded."""
    conn.execute(
        "insert into code_override (code, verdict, zh, en, actor, reason, changed_at)"
        " values (%(code)s, %(verdict)s, %(zh)s, %(en)s, %(actor)s, %(reason)s, %(changed_at)s)"
        " on conflict (code) do update set (verdict, zh, en, actor, reason, changed_at)"
        " = row (excluded.verdict, excluded.zh, excluded.en, excluded.actor, excluded.reason,"
        " excluded.changed_at)",
        override.model_dump(),
    )


def drop_override(conn: Connection, code: str) -> None:
    """Forget one. Raises UnknownRowError."""
    if not conn.execute("delete from code_override where code = %s", [code]).rowcount:
        raise UnknownRowError("code override")


def add_cleared(conn: Connection, vin: str, at_ns: int, actor: str, reason: str) -> None:
    """A person says that a vehicle's codes were cleared; the dispatcher folds its episodes again.

    Twice within a bucket is once. Raises UnknownRowError.
    """
    found = conn.execute("select vehicle_id from vehicle where vin = %s", [vin]).fetchone()
    if found is None:
        raise UnknownRowError("vehicle")
    code_facts.lock(conn, [int(str(found[0]))])
    conn.execute(
        "insert into code_sign as s (vehicle_id, ecu, protocol, kind, bucket, at_ns, actor, reason,"
        " due) values (%s, -1, '', 'cleared', %s, %s, %s, %s, true)"
        " on conflict (vehicle_id, ecu, protocol, kind, bucket) do update set"
        " at_ns = least(s.at_ns, excluded.at_ns), due = true",
        [found[0], at_ns // BUCKET_NS, at_ns, actor, reason],
    )


def due_signs(conn: Connection, limit: int) -> list[tuple[int, str, int]]:
    """Vehicles whose episodes do not follow what a person said: vehicle_id, VIN, since when."""
    rows = conn.execute(
        "select vehicle_id, vin, min(at_ns) from code_sign join vehicle using (vehicle_id)"
        " where due group by 1, 2 order by 1 limit %s",
        [limit],
    )
    return [(int(str(v)), str(vin), int(str(at_ns))) for v, vin, at_ns in rows]


def signs_followed(conn: Connection, vehicle_id: int) -> None:
    """They do now."""
    conn.execute("update code_sign set due = false where due and vehicle_id = %s", [vehicle_id])


def _rows(conn: Connection, tail: LiteralString, values: Sequence[object]) -> list[StoredEpisode]:
    with conn.cursor(row_factory=class_row(StoredEpisode)) as cur:
        return cur.execute(sql.SQL(SELECT + tail), values).fetchall()
