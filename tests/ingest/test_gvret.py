"""SavvyCAN's native CSV, per its framefileio.cpp."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.columns import Columns, Faults
from ingest.gvret import GvretReader
from model.errors import DecodeError
from model.frames import FrameFlag

OLD = "Time Stamp,ID,Extended,Bus,LEN,D1,D2,D3,D4,D5,D6,D7,D8\n"
NEW = "Time Stamp,ID,Extended,Dir,Bus,LEN,D1,D2,D3,D4,D5,D6,D7,D8\n"


def read(text: str) -> tuple[Columns, Faults]:
    faults = Faults()
    return GvretReader(faults).read(text.encode("latin-1"), 1), faults


def test_old_and_new_form() -> None:
    old, faults = read(OLD + "166064000,0000021A,false,1,3,FE,36,12,\n")
    assert faults.total == 0
    assert old.observed_ns.tolist() == [166_064_000_000]
    assert (old.can_id[0], old.bus[0], old.flags[0], old.length[0]) == (0x21A, 1, 0, 3)
    assert old.payload[0].tobytes() == bytes.fromhex("FE3612") + bytes(5)
    new, faults = read(NEW + "0.123456,0x18FEEE00,true,Tx,2,2,0xDE,0xAD,,,,,,\r\n")
    assert faults.total == 0
    assert new.observed_ns.tolist() == [123_456_000]
    assert (new.can_id[0], new.bus[0], new.length[0]) == (0x98FEEE00, 2, 2)
    assert new.flags[0] == FrameFlag.TX
    assert new.payload[0].tobytes() == b"\xde\xad" + bytes(6)


def test_more_than_eight_bytes_are_can_fd() -> None:
    columns, faults = read(NEW + "1,123,false,Rx,0,12," + ",".join(["AA"] * 12))
    assert faults.total == 0
    assert (columns.flags[0], columns.length[0]) == (FrameFlag.FD, 12)


@pytest.mark.parametrize(
    "line",
    [
        "x,123,false,0,1,00",
        "1,XYZ,false,0,1,00",
        "1,123,false,0,9,00",
        "1,123,false,0,1,100",
        "1,123,false,0,1,GG",
        "1,123,false,0,1",
        "1,123",
        "1,800,false,0,1,00",
        "1,FFFFFFFF,true,0,1,00",
        "1,123,false,256,1,00",
        "1,123,false,0,65,00",
        "1e5,123,false,0,0",
    ],
)
def test_a_broken_line_is_named_and_its_neighbours_are_read(line: str) -> None:
    good = "1,123,false,0,1,00\n"
    columns, faults = read(OLD + good + line + "\n" + good)
    assert len(columns) == 2
    assert (faults.total, faults.first[0].line) == (1, 3)


def test_an_unknown_header_is_no_gvret() -> None:
    with pytest.raises(DecodeError, match="lacks"):
        read("Time Stamp,ID\n1,2\n")


ODD = ["0.5,123,false,Rx,0,1,AA", "1,0x123,false,Tx,0,1,0xA", "1,123,1,Rx,0,1, AA ", "", "1,2"]


@given(
    st.lists(
        st.tuples(
            st.integers(0, 2**50), st.integers(0, 0x1FFFFFFF), st.booleans(), st.booleans(),
            st.integers(0, 300), st.binary(max_size=64),
        ),
        max_size=6,
    ),
    st.lists(st.sampled_from(ODD), max_size=3),
    st.integers(0, 5),
)  # fmt: skip
def test_lines_read_together_are_read_like_single_ones(
    frames: list[tuple[int, int, bool, bool, int, bytes]], odd: list[str], padding: int
) -> None:
    lines = [
        f"{t},{can_id:X},{str(ext).lower()},{'Tx' if tx else 'Rx'},{bus},{len(payload)},"
        + ",".join([*(f"{b:02x}" for b in payload), *[""] * padding])
        for t, can_id, ext, tx, bus, payload in frames
    ] + odd
    together, faults = read(NEW + "\n".join(lines * 20))
    single_faults = Faults()
    reader = GvretReader(single_faults)
    reader.read(NEW.encode(), 1)
    single = [reader.read(line.encode(), 2 + i) for i, line in enumerate(lines * 20)]
    assert faults == single_faults
    for name in ("observed_ns", "can_id", "bus", "flags", "length"):
        joined = [x for c in single for x in getattr(c, name).tolist()]
        assert getattr(together, name).tolist() == joined
    payloads = [row.tobytes().ljust(64, b"\0") for c in single for row in c.payload]
    assert [row.tobytes().ljust(64, b"\0") for row in together.payload] == payloads


@given(st.text("0123456789ABCDEFx,.-+e \nfalsetruRTx_", max_size=200))
def test_any_text_is_rows_or_faults(text: str) -> None:
    columns, faults = read(OLD + text)
    filled = sum(1 for line in text.split("\n") if line.strip(", \r"))
    assert len(columns) + faults.total == filled


@given(
    st.integers(0, 2**62 // 1000),
    st.integers(0, 0x1FFFFFFF),
    st.binary(max_size=64),
    st.integers(0, 255),
)
def test_round_trip(t_us: int, can_id: int, payload: bytes, bus: int) -> None:
    cells = [str(t_us), f"{can_id:08X}", "true", "Rx", str(bus), str(len(payload))]
    columns, faults = read(NEW + ",".join([*cells, *(f"{b:02X}" for b in payload), ""]))
    assert faults.total == 0
    assert columns.observed_ns.tolist() == [t_us * 1000]
    assert (columns.can_id[0], columns.bus[0]) == (can_id | 1 << 31, bus)
    assert columns.payload[0].tobytes()[: int(columns.length[0])] == payload
