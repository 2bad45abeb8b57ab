"""python-can's CSV, written by python-can."""

from __future__ import annotations

from io import StringIO

import can
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.can_csv import CanCsvReader
from ingest.columns import Columns, Faults
from model.frames import FrameFlag

HEAD = "timestamp,arbitration_id,extended,remote,error,dlc,data\n"
EXT, RTR, ERR = 1 << 31, 1 << 30, 1 << 29


def read(text: str) -> tuple[Columns, Faults]:
    faults = Faults()
    return CanCsvReader(faults).read(text.encode(), 1), faults


@given(
    st.integers(0, 2**31 * 1000),
    st.integers(0, 0x1FFFFFFF),
    st.sampled_from(["data", "remote", "error", "fd"]),
    st.binary(max_size=8),
)
def test_what_python_can_writes_is_read(t_ms: int, can_id: int, kind: str, payload: bytes) -> None:
    payload = payload.ljust(12, b"\1") if kind == "fd" else payload
    stream = StringIO()
    stream.close = lambda: None  # type: ignore[method-assign]
    with can.CSVWriter(stream) as writer:
        writer.on_message_received(
            can.Message(
                timestamp=t_ms / 1000,
                arbitration_id=can_id,
                is_remote_frame=kind == "remote",
                is_error_frame=kind == "error",
                is_fd=kind == "fd",
                dlc=len(payload),
                data=None if kind == "remote" else payload,
            )
        )
    columns, faults = read(stream.getvalue())
    assert faults.total == 0, faults.first
    assert columns.observed_ns.tolist() == [t_ms * 1_000_000]
    assert columns.can_id[0] == can_id | EXT | RTR * (kind == "remote") | ERR * (kind == "error")
    assert (columns.flags[0], columns.length[0]) == (FrameFlag.FD * (kind == "fd"), len(payload))
    sent = b"" if kind == "remote" else payload
    assert columns.payload[0].tobytes().rstrip(b"\0") == sent.rstrip(b"\0")


@pytest.mark.parametrize(
    "line",
    [
        "1,2,3",
        "x,0x1,0,0,0,0,",
        "1.0,1,0,0,0,0,",
        "1.0,0x800,0,0,0,0,",
        "1.0,0x1,0,0,2,0,",
        "1.0,0x1,0,0,0,2,AA==",
        "1.0,0x1,0,0,0,1,A?==",
        "1.0,0x1,0,0,0,99,",
    ],
)
def test_a_broken_line_is_named_and_its_neighbours_are_read(line: str) -> None:
    good = "1.5,0x1,0,0,0,1,AA==\n"
    columns, faults = read(HEAD + good + line + "\n" + good)
    assert len(columns) == 2
    assert [f.line for f in faults.first] == [3]


@given(st.binary(max_size=200))
def test_any_bytes_are_rows_or_faults(text: bytes) -> None:
    CanCsvReader(Faults()).read(HEAD.encode() + text, 1)
