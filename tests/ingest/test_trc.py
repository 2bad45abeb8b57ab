"""PEAK TRC of each version, per PEAK's description; python-can as the reference where it reads."""

from __future__ import annotations

from datetime import UTC, timedelta, timezone
from io import StringIO

import can
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.columns import Columns, Faults
from ingest.trc import TrcReader
from model.frames import FrameFlag

EXT, RTR, ERR = 1 << 31, 1 << 30, 1 << 29
FD, BRS, ESI, TX = FrameFlag.FD, FrameFlag.BRS, FrameFlag.ESI, FrameFlag.TX
Row = tuple[int, int, int, int, int, bytes]
#: 45000.5 days after 1899-12-30: 2023-03-15 12:00 UTC.
START_NS = 1_678_881_600_000_000_000
B12 = bytes(range(12))
HEX12 = B12.hex(" ")
HEADS = {
    "1.0": ";   Start time: 15.03.2023 12:00:00.000\n",
    "1.1": ";$FILEVERSION=1.1\n;$STARTTIME=45000.5\n",
    "1.2": ";$FILEVERSION=1.2\n;$STARTTIME=45000.5\n",
    "1.3": ";$FILEVERSION=1.3\n;$STARTTIME=45000.5\n",
    "2.0": ";$FILEVERSION=2.0\n;$STARTTIME=45000.5\n;$COLUMNS=N,O,T,I,d,l,D\n",
    "2.1": ";$FILEVERSION=2.1\n;$STARTTIME=45000.5\n;$COLUMNS=N,O,T,B,I,d,R,L,D\n",
}
FRAMES: list[tuple[str, str, Row]] = [
    ("1.0", "1)  1841  0001  2  00 FF", (1_841_000_000, 0x001, 0, 0, 2, b"\x00\xff")),
    ("1.0", "2)  1842  18FEEE00  1  07", (1_842_000_000, 0x18FEEE00 | EXT, 0, 0, 1, b"\x07")),
    ("1.0", "3)  1844  0100  3  RTR", (1_844_000_000, 0x100 | RTR, 0, 0, 3, b"")),
    ("1.0", "4)  1845  0008  4  ERROR 00 19 08 08", (1_845_000_000, ERR, 0, 0, 0, b"")),
    ("1.1", "1)  1059.9  Rx  0300  2  00 FF", (1_059_900_000, 0x300, 0, 0, 2, b"\x00\xff")),
    ("1.1", "2)  1059.9  Tx  0300  8  RTR", (1_059_900_000, 0x300 | RTR, 0, TX, 8, b"")),
    ("1.1", "3)  1060.0  Error  0008  4  00 19 08 08", (1_060_000_000, ERR, 0, 0, 0, b"")),
    ("1.2", "1)  1059.9 2  Tx  0300  0", (1_059_900_000, 0x300, 1, TX, 0, b"")),
    ("1.3", "1)  17535.4 1  Tx  00000100 -  1 07", (17_535_400_000, 0x100 | EXT, 0, TX, 1, b"\7")),
    ("1.3", "2)  17535.4 2  Rx  0100 -  1    RTR", (17_535_400_000, 0x100 | RTR, 1, 0, 1, b"")),
    ("2.0", "1  1059.900 DT  0300 Rx 2  00 FF", (1_059_900_000, 0x300, 0, 0, 2, b"\x00\xff")),
    ("2.0", "2  1059.901 FD  0300 Rx 12  " + HEX12, (1_059_901_000, 0x300, 0, FD, 12, B12)),
    ("2.1", "1  1.0 DT 2 18FEEE00 Tx - 1 FF", (1_000_000, 0x18FEEE00 | EXT, 1, TX, 1, b"\xff")),
    ("2.1", "2  1.001 FB 1 0300 Rx - 9 " + HEX12, (1_001_000, 0x300, 0, FD | BRS, 12, B12)),
    ("2.1", "3  1.001 FE 1 0300 Rx - 9 " + HEX12, (1_001_000, 0x300, 0, FD | ESI, 12, B12)),
    ("2.1", "4  1.001 BI 1 0300 Rx - 9 " + HEX12, (1_001_000, 0x300, 0, FD | BRS | ESI, 12, B12)),
    ("2.1", "5  1.001 RR 1 0300 Rx - 3", (1_001_000, 0x300 | RTR, 0, 0, 3, b"")),
    ("2.1", "6  1.001 ER 1 -    Rx - 5 04 00 02 00 00", (1_001_000, ERR, 0, 0, 0, b"")),
    ("2.1", "7  1.001 DT - 0300 Rx - 0", (1_001_000, 0x300, 0, 0, 0, b"")),
]  # fmt: skip


def read(version: str, body: str, zone: timezone = UTC) -> tuple[Columns, Faults]:
    faults = Faults()
    return TrcReader(faults, zone).read((HEADS[version] + body).encode(), 1), faults


@pytest.mark.parametrize(("version", "line", "expected"), FRAMES)
def test_each_form(version: str, line: str, expected: Row) -> None:
    columns, faults = read(version, ";\n\n    " + line + "\r\n")
    assert faults.total == 0, faults.first
    (t,), (can_id,) = columns.observed_ns.tolist(), columns.can_id.tolist()
    bus, flags, length = columns.bus[0], columns.flags[0], columns.length[0]
    payload = columns.payload[0].tobytes()[: 0 if can_id & RTR else length]
    assert (t - START_NS, can_id, bus, flags, length, payload) == expected


@pytest.mark.parametrize(
    ("version", "line", "expected"),
    [f for f in FRAMES if f[0] != "1.2" and not f[2][1] & ERR and " - 0300" not in f[1]],
)
def test_python_can_says_the_same(version: str, line: str, expected: Row) -> None:
    """But for FE and BI, whose bits it exchanges, and the start of 1.0."""
    (message,) = can.TRCReader(StringIO(HEADS[version] + line + "\n"))
    t, can_id, bus, flags, length, payload = expected
    start_s = 0 if version == "1.0" else START_NS / 1e9
    assert message.timestamp == pytest.approx(start_s + t / 1e9, abs=1e-6)
    assert message.arbitration_id | EXT * message.is_extended_id == can_id & ~RTR
    assert (message.is_remote_frame, message.is_fd) == (bool(can_id & RTR), bool(flags & FD))
    assert (message.channel - 1, message.is_rx) == (bus, not flags & TX)
    assert bytes(message.data) == payload
    assert message.dlc == length or flags & FD


@pytest.mark.parametrize(
    ("version", "line"),
    [
        ("1.0", "3) 1843 FFFFFFFF 4 00 00 00 04 -- -- -- -- BUSLIGHT"),
        ("1.1", "3) 1843.1 Warng FFFFFFFF 4 00 00 00 08 BUSHEAVY"),
        ("2.0", "2     17540.300 ST          Rx    00 00 00 08"),
        ("2.1", "8 1600.000 EC 1 -    Rx -  2    01 02"),
        ("2.1", "9 1600.000 EV a word of the user's"),
    ],
)
def test_what_is_no_frame_is_no_fault(version: str, line: str) -> None:
    columns, faults = read(version, line)
    assert (len(columns), faults.total) == (0, 0), faults.first


BROKEN = [
    ("1.0", "x"),
    ("1.0", "1) 1 0001 9 00"),
    ("1.1", "1) 1.0 Xx 0001 1 00"),
    ("1.1", "1) x Rx 0001 1 00"),
    ("1.1", "1) 1.0 Rx 0800 1 00"),
    ("1.1", "1) 1.0 Rx 0001 2 00"),
    ("1.1", "1) 1.0 Rx 0001 1 0G"),
    ("1.1", "1) 1.0 Rx 20000000 0"),
    ("1.3", "1) 1.0 300 Rx 0001 - 0"),
    ("2.0", "1 1.0 DT 0300 Rx 65 00"),
    ("2.1", "1 1.0 DT 1 0300 Rx - 16 00"),
    ("2.1", "1 1.0 4 1 0300 Rx - 1 00"),
    ("2.1", ";$STARTTIME=soon"),
    ("2.1", ";$STARTTIME=1e300"),
    ("1.0", "; Start time: 31.02.2023 12:00:00.000"),
]


@pytest.mark.parametrize(("version", "line"), BROKEN)
def test_a_broken_line_is_named_and_its_neighbours_are_read(version: str, line: str) -> None:
    good = next(f[1] for f in FRAMES if f[0] == version)
    columns, faults = read(version, f"{good}\n{line}\n{good}\n")
    assert len(columns) == 2
    assert faults.total == 1
    assert faults.first[0].line == HEADS[version].count("\n") + 2


def test_versions_we_do_not_know_and_files_without_columns() -> None:
    faults = Faults()
    TrcReader(faults, UTC).read(b";$FILEVERSION=3.0\n", 1)
    assert faults.first[0].reason == "TRC version is not one of 1.0, 1.1, 1.2, 1.3, 2.0, 2.1"
    faults = Faults()
    TrcReader(faults, UTC).read(b";$FILEVERSION=2.0\n1 1.0 DT 0300 Rx 0\n", 1)
    assert faults.first[0].reason == "COLUMNS is missing or names too little"


def test_the_logger_has_its_own_time() -> None:
    beijing = timezone(timedelta(hours=8))
    for version in ("1.0", "2.1"):
        line = next(f[1] for f in FRAMES if f[0] == version)
        here, there = read(version, line)[0], read(version, line, beijing)[0]
        assert here.observed_ns[0] - there.observed_ns[0] == 8 * 3600 * 10**9


@pytest.mark.parametrize("version", HEADS)
@given(text=st.text("0123456789ABCDEF RxTDE-).\n;$", max_size=200))
def test_any_text_is_rows_or_faults(version: str, text: str) -> None:
    columns, faults = read(version, text)
    assert len(columns) + faults.total <= text.count("\n") + 1


@given(st.binary(max_size=300))
def test_any_bytes_are_rows_or_faults(text: bytes) -> None:
    TrcReader(Faults(), UTC).read(text, 1)
