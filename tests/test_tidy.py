"""Reads the tree: sizes, names, sources, package list. The house rules that no linter knows."""

from __future__ import annotations

import ast
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = (
    "model",
    "dbc",
    "ingest",
    "decoders",
    "rules",
    "store",
    "dispatch",
    "console",
    "roadcall",
    "simulators",
    "bench",
)
MAX_FILE_LINES, MAX_FUNCTION_LINES = 400, 60
BANNED = {"data", "info", "event", "manager", "util", "utils", "helper", "helpers", "process"}
NOW_CALLS = {("datetime", "now"), ("datetime", "utcnow"), ("time", "time"), ("time", "time_ns")}
#: The places that may look at a wall clock: the clock itself, and measuring tools.
CLOCK_FILES = {"model/clock.py"}

SOURCES = sorted(p for name in (*PACKAGES, "tests") for p in (ROOT / name).rglob("*.py"))
IDS = [str(p.relative_to(ROOT)) for p in SOURCES]


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"))


@pytest.mark.parametrize("path", SOURCES, ids=IDS)
def test_rooms_are_small(path: Path) -> None:
    lines = path.read_text("utf-8").count("\n")
    assert lines <= MAX_FILE_LINES, f"{lines} lines"
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or 0) - node.lineno + 1
            assert length <= MAX_FUNCTION_LINES, f"{node.name}: {length} lines"


@pytest.mark.parametrize("path", SOURCES, ids=IDS)
def test_names_say_something(path: Path) -> None:
    for name in _names(tree(path)):
        assert name not in BANNED, name
    assert path.stem not in BANNED


def _names(module: ast.Module) -> set[str]:
    """Names this file chooses itself; bytes parameters may be called `data` (house.md)."""
    chosen: set[str] = set()
    for node in ast.walk(module):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            chosen.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            chosen.add(node.id)
        elif isinstance(node, ast.arg) and not _is_bytes(node):
            chosen.add(node.arg)
    return chosen


def _is_bytes(arg: ast.arg) -> bool:
    return (
        arg.arg == "data" and isinstance(arg.annotation, ast.Name) and arg.annotation.id == "bytes"
    )


@pytest.mark.parametrize("path", SOURCES, ids=IDS)
def test_nobody_calls_now(path: Path) -> None:
    name = str(path.relative_to(ROOT))
    if name in CLOCK_FILES or name.startswith(("tests/", "bench/")):
        return
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            owner = node.func.value
            called = (owner.id if isinstance(owner, ast.Name) else "", node.func.attr)
            assert called not in NOW_CALLS, f"line {node.lineno}: take a model.clock.Clock"


@pytest.mark.parametrize(
    "path", [p for p in SOURCES if p.parts[-2] in PACKAGES and p.stem != "__init__"], ids=str
)
def test_modules_say_what_they_are(path: Path) -> None:
    assert ast.get_docstring(tree(path)), "no module docstring"


@pytest.mark.parametrize("path", sorted((ROOT / "decoders").glob("*_*.py")), ids=lambda p: p.stem)
def test_decoders_of_standards_name_their_source(path: Path) -> None:
    if path.stem.startswith(("j1939", "j1979", "gbt", "jtt", "uds", "iso", "kwp")):
        assert "Source:" in (ast.get_docstring(tree(path)) or ""), "no Source: line"


def test_only_roadcall_knows_faust_and_only_store_writes_sql() -> None:
    for path in SOURCES:
        name = path.relative_to(ROOT).parts[0]
        text = path.read_text("utf-8")
        if name not in {"roadcall", "tests", "bench"}:
            assert "import faust" not in text, path
            assert "import aiokafka" not in text, path


def test_every_package_is_listed_for_the_wheel() -> None:
    listed = set(
        tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    )
    found = {
        ".".join(p.parent.relative_to(ROOT).parts)
        for name in PACKAGES
        for p in (ROOT / name).rglob("__init__.py")
    }
    assert listed == found


def test_tests_have_no_packages() -> None:
    assert not list((ROOT / "tests").rglob("__init__.py"))


def test_catalogue_names_end_in_their_unit() -> None:
    from model.catalogue import catalogue

    suffix = {
        "km/h": "kmh",
        "degC": "c",
        "L/h": "l_h",
        "km/L": "km_l",
        "g/s": "g_s",
        "%": "percent",
        "%/d": "percent_d",
    }
    for name, signal in catalogue().items():
        if signal.unit:
            ending = suffix.get(signal.unit, signal.unit.lower().replace("/", "_"))
            assert name.endswith(f"_{ending}"), f"{name} is in {signal.unit}"
        assert signal.minimum < signal.maximum, name
