"""Uploads of a fleet: deterministic, in order, at a realistic rate."""

from __future__ import annotations

import cantools
import numpy as np
import pytest

from dbc.profile import load_profile
from decoders.decode import Decoder, Tails
from decoders.plan import compile_plan
from model import wire
from model.clock import NS
from model.frames import ID_MASK, FrameFlag
from simulators.fleet import Fleet

START = 1_760_000_000 * NS
CAR, EV = 0, 1


def test_same_seed_same_bytes_in_any_order() -> None:
    one, other = Fleet(4, 11, ["overheating"], START), Fleet(4, 11, ["overheating"], START)
    forward = {b.batch_id: wire.encode(b) for n in range(4) for b in one.upload(n)}
    far_first = [other.upload(n) for n in (70, 3, 1, 0, 2)]
    backward = {b.batch_id: wire.encode(b) for bs in far_first[1:] for b in bs}
    assert forward == backward
    assert forward.keys() == {b.batch_id for n in range(4) for b in one.upload(n)}


def test_another_seed_or_start_is_another_history() -> None:
    def contents(fleet: Fleet) -> dict[str, bytes]:
        return {b.batch_id: wire.encode(b) for b in fleet.upload(0)}

    first = contents(Fleet(2, 1, (), START))
    for other in (Fleet(2, 2, (), START), Fleet(2, 1, (), START + NS), Fleet(2, 1, rate=2.0)):
        assert not first.keys() & contents(other).keys()


def test_slices_join_without_loss_or_repeat() -> None:
    fine, coarse = (Fleet(2, 3, (), START, slice_s=s) for s in (1.0, 20.0))
    for index in (CAR, EV):
        parts = [fine.upload_of(index, n) for n in range(20)]
        whole = coarse.upload_of(index, 0)
        assert sum(map(len, parts)) == len(whole)
        for column in ("observed_ns", "can_id"):
            joined = np.concatenate([getattr(p, column)[: p.n8] for p in parts])
            assert sorted(joined.tolist()) == sorted(getattr(whole, column)[: whole.n8].tolist())


def test_a_slice_may_cross_blocks() -> None:
    long, short = (Fleet(1, 3, (), START, slice_s=s) for s in (1500.0, 100.0))
    parts = [short.upload_of(0, n) for n in range(15)]
    assert len(long.upload_of(0, 0)) == sum(map(len, parts))


@pytest.mark.parametrize("index", [0, 1, 3])
def test_rate_is_that_of_a_real_vehicle(index: int) -> None:
    batch = Fleet(4, 5, (), START).upload_of(index, 2)
    assert 80 <= len(batch) / 10 <= 250
    half = Fleet(4, 5, (), START, rate=0.5).upload_of(index, 2)
    assert len(half) == pytest.approx(len(batch) / 2, rel=0.1)
    classic = batch.observed_ns[: batch.n8]
    assert (np.diff(classic) >= 0).all()
    assert classic[0] >= START + 20 * NS
    assert classic[-1] < START + 30.2 * NS


def test_ev_sends_cells_as_can_fd() -> None:
    batch = Fleet(2, 5, (), START).upload_of(EV, 0)
    fd = batch.flags[batch.n8 :]
    assert len(batch.payload64) == 10
    assert (fd == FrameFlag.FD | FrameFlag.BRS).all()
    assert (batch.length[batch.n8 :] == 64).all()
    assert not batch.flags[: batch.n8].any()


@pytest.mark.parametrize(("index", "profile"), [(0, "demo_car"), (1, "demo_ev")])
def test_cantools_reads_what_the_model_meant(index: int, profile: str) -> None:
    fleet = Fleet(2, 5, (), START)
    batch = fleet.upload_of(index, 6)
    database = cantools.database.load_file(str(load_profile(profile).dbc[0]))
    columns = fleet._models[index].columns(0)
    seen = {}
    for row in range(len(batch)):
        message = database.get_message_by_frame_id(int(batch.can_id[row] & ID_MASK))
        seen |= message.decode(batch.payload(row))
    span = slice(60, 71)
    for name, source, step in (
        ("VehicleSpeed", "speed_kmh", 0.01),
        ("BatteryVoltage", "battery_voltage_v", 1),
        ("TotalDistance", "odometer_km", 0.01),
        ("Latitude", "latitude_deg", 1e-7),
        ("Longitude", "longitude_deg", 1e-7),
        ("TirePressureFrontLeft", "tire_pressure_fl_kpa", 0.1),
    ):
        value = seen[name] / 1000 if name == "BatteryVoltage" else seen[name]
        low, high = columns[source][span].min(), columns[source][span].max()
        assert low - step <= value <= high + step, name
    if profile == "demo_ev":
        assert {f"Cell{i:02d}" for i in range(1, 97)} <= seen.keys()


def test_scenarios_find_fitting_vehicles() -> None:
    names = ["overheating", "truck_red_lamp", "ev_thermal", "overheating"]
    fleet = Fleet(8, 1, names, START)
    by_vin = {v.vin: v for v in fleet.vehicles}
    faults = fleet.seeded_faults()
    assert len({f.vin for f in faults}) == 4
    assert {by_vin[f.vin].profile for f in faults if f.rule == "N05"} == {"demo_ev"}
    assert {by_vin[f.vin].profile for f in faults if f.rule == "E10"} == {"demo_truck"}
    assert Fleet(1, 1, ["truck_red_lamp"]).vehicles[0].profile == "demo_truck"


def test_wrong_scenarios_are_refused_by_name() -> None:
    with pytest.raises(ValueError, match="unknown scenario flat; known: healthy, "):
        Fleet(3, 1, ["flat"])
    with pytest.raises(ValueError, match="2 scenarios need as many vehicles, got 1"):
        Fleet(1, 1, ["silence", "silence"])


@pytest.mark.parametrize(
    ("scenario", "lamp", "codes"),
    [
        ("truck_red_lamp", "red_stop_lamp", {"98/1": 1, "110/16": 3}),  # broadcast in packets
        ("truck_amber_lamp", "amber_warning_lamp", {"3251/16": 2}),  # one frame
        ("healthy", "", {}),
    ],
)
def test_decoders_read_every_frame_and_the_trucks_codes(scenario, lamp, codes) -> None:
    fleet = Fleet(4, 5, [scenario] * (scenario != "healthy"), START)
    lamps, tails = {}, Tails()
    for number in (19, 20):
        batch = fleet.upload_of(3, number)
        decoded = Decoder(compile_plan(load_profile("demo_truck"))).decode(batch, tails)
        tails = decoded.tails
        assert not decoded.signals.frame_status.any()
        for name in ("mil_lamp", "red_stop_lamp", "amber_warning_lamp", "protect_lamp"):
            lamps[name] = decoded.signals.samples(name)[1].max()
    assert {name for name, on in lamps.items() if on} == ({lamp} - {""})
    last = decoded.reports[-1]
    assert {c.code: c.occurrence_count for c in last.codes} == codes


def test_an_ev_tells_every_cell_and_probe() -> None:
    """A slice of 10 s holds every page; the pack is the sum of its cells."""
    fleet = Fleet(2, 5, [], START)
    assert fleet.vehicles[1].profile == "demo_ev"
    decoder = Decoder(compile_plan(load_profile("demo_ev")))
    signals = decoder.decode(fleet.upload_of(1, 4), Tails()).signals
    newest = {
        array: [signals.samples(signals.table.names[i])[1][-1] for i in table]
        for array in ("cell_voltage_v", "cell_temp_c")
        if (table := signals.table.elements(array))
    }
    assert {array: len(values) for array, values in newest.items()} == {
        "cell_voltage_v": 96,
        "cell_temp_c": 24,
    }
    pack = signals.samples("pack_voltage_v")[1][-1]
    assert sum(newest["cell_voltage_v"]) == pytest.approx(pack, abs=5)  # D05
    assert max(newest["cell_temp_c"]) == pytest.approx(
        signals.samples("battery_temp_max_c")[1][-1], abs=1
    )
    lowest = int(signals.samples("cell_voltage_min_number")[1][-1])
    assert newest["cell_voltage_v"][lowest - 1] == pytest.approx(
        min(newest["cell_voltage_v"]), abs=0.001
    )
