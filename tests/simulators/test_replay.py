"""Replaying log files over real HTTP."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path

import can
import pytest

from model.clock import NS, FakeClock
from model.errors import DecodeError
from simulators.gateway import Retry, Totals
from simulators.pace import due_s
from simulators.replay import ReplayProgress, replay, survey, uploads

VIN = "LR9CA1B20SR000001"
LOG_START = 1_600_000_000
FRAMES = 2_600
FAST = Retry(attempts=6, first_s=0.001, longest_s=0.01, timeout_s=10)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """2 600 frames, one each 1 ms: three seconds, the third cut short."""
    path = tmp_path / "drive.log"
    lines = (f"({LOG_START + i / 1000:.6f}) can0 {i % 0x7FF:03X}#{i:016X}\n" for i in range(FRAMES))
    path.write_text("".join(lines), "utf-8")
    return path


def run(station, files: list[Path], **options) -> Totals:
    options = {"clock": FakeClock(), "retry": FAST} | options
    return asyncio.run(replay(files, VIN, to=station.url, token="t", **options))


def rows(station) -> list[tuple[int, int, str]]:
    return [
        (int(b.observed_ns[i]), int(b.can_id[i]), b.payload(i).hex())
        for b in station.taken
        for i in range(len(b))
    ]


def expected(shift_ns: int = 0) -> list[tuple[int, int, str]]:
    return [
        (LOG_START * NS + i * 1_000_000 + shift_ns, i % 0x7FF, f"{i:016x}") for i in range(FRAMES)
    ]


def test_original_times_in_order(station, log: Path) -> None:
    seen: list[ReplayProgress] = []
    totals = run(station, [log], progress=seen.append)
    assert rows(station) == expected()
    assert {b.vin for b in station.taken} == {VIN}
    assert max(map(len, station.taken)) <= 1000
    spans = [int(b.observed_ns.max() - b.observed_ns.min()) for b in station.taken]
    assert max(spans) < NS
    assert totals.frames == seen[-1].totals.frames == seen[-1].frames == FRAMES


def test_shifted_to_end_now(station, log: Path) -> None:
    now = 1_760_000_000 * NS
    run(station, [log], shift=True, clock=FakeClock(now))
    assert max(t for t, _, _ in rows(station)) == now
    shift = now - (LOG_START * NS + (FRAMES - 1) * 1_000_000)
    assert rows(station) == expected(shift)


def test_again_is_the_same_batches_and_shuffled_too(station, log: Path) -> None:
    run(station, [log])
    first = {key: body for _, key, body in station.requests}
    assert len(first) == 3
    run(station, [log], shuffle=3, connections=1)
    again = [(key, body) for _, key, body in station.requests[3:]]
    assert dict(again) == first
    assert [k for k, _ in again] != list(first)


def test_other_shift_is_another_history(station, log: Path) -> None:
    run(station, [log])
    run(station, [log], shift=True, clock=FakeClock(1_760_000_000 * NS))
    assert set(Counter(key for _, key, _ in station.requests).values()) == {1}


def test_an_interrupted_shifted_replay_goes_on_with_its_first_shift(
    station, log: Path, tmp_path: Path
) -> None:
    class StoppedError(Exception):
        pass

    def stop(progress: ReplayProgress) -> None:
        if progress.totals.batches == 1:
            raise StoppedError

    now, journal = 1_760_000_000 * NS, tmp_path / "journal"
    with pytest.raises(StoppedError):
        run(station, [log], shift=True, clock=FakeClock(now), journal=journal, progress=stop)
    totals = run(station, [log], shift=True, clock=FakeClock(now + 3600 * NS), journal=journal)
    assert (totals.skipped_batches, totals.batches) == (1, 2)
    assert totals.frames + totals.skipped_frames == FRAMES
    assert rows(station) == expected(now - (LOG_START * NS + (FRAMES - 1) * 1_000_000))


def test_two_files_keep_their_distance(station, log: Path, tmp_path: Path) -> None:
    later = tmp_path / "later.log"
    later.write_text(f"({LOG_START + 100}.000000) can0 123#01\n", "utf-8")
    now = 1_760_000_000 * NS
    totals = run(station, [log, later], shift=True, clock=FakeClock(now))
    assert totals.frames == FRAMES + 1
    times = [t for t, _, _ in rows(station)]
    assert (times[-1], times[0]) == (now, now - 100 * NS)


def test_pace_follows_the_log(station, log: Path) -> None:
    parts = list(uploads(survey(log), VIN, 0))
    assert [due_s(p, LOG_START * NS, 10) for p in parts] == pytest.approx([0.0999, 0.1999, 0.2599])
    totals = run(station, [log], speed=1000)
    assert totals.frames == FRAMES


def test_a_real_log_arrives_as_python_can_reads_it(station, samples) -> None:
    path = samples("j1939-truck-canedge") / "candump.log"
    run(station, [path])
    arrived = [
        (
            round(int(b.observed_ns[i]) / 1000),
            int(b.can_id[i]) & 0x1FFFFFFF,
            bool(int(b.can_id[i]) >> 31),
            b.payload(i),
        )
        for b in station.taken
        for i in range(len(b))
    ]
    with can.CanutilsLogReader(str(path)) as reader:
        wanted = [
            (round(m.timestamp * 1e6), m.arbitration_id, m.is_extended_id, bytes(m.data))
            for m in reader
        ]
    assert sorted(arrived) == sorted(wanted)


def test_a_file_without_frames_is_refused(tmp_path: Path) -> None:
    empty = tmp_path / "empty.log"
    empty.write_text("\n", "utf-8")
    with pytest.raises(DecodeError, match=r"empty\.log"):
        survey(empty)
