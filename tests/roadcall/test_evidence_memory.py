"""Rules over a trip and over hours: frames and memory of an alert raise it again, same id."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import typer

from ingest.log_files import read_log
from ingest.log_writers import write_log
from model.clock import utc
from model.frames import FrameBatch
from model.vehicle import Vehicle
from roadcall import wiring
from roadcall.cli_replay import begin_with
from roadcall.evidence import EvidenceReader, memory_path
from roadcall.rule_desk import RuleDesk
from roadcall.rule_library import Library
from simulators.fleet import Fleet
from store import retention
from store.database import transaction
from tests.roadcall.front_door import FrontDoor
from tests.roadcall.rig import Rig

START_NS = 1_760_000_000 * 10**9
PACK = """
- id: made.long
  domain: [X1]
  version: 1
  kind: fault
  levels: [{severity: SEVERITY, condition: "CONDITION", for: 5s}]
  clear: {condition: speed_kmh < 0, for: 10s}
  text:
    zh: {title: 行驶, driver: a, technician: a, action: a}
    en: {title: moving, driver: a, technician: a, action: a}
  source: made up
"""
#: The car is fast from 4 s to some 230 s, and again from 560 s on: 250 s are full at about 585 s.
CONDITIONS = [
    "duration_above(speed_kmh, 20, trip) > 250",
    "duration_above(speed_kmh, 20, 3h) > 250",
    "onsets(speed_kmh > 20, 2h) >= 2 and speed_kmh > 30",
    "count(speed_kmh > 20, 4h, every=10s) >= 26",
]
ALERT = (
    "select alert_id, severity, started_at, fired_at, evidence_at, evidence, thresholds from alert"
)


@pytest.fixture(scope="module")
def drive() -> tuple[Vehicle, list[FrameBatch]]:
    """Twelve minutes of one car, ten seconds an upload."""
    fleet = Fleet(1, 5, (), START_NS)
    return fleet.vehicles[0], [fleet.upload_of(0, n) for n in range(72)]


def installation(rig: Rig, condition: str, severity: int) -> Rig:
    desk = RuleDesk(rig.pool, rig.settings)
    text = PACK.replace("CONDITION", condition).replace("SEVERITY", str(severity))
    desk.put(desk.propose({"made.yaml": text}, {}, alone=True), "active", "test")
    return rig


@pytest.mark.parametrize("condition", CONDITIONS)
@pytest.mark.parametrize("severity", [2, 3])
def test_frames_and_memory_raise_the_same_alert(
    new_rig: Callable[[], Rig],
    drive: tuple[Vehicle, list[FrameBatch]],
    tmp_path: Path,
    condition: str,
    severity: int,
) -> None:
    rig, (vehicle, batches) = installation(new_rig(), condition, severity), drive
    rig.register(vehicle)
    rig.send(batches)
    (alert,) = rig.rows(ALERT)
    reader = EvidenceReader(rig.pool, Library(rig.settings), wiring.decoder_source(rig.settings))
    found = reader.of(alert[0])  # type: ignore[arg-type]
    assert found.memory is not None
    assert found.window_start > utc(START_NS + 300 * 10**9)  # not the whole trip
    with transaction(rig.pool) as conn:
        assert retention.prune(conn, "frame_block", utc(START_NS + 3600 * 10**9)) > 0
    log = tmp_path / "fault.log"
    assert reader.write(alert[0], log) == found.frames > 1000  # type: ignore[arg-type]
    assert memory_path(log).stat().st_size < 2048  # what a vehicle's whole state may take

    other = installation(new_rig(), condition, severity)
    with transaction(other.pool) as conn:
        begin_with(conn, vehicle, memory_path(log))
        with pytest.raises(typer.BadParameter):
            begin_with(conn, vehicle, memory_path(log))
    sent = [replace(b, vin=vehicle.vin, batch_id=str(n)) for n, b in enumerate(read_log(log))]
    other.send(sent)
    other.worker._processor.tick(START_NS + 86_400 * 10**9)
    assert other.rows(ALERT) == [alert]


def test_a_rule_that_its_frames_suffice_for_keeps_no_memory(
    new_rig: Callable[[], Rig], drive: tuple[Vehicle, list[FrameBatch]]
) -> None:
    rig, (vehicle, batches) = installation(new_rig(), "avg(speed_kmh, 1m) > 20", 2), drive
    rig.register(vehicle)
    rig.send(batches)
    assert len(rig.rows("select * from alert")) == 1
    assert rig.rows("select * from alert_memory") == []


@pytest.mark.slow
def test_through_the_front_door(
    new_dsn: Callable[[], str], drive: tuple[Vehicle, list[FrameBatch]], tmp_path: Path
) -> None:
    vehicle, batches = drive
    pack, log = tmp_path / "made.yaml", tmp_path / "fault.blf"
    pack.write_text(PACK.replace("CONDITION", CONDITIONS[0]).replace("SEVERITY", "3"), "utf-8")
    write_log(tmp_path / "drive.log", batches)
    options = ("--vin", vehicle.vin, "--profile", vehicle.profile)
    raised = "select count(*) from alert where state = 'firing'"
    door = FrontDoor(new_dsn(), tmp_path / "home")
    with door.up():
        door.run("rules", "activate", str(pack), "--alone")
        door.run("replay", str(tmp_path / "drive.log"), *options)
        door.wait_for(raised, 1)
        (alert,) = door.rows(ALERT)
    said = door.run("evidence", str(alert[0]), "-o", str(log))
    assert f"--memory {memory_path(log)}" in said.replace("\n", "")
    other = FrontDoor(new_dsn(), tmp_path / "other")
    with other.up():
        other.run("rules", "activate", str(pack), "--alone")
        other.run("replay", str(log), *options, "--memory", str(memory_path(log)))
        other.wait_for(raised, 1)
        assert other.rows(ALERT) == [alert]
