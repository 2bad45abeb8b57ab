"""`roadcall rules` and `roadcall backtest` as a person types them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import typer
from click.testing import Result
from typer.testing import CliRunner

from ingest.log_writers import write_log
from model.errors import BundleRefusedError
from roadcall import cli_backtest, cli_rules, rule_desk
from roadcall.rule_desk import RuleDesk
from rules.bundle import builtin_packs, builtin_tests
from simulators.fleet import Fleet
from tests.roadcall.rig import Rig

START_NS = 1_760_000_000 * 10**9
PACK = """
- id: made.moving
  domain: [X1]
  version: 1
  kind: fault
  levels: [{severity: 3, condition: speed_kmh > fast, for: 15s}]
  clear: {condition: speed_kmh < 5, for: 10s}
  params: {fast: 20}
  text:
    zh: {title: 行驶, driver: a, technician: a, action: a}
    en: {title: moving, driver: a, technician: a, action: a}
  source: made up
"""
TESTS = """
- test: a drive from a log
  rules: [made.moving]
  replay: drive.log
  profile: demo_car
  expect:
    - {at: 10s, state: pending}
    - {at: 60s, state: firing, severity: 3}
    - {at: 400s, state: cleared}
  alerts: 2
- test: a drive from a log, by its DBC file
  rules: [made.moving]
  replay: drive.log
  dbc: [car.dbc]
  expect: [{at: 60s, state: firing}]
- test: slow
  rules: [made.moving]
  series: {speed_kmh: "20x60"}
  expect: [{at: 60s, state: idle}]
"""
DBC = """VERSION ""
BS_:
BU_: Car
BO_ %d Motion: 8 Car
 SG_ speed_kmh : %s "km/h" Car
"""
Run = Callable[..., Result]


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Fleet]:
    """Ten minutes of a car that drives, stands and drives again."""
    fleet = Fleet(1, 5, ("overheating",), START_NS)
    path = tmp_path_factory.mktemp("log") / "drive.log"
    write_log(path, [fleet.upload_of(0, n) for n in range(60)])
    return path, fleet


@pytest.fixture
def rig(new_rig: Callable[[], Rig], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Rig:
    made = new_rig()
    monkeypatch.setenv("ROADCALL_DSN", made.pool.conninfo)
    monkeypatch.setenv("ROADCALL_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "200")
    (tmp_path / "made.yaml").write_text(PACK, "utf-8")
    fuel = [path for path in builtin_tests() if path.name == "fuel.yaml"]
    monkeypatch.setattr(rule_desk, "builtin_tests", lambda: fuel)  # all of them take 20 s
    return made


@pytest.fixture
def run(rig: Rig) -> Run:
    """A command on an installation with an empty, migrated database."""
    app = typer.Typer()
    cli_rules.register(app)
    cli_backtest.register(app)
    return lambda *words: CliRunner().invoke(app, list(map(str, words)))


def test_check_names_every_fault_with_its_line(run: Run, tmp_path: Path) -> None:
    assert "1 rules, bundle " in run("rules", "check", tmp_path / "made.yaml").stdout
    bad = tmp_path / "bad.yaml"
    bad.write_text(
        PACK.replace("kind: fault", "kind: odd")
        + PACK.replace("made.moving", "made.other").replace("speed_kmh <", "sped_kmh <"),
        "utf-8",
    )
    refused = run("rules", "check", bad)
    assert refused.exit_code == 1
    assert "bad.yaml:2: made.moving: kind: Input should be 'fault' or" in refused.stderr
    assert "bad.yaml:14: made.other: unknown name sped_kmh" in refused.stderr
    assert "2 faults" in refused.stderr


def test_tests_run_from_series_and_from_a_log(
    run: Run, tmp_path: Path, log: tuple[Path, Fleet]
) -> None:
    (tmp_path / "drive.log").write_bytes(log[0].read_bytes())
    (tmp_path / "car.dbc").write_text(_speed_dbc())
    tests = tmp_path / "tests.yaml"
    tests.write_text(TESTS, "utf-8")
    packs = ("--packs", tmp_path / "made.yaml")
    passed = run("rules", "test", tests, *packs)
    assert (passed.exit_code, passed.stdout) == (0, "3 passed, 0 failed\n")
    tests.write_text(TESTS.replace("at: 400s, state: cleared", "at: 400s, state: stale"), "utf-8")
    failed = run("rules", "test", tests, *packs)
    assert failed.exit_code == 1
    assert "tests.yaml:2: a drive from a log: at 400s: cleared, expected stale" in failed.stdout
    assert "2 passed, 1 failed" in failed.stdout
    (tmp_path / "drive.log").unlink()
    assert "drive.log" in run("rules", "test", tests, *packs).stdout


def _speed_dbc() -> str:
    """The message of the built-in DBC file that holds the speed, under the catalogue's name."""
    from dbc.loader import load_messages
    from dbc.profile import load_profile

    profile = load_profile("demo_car")
    key = next(k for k, b in profile.bindings.items() if b.name == "speed_kmh")
    name, signal_name = key.split(".")
    message = next(m for path in profile.dbc for m in load_messages(path) if m.name == name)
    signal = message.get_signal_by_name(signal_name)
    order = 0 if signal.byte_order == "big_endian" else 1
    where = f"{signal.start}|{signal.length}@{order}{'-' if signal.is_signed else '+'}"
    return DBC % (message.frame_id, f"{where} ({signal.scale},{signal.offset}) [0|0]")


def test_a_change_in_words(run: Run, tmp_path: Path) -> None:
    old, new = tmp_path / "made.yaml", tmp_path / "new.yaml"
    new.write_text(PACK.replace("moving,", "it moves,").replace("for: 15s", "for: 20s"), "utf-8")
    said = run("rules", "diff", old, new).stdout
    assert "! made.moving: levels: " in said and "0 added, 0 removed, 0 text only, 1 chan" in said
    new.write_text(PACK.replace("title: moving", "title: it moves"), "utf-8")
    assert "~ made.moving (text only)" in run("rules", "diff", old, new).stdout
    new.write_text(PACK.replace("made.moving", "made.other"), "utf-8")
    assert run("rules", "diff", old, new).stdout.split("\n")[:2] == [
        "+ made.other",
        "- made.moving",
    ]
    told = run("rules", "explain", "made.moving", "--packs", old, "--language", "en").stdout
    assert "severity 3: speed_kmh > 20, for 15s\nover when speed_kmh < 5 for 10s" in told
    assert run("rules", "explain", "made.none", "--packs", old).exit_code == 1


def test_whether_a_rule_applies_to_a_vehicle(run: Run, rig: Rig) -> None:
    vehicles = {v.profile: v for v in Fleet(4, 5, (), START_NS).vehicles}
    rig.register(*vehicles.values())

    def last_line(rule: str, profile: str) -> str:
        told = run("rules", "explain", rule, "--language", "en", "--vin", vehicles[profile].vin)
        return told.stdout.splitlines()[-1]

    assert last_line("gateway.clock_off", "demo_car") == "It applies to this vehicle."
    assert last_line("ev.battery.standing_too_long", "demo_car") == (
        "It does not apply to this vehicle: it is not for powertrain combustion."
    )
    assert last_line("gateway.supply", "demo_ev") == (
        "It can say nothing about this vehicle: its profile has no"
        " jtt_alarm_supply_low, jtt_alarm_supply_off."
    )


def test_on_trial_then_active_then_back(run: Run, tmp_path: Path, rig: Rig) -> None:
    pack, tests = tmp_path / "made.yaml", tmp_path / "tests.yaml"
    tests.write_text("- test:" + TESTS.split("- test:")[3], "utf-8")
    tried = run("rules", "shadow", pack, "--tests", tests)
    assert tried.exit_code == 0 and "9 tests passed" in tried.stdout  # its own, eight of fuel
    assert "0 removed, 0 text only, 0 changed" in run("rules", "diff", "active", "shadow").stdout
    assert "active since" in run("rules", "activate", "shadow").stdout
    tests.write_text(tests.read_text("utf-8").replace("state: idle", "state: firing"), "utf-8")
    refused = run("rules", "activate", pack, "--tests", tests)
    assert refused.exit_code == 1 and "nothing has changed" in refused.stderr
    assert "retired" in run("rules", "retire", "active").stdout
    ((state, origin),) = rig.rows("select state, origin from rule_bundle where state <> 'retired'")
    assert (state, origin) == ("active", "files")
    assert run("rules", "bundles").stdout.count("retired") == 1


def test_a_changed_rule_needs_tests_of_its_own(run: Run, tmp_path: Path, rig: Rig) -> None:
    """Eight tests come with fuel.yaml, four a rule; they hold it to 50 km."""
    assert run("rules", "test").stdout == "8 passed, 0 failed\n"
    (text,) = [path.read_text("utf-8") for path in builtin_packs() if path.name == "fuel.yaml"]
    pack, tests = tmp_path / "fuel.yaml", tmp_path / "tests.yaml"
    pack.write_text(text.replace("short: 50", "short: 30"), "utf-8")
    assert run("rules", "test", "--packs", pack).exit_code == 1
    refused = run("rules", "activate", pack)
    assert refused.exit_code == 1 and "nothing has changed" in refused.stderr
    assert "built-in fuel.yaml:40: 49 km of range, then well again: at " in refused.stderr
    fuel = "vehicle: {powertrain: hybrid}, series: {fuel_range_km: 29x70}"
    tests.write_text(
        f"- {{test: a, rules: [fuel.range_short], {fuel}, expect: [{{at: 65s, state: firing}}]}}",
        "utf-8",
    )
    activated = run("rules", "activate", pack, "--tests", tests)
    assert "5 tests passed" in activated.stdout and "active since" in activated.stdout
    desk = RuleDesk(rig.pool, rig.settings)
    soon = desk.propose({"fuel.yaml": pack.read_text("utf-8")}, _texts(tests), unchanged=False)
    assert [v.test.where for v in soon.verdicts] == ["tests.yaml:1"]
    with pytest.raises(BundleRefusedError, match=r"built-in fuel.yaml:40: "):
        desk.submit({"fuel.yaml": pack.read_text("utf-8")}, {}, "shadow", "test")


def _texts(path: Path) -> dict[str, str]:
    return {path.name: path.read_text("utf-8")}


def test_a_backtest_of_a_log(run: Run, tmp_path: Path, log: tuple[Path, Fleet]) -> None:
    new = tmp_path / "new.yaml"
    new.write_text(PACK.replace("fast: 20", "fast: 200"), "utf-8")
    options = ("--log", log[0], "--profile", "demo_car", "--against", new)
    done = run("backtest", "--rules", tmp_path / "made.yaml", *options)
    figures = json.loads(done.stdout.splitlines()[-1])
    assert done.exit_code == 0
    assert (figures["vehicles"], figures["vehicle_days"]) == (1, 1)
    assert figures["rules"]["alerts"] == 2 and figures["against"]["alerts"] == 0
    assert figures["rules"]["serious_per_1000_vehicle_days"] == 2000
    assert (figures["added"], figures["removed"]) == (2, 0)
    assert figures["rules"]["flaps"] == 1 and figures["rules"]["dispatched"] == [
        "LRC00000000000001"
    ]
    again = run("backtest", "--rules", tmp_path / "made.yaml", *options)
    assert again.stdout == done.stdout
    assert run("backtest", "--rules", new, *options[:4], "--budget", "0").exit_code == 0
    over = run("backtest", "--rules", tmp_path / "made.yaml", *options, "--budget", "1999")
    assert over.exit_code == 1 and json.loads(over.stdout.splitlines()[-1]) == figures


def test_a_backtest_of_the_store_finds_what_was_found(
    run: Run, rig: Rig, log: tuple[Path, Fleet]
) -> None:
    fleet = log[1]
    rig.register(*fleet.vehicles)
    rig.send([fleet.upload_of(0, n) for n in range(60)])
    rig.worker._processor.tick(START_NS + (600 + 31) * 10**9)
    stored = rig.rows(
        "select alert_id::text, vin, severity from alert join vehicle using"
        " (vehicle_id) where state <> 'retracted' order by 1"
    )
    assert stored
    nothing = rig.home / "nothing.yaml"
    nothing.write_text(PACK.replace("fast: 20", "fast: 399"), "utf-8")
    done = run("backtest", "--rules", "active", "--against", nothing, "--vins", "all")
    assert done.exit_code == 0, done.exception
    figures = json.loads(done.stdout.splitlines()[-1])
    found = sorted((a["alert_id"], a["vin"], a["severity"]) for a in figures["added_alerts"])
    assert found == stored
    # The serious alert opened a rescue case: help came after it, not before.
    assert figures["rules"]["median_lead_h"] is not None
    none = run("backtest", "--vins", "all", "--to", "2020-01-01")
    assert json.loads(none.stdout.splitlines()[-1])["frames"] == 0
