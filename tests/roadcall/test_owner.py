"""One vehicle's day in every order: what is true does not depend on how it arrived."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import pytest

from model.frames import FrameBatch
from roadcall.intake import read_upload
from simulators.fleet import Fleet
from store import dead_letters, figures
from store.database import transaction
from tests.roadcall.rig import Rig

START_NS = 1_760_000_000 * 10**9
SLICES = 60
#: Uploads that overtake each other by less than the lateness.
WITHIN_LATENESS = 1
#: Column of `Rig.alerts`. Beyond the lateness an alert that grew worse may keep the values of a
#: later serious sample: the store does not tell the history lane when it grew (docs/adr/0005).
EVIDENCE = -1

SEGMENTS = (
    "select vehicle_id, name, source, date_trunc('minute', time), sum(n), min(vmin), max(vmax),"
    " round(sum(vsum)::numeric, 6) from signal_segment join signal using (signal_id)"
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
    rig.worker._processor.tick(10**19)  # all is silent for long: nothing is left undecided
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


@pytest.mark.parametrize("window", [WITHIN_LATENESS, SLICES * 2])
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
    known = slice(None) if window == WITHIN_LATENESS else slice(None, EVIDENCE)
    assert [a[known] for a in shuffled.alerts()] == [a[known] for a in in_order.alerts()]
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
    rig.worker._processor.tick(10**19)
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
