"""Real logs through the front door, into both transports: what is stored is what they say."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import cantools
import pytest

from ingest.log_files import read_log
from store.database import connect
from store.frame_block import read_frames
from tests.roadcall.front_door import FrontDoor

pytestmark = pytest.mark.slow

VIN = "LSVAA4182E2184847"
FRAMES = "select coalesce(sum(n), 0)::bigint from frame_block"
SUMMARY = (
    "select name, sum(n)::bigint, sum(n_bad)::bigint, min(vmin), max(vmax),"
    " sum(vsum) / nullif(sum(n), 0),"
    " (array_agg(vfirst order by time, s.ctid))[1],"
    " (array_agg(vlast order by time desc, s.ctid desc))[1]"  # equal times: as they arrived
    " from signal_segment s join signal using (signal_id) group by 1"
)


def add_profile(door: FrontDoor, name: str, *files: Path, j1939: bool = False) -> None:
    """A profile of somebody else's DBC files, without any binding."""
    assert door.profiles is not None
    for file in files:
        shutil.copy(file, door.profiles)
    names = ", ".join(f'"{f.name}"' for f in files)
    (door.profiles / f"{name}.toml").write_text(
        f'profile = "{name}"\npowertrain = "combustion"\ndbc = [{names}]\n'
        f"j1939 = {str(j1939).lower()}\n"
    )


def replay(door: FrontDoor, profile: str, *files: Path) -> str:
    return door.run("replay", *map(str, files), "--vin", VIN, "--profile", profile)


def test_passenger_car(door: FrontDoor, samples: Callable[[str], Path]) -> None:
    folder = samples("passenger-car-tesla-opendbc")
    expected = json.loads((folder / "expected.json").read_text())
    dbc = folder / "tesla_powertrain.dbc"
    ranges = {
        f"{message.name}.{signal.name}": (signal.minimum, signal.maximum)
        for message in cantools.database.load_file(dbc, strict=False).messages
        for signal in message.signals
    }
    add_profile(door, "opendbc", dbc)
    with door.up():
        said = replay(door, "opendbc", folder / "candump.log")
        assert f"{expected['frames']} frames" in said
        door.wait_for(FRAMES, expected["frames"])
        found = {str(row[0]).removeprefix("opendbc:"): row[1:] for row in door.rows(SUMMARY)}
    for name, signal in expected["signals"].items():
        n, bad, low, high, mean, first, last = found[name]
        assert n + bad == signal["count"], name
        if bad:  # this DBC was made for another car: what is out of its range is kept, but apart
            low, high = ranges[name]
            assert signal["min"] < low or signal["max"] > high, name
            continue
        assert (low, high, last) == pytest.approx((signal["min"], signal["max"], signal["last"])), (
            name
        )
        assert mean == pytest.approx(signal["mean"], abs=1e-6), name
        assert first == pytest.approx(signal["first"]), name


def test_truck(door: FrontDoor, samples: Callable[[str], Path]) -> None:
    folder = samples("j1939-truck-canedge")
    add_profile(door, "canedge", folder / "CSS-Electronics-SAE-J1939-DEMO.dbc", j1939=True)
    with door.up():
        replay(door, "canedge", folder / "candump.log")
        door.wait_for(FRAMES, 1815)
        assert stored(door) == sent(folder / "candump.log")
        found = {str(row[0]).removeprefix("canedge:"): row[1:] for row in door.rows(SUMMARY)}
    rows = list(csv.DictReader((folder / "expected_signals.csv").read_text().splitlines()))
    for message, name in (("EEC1", "EngineSpeed"), ("CCVS1", "WheelBasedVehicleSpeed")):
        values = [float(r["value"]) for r in rows if r["signal"] == name]
        n, _, low, high, mean, _, last = found[f"{message}.{name}"]
        assert (n, low, high, last) == (len(values), min(values), max(values), values[-1])
        assert mean == pytest.approx(sum(values) / len(values))


@pytest.mark.parametrize("suffix", ["asc", "blf", "trc", "csv", "mf4"])
def test_one_log_in_five_formats(
    door: FrontDoor, samples: Callable[[str], Path], suffix: str
) -> None:
    reference = samples("obd-uds-kona-scan") / "candump.log"
    file = samples("log-formats-kona-scan") / f"kona_scan.{suffix}"
    with door.up():
        replay(door, "demo_ev", file)
        door.wait_for(FRAMES, 638)
        assert [f[1:] for f in stored(door)] == [f[1:] for f in sent(reference)]


def sent(path: Path) -> list[tuple[int, int, bytes]]:
    """(us, identifier, payload) of each frame of a log."""
    return [
        (int(b.observed_ns[i]) // 1000, int(b.can_id[i]), b.payload(i))
        for b in read_log(path, vin=VIN)
        for i in range(len(b))
    ]


def stored(door: FrontDoor) -> list[tuple[int, int, bytes]]:
    """The same, from the archive, in time order."""
    with connect(door.dsn) as conn:
        row = conn.execute("select vehicle_id from vehicle where vin = %s", [VIN]).fetchone()
        assert row is not None
        batches = read_frames(conn, int(str(row[0])), 0, 2**62, 10**6)
    batches.sort(key=lambda b: int(b.observed_ns[0]))
    return [
        (int(b.observed_ns[i]) // 1000, int(b.can_id[i]), b.payload(i))
        for b in batches
        for i in range(len(b))
    ]
