"""One vehicle's day in every order: what is true does not depend on how it arrived."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import pytest

from model.frames import FrameBatch
from roadcall.intake import read_upload
from roadcall.settings import Settings
from simulators.fleet import Fleet
from store import dead_letters, figures
from store.database import transaction
from tests.roadcall.rig import Rig

START_NS = 1_760_000_000 * 10**9
DAY_NS = 86_400 * 10**9
#: All is silent for long: nothing is left undecided. Batch keys are still known.
LONG_AFTER_NS = START_NS + 10 * DAY_NS
SLICES = 60
SEGMENTS = (
    "select vehicle_id, name, source, date_trunc('minute', time), sum(n), min(vmin)::text,"
    " max(vmax)::text, round(sum(vsum)::numeric, 6)::text"
    " from signal_segment join signal using (signal_id)"
    " group by 1, 2, 3, 4 order by 1, 2, 3, 4"
)


@pytest.fixture(scope="module")
def day() -> tuple[Fleet, list[FrameBatch]]:
    """Two cars, ten minutes, one of them overheats: 120 uploads."""
    fleet = Fleet(2, 5, ("overheating",), START_NS)
    return fleet, [batch for n in range(SLICES) for batch in fleet.upload(n)]


@pytest.fixture
def in_order(new_rig: Callable[[], Rig], day: tuple[Fleet, list[FrameBatch]]) -> Rig:
    return play(new_rig(), day[0], day[1])


def play(rig: Rig, fleet: Fleet, batches: Sequence[FrameBatch]) -> Rig:
    rig.register(*fleet.vehicles)
    rig.send(batches)
    rig.worker._processor.tick(LONG_AFTER_NS)
    return rig


def test_the_fault_is_found_with_its_position(in_order: Rig) -> None:
    severe = [row[1] for row in in_order.alerts() if row[3] == 3]
    assert severe == ["ice.coolant.overtemp"]
    cases = in_order.rows("select state, zone from rescue_case")
    assert [state for state, _ in cases] == ["requested"]


def test_twice_is_once(in_order: Rig, day: tuple[Fleet, list[FrameBatch]]) -> None:
    segments, alerts = in_order.rows(SEGMENTS), in_order.alerts()
    stored = in_order.rows("select sum(n) from frame_block")
    in_order.send(day[1])
    assert in_order.rows("select sum(n) from frame_block") == stored
    assert (in_order.rows(SEGMENTS), in_order.alerts()) == (segments, alerts)


@pytest.mark.parametrize("window", [1, SLICES * 2])
def test_shuffled_is_in_order(
    new_rig: Callable[[], Rig],
    in_order: Rig,
    day: tuple[Fleet, list[FrameBatch]],
    window: int,
) -> None:
    fleet, batches = day
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    mixed = random.Random(seed)
    order = sorted(range(len(batches)), key=lambda i: i + mixed.uniform(0, 2 * window))
    shuffled = play(new_rig(), fleet, [batches[i] for i in order])
    assert shuffled.alerts() == in_order.alerts()
    assert shuffled.rows(SEGMENTS) == in_order.rows(SEGMENTS)


def test_restarts_anywhere_change_nothing(
    new_rig: Callable[[], Rig], in_order: Rig, day: tuple[Fleet, list[FrameBatch]]
) -> None:
    fleet, batches = day
    rig = new_rig()
    rig.register(*fleet.vehicles)
    for start in range(0, len(batches), 7):
        rig.worker = rig.new_worker()
        rig.send(batches[start : start + 7])
    rig.worker._processor.tick(LONG_AFTER_NS)
    assert rig.alerts() == in_order.alerts()


def test_same_key_with_other_content_is_kept_aside(
    new_rig: Callable[[], Rig], day: tuple[Fleet, list[FrameBatch]]
) -> None:
    fleet, batches = day
    first, other = batches[0], batches[2]
    assert first.vin == other.vin
    rig = new_rig()
    rig.register(*fleet.vehicles)
    rig.send([first])
    from dataclasses import replace

    rig.send([replace(other, batch_id=first.batch_id)])
    with transaction(rig.pool) as conn:
        (letter,) = dead_letters.page(conn)
        assert figures.counts(conn)["frames_stored"] == len(first)
    assert letter.reason == "batch key was used before with other content"
    assert len(read_upload(letter.origin).frames) == len(other)


def test_old_batch_keys_are_forgotten_an_hour_apart_and_a_bounded_number_at_once(
    new_rig: Callable[[], Rig], day: tuple[Fleet, list[FrameBatch]], monkeypatch: pytest.MonkeyPatch
) -> None:
    fleet, batches = day
    rig, kept_ns = new_rig(), Settings().pushed_batch_days * DAY_NS
    rig.register(*fleet.vehicles)
    rig.send(batches[:6], received_ns=START_NS)
    rig.send(batches[6:9], received_ns=START_NS + 2 * DAY_NS)
    monkeypatch.setattr("store.batches.PRUNE_LIMIT", 4)

    def left_after(now_ns: int) -> int:
        rig.worker._processor.tick(now_ns)
        ((count,),) = rig.rows("select count(*) from pushed_batch")
        return int(str(count))

    assert left_after(START_NS + kept_ns) == 9
    assert left_after(START_NS + kept_ns + 1000 * 10**9) == 9  # looked less than an hour ago
    due_ns = START_NS + kept_ns + 3600 * 10**9
    assert [left_after(due_ns + n) for n in range(3)] == [5, 3, 3]


def test_the_lateness_is_a_setting(
    new_rig: Callable[[], Rig], day: tuple[Fleet, list[FrameBatch]]
) -> None:
    fleet, batches = day
    watermarks = {}
    for lateness_s in (30.0, 5.0):
        rig = new_rig()
        rig.settings = rig.settings.model_copy(update={"lateness_s": lateness_s})
        rig.worker = rig.new_worker()
        rig.register(*fleet.vehicles)
        rig.send(batches[:2])
        newest_ns = max(int(batch.observed_ns.max()) for batch in batches[:2])
        memories = [m for p in rig.worker._processor._memory.values() for m in p.values()]
        found = {m.rules.newest_ns - m.rules.watermark_ns for m in memories if m.observed_ns}
        watermarks[lateness_s] = found
        rig.worker._processor.tick(newest_ns + 6 * 10**9)
        final = [
            m.rules.watermark_ns > m.rules.newest_ns
            for p in rig.worker._processor._memory.values()
            for m in p.values()
        ]
        assert set(final) == {lateness_s == 5.0}
    assert watermarks == {30.0: {30 * 10**9}, 5.0: {5 * 10**9}}
