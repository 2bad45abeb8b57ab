"""Rule bundles: every set of rules this installation ran, tried or runs, with its content.

At most one is active and one in shadow. A bundle of origin `files` is what the program was started
with; it is active while no operator activated another.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Literal

import orjson
from psycopg.rows import class_row

from model.vehicle import Record
from store import notify
from store.database import Connection, UnknownRowError

State = Literal["shadow", "active", "retired"]
#: Serialises changes of state: two operators at once must not both find the place free.
LOCK_KEY = 0x726F_6164_6275_6E64


class BundleRow(Record):
    """One bundle, without its content."""

    hash: str
    version: str
    origin: Literal["files", "operator"]
    state: State
    actor: str
    created_at: datetime
    changed_at: datetime


class BundleContent(Record):
    """What a bundle is made of: texts by file name."""

    packs: dict[str, str]
    tests: dict[str, str]


class Standing(Record):
    """Hashes of what runs and of what is on trial."""

    active: str | None
    operated: bool  # the active one was activated by an operator
    shadow: str | None


def standing(conn: Connection) -> Standing:
    """Which bundles are in force now; asked with every take."""
    rows = conn.execute(
        "select state, hash, origin from rule_bundle where state in ('active', 'shadow')"
    )
    found = {str(state): (str(name), origin == "operator") for state, name, origin in rows}
    active, operated = found.get("active", (None, False))
    return Standing(active=active, operated=operated, shadow=found.get("shadow", (None,))[0])


def content(conn: Connection, name: str) -> BundleContent:
    """The texts of a bundle. Raises UnknownRowError."""
    with conn.cursor(row_factory=class_row(BundleContent)) as cur:
        found = cur.execute(
            "select packs, tests from rule_bundle where hash = %s", [name]
        ).fetchone()
    if found is None:
        raise UnknownRowError("rule bundle")
    return found


def find(conn: Connection, prefix: str) -> BundleRow:
    """The newest bundle whose hash begins so, or that is in this state. Raises UnknownRowError."""
    with conn.cursor(row_factory=class_row(BundleRow)) as cur:
        found = cur.execute(
            "select hash, version, origin, state, actor, created_at, changed_at from rule_bundle"
            " where state = %(text)s or starts_with(hash, %(text)s)"
            " order by changed_at desc, hash limit 1",
            {"text": prefix},
        ).fetchone()
    if found is None:
        raise UnknownRowError("rule bundle")
    return found


def page(conn: Connection, limit: int = 50) -> list[BundleRow]:
    """Newest change first."""
    with conn.cursor(row_factory=class_row(BundleRow)) as cur:
        return cur.execute(
            "select hash, version, origin, state, actor, created_at, changed_at from rule_bundle"
            " order by changed_at desc, hash limit %s",
            [limit],
        ).fetchall()


def put(
    conn: Connection,
    name: str,
    version: str,
    packs: Mapping[str, str],
    tests: Mapping[str, str],
    actor: str,
    *,
    state: State,
) -> None:
    """Store a bundle that was found good and give it a state; whoever had that state retires."""
    _store(conn, name, version, "operator", packs, tests, actor)
    set_state(conn, name, state)


def register(conn: Connection, name: str, version: str, packs: Mapping[str, str]) -> None:
    """The bundle the program was started with; active unless an operator's is."""
    _store(conn, name, version, "files", packs, {}, "files")
    now = standing(conn)
    if not now.operated and now.active != name:
        conn.execute("update rule_bundle set origin = 'files' where hash = %s", [name])
        set_state(conn, name, "active")


def set_state(conn: Connection, name: str, state: State) -> None:
    """Move a bundle, tell the workers. Raises UnknownRowError."""
    conn.execute("select pg_advisory_xact_lock(%s)", [LOCK_KEY])
    if state != "retired":
        conn.execute(
            "update rule_bundle set state = 'retired', changed_at = clock_timestamp()"
            " where state = %s and hash <> %s",
            [state, name],
        )
    changed = conn.execute(
        "update rule_bundle set state = %s, changed_at = clock_timestamp() where hash = %s",
        [state, name],
    )
    if changed.rowcount == 0:
        raise UnknownRowError("rule bundle")
    notify.tell(conn, [f"rules:{name}"])


def _store(
    conn: Connection,
    name: str,
    version: str,
    origin: str,
    packs: Mapping[str, str],
    tests: Mapping[str, str],
    actor: str,
) -> None:
    """A new row is retired; of a known one an operator's action changes origin, tests, version."""
    conn.execute("select pg_advisory_xact_lock(%s)", [LOCK_KEY])
    conn.execute(
        "insert into rule_bundle as b (hash, version, origin, state, packs, tests, actor)"
        " values (%s, %s, %s, 'retired', %s::jsonb, %s::jsonb, %s)"
        " on conflict (hash) do update set (version, origin, tests, actor)"
        " = row (excluded.version, excluded.origin, excluded.tests, excluded.actor)"
        " where excluded.origin = 'operator'",
        [
            name,
            version,
            origin,
            orjson.dumps(dict(packs)).decode(),
            orjson.dumps(dict(tests)).decode(),
            actor,
        ],
    )
