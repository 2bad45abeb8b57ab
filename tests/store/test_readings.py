"""What a person looks at: newest values and charts, from rows the pipeline wrote."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest

from model.clock import NS, utc
from model.signals import SignalBatch, SignalTable
from store import readings, retention, segments, signal_names
from store.database import Connection, UnknownRowError

TABLE = SignalTable("demo_car", ("engine_speed_rpm", "Body.Door"), ("rpm", ""))
START_NS = 1_700_000_040 * NS  # a whole minute


def send(conn: Connection, vehicle_id: int, first: int, n: int) -> None:
    """Samples first, first + 1, ... twice a second, as one upload."""
    times = START_NS + np.arange(first, first + n) * NS // 2
    batch = SignalBatch(
        table=TABLE,
        run_signal=np.array([0], np.uint16),
        run_source=np.array([-1], np.int16),
        run_start=np.array([0, n]),
        observed_ns=times,
        value=np.arange(first, first + n, dtype=np.float64),
        quality=np.zeros(n, np.uint8),
        frame_status=np.zeros(0, np.uint8),
    )
    numbers = signal_names.numbers_of(conn).column(conn, TABLE)
    segments.write(conn, [segments.Upload(vehicle_id, batch, numbers)])


def test_minutes_are_exact_over_several_uploads(conn: Connection, fleet: dict[str, int]) -> None:
    (vin, number), *_ = fleet.items()
    for first in (100, 0, 50, 150):  # the second half arrives first
        send(conn, number, first, 50)
    start, end = utc(START_NS), utc(START_NS + 120 * NS)
    unit, steps = readings.chart(conn, vin, "engine_speed_rpm", start, end, by_minute=True)
    assert unit == "rpm"
    assert [(s.moment, s.value, s.minimum, s.maximum) for s in steps] == [
        (start, 59.5, 0.0, 119.0),
        (start + timedelta(minutes=1), 159.5, 120.0, 199.0),
    ]


def test_seconds_are_the_last_value_of_each(conn: Connection, fleet: dict[str, int]) -> None:
    (vin, number), *_ = fleet.items()
    send(conn, number, 0, 200)
    start = utc(START_NS + 58 * NS)
    _, steps = readings.chart(
        conn, vin, "engine_speed_rpm", start, start + timedelta(seconds=4), by_minute=False
    )
    assert [(s.moment, s.value) for s in steps] == [
        (start + timedelta(seconds=i), 2.0 * (58 + i) + 1) for i in range(4)
    ]


def test_unknown_names_are_said_to_be_unknown(conn: Connection, fleet: dict[str, int]) -> None:
    vin = next(iter(fleet))
    moment = utc(START_NS)
    with pytest.raises(UnknownRowError, match="no such signal"):
        readings.chart(conn, vin, "nothing", moment, moment, by_minute=True)
    with pytest.raises(UnknownRowError, match="no such vehicle"):
        readings.newest(conn, "LRDCALL0000000999")
    assert readings.newest(conn, vin).values == ()


def test_retention_takes_old_rows_only(conn: Connection, fleet: dict[str, int]) -> None:
    number = next(iter(fleet.values()))
    for first in (0, 10_000):
        send(conn, number, first, 50)
    assert retention.prune(conn, "signal_segment", utc(START_NS)) == 0
    assert retention.prune(conn, "signal_segment", utc(START_NS + 100 * NS)) == 1
    assert conn.execute("select min(vmin) from signal_segment").fetchone() == (10_000.0,)
    assert retention.prune(conn, "frame_block", utc(START_NS)) == 0
