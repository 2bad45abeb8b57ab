"""`[dids]` and `[links]` of a profile, ranges in names, arrays: what is read, and every fault."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbc.diagnosis import DiagnosticLink, DidField, read_dids, read_links
from dbc.numbered import expand_key, expand_name
from dbc.profile import Binding, ProfileError, load_profile

CELLS = 'BO_ 1 Cells: 8 X\n SG_ Cell01 : 0|8@1+ (0.02,0) [0|5] "V" X\n'
CELLS += ' SG_ Cell02 : 8|8@1+ (0.02,0) [0|5] "V" X\n'


def load(folder: Path, toml: str):
    (folder / "made.dbc").write_text('VERSION ""\nNS_ :\nBS_:\nBU_: X\n' + CELLS)
    (folder / "made.toml").write_text('dbc = ["made.dbc"]\n' + toml)
    return load_profile("made", [folder])


def test_a_did_with_its_fields(tmp_path: Path) -> None:
    text = """[dids.F190]
bytes = 17
text = true
[dids.01a0]
name = "state"
fields = [
  {signal = "cell_voltage_v[1..3]", at = 4, bytes = 2, unit = "mV"},
  {name = "Relay", at = 1, bit = 3, bits = 2},
]
"""
    profile = load(tmp_path, text)
    assert profile.dids[0xF190].size == 17
    assert profile.dids[0xF190].text
    row = profile.dids[0x01A0]
    assert (row.name, row.size) == ("state", None)
    names = [(f.name, f.at, f.size, f.bit, f.bits, f.bound) for f in row.fields]
    assert names == [
        ("cell_voltage_v[1]", 4, 2, 0, 16, True),
        ("cell_voltage_v[2]", 6, 2, 0, 16, True),
        ("cell_voltage_v[3]", 8, 2, 0, 16, True),
        ("Relay", 1, 1, 3, 2, False),
    ]
    assert profile.bindings["DID_01A0.cell_voltage_v[2]"] == Binding("cell_voltage_v[2]")
    assert "DID_01A0.Relay" not in profile.bindings


def test_links_are_socketcan_identifiers(tmp_path: Path) -> None:
    text = '[links]\na = {request = "7A0", answer = "7A8"}\n'
    text += 'b = {request = "18DAEEFA", answer = "18DAFAEE", addressed = true}\n'
    assert load(tmp_path, text).links == {
        "a": DiagnosticLink(0x7A0, 0x7A8),
        "b": DiagnosticLink(0x98DAEEFA, 0x98DAFAEE, addressed=True),
    }


DID_FAULTS = {
    "dids = 3": "dids: must be a table",
    "[dids.XYZW]": r"dids\.XYZW: must be four hexadecimal digits",
    "[dids.100]": r"dids\.100: must be four",
    "[dids.0100]\nsize = 3": r"dids\.0100: may hold bytes, fields",
    "[dids.0100]\nbytes = 0": r"dids\.0100\.bytes: must be a whole number from 1",
    "[dids.0100]\nname = 7": r"dids\.0100: name is a text",
    "[dids.0100]\nfields = 7": r"dids\.0100\.fields: must be a list",
    "[dids.0100]\nfields = [7]": r"fields\[0\]: may hold at, bit",
    "[dids.0100]\nfields = [{}]": r"fields\[0\]: needs signal",
    '[dids.0100]\nfields = [{signal = "speed_kmh", name = "V"}]': "needs signal",
    '[dids.0100]\nfields = [{signal = "no_such_signal"}]': "no_such_signal: not in the catalogue",
    '[dids.0100]\nfields = [{signal = "cell_voltage_v"}]': "cell_voltage_v: not in the catalogue",
    '[dids.0100]\nfields = [{signal = "cell_voltage_v[3..1]"}]': r"3\.\.1 is not a range",
    '[dids.0100]\nfields = [{signal = "cell_voltage_v[2]"}]': r"cell_voltage_v\[1\] is bound",
    '[dids.0100]\nfields = [{name = "A", at = -1}]': "at is a byte from 0",
    '[dids.0100]\nfields = [{name = "A", bytes = 9}]': "bytes are 1 to 8",
    '[dids.0100]\nfields = [{name = "A", bit = 5, bits = 4}]': "not within 8 bits",
    '[dids.0100]\nfields = [{name = "A", factor = 0}]': "factor not 0",
    '[dids.0100]\nfields = [{name = "A", offset = nan}]': "factor and offset are numbers",
    '[dids.0100]\nfields = [{name = "A", signed = 1}]': "signed is true or false",
    '[dids.0100]\nbytes = 2\nfields = [{name = "A", at = 1, bytes = 2}]': "A ends at byte 3 of 2",
    '[dids.0100]\nfields = [{name = "A"}, {name = "A", at = 1}]': "A stands here more than once",
    "links = 3": "links: must be a table",
    "[links]\na = 3": r"links\.a: may hold addressed, answer, request",
    '[links]\na = {request = "7A0"}': r"links\.a: needs request and answer",
    '[links]\na = {request = "8A0", answer = "7A8"}': r"links\.a: needs request",
    '[links]\na = {request = "FFFFFFFF", answer = "7A8"}': r"links\.a: needs request",
    '[links]\na = {request = "7A0", answer = "7A0"}': r"7A0 is a's already",
    '[signals]\n"Cells.Cell{01..02}" = "cell_voltage_v[1..3]"': "2 signals, 3 names",
    '[signals]\n"Cells.Cell{02..01}" = "cell_voltage_v[1..2]"': r"02\.\.01 is not a range",
    '[signals]\n"Cells.Cell02" = "cell_voltage_v[2]"': r"cell_voltage_v\[1\] is bound to nothing",
    '[signals]\n"Cells.Cell02" = "cell_voltage_v"': "an array, its elements are",
    '[signals]\n"Cells.Cell02" = "cell_voltage_v[5000]"': r"cell_voltage_v\[1\] to",
}


@pytest.mark.parametrize("text", DID_FAULTS)
def test_each_fault(text: str, tmp_path: Path) -> None:
    with pytest.raises(ProfileError, match=rf"made\.toml: .*{DID_FAULTS[text]}"):
        load(tmp_path, text)


def test_all_faults_are_told_at_once(tmp_path: Path) -> None:
    text = '[dids.0100]\nbytes = 0\nfields = [{name = "A", bytes = 9}, {name = "B", factor = 0}]\n'
    with pytest.raises(ProfileError) as error:
        load(tmp_path, text + '[links]\na = {request = "zz"}\n')
    assert len(error.value.faults) == 4


def test_one_line_binds_a_whole_array(tmp_path: Path) -> None:
    profile = load(tmp_path, '[signals]\n"Cells.Cell{01..02}" = "cell_voltage_v[1..2]"\n')
    assert profile.bindings == {
        "Cells.Cell01": Binding("cell_voltage_v[1]"),
        "Cells.Cell02": Binding("cell_voltage_v[2]"),
    }


def test_ranges() -> None:
    assert expand_key("M.Cell{08..10}V") == ["M.Cell08V", "M.Cell09V", "M.Cell10V"]
    assert expand_key("M.Cell") == ["M.Cell"]
    assert expand_name("cell_temp_c[1..2]") == ["cell_temp_c[1]", "cell_temp_c[2]"]
    with pytest.raises(ValueError, match="at most 4096"):
        expand_name("cell_temp_c[1..9999]")


def test_the_hash_follows_the_did_map(tmp_path: Path) -> None:
    rows = ("[dids.0100]\nbytes = 3\n", "[dids.0100]\nbytes = 4\n", "")
    assert len({load(tmp_path, row).hash for row in rows}) == 3


JSONISH = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["0100", "fields", "bytes", "at", "signal", "name", "request", "a", "bit"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(JSONISH)
def test_any_table_gives_rows_or_faults(table: object) -> None:
    dids, _ = read_dids(table)
    assert all(isinstance(f, DidField) for row in dids.values() for f in row.fields)
    links, _ = read_links(table)
    assert all(isinstance(link, DiagnosticLink) for link in links.values())


@pytest.mark.parametrize(
    ("name", "least", "arrays"),
    [
        ("demo_car", 60, {}),
        ("demo_truck", 100, {}),
        ("demo_ev", 200, {"cell_voltage_v": 96, "cell_temp_c": 24}),
    ],
)
def test_our_profiles_are_wide(name: str, least: int, arrays: dict[str, int]) -> None:
    profile = load_profile(name)
    bound = {b.name for b in profile.bindings.values()}
    assert len(bound) >= least
    for array, count in arrays.items():
        assert {f"{array}[{i}]" for i in range(1, count + 1)} <= bound
    assert profile.dids
    assert profile.links
