"""A record nobody can read: kept, shown, driven again; its neighbours are unharmed."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from model.log import BatchKey, LogRecord
from roadcall.frame_log import open_log
from roadcall.settings import Settings
from simulators.fleet import Fleet
from store.database import open_pool
from tests.roadcall.front_door import FrontDoor
from tests.roadcall.rig import record

pytestmark = pytest.mark.slow

POISON = b"\x28\xb5\x2f\xfd these bytes are no zstd frame"
LETTERS = "select count(*) from dead_letter where redriven_at is null"
FRAMES = "select coalesce(sum(n), 0)::bigint from frame_block"


def append(door: FrontDoor, *records: LogRecord) -> None:
    """Straight into the log, as a stranger with access to the topic could."""
    environment = door.environment
    settings = Settings(
        kafka=environment.get("ROADCALL_KAFKA"),
        kafka_topic=environment.get("ROADCALL_KAFKA_TOPIC", "roadcall.frames"),
    )

    async def run() -> None:
        pool = open_pool(door.dsn, 2)
        async with open_log(settings, pool) as log:
            await log.append(list(records))
        pool.close()

    asyncio.run(run())


def test_poison(door: FrontDoor, tmp_path: Path) -> None:
    fleet = Fleet(1, 1, (), 1_760_000_000 * 10**9)
    vin = fleet.vehicles[0].vin
    before, after = fleet.upload(0)[0], fleet.upload(1)[0]
    poison = LogRecord(BatchKey("stranger", vin, "p1"), "0" * 16, 1, "can", POISON)
    newcomer = LogRecord(
        BatchKey("test", "LSVAA4182E2184847", "n1"), "0" * 16, 1, "can", record(after).value
    )
    with door.up():
        door.run("vehicle", "add", vin, "--profile", fleet.vehicles[0].profile)
        append(door, record(before), poison, newcomer, record(after))
        door.wait_for(FRAMES, len(before) + len(after))
        door.wait_for(LETTERS, 2)

        listed = door.run("dead-letter", "list")
        assert "stranger" in listed and "zstd" in listed
        (letter,) = door.rows(
            f"select dead_letter_id, position from dead_letter where vin = '{vin}'"
        )
        shown = door.run("dead-letter", "show", str(letter[0]), "-o", str(tmp_path / "bytes"))
        assert "not a zstd frame" in shown and f"@{letter[1]}" in shown
        assert (tmp_path / "bytes").read_bytes() == POISON

        door.run("vehicle", "add", "LSVAA4182E2184847", "--profile", "demo_car")
        assert "2 driven again" in door.run("dead-letter", "redrive", "--all")
        door.wait_for(FRAMES, len(before) + 2 * len(after))
        door.wait_for(LETTERS, 1)  # the poison is back: nobody has fixed it
