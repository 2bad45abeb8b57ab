"""A truck's log with its DM1, through the front door: in order, twice, shuffled."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from simulators.fleet import Fleet
from simulators.masters import demo_vin
from tests.roadcall.front_door import FrontDoor

pytestmark = pytest.mark.slow

SLICES = 30
ALERTS = (
    "select rule_id, instance, severity, state, started_at, fired_at, evidence from alert"
    " where state <> 'retracted' and rule_id like 'lamp.%' order by 1, 2"
)
FRAMES = "select coalesce(sum(n), 0)::bigint from frame_block"


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, int]:
    """Five minutes of a truck whose red lamp comes on, as candump writes them."""
    fleet = Fleet(4, 9, ("truck_red_lamp",), 1_760_000_000 * 10**9, rate=0.2)
    (index,) = (i for i, v in enumerate(fleet.vehicles) if v.profile == "demo_truck")
    lines = []
    for number in range(SLICES):
        batch = fleet.upload_of(index, number)
        for row in range(len(batch)):
            t = int(batch.observed_ns[row]) // 1000
            identifier = int(batch.can_id[row]) & 0x1FFF_FFFF
            payload = batch.payload(row).hex().upper()
            lines.append(f"({t // 10**6}.{t % 10**6:06}) can0 {identifier:08X}#{payload}")
    path = tmp_path_factory.mktemp("log") / "truck.log"
    path.write_text("\n".join(lines) + "\n")
    assert fleet.vehicles[index].vin == demo_vin("demo_truck", index)
    return path, fleet.vehicles[index].vin, len(lines)


def test_orders(door: FrontDoor, new_dsn: Callable[[], str], log: tuple[Path, str, int]) -> None:
    path, vin, frames = log
    replayed = ("replay", str(path), "--vin", vin, "--profile", "demo_truck")
    with door.up():
        door.run(*replayed)
        door.wait_for(FRAMES, frames)
        in_order = door.rows(ALERTS)
        assert [(row[0], row[2]) for row in in_order] == [("lamp.red_stop", 3)]
        door.run(*replayed)
        assert door.rows(FRAMES) == [(frames,)]
        assert door.rows(ALERTS) == in_order

    other = FrontDoor(new_dsn(), door.home / "other", door.kafka)
    with other.up():
        other.run(*replayed, "--shuffle", "7")
        other.wait_for(FRAMES, frames)
        assert other.rows(ALERTS) == in_order
