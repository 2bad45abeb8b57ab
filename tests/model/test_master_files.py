"""Files as spreadsheets and other systems write them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from model.errors import RoadcallError
from model.master_files import MasterFileError, Row, count_rows, read_rows
from model.masters import Certificate, Duty, Person, Region
from model.record import Record
from model.vehicle import RescueUnit, Station

HEAD = "station_id,name,latitude_deg,longitude_deg,zone"


def read(path: Path, content: str | bytes, model: type[Record] = Station) -> list[Row[Record]]:
    path = path / "file"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return list(read_rows(path, model))


def faults(rows: list[Row[Record]]) -> list[str]:
    return [str(f) for row in rows for f in row.faults]


def test_csv_with_lists_and_json_cells(tmp_path: Path) -> None:
    text = (
        f"{HEAD};skills;coverage;active;bays".replace(",", ";")
        + '\ns1;杭州;30.1;120.2;city;engine;"[[120,30],[121,30],[121,31]]";false;4\n'
        + "\n"
        + 's2;"two\nlines";30.1;120.2;county;engine;;;\n'
        + "s3;三;30.1;120.2;province;"
    )
    rows = read(tmp_path, text)
    assert faults(rows) == []
    first, second, third = (row.record for row in rows)
    assert isinstance(first, Station)
    assert isinstance(second, Station)
    assert isinstance(third, Station)
    assert (first.skills, first.active, first.bays) == ({"engine"}, False, 4)
    assert first.coverage is not None
    assert first.coverage.contains(30.2, 120.8)
    assert [row.line for row in rows] == [2, 4, 6]
    assert (second.name, second.coverage, second.active) == ("two\nlines", None, True)
    assert "bays" not in third.model_fields_set


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
def test_chinese_in_each_encoding(tmp_path: Path, encoding: str) -> None:
    content = f"{HEAD}\ns1,杭州一站,30.1,120.2,city\n".encode(encoding)
    (row,) = read(tmp_path, content)
    assert isinstance(row.record, Station)
    assert row.record.name == "杭州一站"


def test_every_fault_names_line_and_field(tmp_path: Path) -> None:
    rows = read(tmp_path, f"{HEAD}\ns1,一,30,120,city\ns2,二,95,x,town\n,三,30,120,city,more\n")
    assert faults(rows) == [
        "3: latitude_deg: input should be less than or equal to 90",
        "3: longitude_deg: input should be a valid number, unable to parse string as a number",
        "3: zone: input should be 'city', 'county' or 'province'",
        "4: station_id: field required",
        "4: column 6: extra inputs are not permitted",
    ]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("station_id,colour\n", r"line 1: unknown columns \['colour'\], known: station_id, name"),
        ("", "line 1: unknown columns"),
        ("station_id,station_id\n", "line 1: a column is named twice"),
        ('station_id\n"broken', "line 2: "),
        (b"station_id,name\ns1,\x81", "neither UTF-8 nor GB 18030"),
        ("[1,", "not JSON"),
        ('{"station_id": "a"}\n{"', "line 2: not JSON"),
        ("[" * 100_000, "not JSON"),
    ],
)
def test_a_file_that_cannot_be_read(tmp_path: Path, content: str | bytes, reason: str) -> None:
    with pytest.raises(MasterFileError, match=reason):
        read(tmp_path, content)


def test_json_arrays_and_lines(tmp_path: Path) -> None:
    rows = [{"region_id": "hq", "name": "总部", "level": "headquarters"}, {"region_id": "e"}, 7]
    array = read(tmp_path, json.dumps(rows), Region)
    lines = read(tmp_path, "\n".join(map(json.dumps, rows[:2])), Region)
    assert [r.record for r in array][:2] == [r.record for r in lines]
    assert faults(array)[0] == "2: name: field required"
    assert array[2].faults[0].field == ""


def test_a_duty_without_id_gets_one_that_stays(tmp_path: Path) -> None:
    text = "person_id,from_at,to_at\nli,2025-03-01T08:00:00+08:00,2025-03-01T18:00:00+08:00\n"
    one, two = read(tmp_path, text, Duty)[0].record, read(tmp_path, text, Duty)[0].record
    assert isinstance(one, Duty)
    assert one == two
    assert one.duty_id == "li|attendance|2025-03-01T08:00:00+08:00"


@pytest.mark.parametrize(
    ("model", "row", "reason"),
    [
        (Duty, {"from_at": "2025-03-01T08:00:00Z"}, "one of person_id and unit_id is needed"),
        (Duty, {"person_id": "a", "unit_id": "b", "from_at": "2025-03-01T08:00:00Z"}, "one of"),
        (
            Duty,
            {"unit_id": "b", "from_at": "2025-03-01T08:00:00Z", "to_at": "2025-03-01T08:00:00Z"},
            "to_at is not after from_at",
        ),
        (Person, {"person_id": "a", "role": "expert"}, "one of station_id and region_id"),
        (
            Certificate,
            {"person_id": "a", "kind": "x", "valid_from": "2025-01-02", "valid_to": "2025-01-01"},
            "valid_to is before valid_from",
        ),
    ],
)
def test_fields_that_do_not_go_together(
    tmp_path: Path, model: type[Record], row: dict[str, str], reason: str
) -> None:
    (fault,) = faults(read(tmp_path, json.dumps([row]), model))
    assert reason in fault


def test_rows_are_counted_for_the_bar(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text(f"{HEAD}\na\nb\n")
    assert count_rows(path) == 3
    path.write_text("[]")
    assert count_rows(path) is None


@given(st.binary(max_size=200))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_are_rows_faults_or_a_refusal(tmp_path: Path, content: bytes) -> None:
    try:
        rows = read(tmp_path, content, RescueUnit)
    except RoadcallError:
        return
    assert all((row.record is None) == bool(row.faults) for row in rows)


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=60))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_cell_is_read_or_refused(tmp_path: Path, cell: str) -> None:
    quoted = '"' + cell.replace('"', '""') + '"'
    try:
        rows = read(tmp_path, f"{HEAD},hours,skills,coverage\ns,n,1,2,city{f',{quoted}' * 3}")
    except RoadcallError:
        return
    assert all((row.record is None) == bool(row.faults) for row in rows)
