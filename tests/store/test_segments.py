"""Segments against a plain Python account of the same samples."""

from __future__ import annotations

import math
from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.clock import NS
from model.signals import SignalBatch, SignalTable
from store import segments
from store.database import Connection

START_S = 1_700_000_000
Sample = tuple[int, float, int]


def account(runs: list[list[Sample]]) -> dict[tuple[int, int], dict[str, object]]:
    """By (run, minute): the figures of the GOOD samples, and the last value of each second."""
    found: dict[tuple[int, int], dict[str, object]] = {}
    for number, samples in enumerate(runs):
        minutes: dict[int, list[Sample]] = defaultdict(list)
        for sample in sorted(samples, key=lambda s: s[0]):
            minutes[sample[0] // (60 * NS)].append(sample)
        for minute, rows in minutes.items():
            good = [(ns, v) for ns, v, quality in rows if quality == 0]
            values = [v for _, v in good]
            found[number, minute] = {
                "n": len(good),
                "n_bad": len(rows) - len(good),
                "figures": (min(values), max(values), values[0], values[-1], math.fsum(values))
                if values
                else None,
                "cells": {ns // NS: v for ns, v in good},
            }
    return found


samples = st.lists(
    st.tuples(
        st.integers(START_S * NS, (START_S + 200) * NS),
        st.integers(-(2**20), 2**20).map(lambda i: i / 8),
        st.sampled_from([0, 0, 0, 1, 2, 3]),
    ),
    max_size=60,
)


@given(st.lists(samples, min_size=1, max_size=5), st.booleans())
@settings(max_examples=200, deadline=None)
def test_figures_are_exact_and_cells_hold_the_last_of_each_second(
    runs: list[list[Sample]], in_order: bool
) -> None:
    runs = [sorted(r) if in_order else r for r in runs]
    flat = [s for run in runs for s in run]
    cut = segments.cut(
        np.array([len(r) for r in runs]),
        np.array([s[0] for s in flat], np.int64),
        np.array([s[1] for s in flat], np.float64),
        np.array([s[2] for s in flat], np.uint8),
    )
    expected = account(runs)
    assert len(cut.run) == len(expected)
    for i in range(len(cut.run)):
        row = expected.pop((int(cut.run[i]), int(cut.first_second[i]) // 60))
        assert (cut.n[i], cut.n_bad[i]) == (row["n"], row["n_bad"])
        cells = cut.cells[cut.start[i] : cut.start[i] + cut.width[i]]
        present = np.flatnonzero(~np.isnan(cells))
        seconds = dict(zip((cut.first_second[i] + present).tolist(), cells[present], strict=True))
        if row["figures"] is None:
            assert np.isnan([cut.vmin[i], cut.vmax[i], cut.vfirst[i], cut.vlast[i]]).all()
            assert not seconds
            continue
        figures = (cut.vmin[i], cut.vmax[i], cut.vfirst[i], cut.vlast[i], cut.vsum[i])
        assert figures == row["figures"]
        assert {s: cut.vfirst[i] + d for s, d in seconds.items()} == row["cells"]


def batch(names: tuple[str, ...], runs: list[list[Sample]]) -> SignalBatch:
    flat = [s for run in runs for s in run]
    return SignalBatch(
        table=SignalTable("p", names, ("",) * len(names)),
        run_signal=np.arange(len(runs), dtype=np.uint16),
        run_source=np.full(len(runs), 3, np.int16),
        run_start=np.concatenate([[0], np.cumsum([len(r) for r in runs])]).astype(np.int64),
        observed_ns=np.array([s[0] for s in flat], np.int64),
        value=np.array([s[1] for s in flat], np.float64),
        quality=np.array([s[2] for s in flat], np.uint8),
        frame_status=np.zeros(0, np.uint8),
    )


def test_rows_in_the_database_are_the_rows_that_were_cut(conn: Connection) -> None:
    second = START_S * NS  # 20 s into a minute
    made = batch(
        ("A", "B"),
        [
            [(second + i * NS // 2, 1_000_000.0 + i / 8, 0) for i in range(240)],
            [(second, 5.0, 2), (second + 3 * NS, 7.0, 0), (second + 60 * NS, 0.0, 1)],
        ],
    )
    ids = np.array([11, 12], np.int32)
    assert segments.write(conn, [segments.Upload(1, made, ids)]) == 5
    rows = conn.execute(
        "select signal_id, source, extract(epoch from time)::int, step_ms, n, n_bad, vmin, vmax,"
        " vfirst, vlast, cardinality(deltas) from signal_segment order by 1, 3"
    ).fetchall()
    assert rows[:3] == [
        (11, 3, START_S, 1000, 80, 0, 1e6, 1e6 + 79 / 8, 1e6, 1e6 + 79 / 8, 40),
        (11, 3, START_S + 40, 1000, 120, 0, 1e6 + 10, 1e6 + 199 / 8, 1e6 + 10, 1e6 + 199 / 8, 60),
        (11, 3, START_S + 100, 1000, 40, 0, 1e6 + 25, 1e6 + 239 / 8, 1e6 + 25, 1e6 + 239 / 8, 20),
    ]
    assert rows[3] == (12, 3, START_S + 3, 1000, 1, 1, 7.0, 7.0, 7.0, 7.0, 1)
    assert rows[4][:6] == (12, 3, START_S + 60, 1000, 0, 1)
    seen = conn.execute(
        "select extract(epoch from time)::int, value from signal_sample where signal_id = 11"
        " order by 1"
    ).fetchall()
    assert seen == [(START_S + i, 1e6 + (2 * i + 1) / 8) for i in range(120)]


def test_many_uploads_in_chunks_all_arrive(
    conn: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(segments, "CHUNK_SAMPLES", 7)
    made = batch(("A",), [[(START_S * NS + i * NS, float(i), 0) for i in range(5)]])
    uploads = [segments.Upload(v, made, np.array([1], np.int32)) for v in range(1, 12)]
    assert segments.write(conn, uploads) == 11
    stored = conn.execute(
        "select array_agg(vehicle_id order by vehicle_id), sum(n), sum(vsum) from signal_segment"
    ).fetchone()
    assert stored == (list(range(1, 12)), 55, 110.0)
