"""What stands behind an alert: whole, kept past retention, and enough to raise it again."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import httpx
import pytest

from ingest.log_files import read_log
from ingest.log_writers import write_log
from model.clock import utc
from model.codes import CodeProtocol, CodeReport, CodeScope
from model.evidence import Evidence
from model.frames import FrameBatch
from model.vehicle import Vehicle
from roadcall import episodes, wiring
from roadcall.evidence import EvidenceReader
from roadcall.rule_library import Library
from rules.sightings import facts_of
from simulators.fleet import Fleet
from store import retention
from store.database import transaction
from tests.roadcall.front_door import FrontDoor
from tests.roadcall.rig import Rig

START_NS = 1_760_000_000 * 10**9
ALERT = (
    "select alert_id::text, severity, started_at, fired_at, evidence_at, evidence, thresholds,"
    " bundle_hash, profile_hash from alert where rule_id = 'ice.coolant.overtemp'"
)

FRAMES = "select coalesce(sum(n), 0)::bigint from frame_block"


@pytest.fixture(scope="module")
def drive() -> tuple[Vehicle, list[FrameBatch]]:
    """A car that drives and overheats in the end."""
    fleet = Fleet(1, 5, ("overheating",), START_NS)
    return fleet.vehicles[0], [fleet.upload_of(0, n) for n in range(50)]


def reader_of(rig: Rig) -> EvidenceReader:
    return EvidenceReader(rig.pool, Library(rig.settings), wiring.decoder_source(rig.settings))


def alert_of(rig: Rig) -> tuple[object, ...]:
    (found,) = rig.rows(ALERT.replace("alert_id::text", "alert_id"))
    return found


def test_everything_is_there_and_outlives_retention(
    new_rig: Callable[[], Rig], drive: tuple[Vehicle, list[FrameBatch]]
) -> None:
    rig, (vehicle, batches) = new_rig(), drive
    rig.register(vehicle)
    rig.send(batches)
    alert_id, severity, started, _, worst, values, thresholds, bundle, profile = alert_of(rig)
    assert severity == 3 and isinstance(started, datetime) and isinstance(worst, datetime)
    reader = reader_of(rig)
    found = reader.of(alert_id)  # type: ignore[arg-type]
    assert found.rule == "ice.coolant.overtemp@1"
    assert found.bundle_hash == bundle == Library(rig.settings).installed.hash
    assert found.profile_hash == profile != ""
    assert found.thresholds == thresholds and found.decided == values
    assert found.window_start <= started - timedelta(seconds=30)
    assert found.window_end == worst + timedelta(seconds=30)

    inside = [
        int(
            (
                (b.observed_ns >= _ns(found.window_start)) & (b.observed_ns < _ns(found.window_end))
            ).sum()
        )
        for b in batches
    ]
    assert found.frames == sum(inside) > 1000
    (heat,) = [trace for trace in found.signals if trace.name == "engine_coolant_temp_c"]
    assert heat.unit == "degC"
    decided = [s.value for s in heat.samples if s.at <= worst][-1]
    assert decided == values["engine_coolant_temp_c"]  # type: ignore[index]
    assert {s.at < worst for s in heat.samples} == {True, False}
    for name in ("odometer_km", "speed_kmh", "latitude_deg", "longitude_deg"):
        near = found.context[name]
        assert near is not None and timedelta(0) <= worst - near.at < timedelta(seconds=10)
    assert found.context["state_of_charge_percent"] is None and found.ignition_cycle is None

    with transaction(rig.pool) as conn:
        later = utc(START_NS + 3600 * 10**9)
        assert retention.prune(conn, "frame_block", later) > 0
        assert retention.prune(conn, "signal_segment", later) > 0
    assert rig.rows("select * from frame_block") == []
    ((kept,),) = rig.rows("select count(*) from evidence_block")
    assert 0 < int(str(kept)) < len(batches)
    assert reader.of(alert_id) == found  # type: ignore[arg-type]


def test_the_driving_cycle_is_counted_by_what_the_ecus_sent(
    new_rig: Callable[[], Rig], drive: tuple[Vehicle, list[FrameBatch]]
) -> None:
    """Two days before, a quarter of an hour later again, and on the day itself; then tomorrow."""
    rig, (vehicle, batches) = new_rig(), drive
    rig.register(vehicle)
    rig.send(batches)
    alert_id = alert_of(rig)[0]
    ((vehicle_id,),) = rig.rows("select vehicle_id from vehicle")
    minutes = [-2880, -2879, -2870, -2840, 0, 1, 1440]
    for ecu, protocol, moments in [
        (0, CodeProtocol.J1939, minutes),
        (0x7E8, CodeProtocol.OBD, [-9000, -8990, 1]),  # asked: its silence says little
    ]:
        reports = [
            CodeReport(START_NS + m * 60 * 10**9, 0, ecu, protocol, CodeScope.ACTIVE, ())
            for m in moments
        ]
        with transaction(rig.pool) as conn:
            facts = {int(str(vehicle_id)): facts_of(reports, [])}
            episodes.follow_facts(conn, facts, {int(str(vehicle_id)): vehicle.vin})
    assert reader_of(rig).of(alert_id).ignition_cycle == 3  # type: ignore[arg-type]
    rig.rows("delete from ecu_heard where protocol = 'j1939' returning 1")
    assert reader_of(rig).of(alert_id).ignition_cycle == 2  # type: ignore[arg-type]


def rows(path: Path) -> list[tuple[int, int, bytes]]:
    """Every frame of a log: time, identifier, payload."""
    return [
        (int(b.observed_ns[row]), int(b.can_id[row]), b.payload(row))
        for b in read_log(path)
        for row in range(len(b))
    ]


def _ns(moment: datetime) -> int:
    return int(moment.timestamp() * 1_000_000) * 1000


@pytest.mark.slow
def test_replayed_it_raises_the_same_alert(
    new_dsn: Callable[[], str], drive: tuple[Vehicle, list[FrameBatch]], tmp_path: Path
) -> None:
    vehicle, batches = drive
    write_log(tmp_path / "drive.log", batches)
    options = ("--vin", vehicle.vin, "--profile", vehicle.profile)
    door = FrontDoor(new_dsn(), tmp_path / "home")
    severe = "select count(*) from alert where rule_id = 'ice.coolant.overtemp' and severity = 3"
    logs = [tmp_path / f"fault.{suffix}" for suffix in ("blf", "asc", "log")]
    with door.up():
        door.run("replay", str(tmp_path / "drive.log"), *options)
        door.wait_for(FRAMES, sum(map(len, batches)))
        door.wait_for(severe, 1)
        (alert,) = door.rows(ALERT)
        url = f"{door.address}/v1/alerts/{alert[0]}/evidence"
        found = Evidence.model_validate(httpx.get(url).json())
        for log in logs:
            served = httpx.get(f"{url}{log.suffix}")
            assert served.status_code == 200
            assert "attachment" in served.headers["content-disposition"]
            log.with_stem("served").write_bytes(served.content)
        assert httpx.get(f"{url}.txt").status_code == 422
        assert httpx.get(f"{door.address}/v1/alerts/{vehicle.vin}/evidence").status_code == 422
    for log in logs:
        assert f"{found.frames} frames" in door.run("evidence", str(alert[0]), "-o", str(log))
        assert rows(log.with_stem("served")) == rows(log)
    assert json.loads(door.run("evidence", str(alert[0])))["frames"] == found.frames
    said = door.run("rules", "explain", str(alert[0]), "--language", "en")
    assert "severity 3: engine_coolant_temp_c >= 118, for 10s" in said

    for log in logs:
        other = FrontDoor(new_dsn(), tmp_path / f"other{log.suffix}")
        with other.up():
            other.run("replay", str(log), *options)
            other.wait_for(severe, 1)
            assert other.rows(ALERT) == [alert]
