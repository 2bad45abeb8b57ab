"""Every format against the others, and against what a second program made of the same log."""

from __future__ import annotations

import gzip
import sys
from collections.abc import Callable
from datetime import timedelta, timezone
from pathlib import Path

import can
import numpy as np
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from ingest import log_files, mf4
from ingest.columns import Columns, Faults, LogFaultError
from ingest.log_files import read_log
from ingest.log_open import UnknownLogError
from model.errors import DecodeError
from model.frames import FrameBatch, concatenate

VIN = "LRDCALL0000000001"
EXT = 1 << 31


def whole(path: Path, **options: object) -> FrameBatch:
    faults = Faults()
    batches = list(read_log(path, faults=faults, **options))  # type: ignore[arg-type]
    assert faults.total == 0, faults.first
    return concatenate(batches)


def assert_same_frames(one: FrameBatch, other: FrameBatch) -> None:
    for column in ("can_id", "length", "payload8", "payload64"):
        assert np.array_equal(getattr(one, column), getattr(other, column)), column


def time_error_ns(one: FrameBatch, other: FrameBatch) -> int:
    """Largest difference between times counted from each log's first frame."""
    ours = one.observed_ns - one.observed_ns[0]
    return int(np.abs(ours - (other.observed_ns - other.observed_ns[0])).max())


@pytest.mark.parametrize(
    ("name", "error_ns"),
    [
        ("kona_scan.asc", 1_000),
        ("kona_scan.blf", 1_000),
        ("kona_scan.trc", 100_000),
        ("kona_scan.csv", 1_000),
        ("kona_scan.mf4", 1_000),
    ],
)
def test_one_log_in_five_formats(samples: Callable[[str], Path], name: str, error_ns: int) -> None:
    expected = whole(samples("obd-uds-kona-scan") / "candump.log")
    got = whole(samples("log-formats-kona-scan") / name)
    assert len(got) == 638
    assert_same_frames(got, expected)
    assert time_error_ns(got, expected) <= error_ns


@pytest.mark.parametrize(
    ("sample", "name", "frames", "error_ns"),
    [
        ("obd-uds-kona-scan", "221210-2-2021-dcan-car-scanner-elm327-vcu-mcu-only.csv", 638, 0),
        ("passenger-car-tesla-opendbc", "GVRET_Log.csv", 12974, 10**9),
        ("j1939-truck-canedge", "00000001-60B621D9.MF4", 1815, 0),
    ],
)
def test_two_files_of_one_log(
    samples: Callable[[str], Path], sample: str, name: str, frames: int, error_ns: int
) -> None:
    expected = whole(samples(sample) / "candump.log")
    got = whole(samples(sample) / name)
    assert len(got) == frames
    assert_same_frames(got, expected)
    assert np.array_equal(got.bus, expected.bus)
    assert int(np.abs(got.observed_ns - expected.observed_ns).max()) <= error_ns


LOG = b"".join(b"(%d.%06d) can%d 18FEEE00#%02X\n" % (i, i, i % 2, i % 256) for i in range(1000))


@pytest.mark.parametrize("batch_frames", [1, 7, 100, 999, 1000, 5000])
@pytest.mark.parametrize("block_bytes", [50, 1000, 1 << 20])
def test_batches_hold_every_row_once_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, batch_frames: int, block_bytes: int
) -> None:
    monkeypatch.setattr(log_files, "BLOCK_BYTES", block_bytes)
    path = tmp_path / "a.log"
    path.write_bytes(LOG)
    batches = list(read_log(path, vin=VIN, batch_frames=batch_frames))
    full, rest = divmod(1000, batch_frames)
    assert [len(b) for b in batches] == [batch_frames] * full + [rest] * bool(rest)
    assert {b.vin for b in batches} == {VIN}
    together = concatenate(batches)
    assert together.observed_ns.tolist() == [i * 10**9 + i * 1000 for i in range(1000)]
    assert together.payload8[:, 0].tolist() == [i % 256 for i in range(1000)]


def test_gzip_and_zstd_of_any_format(samples: Callable[[str], Path], tmp_path: Path) -> None:
    source = samples("log-formats-kona-scan")
    for name in ("kona_scan.asc", "kona_scan.blf", "kona_scan.mf4", "kona_scan.trc"):
        plain = (source / name).read_bytes()
        expected = whole(source / name)
        (tmp_path / f"{name}.gz").write_bytes(
            gzip.compress(plain[:999]) + gzip.compress(plain[999:])
        )
        (tmp_path / f"{name}.zst").write_bytes(zstandard.compress(plain))
        for packed in (f"{name}.gz", f"{name}.zst"):
            got = whole(tmp_path / packed)
            assert_same_frames(got, expected)
            assert np.array_equal(got.observed_ns, expected.observed_ns)


def test_content_decides_before_the_suffix(tmp_path: Path) -> None:
    path = tmp_path / "renamed.blf"
    path.write_bytes(b"\n" + LOG)
    assert len(whole(path)) == 1000
    path = tmp_path / "what.ever"
    path.write_bytes(b"hello")
    with pytest.raises(UnknownLogError, match=r"what\.ever"):
        list(read_log(path))


@pytest.mark.parametrize("pack", [gzip.compress, zstandard.compress])
def test_a_compressed_log_cut_short_is_read_as_far_as_it_goes(
    tmp_path: Path, pack: Callable[[bytes], bytes]
) -> None:
    random = np.random.default_rng(3).bytes(200_000).hex()
    text = "".join(f"({i}.0) can0 123#{random[16 * i : 16 * i + 16]}\n" for i in range(20_000))
    path = tmp_path / "a.log.gz"
    path.write_bytes(pack(text.encode())[:-50_000])
    faults = Faults()
    read = sum(map(len, read_log(path, faults=faults)))
    assert 5_000 < read < 20_000
    assert "cut short" in " ".join(f.reason for f in faults.first)
    with pytest.raises(LogFaultError, match="cut short"):
        list(read_log(path, strict=True))


ASC = """date Mon Sep 15 08:00:00.250 pm 2025
base hex  timestamps {mode}
{logged}Begin Triggerblock Mon Sep 15 08:00:00.250 pm 2025
   0.000000 Start of measurement
   0.100000 1  123             Rx   d 2 01 02
   0.100000 1  18FEEE00x       Tx   d 1 FF
   {broken}
   0.300000 CANFD   2 Rx        123     1 0 9 12 {bytes}  0 0 0 0 0 0 0
   0.000001 2  7DF             Rx   r 8
End TriggerBlock
"""


def asc(tmp_path: Path, mode: str = "absolute", broken: str = "", logged: bool = True) -> Path:
    path = tmp_path / "a.asc"
    said = "internal events logged\n" if logged else ""
    fd = " ".join(["AB"] * 12)
    path.write_text(ASC.format(mode=mode, broken=broken, logged=said, bytes=fd))
    return path


@pytest.mark.parametrize("logged", [True, False])
def test_asc_times_are_exact_and_in_the_zone_asked_for(tmp_path: Path, logged: bool) -> None:
    start = 1757966400_250_000_000  # date -u -d 2025-09-15T20:00:00.25 +%s%N
    batch = whole(asc(tmp_path, logged=logged))
    assert (batch.observed_ns - start).tolist() == [100_000_000, 100_000_000, 1000, 300_000_000]
    assert batch.can_id.tolist() == [0x123, 0x18FEEE00 | EXT, 0x7DF | 1 << 30, 0x123]
    assert batch.bus.tolist() == [0, 0, 1, 1]
    assert batch.flags.tolist() == [0, 8, 0, 3]
    assert batch.length.tolist() == [2, 1, 8, 12]
    beijing = whole(asc(tmp_path), zone=timezone(timedelta(hours=8)))
    assert (beijing.observed_ns - batch.observed_ns).tolist() == [-8 * 3600 * 10**9] * 4
    relative = whole(asc(tmp_path, mode="relative")).observed_ns - start
    assert relative.tolist() == [100_000_000, 200_000_000, 500_001_000, 500_000_000]


def test_broken_lines_of_text_formats_are_named_and_passed(tmp_path: Path) -> None:
    faults = Faults()
    path = asc(tmp_path, broken="0.200000 1  XYZ             Rx   d 2 01 02")
    assert sum(map(len, read_log(path, faults=faults))) == 4
    assert [f.line for f in faults.first] == [8]
    with pytest.raises(LogFaultError, match="line 8: "):
        list(read_log(path, strict=True))
    path = tmp_path / "a.trc"
    path.write_text(
        ";$FILEVERSION=1.1\n;$STARTTIME=45000.0\n1) 1.0 Rx 0123 1 00\nx\n\n2) 2.0 Rx 0123 1 01\n"
    )
    faults = Faults()
    (batch,) = read_log(path, faults=faults)
    assert batch.payload8[:, 0].tolist() == [0, 1]
    assert batch.observed_ns[0] == 1678838400_001_000_000  # 45000 days after 1899-12-30
    assert [f.line for f in faults.first] == [4]
    path = tmp_path / "a.csv"
    head = "timestamp,arbitration_id,extended,remote,error,dlc,data\n"
    path.write_text(head + "1.5,0x123,0,0,0,1,/w==\n" + "1,2,3\n" * 2 + "2.5,0x124,0,1,0,3,\n")
    faults = Faults()
    (batch,) = read_log(path, faults=faults)
    assert batch.can_id.tolist() == [0x123, 0x124 | 1 << 30]
    assert batch.observed_ns.tolist() == [1_500_000_000, 2_500_000_000]
    assert batch.length.tolist() == [1, 3]
    assert [f.line for f in faults.first] == [3, 4]


def test_what_python_can_writes_is_read(tmp_path: Path) -> None:
    messages = [
        can.Message(
            timestamp=1_700_000_000.25 + i / 1000,
            arbitration_id=0x100 + i,
            is_extended_id=i % 2 == 0,
            is_fd=i % 3 == 0,
            bitrate_switch=i % 3 == 0,
            data=bytes(range(i % 3 * 2 or 12)),
            channel=i % 2,
            is_rx=i % 5 != 0,
        )
        for i in range(60)
    ]
    times = [1_700_000_000_250_000_000 + i * 1_000_000 for i in range(60)]
    for name in ("a.blf", "a.log"):
        with can.Logger(str(tmp_path / name)) as writer:
            for message in messages:
                writer.on_message_received(message)
        batch = whole(tmp_path / name)
        order = np.argsort(batch.observed_ns, kind="stable")
        assert np.abs(batch.observed_ns[order] - times).max() <= 1000, name
        for row, message in zip(order, messages, strict=True):
            assert batch.can_id[row] & 0x1FFFFFFF == message.arbitration_id
            assert bool(batch.can_id[row] & EXT) == message.is_extended_id
            assert batch.payload(int(row)) == bytes(message.data)
            assert batch.flags[row] == (3 if message.is_fd else 0) | (0 if message.is_rx else 8)
            assert batch.bus[row] == message.channel


def test_mf4_groups_are_merged_by_time() -> None:
    def stream(*blocks: list[int]) -> list[Columns]:
        return [
            Columns(
                np.array(times, np.int64),
                *(np.zeros(len(times), kind) for kind in ("u4", "u1", "u1", "u1")),
                np.zeros((len(times), 8), np.uint8),
            )
            for times in blocks
        ]

    merged = list(
        mf4.merge([iter(stream([1, 4, 9], [9, 12])), iter(stream([2, 3], [20])), iter(stream())])
    )
    times = [int(t) for block in merged for t in block.observed_ns]
    assert times == sorted(times) == [1, 2, 3, 4, 9, 9, 12, 20]


def test_mf4_without_its_extra_says_so(
    samples: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "asammdf", None)
    with pytest.raises(DecodeError, match=r"pip install 'roadcall\[mf4\]'"):
        whole(samples("log-formats-kona-scan") / "kona_scan.mf4")


@pytest.mark.parametrize("name", ["asc", "trc", "csv", "blf", "mf4", "log", "ndjson"])
@given(body=st.binary(max_size=300))
def test_any_file_is_rows_faults_or_a_decode_error(
    tmp_path_factory: pytest.TempPathFactory, name: str, body: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / f"any.{name}"
    for start in (b"", b"LOGG", b"MDF     ", b";$FILEVERSION=2.1\n", b"date x\nbase hex\n"):
        path.write_bytes(start + body)
        try:
            list(read_log(path))
        except DecodeError as error:
            assert str(error)
