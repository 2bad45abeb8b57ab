"""`roadcall dbc`: what is said about a file, and the profile it starts."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from dbc.check import check_file
from dbc.profile import BUILT_IN, load_profile
from dbc.scaffold import profile_text
from decoders.plan import compile_plan
from roadcall import cli_dbc

ODD = """BO_ 1 A: 8 X
 SG_ Switch M : 0|8@1+ (1,0) [0|0] "" X
 SG_ One m1 : 8|8@1+ (1,0) [0|0] "" X
 SG_ Two m2 : 8|8@1+ (1,0) [0|0] "" X
 SG_ Wide : 15|9@0+ (1,0) [0|0] "" X
 SG_ EngineCoolantTemp : 60|8@1- (1,0) [-40|120] "degC" X
 SG_ 9V : 24|8@1+ (.1,0) [0|0] "V" X
"""


@pytest.fixture
def odd(tmp_path: Path) -> Path:
    path = tmp_path / "odd.dbc"
    path.write_text(ODD)
    return path


def run(*arguments: str) -> tuple[int, str]:
    app = typer.Typer()
    cli_dbc.register(app)
    answer = CliRunner().invoke(app, ["dbc", *arguments])
    assert answer.exception is None or isinstance(answer.exception, SystemExit), answer.exception
    return answer.exit_code, answer.output


def test_findings(odd: Path) -> None:
    found = check_file(odd)
    assert (found.messages, found.signals, found.faults) == (1, 6, ())
    assert [str(r) for r in found.repairs] == ["line 7: 9V: now _9V; .1 is 0.1"]
    # One and Two are never there together; a big-endian signal from bit 15 on ends in bit 23.
    assert found.overlaps == ("A: One and Wide share bits 8-15", "A: Two and Wide share bits 8-15")
    assert found.beyond == ("A.EngineCoolantTemp: bit 67 of 64",)
    assert len(found.unmapped) == 6


def test_our_own_files_are_clean() -> None:
    for path in BUILT_IN.glob("*.dbc"):
        found = check_file(path)
        assert (found.faults, found.repairs, found.overlaps, found.beyond) == ((), (), (), ())
        assert len(found.unmapped) < found.signals


def test_the_command_says_it_and_fails_for_refused_files(odd: Path, tmp_path: Path) -> None:
    code, said = run("check", str(odd))
    assert code == 0
    assert "1 messages, 6 signals, 1 repairs, 2 overlaps, 1 past the end" in said
    assert f"repaired: {odd}:7: 9V: now _9V; .1 is 0.1" in said
    (tmp_path / "bad.dbc").write_text(ODD + "oops\n")
    code, said = run("check", str(odd), str(tmp_path / "bad.dbc"))
    assert code == 1
    assert "bad.dbc:8: not a statement: oops" in said


def test_a_new_profile_loads_and_knows_likely_names(odd: Path, tmp_path: Path) -> None:
    code, _ = run("new-profile", "odd_car", str(odd), "--folder", str(tmp_path / "profiles"))
    assert code == 0
    folder = tmp_path / "profiles"
    plan = compile_plan(load_profile("odd_car", [folder]))
    assert plan.table.names[0] == "A.Switch"
    text = (folder / "odd_car.toml").read_text()
    filled = text.replace('# "A.EngineCoolantTemp"', '"A.EngineCoolantTemp"')
    assert tomllib.loads(filled)["signals"] == {"A.EngineCoolantTemp": "engine_coolant_temp_c"}


def test_a_profile_is_not_overwritten(odd: Path) -> None:
    assert "demo_car" not in profile_text("mine", [odd], j1939=False)
    with pytest.raises(cli_dbc.ProfileExistsError, match="demo_car: there is one already"):
        cli_dbc.new_profile("demo_car", [odd])
