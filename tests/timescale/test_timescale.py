"""The TimescaleDB part: same writes, same reads, columnstore and the hourly aggregate."""

from __future__ import annotations

import numpy as np
import pytest

from model.clock import NS, utc
from model.frames import frame_batch
from model.signals import SignalBatch, SignalTable
from model.vehicle import Vehicle
from store import frame_block, masters, readings, retention, segments, signal_names
from store.database import Connection
from store.migrate import has_timescale, migrate

#: One server, so one process.
pytestmark = [pytest.mark.timescale, pytest.mark.xdist_group("timescale")]

VIN = "LRDCALL0000000001"
TABLE = SignalTable("demo_car", ("engine_speed_rpm",), ("rpm",))
HOUR_NS = 3600 * NS
START_NS = 1_600_000_000 * NS // HOUR_NS * HOUR_NS  # long ago: every policy would take it


def send(
    conn: Connection, start_ns: int, values: np.ndarray[tuple[int], np.dtype[np.float64]]
) -> int:
    """One value every ten seconds, as one upload; the vehicle's number."""
    number = masters.upsert_vehicles(conn, [Vehicle(vin=VIN, profile="demo_car")])[VIN]
    n = len(values)
    times = start_ns + np.arange(n) * 10 * NS
    batch = SignalBatch(
        table=TABLE,
        run_signal=np.array([0], np.uint16),
        run_source=np.array([-1], np.int16),
        run_start=np.array([0, n]),
        observed_ns=times,
        value=values,
        quality=np.zeros(n, np.uint8),
        frame_status=np.zeros(0, np.uint8),
    )
    ids = signal_names.numbers_of(conn).column(conn, TABLE)
    segments.write(conn, [segments.Upload(number, batch, ids)])
    frames = frame_batch(
        observed_ns=times,
        can_id=np.arange(n, dtype=np.uint32),
        length=np.zeros(n, np.uint8),
        payload8=np.zeros((n, 8), np.uint8),
    )
    frame_block.write(conn, [(number, frames)])
    conn.commit()
    return number


def run_jobs(conn: Connection, kind: str) -> None:
    conn.autocommit = True
    jobs = conn.execute(
        "select job_id from timescaledb_information.jobs where proc_name like %s", [f"%{kind}%"]
    ).fetchall()
    assert jobs
    for (job,) in jobs:
        conn.execute("call run_job(%s)", [job])
    conn.autocommit = False


def hours(conn: Connection) -> list[tuple[object, ...]]:
    found = conn.execute("select bucket, n, vmin, vmax, vsum from signal_1h order by 1").fetchall()
    conn.commit()
    return found


def account(start_ns: int, values: np.ndarray[tuple[int], np.dtype[np.float64]]) -> list[object]:
    rows = values.reshape(-1, 360)
    return [
        (utc(start_ns + i * HOUR_NS), len(r), r.min(), r.max(), float(r.sum()))
        for i, r in enumerate(rows)
    ]


def test_bulk_tables_are_hypertables_without_retention(conn: Connection) -> None:
    assert has_timescale(conn)
    tables = conn.execute(
        "select hypertable_name::text from timescaledb_information.hypertables"
        " where hypertable_schema = 'public' order by 1"
    ).fetchall()
    assert tables == [("frame_block",), ("signal_segment",)]
    jobs = conn.execute(
        "select count(*) from timescaledb_information.jobs where proc_name = 'policy_retention'"
    ).fetchone()
    assert jobs == (0,)
    conn.commit()
    assert migrate(conn, 12, timescale=None) == []


def test_hours_are_exact_before_and_after_columnstore_and_with_late_values(
    conn: Connection,
) -> None:
    values = np.random.default_rng(7).integers(-800, 800, 3 * 360) / 8
    number = send(conn, START_NS, values)
    assert hours(conn) == account(START_NS, values)
    conn.autocommit = True
    conn.execute("call refresh_continuous_aggregate('signal_1h', null, null)")
    conn.autocommit = False
    assert hours(conn) == account(START_NS, values)
    run_jobs(conn, "compression")
    packed = conn.execute(
        "select count(*) from timescaledb_information.chunks where is_compressed"
        " and hypertable_name = 'signal_segment'"
    ).fetchone()
    assert packed is not None and packed[0] != 0
    conn.commit()
    assert hours(conn) == account(START_NS, values)
    send(conn, START_NS, values)  # late rows into the columnstore
    conn.autocommit = True
    conn.execute("call refresh_continuous_aggregate('signal_1h', null, null)")
    conn.autocommit = False
    assert [row[1] for row in hours(conn)] == [720, 720, 720]
    start, end = utc(START_NS), utc(START_NS + HOUR_NS)
    _, steps = readings.chart(conn, VIN, "engine_speed_rpm", start, end, by_minute=True)
    minutes = values[:360].reshape(60, 6)
    assert [s.value for s in steps] == pytest.approx(minutes.mean(axis=1).tolist(), abs=1e-9)
    assert [s.maximum for s in steps] == minutes.max(axis=1).tolist()
    found = frame_block.read_frames(conn, number, START_NS, START_NS + HOUR_NS, 1000)
    assert sum(len(b) for b in found) == 720


def test_forgetting_drops_whole_chunks_when_told(conn: Connection) -> None:
    send(conn, START_NS, np.zeros(360))
    assert retention.prune(conn, "frame_block", utc(START_NS)) == 0
    assert retention.prune(conn, "frame_block", utc(START_NS + 30 * HOUR_NS)) == 1
    assert conn.execute("select count(*) from frame_block").fetchone() == (0,)
    assert conn.execute("select sum(n) from signal_segment").fetchone() == (360,)
