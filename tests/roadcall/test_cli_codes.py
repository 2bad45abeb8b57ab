"""`roadcall codes` as a person types it, on a real database."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer
from click.testing import Result
from typer.testing import CliRunner

from model.code_names import CodeNameError
from model.code_texts import code_book
from roadcall import cli_codes
from roadcall.cli_codes import CodeListRefusedError
from store.database import UnknownRowError, connect

Codes = Callable[..., Result]
LIST = "code,zh,en,severity\nP1234,燃油泵继电器,Fuel pump relay,2\nP0217,高温报警,,\n110,水温,,\n"


@pytest.fixture
def codes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Codes:
    """`roadcall codes ...` on an installation that has no database yet."""
    app = typer.Typer()
    cli_codes.register(app)
    monkeypatch.delenv("ROADCALL_DSN", raising=False)
    monkeypatch.setenv("ROADCALL_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "200")
    return lambda *words: CliRunner().invoke(app, ["codes", *words])


@pytest.fixture
def stored(codes: Codes, dsn: str, monkeypatch: pytest.MonkeyPatch) -> Codes:
    """The same with a database."""
    monkeypatch.setenv("ROADCALL_DSN", dsn)
    return codes


@pytest.fixture
def geely(tmp_path: Path) -> str:
    """A list as Chinese Excel writes it."""
    file = tmp_path / "geely.csv"
    file.write_bytes(LIST.encode("gbk"))
    return str(file)


def answer(result: Result) -> Any:
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_show_needs_no_database_and_makes_none(codes: Codes, tmp_path: Path) -> None:
    shown = codes("show", "P0217")
    assert shown.exit_code == 0
    for words in (
        "发动机过热",
        "Engine overheating",
        "冷却系统 Cooling",
        "停车救援 Stop",
        "roadcall",
    ):
        assert words in shown.stdout
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize(
    ("words", "code", "severity"),
    [
        (["p0562"], "P0562", 2),
        (["110/0"], "110/0", 3),
        (["SPN 110 FMI 0"], "110/0", 3),
        (["SPN", "110", "FMI", "0"], "110/0", 3),
        (["U0100-00"], "U0100-00", 2),
    ],
)
def test_codes_may_be_written_as_people_do(
    codes: Codes, words: list[str], code: str, severity: int
) -> None:
    found = answer(codes("show", *words, "--json"))
    assert (found["code"], found["severity"], found["known"]) == (code, severity, True)
    assert found["action_zh"] and found["action_en"]


def test_an_unknown_code_is_a_value_and_nonsense_an_error(codes: Codes) -> None:
    found = answer(codes("show", "P1234", "--json"))
    assert (found["known"], found["severity"], found["system"]) == (False, -1, "metering")
    assert "no text for this code" in codes("show", "P1234").stdout
    assert isinstance(codes("show", "HELLO").exception, CodeNameError)


def test_list_searches_both_languages(codes: Codes) -> None:
    misfire = [f"P{n:04}" for n in range(301, 313)]
    for word in ("失火", "MISFIRE"):
        found = [row["code"] for row in answer(codes("list", "--search", word, "--json"))]
        assert set(misfire) < set(found)
    hybrid = answer(codes("list", "--system", "hybrid", "--json"))
    assert {row["system"] for row in hybrid} == {"hybrid"}
    assert len(answer(codes("list", "--json"))) == len(code_book().codes)
    assert "P0A80" in codes("list", "--system", "hybrid").stdout
    assert codes("list", "--system", "nothing").exit_code == 2


def test_an_imported_list_goes_before_our_texts(stored: Codes, geely: str) -> None:
    done = stored("import", geely, "--brand", "Geely")
    assert done.stdout == "list geely: 3 codes, 2 of them instead of our own text\n"
    assert "(unchanged)" in stored("import", geely, "--brand", "Geely").stdout
    found = answer(stored("show", "P1234", "--brand", "geely", "--json"))
    assert (found["en"], found["severity"], found["source"]) == ("Fuel pump relay", 2, "geely")
    assert answer(stored("show", "P0217", "--brand", "Geely", "--json"))["severity"] == 3
    assert answer(stored("show", "110/3", "--brand", "Geely", "--json"))["zh"].startswith("水温：")
    assert answer(stored("show", "P1234", "--json"))["known"] is False
    assert answer(stored("show", "P1234", "--brand", "BYD", "--json"))["known"] is False
    names = ["list", "--search", "P1234", "--json"]
    assert [row["source"] for row in answer(stored(*names, "--brand", "Geely"))] == ["geely"]
    assert answer(stored(*names)) == []
    assert "Geely" in stored("lists").stdout
    assert stored("remove", "geely").stdout == "list geely removed\n"
    assert answer(stored("show", "P0217", "--brand", "Geely", "--json"))["source"] == "roadcall"
    assert isinstance(stored("remove", "geely").exception, UnknownRowError)


def test_a_model_goes_before_its_brand(stored: Codes, geely: str) -> None:
    stored("import", geely)
    stored("import", geely, "--brand", "Geely", "--list", "brand")
    stored("import", geely, "--brand", "Geely", "--model", "E5", "--list", "model")
    for vehicle, source in (("", "geely"), ("Geely", "brand"), ("Geely E5", "model")):
        options = zip(("--brand", "--model"), vehicle.split(), strict=False)
        words = [word for option in options for word in option]
        assert answer(stored("show", "P1234", "--json", *words))["source"] == source
    assert stored("import", geely, "--model", "E5").exit_code == 2


def test_a_dry_run_stores_nothing(codes: Codes, geely: str, tmp_path: Path) -> None:
    done = codes("import", geely, "--dry-run")
    assert done.stdout.startswith("list geely would hold 3 codes")
    assert not (tmp_path / "home").exists()


def test_a_fault_refuses_the_file_and_names_its_line(
    stored: Codes, tmp_path: Path, dsn: str
) -> None:
    file = tmp_path / "bad.csv"
    file.write_text("code,zh\nP0217,好\nXX,a\nP0001,\n", "utf-8")
    done = stored("import", str(file))
    assert isinstance(done.exception, CodeListRefusedError)
    assert str(done.exception) == "bad.csv: nothing imported, faults: 2"
    lines = done.stderr.splitlines()
    assert lines[0].startswith("bad.csv:3: not a trouble code: 'XX'")
    assert lines[1] == "bad.csv:4: no text in zh or en"
    with connect(dsn) as conn:
        assert conn.execute("select count(*) from code_list").fetchone() == (0,)
