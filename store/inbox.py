"""The log of the embedded mode: gapless positions per partition, read in order.

A position is taken under the partition's row lock and held until commit, so a reader that sees
position p has seen everything below p.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import orjson
from psycopg.rows import class_row

from model.log import LogRecord, StoredRecord
from model.wire import partition_of
from store.database import Connection

#: The ledger's name for this log.
TOPIC = "frame_inbox"
#: Rows one `prune` takes; each is 10-100 kB.
PRUNE_LIMIT = 1000

APPEND = """
with arriving as (
    select * from unnest(%s::smallint[], %s::text[], %s::jsonb[], %s::bytea[])
        with ordinality as a (partition, vin, headers, value, arrival)
), locked as (                                 -- always in partition order: no deadlock
    select partition, next_position from frame_inbox_head
    where partition in (select partition from arriving) order by partition for update
), moved as (
    update frame_inbox_head h set next_position = h.next_position + a.n
    from (select partition, count(*) as n from arriving group by partition) a
        join locked using (partition)
    where h.partition = a.partition
)
insert into frame_inbox (partition, position, vin, headers, value)
select partition,
       next_position - 1 + row_number() over (partition by partition order by arrival),
       vin, headers, value
from arriving join locked using (partition)
"""

PRUNE = """
delete from frame_inbox where (partition, position) in (
    select i.partition, i.position from ledger l
    cross join lateral (
        select partition, position from frame_inbox
        where partition = l.partition and position < l.next_position
        order by position limit %s
    ) i
    where l.topic = %s
    limit %s
)
"""


def append(conn: Connection, records: Sequence[LogRecord], partitions: int) -> None:
    """Write the records at the ends of their vehicles' partitions. Durable when committed."""
    if not records:
        return
    columns = [
        [partition_of(r.key.vin, partitions) for r in records],
        [r.key.vin for r in records],
        [orjson.dumps(r.headers()).decode() for r in records],
        [r.value for r in records],
    ]
    written = conn.execute(APPEND, columns).rowcount
    assert written == len(records), "more partitions than installed"


def read(conn: Connection, partition: int, from_position: int, limit: int) -> list[StoredRecord]:
    """At most `limit` records of a partition, in order, from a position on."""
    with conn.cursor(row_factory=class_row(StoredRecord), binary=True) as cur:
        return cur.execute(
            "select partition, position, vin, headers, value from frame_inbox"
            " where partition = %s and position >= %s order by position limit %s",
            [partition, from_position, limit],
        ).fetchall()


def read_many(
    conn: Connection, positions: Mapping[int, int], limit: int
) -> dict[int, list[StoredRecord]]:
    """At most `limit` records of each partition from its position on; only partitions with any."""
    found: dict[int, list[StoredRecord]] = {}
    with conn.cursor(row_factory=class_row(StoredRecord), binary=True) as cur:
        rows = cur.execute(
            "select i.* from unnest(%s::smallint[], %s::bigint[]) at (partition, position)"
            " cross join lateral (select partition, position, vin, headers, value from frame_inbox"
            " where partition = at.partition and position >= at.position"
            " order by position limit %s) i order by partition, position",
            [list(positions), list(positions.values()), limit],
        )
        for row in rows:
            found.setdefault(row.partition, []).append(row)
    return found


def prune(conn: Connection, topic: str = TOPIC, limit: int = PRUNE_LIMIT) -> int:
    """Delete records the ledger has passed; how many. Call again while it returns `limit`."""
    return conn.execute(PRUNE, [limit, topic, limit]).rowcount


def heads(conn: Connection) -> dict[int, int]:
    """Where the next record of each partition will go."""
    rows = conn.execute("select partition::int, next_position from frame_inbox_head")
    return {int(str(partition)): int(str(position)) for partition, position in rows}
