"""Two hundred ways for drives to arrive: always the same alerts, and history dispatches nothing.

Fifty vehicles, every scenario, a quarter of an hour each. In every round each vehicle's uploads
arrive in a way of their own, vehicles mixed, workers restarted in between; what is stored in the
end equals what an installation holds that heard everything in order.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import pytest

from model.frames import FrameBatch
from model.rescue import case_id
from simulators.fleet import Fleet
from simulators.scenarios import SCENARIOS
from tests.roadcall.rig import Rig
from tests.roadcall.test_owner import SEGMENTS

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("determinism")]

START_NS = 1_760_000_000 * 10**9
VEHICLES, ROUNDS = 50, 4
SLICES, SLICE_S = 75, 12.0
#: Seconds by which single uploads are late, at most; above 18 s history is run again.
LATE_S = (15.0, 120.0, SLICES * SLICE_S)
FAULTS = [name for name in SCENARIOS if name != "healthy"]

Uploads = list[FrameBatch]


@pytest.fixture(scope="module")
def fleet() -> Fleet:
    return Fleet(VEHICLES, 11, (FAULTS * 2)[:VEHICLES], START_NS, slice_s=SLICE_S, rate=0.1)


@pytest.fixture(scope="module")
def drives(fleet: Fleet) -> list[Uploads]:
    """What each vehicle sends, in order."""
    sent = ([fleet.upload_of(i, n) for n in range(SLICES)] for i in range(VEHICLES))
    return [[batch for batch in drive if len(batch)] for drive in sent]


def arriving(seed: int, drive: Uploads) -> list[tuple[float, FrameBatch]]:
    """(arrival, upload) of one vehicle; every fourth sends everything twice."""
    mixed = random.Random(seed)
    late_s = LATE_S[seed % len(LATE_S)]
    copies = drive * 2 if seed % 4 == 3 else drive
    return [
        (int(batch.observed_ns.max()) + mixed.uniform(0, late_s * 1e9), batch) for batch in copies
    ]


def cut(seed: int, uploads: Sequence[FrameBatch]) -> list[Uploads]:
    """Pieces between restarts."""
    mixed, pieces, rest = random.Random(seed), [], list(uploads)
    while rest:
        size = mixed.randint(100, 600)
        pieces.append(rest[:size])
        rest = rest[size:]
    return pieces


def fall_silent(rig: Rig) -> None:
    """Nothing is left undecided; a tick looks at a bounded number of vehicles."""
    for _ in range(VEHICLES):
        rig.worker._processor.tick(START_NS + 90 * 86_400 * 10**9)


@pytest.fixture(scope="module")
def in_order() -> dict[str, list[tuple[object, ...]]]:
    """What the first round stores of everything in order."""
    return {}


@pytest.mark.parametrize("turn", range(ROUNDS))
def test_any_arrival_is_in_order(
    new_rig: Callable[[], Rig],
    fleet: Fleet,
    drives: list[Uploads],
    in_order: dict[str, list[tuple[object, ...]]],
    turn: int,
) -> None:
    if not in_order:
        rig = new_rig()
        rig.register(*fleet.vehicles)
        rig.send([batch for drive in drives for batch in drive])
        fall_silent(rig)
        in_order |= {"alerts": rig.alerts(), "segments": rig.rows(SEGMENTS)}
    assert len(in_order["alerts"]) >= len(FAULTS)
    seeds = range(turn * VEHICLES, (turn + 1) * VEHICLES)
    due = [p for seed, drive in zip(seeds, drives, strict=True) for p in arriving(seed, drive)]
    rig = new_rig()
    rig.register(*fleet.vehicles)
    for piece in cut(turn, [batch for _, batch in sorted(due, key=lambda pair: pair[0])]):
        rig.worker = rig.new_worker()
        rig.send(piece)
    fall_silent(rig)
    assert rig.alerts() == in_order["alerts"]
    assert rig.rows(SEGMENTS) == in_order["segments"]
    told = rig.rows(
        "select case_id, alert_id from rescue_case join alert using (alert_id) where history"
    )
    # A case opened live may follow its fault to the alert that history found instead.
    assert [alert for case, alert in told if case == case_id(alert)] == []
