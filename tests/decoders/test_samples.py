"""Real logs of real vehicles, decoded to the values other decoders agreed on."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from dbc.profile import load_profile
from decoders.decode import Decoded, Decoder, Tails
from decoders.j1939_tp import Reassembly
from decoders.plan import Plan, compile_plan
from model.frames import FrameBatch
from model.signals import FrameStatus, Quality, SignalBatch
from tests.decoders.build import read_candump, values_of

Samples = Callable[[str], Path]


def profile_over(folder: Path, sample: Path, files: list[str], j1939: bool) -> Plan:
    for name in files:
        (folder / name).write_bytes((sample / name).read_bytes())
    quoted = ", ".join(f'"{name}"' for name in files)
    (folder / "foreign.toml").write_text(f"dbc = [{quoted}]\nj1939 = {str(j1939).lower()}\n")
    return compile_plan(load_profile("foreign", [folder]))


def decode_in_pieces(plan: Plan, batch: FrameBatch, size: int) -> list[Decoded]:
    """The same log as many uploads; the tails go through JSON as the store keeps them."""
    decoder, tails, pieces = Decoder(plan), Tails(), []
    for low in range(0, len(batch), size):
        rows = np.arange(low, min(low + size, len(batch)))
        tails = Tails.from_memory(json.loads(json.dumps(tails.to_memory())))
        pieces.append(decoder.decode(batch.take(rows), tails))
        tails = pieces[-1].tails
    return pieces


def test_passenger_car(samples: Samples, tmp_path: Path) -> None:
    sample = samples("passenger-car-tesla-opendbc")
    expected = json.loads((sample / "expected.json").read_text())
    plan = profile_over(tmp_path, sample, ["tesla_powertrain.dbc"], j1939=False)
    batch = read_candump(sample / "candump.log")
    signals = Decoder(plan).decode(batch, Tails()).signals
    assert len(batch) == expected["frames"]
    known = sum(expected["frames_per_message"].values())
    known += int(((batch.can_id >= 0x7E0) & (batch.can_id <= 0x7E7)).sum())  # a tester asks
    assert np.bincount(signals.frame_status).tolist() == [known, len(batch) - known]
    found = values_of(signals)
    for name, figures in expected["signals"].items():
        values = found.pop(name)[-1]
        assert len(values) == figures["count"]
        assert values[0] == pytest.approx(figures["first"], abs=1e-9)
        assert values[-1] == pytest.approx(figures["last"], abs=1e-9)
        assert min(values) == pytest.approx(figures["min"], abs=1e-9)
        assert max(values) == pytest.approx(figures["max"], abs=1e-9)
        assert np.mean(values) == pytest.approx(figures["mean"], abs=1e-6)
    assert not found, "nothing that was not expected"


def test_values_beyond_the_bounds_are_marked(samples: Samples, tmp_path: Path) -> None:
    """The sample's own caveat: this DBC's motor speed says -30751 rpm where there is none."""
    sample = samples("passenger-car-tesla-opendbc")
    plan = profile_over(tmp_path, sample, ["tesla_powertrain.dbc"], j1939=False)
    signals = Decoder(plan).decode(read_candump(sample / "candump.log"), Tails()).signals
    good = values_of(signals, Quality.GOOD)["DI_torque1.DI_motorRPM"][-1]
    outside = values_of(signals, Quality.OUT_OF_RANGE)["DI_torque1.DI_motorRPM"][-1]
    assert all(-17_000 <= v <= 17_000 for v in good)
    assert outside
    assert all(abs(v) > 17_000 for v in outside)


@pytest.mark.parametrize("size", [1815, 37])
def test_truck(samples: Samples, tmp_path: Path, size: int) -> None:
    sample = samples("j1939-truck-canedge")
    files = ["CSS-Electronics-SAE-J1939-DEMO.dbc", "tp_j1939.dbc"]
    plan = profile_over(tmp_path, sample, files, j1939=True)
    batch = read_candump(sample / "candump.log")
    found: dict[tuple[str, int], list[tuple[float, float]]] = {}
    for piece in decode_in_pieces(plan, batch, size):
        collect(piece.signals, found)
    wanted: dict[tuple[str, int], list[tuple[float, float]]] = {}
    for row in csv.DictReader((sample / "expected_signals.csv").read_text().splitlines()):
        key = (row["signal"], int(row["source_address"]))
        wanted.setdefault(key, []).append((float(row["t_s"]), float(row["value"])))
    for key, rows in wanted.items():
        assert [v for _, v in found[key]] == [v for _, v in rows]
        # The sample counts its seconds from a start of its own.
        gaps = [t / 1e9 - wanted_s for (t, _), (wanted_s, _) in zip(found[key], rows, strict=True)]
        assert max(gaps) - min(gaps) < 2e-4
    # EC1, 28 of the DBC's 40 bytes, by broadcast: bytes 12-13 in 1/8 rpm.
    messages = json.loads((sample / "expected_transport.json").read_text())
    speeds = [
        int.from_bytes(bytes.fromhex(m["payload"])[12:14], "little") / 8
        for m in messages
        if m["pgn"] == 65251
    ]
    assert [v for _, v in found["EngineSpeedAtPoint5", 0]] == speeds


def collect(signals: SignalBatch, found: dict[tuple[str, int], list[tuple[float, float]]]) -> None:
    for run in range(len(signals.run_signal)):
        name = signals.table.names[signals.run_signal[run]].split(".")[1]
        part = signals.run(run)
        rows = zip(signals.observed_ns[part], signals.value[part], strict=True)
        found.setdefault((name, int(signals.run_source[run])), []).extend(
            (float(t), float(v)) for t, v in rows
        )


def test_truck_transport(samples: Samples) -> None:
    sample = samples("j1939-truck-canedge")
    batch = read_candump(sample / "candump.log")
    reassembly, messages = Reassembly(), []
    for row in range(len(batch)):
        can_id = int(batch.can_id[row])
        if can_id >> 16 & 0xFF in (0xEB, 0xEC):
            message = reassembly.receive(
                int(batch.observed_ns[row]), int(batch.bus[row]), can_id, batch.payload(row)
            )
            messages += [message] if message else []
    expected = json.loads((sample / "expected_transport.json").read_text())
    assert [(m.pgn, m.source, len(m.payload), m.payload.hex()) for m in messages] == [
        (m["pgn"], m["source_address"], m["length"], m["payload"]) for m in expected
    ]
    assert not reassembly.sessions


def test_truck_by_our_own_profile(samples: Samples) -> None:
    """The same log without its DBC: our SAE J1939 core profile, catalogue names and units."""
    sample = samples("j1939-truck-canedge")
    signals = (
        Decoder(compile_plan(load_profile("j1939_core")))
        .decode(read_candump(sample / "candump.log"), Tails())
        .signals
    )
    good = values_of(signals, Quality.GOOD)
    expected = list(csv.DictReader((sample / "expected_signals.csv").read_text().splitlines()))
    engine = [float(r["value"]) for r in expected if r["signal"] == "EngineSpeed"]
    wheels = [float(r["value"]) for r in expected if r["signal"] == "WheelBasedVehicleSpeed"]
    assert good["engine_speed_rpm"] == {0: engine}
    assert good["speed_kmh"] == {71: wheels}
    assert all(60 < c < 110 for c in good["engine_coolant_temp_c"][0])


def test_obd_scan_is_no_stumbling_block(samples: Samples) -> None:
    """An electric car's diagnosis: many services, ISO-TP frames of all kinds, no sensor values."""
    batch = read_candump(samples("obd-uds-kona-scan") / "candump.log")
    signals = Decoder(compile_plan(load_profile("j1979"))).decode(batch, Tails()).signals
    status = set(signals.frame_status.tolist())
    assert status <= {FrameStatus.OK, FrameStatus.UNKNOWN_ID, FrameStatus.BAD_MULTIPLEXER}
    # The scanner asked service 01 PID 00 only: answers 41 00 80 00 00 01.
    supported = values_of(signals)["ObdAnswer.SupportedPids01to20"]
    assert set(supported) <= set(range(8))
    assert {v for values in supported.values() for v in values} == {float(0x80000001)}
