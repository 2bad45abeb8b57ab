"""Two rival consumers of one partition, killed at random: every record has its effect once."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from model.log import BatchKey, LogRecord
from model.wire import partition_of
from store import inbox
from store.database import Connection

HERE = Path(__file__).resolve().parent
RECORDS, KILLS = 700, 10


@pytest.mark.slow
def test_rows_are_exact_under_kill_9(conn: Connection, dsn: str, fleet: dict[str, int]) -> None:
    (vin, number), *_ = fleet.items()
    partition = partition_of(vin, 12)
    keys = [BatchKey("gw", vin, str(i)) for i in range(RECORDS)]
    inbox.append(conn, [LogRecord(k, "x", 0, "can", b"x") for k in keys], 12)
    conn.commit()
    seed = random.randrange(2**32)
    print("seed", seed)
    dice = random.Random(seed)

    def start() -> subprocess.Popen[bytes]:
        worker = HERE / "exactly_once_worker.py"
        return subprocess.Popen(
            [sys.executable, str(worker), dsn, str(partition), str(RECORDS), str(number)],
            cwd=HERE.parents[1],
            env={"PYTHONPATH": str(HERE.parents[1])},
            stdout=subprocess.DEVNULL,
        )

    rivals = [start(), start()]
    for kill in range(1, KILLS + 1):
        while _applied(conn) < kill * RECORDS // (KILLS + 2):
            time.sleep(0.005)
        time.sleep(dice.random() * 0.03)
        victim = dice.randrange(2)
        rivals[victim].kill()
        rivals[victim].wait()
        rivals[victim] = start()
    assert [r.wait(timeout=120) for r in rivals] == [0, 0]
    counts = conn.execute(
        "select (select sum(n) from frame_block), (select count(*) from alert),"
        " (select count(*) from pushed_batch), (select sum(n) from signal_segment),"
        " (select sum(vsum) from signal_segment)"
    ).fetchone()
    total = RECORDS * (RECORDS - 1) / 2
    assert counts == (RECORDS, RECORDS, RECORDS, RECORDS, total)
    state = conn.execute("select memory, vals from vehicle_state").fetchall()
    assert state == [({"position": RECORDS - 1}, [float(RECORDS - 1)])]


def _applied(conn: Connection) -> int:
    row = conn.execute("select coalesce(sum(next_position), 0)::int from ledger").fetchone()
    conn.rollback()
    assert row is not None and isinstance(row[0], int)
    return row[0]
