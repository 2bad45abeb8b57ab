"""`roadcall masters` and `roadcall report` as a person types them, on a real database."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import typer
from click.testing import Result
from typer.testing import CliRunner

from console.contracts import CONTRACTS
from roadcall import cli_fleet, cli_masters, cli_report
from roadcall.cli_masters import ImportRefusedError
from store.database import connect

Run = Callable[..., Result]
HEAD = "station_id,name,name_en,latitude_deg,longitude_deg,zone,bays,hours\n"
GOOD = (
    HEAD
    + 'hz,杭州,Hangzhou,30,120,city,4,"Mo-Fr 08:00-18:00"\nsh,上海,Shanghai,31,121,city,2,24/7\n'
)
BAD = HEAD + "hz,杭州,Hangzhou,30,120,city,6,\nbj,北京,Beijing,99,116,town,1,\n"


@pytest.fixture
def run(dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A command on an installation with an empty, migrated database."""
    app = typer.Typer()
    cli_fleet.register(app)
    cli_masters.register(app)
    cli_report.register(app)
    monkeypatch.setenv("ROADCALL_DSN", dsn)
    monkeypatch.setenv("ROADCALL_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "200")
    return lambda *words: CliRunner().invoke(app, list(words))


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str], str]:
    def to_file(text: str) -> str:
        path = tmp_path / "rows.csv"
        path.write_text(text, "utf-8")
        return str(path)

    return to_file


def stations(dsn: str) -> list[tuple[object, ...]]:
    with connect(dsn) as conn:
        return conn.execute("select station_id, bays from station order by 1").fetchall()


def test_a_dry_run_says_what_would_change(run: Run, write: Callable[[str], str], dsn: str) -> None:
    dry = run("masters", "import", "station", write(GOOD), "--dry-run")
    assert dry.exit_code == 0
    assert "rows.csv:2: created hz" in dry.stdout
    assert "station: would be: 2 created, 0 changed, 0 unchanged, 0 faults" in dry.stdout
    assert stations(dsn) == []


def test_the_same_file_again_changes_nothing(
    run: Run, write: Callable[[str], str], dsn: str
) -> None:
    path = write(GOOD)
    assert "2 created, 0 changed" in run("masters", "import", "station", path).stdout
    assert "0 created, 0 changed, 2 unchanged" in run("masters", "import", "station", path).stdout
    changed = run("masters", "import", "station", write(GOOD.replace(",4,", ",5,")), "--dry-run")
    assert "    bays: 4 -> 5" in changed.stdout
    assert stations(dsn) == [("hz", 4), ("sh", 2)]


def test_a_faulty_row_stops_all_unless_it_is_skipped(
    run: Run, write: Callable[[str], str], dsn: str
) -> None:
    path = write(BAD)
    refused = run("masters", "import", "station", path)
    assert isinstance(refused.exception, ImportRefusedError)
    assert "rows.csv:3: latitude_deg: input should be less than or equal to 90" in refused.stderr
    assert "rows.csv:3: zone: input should be 'city', 'county' or 'province'" in refused.stderr
    assert stations(dsn) == []
    skipped = run("masters", "import", "station", path, "--skip-faulty")
    assert (skipped.exit_code, stations(dsn)) == (1, [("hz", 6)])


def test_an_unknown_kind_names_the_known(run: Run, write: Callable[[str], str]) -> None:
    answer = run("masters", "import", "planet", write(GOOD))
    assert answer.exit_code == 2
    assert "region, station, person" in answer.stderr.replace("\n", " ")


def test_a_vehicle_needs_a_profile_that_exists(run: Run, write: Callable[[str], str]) -> None:
    rows = "vin,profile\nLRDCALL0000000001,demo_car\nLRDCALL0000000002,nothing\n"
    answer = run("masters", "import", "vehicle", write(rows), "--skip-faulty")
    assert "rows.csv:3: profile: profile 'nothing': not one of" in answer.stderr
    assert "vehicle: 1 created, 0 changed, 0 unchanged, 1 faults" in answer.stdout


def test_schemas_are_printed_and_written(run: Run, tmp_path: Path) -> None:
    assert run("masters", "schema").stdout.split() == list(CONTRACTS)
    schema = json.loads(run("masters", "schema", "duty").stdout)
    assert schema["$id"] == "urn:roadcall:contract:duty"
    assert run("masters", "schema", "--write", str(tmp_path)).exit_code == 0
    assert json.loads((tmp_path / "duty.json").read_text()) == schema


def test_gaps_and_reports_in_both_languages(run: Run, write: Callable[[str], str]) -> None:
    run("masters", "import", "station", write(GOOD))
    gaps = run("masters", "gaps", "--hours", "168", "--station", "sh")
    assert "1 gaps, 0 certificates, 0 units" in gaps.stdout
    chinese = run("report", "station", "hz", "--day", "2025-03-03").stdout
    assert "杭州 · 2025-03-03" in chinese
    assert "新告警" in chinese
    english = run("report", "station", "hz", "--day", "2025-03-03", "--language", "en").stdout
    assert "Hangzhou · 2025-03-03" in english
    assert "new alerts" in english
    found = json.loads(run("report", "station", "hz", "--day", "2025-03-03", "--json").stdout)
    assert found["sections"][0]["key"] == "alerts"
    kpis = run("report", "kpis", "--to", "2025-03-03", "--language", "en").stdout
    assert "timeliness of promises" in kpis
    assert "98.5 %" in kpis
    assert "hz" in run("report", "load").stdout


def test_a_small_fleet_in_one_file(run: Run, tmp_path: Path, dsn: str) -> None:
    path = tmp_path / "fleet.json"
    station = {"station_id": "hz", "name": "杭州", "latitude_deg": 30, "longitude_deg": 120,
               "zone": "city"}  # fmt: skip
    unit = {"unit_id": "u", "station_id": "hz", "name": "一", "latitude_deg": 30,
            "longitude_deg": 120, "crew": ["li"]}  # fmt: skip
    car = {"vin": "LRDCALL0000000001", "profile": "demo_car", "preferred_station": "hz"}
    fleet = {
        "stations": [station],
        "persons": [{"person_id": "li", "station_id": "hz", "role": "crew"}],
        "units": [unit],
        "vehicles": [car],
        "gateways": [{"gateway_id": "gw", "vins": [car["vin"]]}],
    }
    path.write_text(json.dumps(fleet), "utf-8")
    assert run("fleet", "import", str(path)).stdout.startswith("gateway gw: ")
    path.write_text(json.dumps({"units": [{**unit, "station_id": "none"}]}), "utf-8")
    refused = run("fleet", "import", str(path))
    assert str(refused.exception) == "units 1: station_id: no such station: none"
    with connect(dsn) as conn:
        assert conn.execute("select station_id from rescue_unit").fetchall() == [("hz",)]
