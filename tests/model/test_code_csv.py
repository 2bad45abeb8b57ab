"""Lists of codes in CSV: what Chinese Excel writes is read, every fault has its line."""

from __future__ import annotations

import csv
import io
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model import code_csv
from model.code_book import ListedCode
from model.code_csv import CodeListError, RowFault, read_codes
from model.code_texts import code_book
from model.errors import DecodeError, LimitExceededError
from model.severity import Severity

CHINESE = "故障码,中文,系统,等级\nP1234,燃油泵继电器,燃油系统,尽快进站\n"


def faults(text: str) -> list[RowFault]:
    return list(read_codes(text.encode()).faults)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gbk", "gb18030", "utf-16"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_what_spreadsheets_write(encoding: str, delimiter: str, end: str) -> None:
    written = CHINESE.replace(",", delimiter).replace("\n", end).encode(encoding)
    assert read_codes(written).codes == {
        "P1234": ListedCode(
            code="P1234", zh="燃油泵继电器", system="fuel", severity=Severity.VISIT_SOON
        )
    }


def test_codes_are_kept_in_one_way_of_writing() -> None:
    read = read_codes(b"code,en\np0217,a\nU0100 87,b\nSPN 110 FMI 0,c\nSPN 111,d\n\n,,\n")
    assert list(read.codes) == ["P0217", "U0100-87", "110/0", "111"]
    assert read.faults == ()


def test_every_fault_has_its_line() -> None:
    found = faults(
        "code,zh,en,system,severity,action\n"
        "P0217,过热,Hot,cooling,3,stop\n"
        'P0218,"两行\n文字",,,,\n'
        "NOPE,x,,,,\n"
        "P0219,,,,,\n"
        "P0217,x,,,,\n"
        f"P0220,{'长' * 201},,,,\n"
        "P0221,x,,engines,9,tow\n"
        "P0222,x,,,,,extra\n"
        "P0223,a\x00b,,,,\n"
    )
    assert [fault.line for fault in found] == [5, 6, 7, 8, 9, 9, 9, 10, 11]
    says = [fault.text for fault in found]
    assert says[0] == "not a trouble code: 'NOPE', write P0217, U0100-87 or 110/0"
    assert says[1] == "no text in zh or en"
    assert says[2] == "P0217 is already in line 2"
    assert says[3] == "zh has 201 characters, at most 200"
    assert says[4].startswith("unknown system 'engines', known: powertrain, ")
    assert says[5] == "unknown severity '9', known: -1, 0, 1, 2, 3, 4"
    assert says[6].startswith("unknown action 'tow', known: triage, ")
    assert says[7] == "7 cells under 6 columns"
    assert says[8] == "zh holds control characters"


def test_two_lines_in_a_cell_become_one() -> None:
    assert read_codes('code,zh\nP0218,"两行\n　文字"\n'.encode()).codes["P0218"].zh == "两行 文字"


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "line 1: columns code and zh or en are needed"),
        (b"code,severity\nP0217,3\n", "line 1: columns code and zh or en are needed"),
        (b"code,en,price\n", "line 1: unknown columns ['price'], known: code, zh, en, system"),
        (b"code,en,English\n", "line 1: a column is named twice"),
        (b"\xff\xff\xff", "neither UTF-8 nor GBK text"),
        (b"\xff\xfea", "neither UTF-8 nor GBK text"),
        (b"code,en\nP0217," + b"x" * 200_000 + b"\n", "line 2: field larger than field limit"),
    ],
)
def test_a_file_that_is_no_list(data: bytes, says: str) -> None:
    with pytest.raises(CodeListError, match=re.escape(says)):
        read_codes(data)


def test_size_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(LimitExceededError, match="bytes of a code list: limit 16000000"):
        read_codes(bytes(code_csv.MAX_BYTES + 1))
    monkeypatch.setattr(code_csv, "MAX_ROWS", 2)
    with pytest.raises(LimitExceededError, match="rows of a code list: limit 2, got 3"):
        read_codes(b"code,en\nP0001,a\nP0002,b\nP0003,c\n")


@given(st.binary(max_size=300) | st.text(max_size=200).map(lambda t: f"code,zh\n{t}".encode()))
def test_any_bytes_are_a_list_or_refused(data: bytes) -> None:
    try:
        read = read_codes(data)
    except DecodeError:
        return
    for code, row in read.codes.items():
        assert row.code == code and (row.zh or row.en)
    assert all(fault.line >= 2 for fault in read.faults)


WORDS = st.text(st.characters(codec="gbk", exclude_categories=("C", "Z")), min_size=1, max_size=20)
ROWS = st.builds(
    ListedCode,
    code=st.from_regex(r"\A[PCBU][0-3][0-9A-F]{3}(-[0-9A-F]{2})?\Z")
    | st.integers(0, (1 << 19) - 1).map(str)
    | st.builds("{}/{}".format, st.integers(0, (1 << 19) - 1), st.integers(0, 31)),
    zh=WORDS,
    en=st.just("") | WORDS,
    system=st.sampled_from(["", *code_book().systems]),
    severity=st.sampled_from([None, *Severity]),
    action=st.sampled_from(["", *code_book().actions]),
)


@given(st.lists(ROWS, unique_by=lambda row: row.code), st.sampled_from(["utf-8", "gbk"]))
def test_what_was_written_comes_back(rows: list[ListedCode], encoding: str) -> None:
    out = io.StringIO()
    writer = csv.DictWriter(out, list(ListedCode.model_fields))
    writer.writeheader()
    writer.writerows(row.model_dump(mode="json") for row in rows)
    read = read_codes(out.getvalue().encode(encoding))
    assert (read.faults, list(read.codes.values())) == ((), rows)
