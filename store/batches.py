"""Pushed batches already seen: a repeat is answered like the first and changes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum

from model.clock import utc
from model.log import BatchKey
from store.database import Connection

Batch = tuple[BatchKey, str, int]
#: Rows one `prune` takes; each is about 100 bytes.
PRUNE_LIMIT = 10_000


class Claim(StrEnum):
    """What a batch is to us."""

    NEW = "new"
    REPEAT = "repeat"
    CONFLICT = "conflict"  # the same key with other content


INSERT = """
insert into pushed_batch (gateway_id, vin, batch_id, part, digest, received_at)
select * from unnest(%s::text[], %s::text[], %s::text[], %s::smallint[], %s::text[],
                     %s::timestamptz[]) order by 1, 2, 3, 4
on conflict do nothing returning gateway_id, vin, batch_id, part::int
"""
DIGESTS = """
select b.gateway_id, b.vin, b.batch_id, b.part::int, b.digest
from pushed_batch b
join unnest(%s::text[], %s::text[], %s::text[], %s::smallint[]) k (gateway_id, vin, batch_id, part)
using (gateway_id, vin, batch_id, part)
"""

#: Rivals pass each other's rows over.
PRUNE = """
delete from pushed_batch where ctid = any(array(
    select ctid from pushed_batch where received_at < %s limit %s for update skip locked))
"""


def claim(conn: Connection, batches: Sequence[Batch]) -> list[Claim]:
    """Write down the keys of (key, digest, received_ns); one answer for each, in order.

    Of two equal keys in one call the first is NEW. Waits for a rival transaction to end.
    """
    first: dict[BatchKey, tuple[str, int]] = {}
    for key, digest, received_ns in batches:
        first.setdefault(key, (digest, received_ns))
    keys = [[k.gateway_id for k in first], [k.vin for k in first], [k.batch_id for k in first]]
    columns = [*keys, [k.part for k in first]]
    rest = [[d for d, _ in first.values()], [utc(ns) for _, ns in first.values()]]
    fresh = {_key(row) for row in conn.execute(INSERT, [*columns, *rest])}
    known = {key: digest for key, (digest, _) in first.items()}
    if len(fresh) < len(first):
        known |= {_key(row[:4]): str(row[4]) for row in conn.execute(DIGESTS, columns)}
    claims = []
    for key, digest, _ in batches:
        same = Claim.REPEAT if known[key] == digest else Claim.CONFLICT
        claims.append(Claim.NEW if key in fresh else same)
        fresh.discard(key)
    return claims


def prune(conn: Connection, older_than: datetime, limit: int = PRUNE_LIMIT) -> int:
    """Forget keys received before a moment; how many. Call again while it returns `limit`."""
    return conn.execute(PRUNE, [older_than, limit]).rowcount


def _key(row: tuple[object, ...]) -> BatchKey:
    gateway_id, vin, batch_id, part = row
    return BatchKey(str(gateway_id), str(vin), str(batch_id), int(str(part)))
