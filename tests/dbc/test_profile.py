"""Profiles: every fault with file and key, search folders, signal maps beside DBC files."""

from __future__ import annotations

from pathlib import Path

import pytest

from dbc.profile import Binding, IdFilter, ProfileError, load_profile, profile_names
from dbc.units import CONVERSIONS, conversion
from model.catalogue import catalogue


def write(folder: Path, name: str, text: str) -> None:
    (folder / name).write_text(text)


def test_every_fault_at_once_with_file_and_key(tmp_path: Path) -> None:
    write(
        tmp_path,
        "odd.toml",
        """
profile = "even"
powertrain = "steam"
dbc = ["missing.dbc"]
j1939 = "yes"
colour = "red"
[signals]
"NoDot" = "speed_kmh"
"A.B" = "warp_factor"
"A.C" = 5
"A.D" = {name = "speed_kmh", factor = 0}
"A.E" = {name = "speed_kmh", factor = true}
[messages.A]
match = ["7E8", "7E9:7F8"]
[messages.B]
speed = 1
""",
    )
    with pytest.raises(ProfileError) as caught:
        load_profile("odd", [tmp_path])
    faults = caught.value.faults
    assert all(fault.startswith(str(tmp_path / "odd.toml")) for fault in faults)
    for key in (
        "profile", "powertrain", "dbc", "colour", "signals.'NoDot'", "signals.'A.B'",
        "signals.'A.C'", "signals.'A.D'", "signals.'A.E'", "messages.A.match", "messages.B",
    ):  # fmt: skip
        assert sum(f": {key}: " in fault for fault in faults) == 1, key


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("dbc = [", "file"),
        ("dbc = []", "dbc"),
        ('dbc = "a.dbc"', "dbc"),
        ('dbc = ["a.dbc"]\nsignals = 3', "signals"),
        ('dbc = ["a.dbc"]\nmessages = 3', "messages"),
        ('dbc = ["a.dbc"]\nj1939 = 1', "j1939"),
        ('dbc = ["a.dbc"]\nprofile = 7', "profile"),
        ('dbc = ["a.dbc"]\n[messages.A]\nmatch = ["18DAF100:1F000000"]', "messages.A.match"),
        ('dbc = ["a.dbc"]\n[messages.A]\niso_tp = 1', "iso_tp"),
    ],
)
def test_each_fault(text: str, key: str, tmp_path: Path) -> None:
    write(tmp_path, "a.dbc", "")
    write(tmp_path, "one.toml", text)
    with pytest.raises(ProfileError, match=rf"one\.toml: {key}: "):
        load_profile("one", [tmp_path])


@pytest.mark.parametrize("name", ["nobody", "../etc/passwd", "", "a/b", "UPPER"])
def test_names_that_are_no_profile(name: str) -> None:
    with pytest.raises(ProfileError, match="profile "):
        load_profile(name)


def test_a_foreign_file_without_bindings_is_a_profile(tmp_path: Path) -> None:
    write(tmp_path, "foreign.dbc", "")
    write(tmp_path, "foreign.toml", 'dbc = ["foreign.dbc"]')
    profile = load_profile("foreign", [tmp_path])
    assert profile.dbc == (tmp_path / "foreign.dbc",)
    assert not profile.j1939
    assert not profile.bindings
    assert "foreign" in profile_names([tmp_path])


def test_search_folders_win_and_built_in_files_are_found(tmp_path: Path) -> None:
    write(tmp_path, "j1979.toml", 'powertrain = "hybrid"\ndbc = ["j1939_core.dbc"]')
    profile = load_profile("j1979", [tmp_path])
    assert profile.powertrain == "hybrid"
    assert load_profile("j1979").powertrain == "combustion"
    assert profile.j1939, "the map beside j1939_core.dbc says so"


def test_a_file_brings_its_signal_map_and_the_profile_wins(tmp_path: Path) -> None:
    text = 'dbc = ["j1979.dbc"]\n[signals]\n"ObdAnswer.EngineSpeed" = "motor_speed_rpm"\n'
    write(tmp_path, "mine.toml", text)
    profile = load_profile("mine", [tmp_path])
    assert profile.bindings["ObdAnswer.EngineSpeed"] == Binding("motor_speed_rpm")
    assert profile.bindings["ObdAnswer.VehicleSpeed"] == Binding("speed_kmh")
    options = profile.messages["ObdAnswer"]
    assert options.iso_tp
    assert options.match == (
        IdFilter(False, 0x7E8, 0x7F8),
        IdFilter(True, 0x18DAF100, 0x1FFFFF00),
    )


def test_the_hash_is_of_content_not_of_place(tmp_path: Path) -> None:
    hashes = []
    for folder, line in (("a", ""), ("b", ""), ("c", "[signals]\n"), ("d", "j1939 = true\n")):
        (tmp_path / folder).mkdir()
        write(tmp_path / folder, "v.dbc", "BO_ 1 A: 8 X\n")
        write(tmp_path / folder, "v.toml", 'dbc = ["v.dbc"]\n' + line)
        hashes.append(load_profile("v", [tmp_path / folder]).hash)
    assert hashes[0] == hashes[1] == hashes[2] != hashes[3]
    write(tmp_path / "a", "v.dbc", "BO_ 2 A: 8 X\n")
    assert load_profile("v", [tmp_path / "a"]).hash != hashes[0]


def test_every_catalogue_unit_converts_to_itself() -> None:
    for row in catalogue().values():
        assert conversion(row.unit, row.unit) == (1, 0), row.unit


@pytest.mark.parametrize(
    ("dbc", "unit", "value", "expected"),
    [
        # NIST SP 811 factors
        ("mph", "km/h", 100, 160.9344),
        ("m/s", "km/h", 10, 36),
        ("°F", "degC", 212, 100),
        ("Â°F", "degC", 32, 0),
        ("deg F", "degC", -40, -40),
        ("K", "degC", 273.15, 0),
        ("psi", "kPa", 32, 220.63223),
        ("bar", "kPa", 2.4, 240),
        ("MPa", "kPa", 1, 1000),
        ("mV", "V", 3650, 3.65),
        ("m", "km", 1500, 1.5),
        ("miles", "km", 1, 1.609344),
        ("RPM", "rpm", 7, 7),
        ("1/min", "rpm", 7, 7),
        ("min", "s", 2, 120),
        ("kg/h", "g/s", 36, 10),
        ("Ohm", "kOhm", 500, 0.5),
        ("MOhm", "kOhm", 2, 2000),
    ],
)
def test_units(dbc: str, unit: str, value: float, expected: float) -> None:
    pair = conversion(dbc, unit)
    assert pair is not None
    assert value * pair[0] + pair[1] == pytest.approx(expected, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize(("dbc", "unit"), [("", "rpm"), ("furlong", "km"), ("V", "A"), ("%", "")])
def test_what_we_do_not_know_we_do_not_guess(dbc: str, unit: str) -> None:
    assert conversion(dbc, unit) is None


def test_no_conversion_is_zero() -> None:
    assert all(factor != 0 for rows in CONVERSIONS.values() for factor, _ in rows.values())
