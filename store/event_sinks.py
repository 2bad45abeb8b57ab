"""Who of this installation listens to events; channels of subscriptions count by themselves."""

from __future__ import annotations

from collections.abc import Collection

from store.database import Connection


def register(conn: Connection, names: Collection[str], source: str) -> None:
    """These listen, nobody else does: events are written from now on, or no more.

    `source` names the installation in its events.
    """
    conn.execute("update installation set event_source = %s", [source])
    conn.execute("delete from event_sink where name <> all(%s)", [list(names)])
    conn.execute(
        "insert into event_sink (name) select unnest(%s::text[]) on conflict do nothing",
        [list(names)],
    )
