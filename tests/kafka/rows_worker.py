"""A worker process for the fault tests: the real Kafka worker over a processor that writes one row
per record and nothing else. The rows have no unique key, so a repetition would show.

    rows_worker.py DSN SERVERS TOPIC PARTITIONS INSTANCE STALL_LIMIT_S
"""

from __future__ import annotations

import faulthandler
import signal
import sys
from collections.abc import Collection, Mapping, Sequence

from model.clock import SystemClock
from model.log import StoredRecord
from roadcall import logs
from roadcall.kafka_worker import WorkerPlan, run
from store import ledger
from store.database import Pool, open_pool, transaction

BUG = b"a bug of ours"


class RowsProcessor:
    """`roadcall.processor.Processor` with the smallest effect there is."""

    def __init__(self, pool: Pool, topic: str) -> None:
        self._pool, self._topic = pool, topic
        self._next: dict[int, int] = {}

    def assigned(self, partitions: Collection[int]) -> dict[int, int]:
        with transaction(self._pool) as conn:
            positions = ledger.positions(conn, self._topic, partitions)
        self._next.update(positions)
        return positions

    def revoked(self, partitions: Collection[int]) -> None:
        for partition in partitions:
            self._next.pop(partition, None)

    def apply(self, records: Mapping[int, Sequence[StoredRecord]]) -> None:
        moves = {p: (self._next[p], rs[-1].position + 1) for p, rs in records.items()}
        rows = [
            (self._topic, r.partition, r.position, r.vin, r.headers.get("batch"), r.value)
            for of_one in records.values()
            for r in of_one
        ]
        assert not any(row[-1] == BUG for row in rows)
        with transaction(self._pool) as conn:
            ledger.advance(conn, self._topic, moves)
            conn.cursor().executemany("insert into landed values (%s, %s, %s, %s, %s, %s)", rows)
        self._next.update({p: after for p, (_, after) in moves.items()})

    def tick(self, now_ns: int) -> None:
        """Nothing is due."""


def main(
    dsn: str, servers: str, topic: str, partitions: str, instance: str, stall_limit_s: str
) -> int:
    logs.configure(json_logs=False)
    faulthandler.register(signal.SIGUSR1)
    pool = open_pool(dsn, 4)
    plan = WorkerPlan(
        servers,
        topic=topic,
        partitions=int(partitions),
        group=f"rows.{topic}",
        instance=instance or None,
        stall_limit_s=float(stall_limit_s),
    )
    try:
        return run(plan, RowsProcessor(pool, topic), SystemClock())
    finally:
        pool.close()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
