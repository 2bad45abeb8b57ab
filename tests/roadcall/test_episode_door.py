"""A truck's trouble code through the front door: log file, HTTP, database, API, command line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from simulators.dm1 import dm1_frames
from simulators.scenarios import DiagnosticCode
from tests.roadcall.front_door import FrontDoor

pytestmark = pytest.mark.slow

VIN = "LRDCALLTRUCK00001"
START_S = 1_760_000_000
FRAMES = "select coalesce(sum(n), 0)::bigint from frame_block"


def write_log(path: Path) -> int:
    """Two minutes: DM1 every second, SPN 100 FMI 1 in the first of them. How many frames."""
    lines = []
    for second in range(120):
        codes = [DiagnosticCode(100, 1, 5)] if second < 60 else []
        for delay_ns, identifier, payload in dm1_frames("red" if codes else "", codes):
            at = f"{START_S + second}.{delay_ns // 1000:06}"
            lines.append(f"({at}) can0 {identifier & 0x1FFF_FFFF:08X}#{payload.hex().upper()}")
    path.write_text("\n".join(lines) + "\n")
    return len(lines)


def test_a_code_becomes_an_episode(new_dsn: Callable[[], str], tmp_path: Path) -> None:
    door = FrontDoor(new_dsn(), tmp_path / "home")
    frames = write_log(tmp_path / "truck.log")
    with door.up():
        door.run("replay", str(tmp_path / "truck.log"), "--vin", VIN, "--profile", "demo_truck")
        door.wait_for(FRAMES, frames)
        with httpx.Client(base_url=door.address, trust_env=False) as client:
            found = client.get(f"/v1/vehicles/{VIN}/episodes").json()["items"]
            (code,) = [e for e in found if e["kind"] == "code"]
            assert (code["code"], code["ecu"], code["severity"]) == ("100/1", 0, 3)
            assert (code["count"], code["occurrence_count"]) == (1, 5)
            assert code["started_at"] == "2025-10-09T08:53:20Z"
            assert code["last_seen_at"] == "2025-10-09T08:54:19Z"
            assert "机油" in code["title"]["zh"]
        assert "100/1" in door.run("episodes", VIN)
