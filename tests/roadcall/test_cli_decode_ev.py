"""`roadcall decode --profile demo_ev`: cells and probes as arrays, DIDs over ISO-TP, end to end."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from roadcall import cli_decode

Rows = list[dict[str, str]]


def cell_frame(group: int) -> bytes:
    """64 bytes as dbc/demo_ev.dbc says: 32 numbers of 15 bits from bit 32 on, 0.2 mV each."""
    bits = group
    for i in range(32):
        bits |= (18_500 + 32 * group + i + 1) << (32 + 15 * i)
    return bits.to_bytes(64, "little")


def ev_log() -> str:
    lines = [f"(1700000000.00000{g}) can0 401##0{cell_frame(g).hex()}" for g in range(3)]
    for page in range(4):
        probes = bytes([page] + [60 + 6 * page + k for k in range(1, 7)])
        lines.append(f"(1700000001.00000{page}) can0 411#{probes.hex()}")
    # 62 0112 and 24 bytes: probe k is k degrees; the identifiers are the profile's link.
    value = bytes([0x62, 0x01, 0x12, *range(41, 65)])
    lines.append("(1700000002.000000) can0 74A#0322011200000000")
    lines.append(f"(1700000002.100000) can0 7B4#101b{value[:6].hex()}")
    for i in range(1, 4):
        part = value[6 + 7 * (i - 1) : 6 + 7 * i].ljust(7, b"\x55")
        lines.append(f"(1700000002.10000{i}) can0 7B4#2{i}{part.hex()}")
    return "\n".join(lines) + "\n"


@pytest.fixture
def decode(tmp_path: Path) -> Callable[..., Rows]:
    app = typer.Typer()
    cli_decode.register(app)
    app.callback()(lambda: None)
    (tmp_path / "ev.log").write_text(ev_log())

    def call(*words: str) -> Rows:
        log = str(tmp_path / "ev.log")
        found = CliRunner().invoke(app, ["decode", log, "--profile", "demo_ev", *words])
        assert found.exit_code == 0, found.output
        return list(csv.DictReader(io.StringIO(found.stdout)))

    return call


def test_ninety_six_cells(decode: Callable[..., Rows]) -> None:
    rows = decode("--signal", "cell_voltage_v*")
    assert [r["signal"] for r in rows] == [f"Cell{i:02d}" for i in range(1, 97)]
    assert {r["message"] for r in rows} == {"CellVoltages"}
    assert {(r["unit"], r["quality"]) for r in rows} == {("V", "good")}
    for i, row in enumerate(rows, 1):
        assert float(row["value"]) == pytest.approx((18_500 + i) * 0.0002)


def test_probes_from_frames_and_from_a_did(decode: Callable[..., Rows]) -> None:
    rows = decode("--signal", "cell_temp_c*")
    framed = [float(r["value"]) for r in rows if r["message"] == "CellTemperatures"]
    assert framed == [20 + i for i in range(1, 25)]
    asked = [r for r in rows if r["message"] == "DID_0112"]
    assert [r["signal"] for r in asked] == [f"cell_temp_c[{i}]" for i in range(1, 25)]
    assert [float(r["value"]) for r in asked] == list(range(1, 25))
    assert {r["can_id"] for r in asked} == {"7B4"}


def test_one_element_by_its_name(decode: Callable[..., Rows]) -> None:
    (row,) = decode("--signal", "cell_voltage_v[96]")
    assert (row["signal"], float(row["value"])) == ("Cell96", pytest.approx(3.7192))
