"""A truck's fault episodes on a real database: what is stored does not depend on the order."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import numpy as np
import pytest

from model.clock import NS
from model.frames import FrameBatch, frame_batch
from model.vehicle import Vehicle
from simulators.dm1 import dm1_frames
from simulators.scenarios import DiagnosticCode
from tests.roadcall.rig import Rig

pytestmark = pytest.mark.slow

TRUCK = Vehicle(vin="LRDCALLTRUCK00001", profile="demo_truck")
#: 2025-10-09T08:00:00Z.
START_NS = 1_759_996_800 * NS
MINUTE_NS, HOUR_NS = 60 * NS, 3600 * NS
LONG_AFTER_NS = START_NS + 10 * 24 * HOUR_NS
OIL, COOLANT, LOOSE = DiagnosticCode(100, 1), DiagnosticCode(110, 0, 3), DiagnosticCode(520192, 5)
EPISODES = (
    "select episode_id, kind, ecu, protocol, code, failure_type, instance, state, severity, count,"
    " repeat, started_ns, last_seen_ns, since_ns, ended_ns, occurrence_count, freeze_frames"
    " from fault_episode order by kind, code, started_ns"
)
FACTS = "select * from code_sighting order by 1, 2, 3, 4, 5, 6, 7"
HEARD = "select * from ecu_heard order by 1, 2, 3, 4, 5"


def minute(number: int, start_ns: int, lamp: str, codes: Sequence[DiagnosticCode]) -> FrameBatch:
    """One upload: DM1 every 15 s of one minute."""
    rows = [
        (start_ns + k * 15 * NS + delay, identifier, payload)
        for k in range(4)
        for delay, identifier, payload in dm1_frames(lamp, codes)
    ]
    return frame_batch(
        vin=TRUCK.vin,
        gateway_id="g",
        batch_id=f"b{number}",
        received_ns=start_ns + MINUTE_NS,
        observed_ns=np.array([t for t, _, _ in rows], np.int64),
        can_id=np.array([i for _, i, _ in rows], np.uint32),
        length=np.full(len(rows), 8, np.uint8),
        payload8=np.array([list(p) for _, _, p in rows], np.uint8),
    )


def drives() -> list[FrameBatch]:
    """Six drives of 12 minutes, two hours apart.

    1: oil, coolant.  2: coolant for 6 minutes.  3 to 6: nothing; 6 again the oil.  A loose
    connector comes and goes within drive 3.
    """
    said: dict[tuple[int, int], tuple[DiagnosticCode, ...]] = {}
    for m in range(12):
        said[0, m] = (OIL, COOLANT)
        said[1, m] = (COOLANT,) if m < 6 else ()
        said[2, m] = (LOOSE,) if m in (0, 1, 2, 10, 11) else ()
        said[5, m] = (OIL,)
    batches = []
    for drive in range(6):
        for m in range(12):
            codes = said.get((drive, m), ())
            start_ns = START_NS + drive * 2 * HOUR_NS + m * MINUTE_NS
            lamp = "red" if OIL in codes else "amber" if codes else ""
            batches.append(minute(len(batches), start_ns, lamp, codes))
    return batches


def play(rig: Rig, batches: Sequence[FrameBatch]) -> Rig:
    rig.register(TRUCK)
    rig.send(batches)
    rig.worker._processor.tick(LONG_AFTER_NS)
    return rig


@pytest.fixture
def in_order(new_rig: Callable[[], Rig]) -> Rig:
    return play(new_rig(), drives())


def test_what_the_truck_went_through(in_order: Rig) -> None:
    found = in_order.rows(
        "select code, state, severity, count, repeat,"
        f" (started_ns - {START_NS}) / {MINUTE_NS}, (last_seen_ns - {START_NS}) / {MINUTE_NS}"
        " from fault_episode where kind = 'code' order by code, started_ns"
    )
    assert found == [
        # Healed after drives 2, 3 and 4 and back in drive 6, within a day: the same episode.
        ("100/1", "active", 3, 2, 0, 0, 611),
        # Gone in the middle of drive 2; drives 3, 4 and 5 were good, drive 6 has begun.
        ("110/0", "healed", 3, 1, 0, 0, 125),
        # On, off and on again within twelve minutes: at 10 and 11 it is there again, and off
        # from drive 4 on; drives 4 and 5 are good, 6 is not over.
        ("520192/5", "passive", 2, 1, 0, 240, 251),
    ]


def test_a_code_and_its_rule_are_two_episodes(in_order: Rig) -> None:
    alerts = in_order.rows(
        "select count(*), count(distinct (rule_id, instance)) from alert where state <> 'retracted'"
    )
    rules = in_order.rows(
        "select sum(count), count(distinct (code, instance)) from fault_episode where kind = 'rule'"
    )
    assert alerts == rules
    assert alerts != [(0, 0)]


def test_twice_is_once(in_order: Rig) -> None:
    before = [in_order.rows(q) for q in (EPISODES, FACTS, HEARD)]
    in_order.send(drives())
    assert [in_order.rows(q) for q in (EPISODES, FACTS, HEARD)] == before


@pytest.mark.parametrize("window", [2, 12, 200])
def test_shuffled_is_in_order(new_rig: Callable[[], Rig], in_order: Rig, window: int) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    mixed = random.Random(seed)
    batches = drives()
    order = sorted(range(len(batches)), key=lambda i: i + mixed.uniform(0, window))
    shuffled = play(new_rig(), [batches[i] for i in order])
    for rows in (FACTS, HEARD, EPISODES):
        assert shuffled.rows(rows) == in_order.rows(rows)


def test_restarts_anywhere_change_nothing(new_rig: Callable[[], Rig], in_order: Rig) -> None:
    rig, batches = new_rig(), drives()
    rig.register(TRUCK)
    for start in range(0, len(batches), 7):
        rig.worker = rig.new_worker()
        rig.send(batches[start : start + 7])
    rig.worker._processor.tick(LONG_AFTER_NS)
    for rows in (FACTS, HEARD, EPISODES):
        assert rig.rows(rows) == in_order.rows(rows)


def test_one_upload_at_a_time_ends_where_one_fold_does(
    in_order: Rig, new_rig: Callable[[], Rig]
) -> None:
    """What is skipped because nothing can have changed is what a whole fold would leave alone."""
    rig = new_rig()
    rig.register(TRUCK)
    for batch in drives():
        rig.send([batch])
    rig.worker._processor.tick(LONG_AFTER_NS)
    assert rig.rows(EPISODES) == in_order.rows(EPISODES)
