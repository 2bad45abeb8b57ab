"""candump text; formats per can-utils' candump.c and lib.c."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import can
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest import candump
from ingest.columns import BusNumbers, Columns, Faults, LogFaultError
from model.frames import FrameBatch, FrameFlag

EXT, RTR, ERR = 1 << 31, 1 << 30, 1 << 29
FD, BRS, ESI, TX = FrameFlag.FD, FrameFlag.BRS, FrameFlag.ESI, FrameFlag.TX
Row = tuple[int, int, int, int, int, bytes]


def rows(columns: Columns) -> list[Row]:
    """(observed_ns, can_id, bus, flags, length, payload) in line order."""
    return [
        (
            int(columns.observed_ns[i]),
            int(columns.can_id[i]),
            int(columns.bus[i]),
            int(columns.flags[i]),
            int(columns.length[i]),
            columns.payload[i].tobytes()[: 0 if columns.can_id[i] & RTR else columns.length[i]],
        )
        for i in range(len(columns))
    ]


LINES: dict[str, Row] = {
    "(1622547830.084000) can0 18F02300#0000F0FFFF00FFFF": (
        1622547830084000000, 0x18F02300 | EXT, 0, 0, 8, bytes.fromhex("0000F0FFFF00FFFF"),
    ),
    "(0.000001) vcan3 7DF#0201": (1000, 0x7DF, 3, 0, 2, b"\x02\x01"),
    "(1.123456789) can1 000#": (1123456789, 0, 1, 0, 0, b""),
    # A float of seconds, as python-can keeps it, has no digits below 0.2 us here.
    "(1700000000.123456789) can0 001#": (1700000000123456789, 1, 0, 0, 0, b""),
    "(1.5) can1 123#aAbB R": (1500000000, 0x123, 1, 0, 2, b"\xaa\xbb"),
    "(1.5) can1 123#AABB T": (1500000000, 0x123, 1, TX, 2, b"\xaa\xbb"),
    "(1.5) can1 123##3" + "AB" * 12: (1500000000, 0x123, 1, FD | BRS | ESI, 12, b"\xab" * 12),
    "(1.5) can1 00000123##0" + "01" * 64: (1500000000, 0x123 | EXT, 1, FD, 64, b"\x01" * 64),
    "(1.5) can1 123#R": (1500000000, 0x123 | RTR, 1, 0, 0, b""),
    "(1.5) can1 123#R8": (1500000000, 0x123 | RTR, 1, 0, 8, b""),
    "(1.5) can1 20000004#0004000000000000": (
        1500000000, 0x20000004, 1, 0, 8, b"\0\x04" + bytes(6),
    ),
    "(1.5) can1 123#11.22.33": (1500000000, 0x123, 1, 0, 3, b"\x11\x22\x33"),
    " (1.500000)  can1  18FEEE00   [3]  11 22 33": (
        1500000000, 0x18FEEE00 | EXT, 1, 0, 3, b"\x11\x22\x33",
    ),
    " (1.500000)  can1  123  [12]  " + "AA " * 12: (1500000000, 0x123, 1, FD, 12, b"\xaa" * 12),
}  # fmt: skip
BROKEN = [
    "nonsense",
    "(1.5) can0 123",
    "(1.5) can0 123#1",
    "(1.5) can0 123#GG",
    "(1.5) can0 800#00",
    "(1.5) can0 FFF00000#00",
    "(1.5) can0 1234#00",
    "(1.5) can0 123#" + "00" * 9,
    "(1.5) can0 123##" + "00" * 3 + "0" * 127,
    "(1.5) can0 123##",
    "(1.5) can0 123##G00",
    "(1.5) can0 123#R9",
    "(x.5) can0 123#00",
    "(1.5) can0 123 [3] 11 22",
    "(1.5) can0 123#00 X",
    "(1.5 can0 123#00",
    "(1.5) can0 123#00" + " " * 600,
    "\x00\xff",
]


@pytest.mark.parametrize("repeat", [1, 40], ids=["slow path", "fast path"])
@pytest.mark.parametrize("line", LINES)
def test_each_form(line: str, repeat: int) -> None:
    columns, faults = candump.parse(f"{line}\n".encode() * repeat)
    assert faults.total == 0
    assert rows(columns) == [LINES[line]] * repeat


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\n\n"])
def test_lines_keep_their_order_whatever_the_mixture(ending: str) -> None:
    names = list(LINES) * 30
    shuffled = [names[i] for i in np.random.default_rng(7).permutation(len(names))]
    columns, faults = candump.parse(ending.join(shuffled).encode())
    assert faults.total == 0
    assert rows(columns) == [LINES[line] for line in shuffled]


@pytest.mark.parametrize("repeat", [1, 40])
@pytest.mark.parametrize("line", BROKEN)
def test_a_broken_line_is_named_and_its_neighbours_are_read(line: str, repeat: int) -> None:
    good = "(1.000000) can0 123#00\n"
    text = (good + good + line + "\n") * repeat + good
    columns, faults = candump.parse(text.encode("latin-1"), first_line=11)
    assert len(columns) == 2 * repeat + 1
    assert faults.total == repeat
    assert [f.line for f in faults.first] == [13 + 3 * i for i in range(repeat)]
    assert all(f.reason for f in faults.first)
    with pytest.raises(LogFaultError, match="line 13: "):
        candump.parse(text.encode("latin-1"), first_line=11, faults=Faults(strict=True))


def test_one_odd_character_anywhere_is_read_like_by_the_slow_path() -> None:
    good = b"(1.000000) can0 18FEEE00#0011 R"
    for place in range(len(good)):
        for odd in b" 0#R\tg(\x00":
            line = good[:place] + bytes([odd]) + good[place + 1 :]
            alone, alone_faults = candump.parse(good + b"\n" + line)
            among, faults = candump.parse((good + b"\n") * 20 + line)
            assert rows(among)[20:] == rows(alone)[1:], line
            assert faults.total == alone_faults.total, line


def test_faults_are_bounded() -> None:
    _, faults = candump.parse(b"x\n" * 5000)
    assert (faults.total, len(faults.first)) == (5000, 100)


def test_buses_are_numbered_by_name_else_by_first_appearance() -> None:
    order = ["vehicle", "can1", "body", "can300", "can1"] * 20
    lines = [f"(1.0) {name} 123#00" for name in order]
    buses = BusNumbers()
    columns, _ = candump.parse("\n".join(lines).encode(), buses=buses)
    assert columns.bus[:5].tolist() == [0, 1, 2, 3, 1]
    assert columns.bus[-5:].tolist() == [0, 1, 2, 3, 1]
    again, _ = candump.parse(b"(1.0) body 123#00", buses=buses)
    assert again.bus.tolist() == [2]


FRAMES = st.builds(
    lambda t, fd, ext, value, payload, flags, tx: (
        t,
        value | EXT if ext else value & 0x7FF,
        0,
        (FD | flags if fd else 0) | (TX if tx else 0),
        len(payload[: 64 if fd else 8]),
        payload[: 64 if fd else 8],
    ),
    st.integers(0, 2**33 * 10**9 - 1),
    st.booleans(),
    st.booleans(),
    st.integers(0, 0x1FFFFFFF),
    st.binary(max_size=64),
    st.sampled_from([0, BRS, ESI, BRS | ESI]),
    st.booleans(),
)


def text_of(row: Row) -> str:
    """candump -l's own form, as can-utils' lib.c writes it."""
    t, can_id, bus, flags, _, payload = row
    name = f"{can_id & 0x1FFFFFFF:08X}" if can_id & EXT else f"{can_id:03X}"
    digit = (1 if flags & BRS else 0) | (2 if flags & ESI else 0)
    mark = f"##{digit}" if flags & FD else "#"
    sent = " T" if flags & TX else ""
    return f"({t // 10**9}.{t % 10**9:09d}) can{bus} {name}{mark}{payload.hex().upper()}{sent}"


@given(st.lists(FRAMES, max_size=8), st.integers(1, 30))
def test_round_trip(frames: list[Row], repeat: int) -> None:
    text = "\n".join([text_of(f) for f in frames] * repeat)
    columns, faults = candump.parse(text.encode())
    assert faults.total == 0
    assert rows(columns) == frames * repeat


@given(st.binary(max_size=200), st.integers(1, 40))
def test_any_bytes_are_rows_or_faults(text: bytes, repeat: int) -> None:
    whole = (text + b"\n") * repeat
    columns, faults = candump.parse(whole)
    filled = sum(1 for line in whole.split(b"\n") if line.strip())
    assert len(columns) + faults.total == filled


def columns_of(batch: FrameBatch) -> dict[str, list[object]]:
    return {
        name: getattr(batch, name).tolist()
        for name in ("observed_ns", "can_id", "flags", "length", "payload8", "payload64")
    }


@pytest.mark.parametrize(
    ("sample", "frames"),
    [
        ("passenger-car-tesla-opendbc", 12974),
        ("j1939-truck-canedge", 1815),
        ("obd-uds-kona-scan", 638),
    ],
)
def test_real_logs_equal_python_can(
    samples: Callable[[str], Path], sample: str, frames: int
) -> None:
    path = samples(sample) / "candump.log"
    columns, faults = candump.parse(path.read_bytes())
    assert (len(columns), faults.total) == (frames, 0)
    with can.LogReader(str(path)) as reader:
        expected = [
            (m.arbitration_id | (EXT if m.is_extended_id else 0), bytes(m.data), m.timestamp)
            for m in reader
        ]
    got = rows(columns)
    assert [(r[1], r[5]) for r in got] == [e[:2] for e in expected]
    assert max(abs(r[0] / 1e9 - e[2]) for r, e in zip(got, expected, strict=True)) < 1e-6
    digits = [line[1 : line.index(")")] for line in path.read_text().splitlines()]
    assert [r[0] for r in got] == [int(d.replace(".", "")) * 1000 for d in digits]
