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


def clear_lines(tester: str, second: int) -> list[str]:
    """A workshop's tester asks the engine's ECU for DM11, and it says that it is done."""
    return [
        f"({START_S + second}.500000) can0 18EA00{tester}#D3FE00",
        f"({START_S + second}.510000) can0 18E8{tester}00#00FFFFFF{tester}D3FE00",
    ]


def write_workshop_log(path: Path, seconds: range) -> int:
    """DM1 every second; the code is cleared in second 59 and back from second 600 on."""
    lines = []
    for second in seconds:
        codes = [DiagnosticCode(100, 1, 5)] if second < 60 or second >= 600 else []
        for delay_ns, identifier, payload in dm1_frames("red" if codes else "", codes):
            at = f"{START_S + second}.{delay_ns // 1000:06}"
            lines.append(f"({at}) can0 {identifier & 0x1FFF_FFFF:08X}#{payload.hex().upper()}")
        lines += clear_lines("F9", second) if second == 59 else []
    path.write_text("\n".join(lines) + "\n")
    return len(lines)


EPISODES = (
    "select state, count, repeat, started_ns, since_ns, ended_ns, last_seen_ns"
    " from fault_episode where kind = 'code'"
)


def test_a_cleared_code_and_its_return(new_dsn: Callable[[], str], tmp_path: Path) -> None:
    """Code, clear, code gone: cleared. Code again: recurred. Shuffled and doubled: the same."""
    door = FrontDoor(new_dsn(), tmp_path / "home")
    before, after, whole = (tmp_path / f"{name}.log" for name in ("before", "after", "whole"))
    frames = write_workshop_log(before, range(600))
    more = write_workshop_log(after, range(600, 660))
    assert write_workshop_log(whole, range(660)) == frames + more
    usual = ("--vin", VIN, "--profile", "demo_truck")
    end_ns = START_S * 10**9 + 59_510_000_000
    with door.up():
        door.run("replay", str(before), *usual)
        door.wait_for(FRAMES, frames)
        ((state, _, repeat, _, since_ns, ended_ns, _),) = door.rows(EPISODES)
        assert (state, repeat, since_ns, ended_ns) == ("cleared", 0, end_ns, end_ns)
        with httpx.Client(base_url=door.address, trust_env=False) as client:
            found = client.get(f"/v1/vehicles/{VIN}/episodes").json()["items"]
        (code,) = [e for e in found if e["kind"] == "code"]
        assert (code["state"], code["ended_at"]) == ("cleared", "2025-10-09T08:54:19.510000Z")
        door.run("replay", str(after), *usual)
        door.wait_for(FRAMES, frames + more)
        in_order = door.rows(EPISODES)
        assert [(row[0], row[2]) for row in in_order] == [("recurred", 1)]
    other = FrontDoor(new_dsn(), tmp_path / "other")
    with other.up():
        other.run("replay", str(whole), *usual, "--shuffle", "7")
        other.wait_for(FRAMES, frames + more)
        other.run("replay", str(whole), *usual, "--shuffle", "8")
        assert other.rows(EPISODES) == in_order
