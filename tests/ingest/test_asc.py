"""Dialects of Vector's ASC; python-can as the reference where it is right."""

from __future__ import annotations

from datetime import UTC
from io import StringIO

import can
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.asc import AscReader
from ingest.columns import Columns, Faults
from model.frames import FrameFlag

EXT, RTR, ERR = 1 << 31, 1 << 30, 1 << 29
FD, BRS, ESI, TX = FrameFlag.FD, FrameFlag.BRS, FrameFlag.ESI, FrameFlag.TX
Row = tuple[int, int, int, int, int, bytes]
HEAD = "date Thu Feb 29 12:00:00.250 2024\nbase {} timestamps {}\ninternal events logged\n"
#: 2024-02-29 12:00:00.250 UTC.
START_NS = 1_709_208_000_250_000_000
BYTES12 = bytes(range(0xA0, 0xAC))
HEX12 = BYTES12.hex(" ")


def read(body: str, base: str = "hex", mode: str = "absolute") -> tuple[Columns, Faults]:
    faults = Faults()
    text = HEAD.format(base, mode) + body
    return AscReader(faults, UTC).read(text.encode("latin-1"), 1), faults


def row(columns: Columns, i: int = 0) -> Row:
    return (
        int(columns.observed_ns[i]) - START_NS,
        int(columns.can_id[i]),
        int(columns.bus[i]),
        int(columns.flags[i]),
        int(columns.length[i]),
        columns.payload[i].tobytes()[: 0 if columns.can_id[i] & RTR else columns.length[i]],
    )


LINES: dict[str, Row] = {
    "0.1 1  123             Rx   d 3 01 02 FF": (
        100_000_000, 0x123, 0, 0, 3, b"\x01\x02\xff",
    ),
    "  3.098426 2  18EBFF00x       Tx d 8 01 A0 0F A6 60 3B D1 40    Length = 273910 BitCount = 141"
    " ID = 418119424x": (
        3_098_426_000, 0x18EBFF00 | EXT, 1, TX, 8, bytes.fromhex("01A00FA6603BD140"),
    ),
    "0.100000001 12 7FF Rx d 0": (100_000_001, 0x7FF, 11, 0, 0, b""),
    "0.1 1 100 Rx r": (100_000_000, 0x100 | RTR, 0, 0, 0, b""),
    "0.1 1 100 Tx r 8 Length = 1704000 BitCount = 145 ID = 88888888x": (
        100_000_000, 0x100 | RTR, 0, TX, 8, b"",
    ),
    "0.1 1 100 Rx r Length = 1704000 BitCount = 145 ID = 256": (
        100_000_000, 0x100 | RTR, 0, 0, 0, b"",
    ),
    "0.1 3 ErrorFrame": (100_000_000, ERR, 2, 0, 0, b""),
    "0.1 3  ErrorFrame Flags = 0xe CodeExt = 0x20a2 Code = 0x82 ID = 0 DLC = 0 Position = 5": (
        100_000_000, ERR, 2, 0, 0, b"",
    ),
    "0.1 CANFD   5 Tx ErrorFrame Not Acknowledge error, dominant error flag fffe c7": (
        100_000_000, ERR, 4, TX, 0, b"",
    ),
    f"0.1 CANFD   2 Rx        123      1 0 9 12 {HEX12}   102203  133   303000 e0006659 46500250": (
        100_000_000, 0x123, 1, FD | BRS, 12, BYTES12,
    ),
    f"0.1 CANFD 2 Tx 1C4D80A7x   Alpha_2   0 1 9 12 {HEX12} 1331984 11 0 46500250 460a0250": (
        100_000_000, 0x1C4D80A7 | EXT, 1, FD | ESI | TX, 12, BYTES12,
    ),
    "0.1 CANFD 1 Rx 123 0 0 1 1 0A 102203 133 200000 e0006659": (
        100_000_000, 0x123, 0, 0, 1, b"\x0a",
    ),
    "0.1 CANFD 3 Tx 50005x 0 1 5 0 140000 73 200050 7a60 46500250": (
        100_000_000, 0x50005 | EXT | RTR, 2, TX, 5, b"",
    ),
    "0.1 CANFD 1 Rx 123 0 0 0 0 0 0 1000 0": (100_000_000, 0x123, 0, FD, 0, b""),
}  # fmt: skip
NOT_FRAMES = [
    "",
    "// version 9.0.0",
    "no internal events logged",
    "Begin Triggerblock",
    "End TriggerBlock",
    "   0.000000 Start of measurement",
    "   0.015991 CAN 1 Status:chip status error passive - TxErr: 132 RxErr: 0",
    "   1.015991 1  Statistic: D 0 R 0 XD 0 XR 0 E 0 O 0 B 0.00%",
    "   3.297743 1  J1939TP FEE3p        6    0  0   -   Rx   d 23 A0 0F A6 60 3B D1 40 1F DE 80",
    "   0.5 1  123             TxRq d 1 01",
    f"   0.5 CANFD 1 TxRq 123 0 0 9 12 {HEX12}",
    "   0.5 SV: 1 0 1 ::Trigger = 1",
    "   0.5 Li 3f Rx 8 00 00",
]
BROKEN = [
    "x",
    "0.1 1  XYZ             Rx   d 2 01 02",
    "0.1 1  EngineState     Rx   d 2 01 02",
    "0.1 1  123             Rx   d 2 01",
    "0.1 1  123             Rx   d 2 01 0G",
    "0.1 1  123             Rx   d 2 01 100",
    "0.1 1  123             Rx   d",
    "0.1 1  123             Rx",
    "0.1 1  123",
    "0.1 1  800             Rx   d 0",
    "0.1 1  20000000x       Rx   d 0",
    "0.1 300 123            Rx   d 0",
    "0.1 CANFD 1 Rx 123",
    f"0.1 CANFD 1 Rx 123 1 0 9 13 {HEX12}",
    "0.1 CANFD 1 Rx 123 1 0 9 99 00",
    "date Xxx Foo 30 12:00:00 2024",
    "Begin Triggerblock Thu Feb 30 12:00:00 2024",
    "0.1 1 123 Rx d 1 01" + " " * 5000,
]


@pytest.mark.parametrize("line", LINES)
def test_each_form(line: str) -> None:
    columns, faults = read(line)
    assert faults.total == 0, faults.first
    assert len(columns) == 1
    assert row(columns) == LINES[line]


@pytest.mark.parametrize("line", [line for line in LINES if "1 0A 102203" not in line])
def test_python_can_says_the_same(line: str) -> None:
    """But for classic frames on CANFD lines and empty FD frames, which it does not tell apart."""
    (message,) = can.ASCReader(StringIO(HEAD.format("hex", "absolute") + line))
    t, can_id, bus, flags, length, payload = LINES[line]
    assert message.timestamp == pytest.approx(t / 1e9)
    assert message.is_error_frame == bool(can_id & ERR)
    assert message.channel == bus
    if can_id & ERR:
        return
    assert (message.arbitration_id, message.is_extended_id) == (can_id & ~(7 << 29), can_id >> 31)
    assert message.is_rx == (not flags & TX)
    if length or not flags & FD:
        assert message.is_remote_frame == bool(can_id & RTR)
        assert message.dlc == length
        assert bytes(message.data) == payload


@pytest.mark.parametrize("line", NOT_FRAMES)
def test_lines_of_other_kinds_are_no_frames(line: str) -> None:
    columns, faults = read(line)
    assert (len(columns), faults.total) == (0, 0), faults.first


@pytest.mark.parametrize("line", BROKEN)
def test_a_broken_line_is_named_and_its_neighbours_are_read(line: str) -> None:
    good = "0.1 1 123 Rx d 1 01\n"
    columns, faults = read(good + line + "\n" + good)
    assert len(columns) == 2
    assert (faults.total, faults.first[0].line) == (1, 5)
    assert faults.first[0].reason


def test_decimal_base() -> None:
    columns, faults = read("0.1 1 2047 Rx d 2 255 07\n0.2 1 419360256x Rx d 1 16\n", "dec")
    assert faults.total == 0
    assert columns.can_id.tolist() == [2047, 419360256 | EXT]
    assert [row(columns, i)[5] for i in (0, 1)] == [b"\xff\x07", b"\x10"]
    assert read("0.1 1 2048 Rx d 0", "dec")[1].total == 1
    assert read("0.1 1 1 Rx d 1 256", "dec")[1].total == 1


def test_relative_times_add_up_over_every_kind_of_line() -> None:
    body = "0.1 1 123 Rx d 0\n0.2 1 Statistic: D 0\n0.3 1 123 Rx d 0\n"
    columns, _ = read(body, mode="relative")
    assert [t - START_NS for t in columns.observed_ns.tolist()] == [100_000_000, 600_000_000]


@pytest.mark.parametrize(
    ("date", "start_s"),  # date -u -d ... +%s
    [
        ("Begin Triggerblock Sam Sep 30 15:06:13.191 2017", 1506783973.191),
        ("Begin Triggerblock Mit Mär 6 03:06:13 pm 2024", 1709737573),
        ("date Wed Apr 16 12:21:13.159 am 2014", 1397607673.159),
    ],
)
def test_dates(date: str, start_s: float) -> None:
    columns, faults = read(date + "\n0.0 1 123 Rx d 0")
    assert faults.total == 0
    assert columns.observed_ns[0] == round(start_s * 1000) * 1_000_000
    faults = Faults()
    utf8 = AscReader(faults, UTC).read((date + "\n0.0 1 123 Rx d 0").encode(), 1)
    assert (faults.total, utf8.observed_ns[0]) == (0, columns.observed_ns[0])


@given(st.text("0123456789ABCDEFxdRrxTx .\nCANFDErrorFrame:/", max_size=300))
def test_any_text_is_rows_or_faults(text: str) -> None:
    columns, faults = read(text)
    assert len(columns) + faults.total <= text.count("\n") + 1


@given(st.binary(max_size=300))
def test_any_bytes_are_rows_or_faults(text: bytes) -> None:
    AscReader(Faults(), UTC).read(text, 1)
