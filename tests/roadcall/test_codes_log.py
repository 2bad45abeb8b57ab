"""`roadcall codes scan`, run on real logs."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import typer
from typer.testing import CliRunner

from roadcall.cli_codes_log import scan

app = typer.Typer()
app.command()(scan)
run = CliRunner()


def test_a_real_scan(samples: Callable[[str], Path]) -> None:
    log = samples("obd-uds-kona-scan") / "candump.log"
    done = run.invoke(app, [str(log), "--json"])
    assert done.exit_code == 0
    ecus = {ecu["ecu"]: ecu for ecu in json.loads(done.stdout)}
    found = {
        (name, f"{code['code']}-{code['failure_type']:02X}", code["status"])
        for name, ecu in ecus.items()
        for code in ecu["codes"]
    }
    assert found == {
        ("72D", "B1603-00", 0x08),
        ("7AD", "B1603-00", 0x08),
        ("7BB", "B1238-13", 0x09),
        ("7BF", "C1812-87", 0x28),
        ("7CE", "B1001-52", 0x09),
        ("7DC", "C1812-87", 0x08),
    }
    assert ecus["7EA"]["lists"]["obd"] == ["confirmed", "pending", "permanent"]
    assert {r["reason"] for r in ecus["78B"]["refusals"]} == {"conditions not correct"}
    text = run.invoke(app, [str(log)]).stdout
    assert "B1238-13   active, confirmed  status 09" in text
    assert "bus 1 ecu 73B\n  uds: active, confirmed - no codes" in text


def test_both_forms_of_the_same_log_say_the_same(samples: Callable[[str], Path]) -> None:
    sample = samples("obd-uds-kona-scan")
    first, second = (
        json.loads(run.invoke(app, [str(path), "--json"]).stdout)
        for path in (sample / "candump.log", *sample.glob("*.csv"))
    )
    codes = [
        [(e["ecu"], c["code"], c["lists"]) for e in log for c in e["codes"]]
        for log in (first, second)
    ]
    assert codes[0] == codes[1]


def test_a_truck_is_recognised(tmp_path: Path) -> None:
    log = tmp_path / "truck.log"
    log.write_text(
        "(1.000000) can0 18F00400#FFFFFF0010FFFFFF\n"
        "(1.100000) can0 18FECA00#10FF6E000003FFFF\n"
        "(2.100000) can0 18FECA00#10FF6E000004FFFF\n"
        "(3.100000) can0 18FECB00#00FF64001201FFFF\n"
    )
    (ecu,) = json.loads(run.invoke(app, [str(log), "--json"]).stdout)
    # DM2 has lamps too; what counts is what DM1 said last.
    assert [lamp for lamp, state in ecu["lamps"].items() if state != "off"] == ["red_stop"]
    assert ecu["lists"] == {"j1939": ["active", "previous"]}
    assert [(c["code"], c["lists"], c["occurrence_count"], c["reports"]) for c in ecu["codes"]] == [
        ("110/0", ["active"], 4, 2),
        ("100/18", ["previous"], 1, 1),
    ]
    assert ecu["codes"][0]["first_seen"] == "1970-01-01T00:00:01.100+00:00"
    other = run.invoke(app, [str(log), "--no-j1939"])
    assert "no diagnosis in these files" in other.stdout


def test_codes_that_were_cleared(tmp_path: Path) -> None:
    log = tmp_path / "workshop.log"
    log.write_text(
        "(1.000000) can0 18F00400#FFFFFF0010FFFFFF\n"
        "(1.100000) can0 18FECA00#10FF6E000003FFFF\n"
        "(2.000000) can0 7DF#0104AAAAAAAAAAAA\n"
        "(2.010000) can0 7E8#0144AAAAAAAAAAAA\n"
        "(3.000000) can0 7DF#0104AAAAAAAAAAAA\n"
        "(3.010000) can0 7E8#0144AAAAAAAAAAAA\n"
        "(4.000000) can0 7E0#0414021744AAAAAA\n"
        "(4.010000) can0 7E8#0154AAAAAAAAAAAA\n"
        "(5.000000) can0 18EA00F9#D3FE00\n"
        "(5.010000) can0 18E8F900#00FFFFFFF9D3FE00\n"
    )
    text = run.invoke(app, [str(log)]).stdout
    twice = "1970-01-01T00:00:02.010+00:00 .. 1970-01-01T00:00:03.010+00:00"
    assert f"  cleared obd: all codes (2 x)  {twice}\n" in text
    assert "  cleared uds: group 021744 (1 x)  1970-01-01T00:00:04.010+00:00 .. " in text
    assert "  cleared j1939: active codes (1 x)  1970-01-01T00:00:05.010+00:00 .. " in text
    ecus = {ecu["ecu"]: ecu for ecu in json.loads(run.invoke(app, [str(log), "--json"]).stdout)}
    assert [(c["protocol"], c["codes"], c["count"]) for c in ecus["7E8"]["clears"]] == [
        ("obd", "all codes", 2),
        ("uds", "group 021744", 1),
    ]


def test_broken_lines_are_counted(tmp_path: Path) -> None:
    log = tmp_path / "car.log"
    log.write_text("(1.000000) can0 7E8#024300AAAAAAAAAA\nnonsense\n")
    done = run.invoke(app, [str(log)])
    assert done.exit_code == 0
    assert "obd: confirmed - no codes" in done.stdout
    assert ": 1 broken lines were passed over" in done.stderr
    assert run.invoke(app, [str(log), "--strict"]).exit_code != 0
