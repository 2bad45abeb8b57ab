"""Vector BLF: python-can as the reference, and objects laid out by hand where it writes none."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from datetime import UTC
from io import BytesIO
from pathlib import Path

import can
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest import blf
from ingest.blf import read_blf
from ingest.columns import Columns, Faults, join
from model.errors import DecodeError
from model.frames import FrameFlag

EXT, RTR, ERR, ID = 1 << 31, 1 << 30, 1 << 29, 0x1FFFFFFF
FD, BRS, ESI, TX = FrameFlag.FD, FrameFlag.BRS, FrameFlag.ESI, FrameFlag.TX
Row = tuple[int, int, int, int, int, bytes]
#: 2024-02-29 12:00:00.250 UTC.
START_NS = 1_709_208_000_250_000_000
SYSTEMTIME = struct.pack("<8H", 2024, 2, 4, 29, 12, 0, 0, 250)


def file_header(start: bytes = SYSTEMTIME) -> bytes:
    head = struct.pack("<4sL8BQQLL", b"LOGG", 144, *[0] * 8, 0, 0, 0, 0)
    return (head + start + bytes(16)).ljust(144, b"\0")


def container(content: bytes, method: int = 2) -> bytes:
    packed = zlib.compress(content) if method == 2 else content
    size = 32 + len(packed)
    head = b"LOBJ" + struct.pack("<HHLL", 16, 1, size, 10)
    return head + struct.pack("<H6xL4x", method, len(content)) + packed + bytes(size % 4)


def item(kind: int, body: bytes, time: int = 0, *, flags: int = 2, version: int = 1) -> bytes:
    """One object with its padding."""
    head_bytes = 32 if version == 1 else 40
    size = head_bytes + len(body)
    head = b"LOBJ" + struct.pack("<HHLL", head_bytes, version, size, kind)
    head += struct.pack("<LHHQ", flags, 0, 0, time).ljust(head_bytes - 16, b"\0")
    return head + body + bytes(size % 4)


def classic(can_id: int, payload: bytes, *, channel: int = 1, flags: int = 0) -> bytes:
    return struct.pack("<HBBL8s", channel, flags, len(payload), can_id, payload)


def fd64(can_id: int, payload: bytes, flags: int, *, valid: int = -1, extra: bytes = b"") -> bytes:
    valid = len(payload) if valid < 0 else valid
    extra_at = 32 + 40 + len(payload) if extra else 0
    head = struct.pack("<BBBBLLLLLLLHBBL", 3, 15, valid, 0, can_id, 0, flags,
                       0, 0, 0, 0, 0, 1, extra_at, 0)  # fmt: skip
    return head + payload + extra


def read(content: bytes, faults: Faults | None = None) -> tuple[list[Row], Faults]:
    faults = Faults() if faults is None else faults
    parts = list(read_blf(BytesIO(content), faults, UTC))
    return rows_of(join(parts)), faults


def rows_of(columns: Columns) -> list[Row]:
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


def by_python_can(content: bytes) -> list[Row]:
    with can.BLFReader(BytesIO(content)) as reader:
        start_ns = round(reader.start_timestamp * 1000) * 1_000_000
        reader.start_timestamp = 0.0
        return [row_of(message, start_ns) for message in reader]


def row_of(m: can.Message, start_ns: int) -> Row:
    kinds = EXT * m.is_extended_id | RTR * m.is_remote_frame | ERR * m.is_error_frame
    fd = m.is_fd and not m.is_remote_frame
    flags = FD * fd | BRS * (fd and m.bitrate_switch) | ESI * (fd and m.error_state_indicator)
    return (
        start_ns + round(m.timestamp * 1e9),
        m.arbitration_id | kinds,
        m.channel,
        flags | TX * (not m.is_rx),
        m.dlc if m.is_remote_frame else len(m.data),
        b"" if m.is_remote_frame else bytes(m.data),
    )


def test_objects_python_can_does_not_write() -> None:
    sent = bytes(range(1, 9))
    objects = [
        item(86, classic(0x123, sent, channel=2, flags=1) + bytes(8), 1),
        item(1, classic(0x18FEEE00 | EXT, sent[:3]), 7, flags=1, version=2),
        item(101, fd64(0x7FF, bytes(64), 0x7000), 2),
        item(101, fd64(0x5, sent, 0x0), 3),
        item(101, fd64(0x5, sent[:5], 0x1000, extra=b"\xee" * 12), 4),
        item(101, fd64(0x5, sent[:4], 0x1000, valid=6), 5),
        item(101, fd64(0x5, b"", 0x10), 6),
        item(2, struct.pack("<HHL", 4, 0, 0), 8),
        item(73, struct.pack("<HHLBBBxLLH2x8s", 1, 0, 0, 0, 0, 2, 0, 0x99, 0, sent), 9),
        item(104, struct.pack("<BB42x", 2, 8), 10),
    ]
    expected: list[Row] = [
        (START_NS + 1, 0x123, 1, TX, 8, sent),
        (START_NS + 70_000, 0x18FEEE00 | EXT, 0, 0, 3, sent[:3]),
        (START_NS + 2, 0x7FF, 2, FD | BRS | ESI | TX, 64, bytes(64)),
        (START_NS + 3, 0x5, 2, TX, 8, sent),
        (START_NS + 4, 0x5, 2, FD | TX, 5, sent[:5]),
        (START_NS + 5, 0x5, 2, FD | TX, 6, sent[:4] + b"\0\0"),
        (START_NS + 6, 0x5 | RTR, 2, TX, 8, b""),
        (START_NS + 8, ERR, 3, 0, 0, b""),
        (START_NS + 9, 0x99 | ERR, 0, 0, 2, sent[:2]),
        (START_NS + 10, ERR, 1, 0, 0, b""),
    ]
    content = file_header() + container(b"".join(objects))
    rows, faults = read(content)
    assert faults.total == 0, faults.first
    assert rows == expected
    asked = [0, 1, 2, 3, 4, 5, 8]  # python-can has no CAN_ERROR and no CAN_FD_ERROR_64
    theirs = by_python_can(content)
    assert [r for i, r in enumerate(theirs) if i in (0, 1, 2, 3, 4, 5, 7)] == [
        expected[i] for i in asked
    ]


def python_can_file(messages: list[can.Message], **options: int) -> bytes:
    stream = BytesIO()
    stream.close, closing = lambda: None, stream.close  # type: ignore[method-assign]
    with can.BLFWriter(stream, **options) as writer:
        for message in messages:
            writer.on_message_received(message)
    content = stream.getvalue()
    closing()
    return content


@st.composite
def messages(draw: st.DrawFn) -> can.Message:
    fd = draw(st.booleans())
    extended = draw(st.booleans())
    kind = draw(st.sampled_from(["data", "data", "remote", "error"]))
    size = draw(st.sampled_from([0, 1, 7, 8, 12, 64] if fd and kind == "data" else [0, 1, 8]))
    return can.Message(
        timestamp=1_700_000_000 + draw(st.integers(0, 10**6)) / 1000,
        arbitration_id=draw(st.integers(0, ID if extended else 0x7FF)),
        is_extended_id=extended,
        is_fd=fd and kind == "data",
        is_remote_frame=kind == "remote",
        is_error_frame=kind == "error",
        bitrate_switch=fd and kind == "data" and draw(st.booleans()),
        error_state_indicator=fd and kind == "data" and draw(st.booleans()),
        is_rx=kind == "error" or draw(st.booleans()),
        dlc=size,
        data=None if kind == "remote" else draw(st.binary(min_size=size, max_size=size)),
        channel=draw(st.integers(0, 250)),
    )


@given(st.lists(messages(), min_size=1, max_size=40), st.integers(60, 400), st.integers(0, 1))
def test_what_python_can_writes_is_read_alike(
    written: list[can.Message], container_bytes: int, level: int
) -> None:
    """Small containers cut objects anywhere, headers included.

    python-can's writer forgets what is left over when it stops: then the last object is cut.
    """
    content = python_can_file(written, max_container_size=container_bytes, compression_level=level)
    rows, faults = read(content)
    assert all("the last object is cut short" in f.reason for f in faults.first), faults.first
    assert rows == by_python_can(content)


@pytest.mark.parametrize("block_bytes", [1, 100, 5000])
def test_blocks_of_any_size_give_the_same_rows(
    monkeypatch: pytest.MonkeyPatch, block_bytes: int
) -> None:
    rng = np.random.default_rng(5)
    written = [
        can.Message(timestamp=i, arbitration_id=i % 2000, data=rng.bytes(i % 9), is_fd=i % 7 == 0,
                    is_extended_id=False, channel=i % 4)
        for i in range(3000)
    ]  # fmt: skip
    content = python_can_file(written, max_container_size=1000)
    expected, _ = read(content)
    assert len(expected) == 3000
    monkeypatch.setattr(blf, "BLOCK_BYTES", block_bytes)
    assert read(content)[0] == expected


def test_a_payload_that_looks_like_an_object_is_a_payload() -> None:
    objects = [item(1, classic(i, b"LOBJ\x10\0\1\0"), i) for i in range(50)]
    rows, faults = read(file_header() + container(b"".join(objects)))
    assert faults.total == 0
    assert [r[1] for r in rows] == list(range(50))


def test_other_objects_are_passed_over_whatever_their_size() -> None:
    objects = []
    for i in range(60):
        objects.append(item(96, bytes(i), i))  # sizes that are no multiple of 4 among them
        objects.append(item(1, classic(i, b"\x01"), i))
    rows, faults = read(file_header() + container(b"".join(objects)))
    assert faults.total == 0, faults.first
    assert [r[1] for r in rows] == list(range(60))


def test_uncompressed_containers_and_a_file_without_a_start() -> None:
    content = file_header(bytes(16)) + container(item(1, classic(1, b"\x01"), 5), method=0)
    assert read(content)[0] == [(5, 1, 0, 0, 1, b"\x01")]


GOOD = item(1, classic(0x123, b"\x01"), 1)


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (container(GOOD + b"x" * 40 + GOOD), "40 bytes between two objects"),
        (container(GOOD + item(1, b"\0" * 4) + GOOD), "CAN_MESSAGE: header or size is wrong"),
        (container(GOOD + item(1, classic(0x800, b"")) + GOOD), "CAN_MESSAGE: time, channel or id"),
        (container(GOOD + item(1, classic(1, b""), 1 << 63) + GOOD), "CAN_MESSAGE: time, channel"),
        (container(GOOD + item(1, classic(1, b"", channel=300)) + GOOD), "time, channel or id"),
        (container(GOOD) + container(b"???", method=7) + container(GOOD), "unknown method 7"),
        (container(GOOD) + b"LOBJ" + struct.pack("<HHLL", 16, 1, 20, 10) + bytes(4)
         + container(GOOD), "container without a header"),
        (container(GOOD + GOOD) + b"JUNK" * 10, "no container where one must be"),
        (container(GOOD + GOOD) + container(GOOD)[:20], "the file is cut short"),
        (container(GOOD + GOOD + GOOD[:40]), "the last object is cut short: 40 bytes"),
        (container(GOOD + GOOD) + container(b"\0" * 50, method=2)[:-9], "cut short"),
    ],
)  # fmt: skip
def test_what_is_broken_is_named_and_the_rest_is_read(broken: bytes, reason: str) -> None:
    rows, faults = read(file_header() + broken)
    assert rows == [(START_NS + 1, 0x123, 0, 0, 1, b"\x01")] * 2
    assert faults.total >= 1
    assert reason in faults.first[0].reason
    with pytest.raises(DecodeError, match="line 0: "):
        read(file_header() + broken, Faults(strict=True))


def test_a_container_never_grows_past_its_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blf, "MAX_CONTAINER_BYTES", 1000)
    rows, faults = read(file_header() + container(GOOD * 1000))
    assert len(rows) == 1000 // len(GOOD)
    assert "more than 1000 bytes" in faults.first[0].reason


def test_the_sample_reads_like_python_can(samples: Callable[[str], Path]) -> None:
    content = (samples("log-formats-kona-scan") / "kona_scan.blf").read_bytes()
    rows, faults = read(content)
    assert (len(rows), faults.total) == (638, 0)
    assert rows == by_python_can(content)


@given(st.binary(max_size=300), st.integers(0, 200), st.binary(max_size=40))
def test_any_bytes_inside_are_rows_or_faults(content: bytes, cut: int, more: bytes) -> None:
    inside = (GOOD + content + GOOD)[:cut] + more + GOOD
    rows, _ = read(file_header() + container(inside) + container(content) + content)
    assert all(length <= 64 for *_, length, _ in rows)


@given(st.binary(max_size=200))
def test_any_file_header(start: bytes) -> None:
    try:
        read(b"LOGG" + start)
    except DecodeError as error:
        assert str(error)
