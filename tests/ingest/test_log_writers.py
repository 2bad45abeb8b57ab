"""Writers: read back by our readers and by python-can, frame by frame."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from datetime import timedelta, timezone
from pathlib import Path

import can
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.blf_writer import BlfWriter
from ingest.columns import Faults, RowBuffer
from ingest.log_files import read_log
from ingest.log_writers import write_log
from ingest.text_lines import FD_LENGTHS
from model.errors import DecodeError
from model.frames import FrameBatch, FrameFlag, concatenate

EXT, RTR, ERR, ID = 1 << 31, 1 << 30, 1 << 29, 0x1FFFFFFF
FD, BRS, ESI, TX = FrameFlag.FD, FrameFlag.BRS, FrameFlag.ESI, FrameFlag.TX
Row = tuple[int, int, int, int, int, bytes]
EPOCH_NS = 1_600_000_000_000_000_000
SUFFIXES = (".log", ".asc", ".blf")


@st.composite
def frames(draw: st.DrawFn) -> Row:
    """(observed_ns, can_id, bus, flags, length, payload) of any frame a bus can carry."""
    observed_ns = EPOCH_NS + draw(st.integers(0, 10**12))
    can_id = draw(st.one_of(st.integers(0, 0x7FF), st.integers(0, ID).map(lambda i: i | EXT)))
    bus, sent = draw(st.integers(0, 254)), draw(st.sampled_from([0, TX]))
    kind = draw(st.sampled_from(["classic", "fd", "remote", "error"]))
    if kind == "fd":
        size = draw(st.sampled_from(FD_LENGTHS))
        flags = draw(st.sampled_from([FD, FD | BRS, FD | ESI, FD | BRS | ESI])) | sent
        return observed_ns, can_id, bus, flags, size, draw(st.binary(min_size=size, max_size=size))
    size = draw(st.integers(0, 8))
    if kind == "remote":
        return observed_ns, can_id | RTR, bus, sent, size, b""
    if kind == "error":
        return observed_ns, ERR, bus, 0, 0, b""
    return observed_ns, can_id, bus, sent, size, draw(st.binary(min_size=size, max_size=size))


def batch_of(rows: list[Row]) -> FrameBatch:
    buffer = RowBuffer()
    for t, can_id, bus, flags, length, payload in rows:
        buffer.add(t, can_id, payload, bus=bus, flags=flags, length=length)
    return buffer.columns().batch()


def rows_of(batch: FrameBatch) -> list[Row]:
    return [
        (
            int(batch.observed_ns[i]),
            int(batch.can_id[i]),
            int(batch.bus[i]),
            int(batch.flags[i]),
            int(batch.length[i]),
            b"" if batch.can_id[i] & RTR else batch.payload(i),
        )
        for i in range(len(batch))
    ]


def read_back(path: Path, **options: object) -> list[Row]:
    faults = Faults()
    batches = list(read_log(path, faults=faults, **options))  # type: ignore[arg-type]
    assert faults.total == 0, faults.first
    return rows_of(concatenate(batches)) if batches else []


def by_section(rows: list[Row]) -> list[Row]:
    """In the order of time, classic before FD at one time; then classic rows first."""
    ordered = sorted(rows, key=lambda r: bool(r[3] & FD))
    ordered.sort(key=lambda r: r[0])
    return sorted(ordered, key=lambda r: bool(r[3] & FD))


@pytest.mark.parametrize("suffix", SUFFIXES)
@given(rows=st.lists(frames(), max_size=30))
def test_what_we_write_we_read(
    tmp_path_factory: pytest.TempPathFactory, suffix: str, rows: list[Row]
) -> None:
    path = tmp_path_factory.getbasetemp() / f"own{suffix}"
    batch = batch_of(rows)
    assert write_log(path, [batch]) == len(rows)
    assert read_back(path) == by_section(rows)


@pytest.mark.parametrize("suffix", SUFFIXES)
@given(rows=st.lists(frames(), min_size=1, max_size=20))
def test_python_can_reads_what_we_write(
    tmp_path_factory: pytest.TempPathFactory, suffix: str, rows: list[Row]
) -> None:
    path = tmp_path_factory.getbasetemp() / f"peer{suffix}"
    if suffix == ".asc":  # python-can takes an empty CAN FD frame for a remote frame
        rows = [r for r in rows if not (r[3] & FD and r[4] == 0)]
    write_log(path, [batch_of(rows)])
    if suffix == ".asc":
        with can.ASCReader(path, relative_timestamp=False) as reader:
            messages = list(reader)
    else:
        with can.LogReader(path) as reader:
            messages = list(reader)
    expected = sorted(rows, key=lambda r: bool(r[3] & FD))
    expected.sort(key=lambda r: r[0])
    assert len(messages) == len(expected)
    for message, (t, can_id, bus, flags, length, payload) in zip(messages, expected, strict=True):
        assert abs(message.timestamp - t / 1e9) < 2e-6 or suffix == ".asc"
        if suffix == ".log" and can_id & ERR:
            continue  # python-can wants the error class "bus error" in a candump error frame
        assert message.is_error_frame == bool(can_id & ERR)
        if suffix != ".log":  # there the channel is a name
            assert message.channel == bus
        if can_id & ERR:
            continue
        assert message.arbitration_id == can_id & ID
        assert message.is_extended_id == bool(can_id & EXT)
        assert message.is_remote_frame == bool(can_id & RTR)
        assert message.is_fd == bool(flags & FD)
        assert message.bitrate_switch == bool(flags & BRS)
        assert message.error_state_indicator == bool(flags & ESI)
        assert message.is_rx == (not flags & TX)
        assert (message.dlc, bytes(message.data)) == (length, payload)


def test_candump_lines_are_those_of_candump() -> None:
    rows = [
        (1_622_547_830_084_000_000, 0x18F02300 | EXT, 0, 0, 2, b"\x0a\xff"),
        (1_622_547_830_084_000_001, 0x7DF, 1, TX, 0, b""),
        (1_622_547_830_084_000_002, 0x7DF | RTR, 1, 0, 8, b""),
        (1_622_547_830_084_000_003, 0x20000004, 2, 0, 1, b"\x08"),
        (1_622_547_830_084_001_000, 0x123, 3, FD | BRS | ESI, 1, b"\x01"),
    ]
    from ingest.candump_writer import CandumpWriter

    stream = io.BytesIO()
    CandumpWriter(stream).write(batch_of(rows))
    assert stream.getvalue().decode().splitlines() == [
        "(1622547830.084000) can0 18F02300#0AFF",
        "(1622547830.084000001) can1 7DF# T",
        "(1622547830.084000002) can1 7DF#R8",
        "(1622547830.084000003) can2 20000004#08",
        "(1622547830.084001) can3 123##301",
    ]


@pytest.mark.parametrize("suffix", [".log", ".asc", ".blf"])
@pytest.mark.parametrize("packing", ["", ".gz", ".zst"])
def test_real_logs_through_every_writer(
    samples: Callable[[str], Path], tmp_path: Path, suffix: str, packing: str
) -> None:
    source = samples("j1939-truck-canedge") / "candump.log"
    path = tmp_path / f"copy{suffix}{packing}"
    assert write_log(path, read_log(source, batch_frames=100)) == 1815
    assert read_back(path) == read_back(source)


def test_times_in_another_zone(tmp_path: Path) -> None:
    beijing = timezone(timedelta(hours=8))
    rows = [(EPOCH_NS + 5_000_001, 0x123, 0, 0, 1, b"\x01")]
    for suffix in (".asc", ".blf"):
        path = tmp_path / f"a{suffix}"
        write_log(path, [batch_of(rows)], zone=beijing)
        assert read_back(path, zone=beijing) == rows
        assert read_back(path)[0][0] == rows[0][0] + 8 * 3600 * 10**9


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_an_empty_log_is_a_log(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    assert write_log(path, []) == 0
    assert read_back(path) == []


@pytest.mark.parametrize("suffix", [".asc", ".blf"])
def test_frames_before_the_start_are_refused(tmp_path: Path, suffix: str) -> None:
    batch = batch_of([(EPOCH_NS, 0x123, 0, 0, 0, b"")])
    with pytest.raises(DecodeError, match=r"a frame is 1\.000000 s before the log's start"):
        write_log(tmp_path / f"a{suffix}", [batch], start_ns=EPOCH_NS + 10**9)


def test_formats_we_cannot_write_are_named(tmp_path: Path) -> None:
    with pytest.raises(DecodeError, match=r"a\.trc: suffix is not one of \.log, \.asc, \.blf"):
        write_log(tmp_path / "a.trc", [])
    with pytest.raises(DecodeError, match="before 1970"):
        write_log(tmp_path / "a.log", [batch_of([(-1, 0, 0, 0, 0, b"")])])


def test_blf_into_a_pipe() -> None:
    source, target = os.pipe()
    with os.fdopen(target, "wb") as stream:
        writer = BlfWriter(stream)
        writer.write(batch_of([(EPOCH_NS, 0x123, 0, 0, 1, b"\x07")]))
        writer.close()
    with os.fdopen(source, "rb") as stream:
        (message,) = can.BLFReader(io.BytesIO(stream.read()))
    assert (message.arbitration_id, bytes(message.data)) == (0x123, b"\x07")


def test_blf_header_counts(tmp_path: Path) -> None:
    """As python-can reads the header."""
    path = tmp_path / "a.blf"
    rows = [(EPOCH_NS + i, 0x100 + i % 9, 0, 0, 8, i.to_bytes(8, "big")) for i in range(20_000)]
    write_log(path, [batch_of(rows)])
    with can.BLFReader(path) as reader:
        assert (reader.object_count, reader.file_size) == (20_000, path.stat().st_size)
        assert np.allclose(reader.start_timestamp, EPOCH_NS / 1e9)
