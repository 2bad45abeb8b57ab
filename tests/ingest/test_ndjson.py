"""NDJSON bodies, per docs/gateway-protocol.md."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest import ndjson
from model.frames import FrameFlag

EXT, RTR, ERR = 1 << 31, 1 << 30, 1 << 29


def only(text: str) -> tuple[int, int, int, int, int, bytes]:
    columns, faults = ndjson.parse(text.encode())
    assert faults.total == 0, faults.first
    (t, i, b, f, n) = (
        int(c[0])
        for c in (columns.observed_ns, columns.can_id, columns.bus, columns.flags, columns.length)
    )
    return t, i, b, f, n, columns.payload[0].tobytes()


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (
            '{"t_ns":1622547830084000001,"id":"18FEEE00","data":"00ff","bus":3}',
            (1622547830084000001, 0x18FEEE00 | EXT, 3, 0, 2, b"\0\xff" + bytes(6)),
        ),
        ('{"t":1622547830.08485,"id":2015}', (1622547830084850000, 2015, 0, 0, 0, bytes(8))),
        ('{"t":5,"id":2048}', (5 * 10**9, 2048 | EXT, 0, 0, 0, bytes(8))),
        ('{"t":-1.5,"id":"00000001"}', (-1500000000, 1 | EXT, 0, 0, 0, bytes(8))),
        ('{"t":0,"id":"1","ext":true}', (0, 1 | EXT, 0, 0, 0, bytes(8))),
        ('{"t":0,"id":1,"rtr":true,"len":8}', (0, 1 | RTR, 0, 0, 8, bytes(8))),
        ('{"t":0,"id":4,"err":true,"data":"01"}', (0, 4 | ERR, 0, 0, 1, b"\1" + bytes(7))),
        (
            '{"t":0,"id":1,"fd":true,"brs":true,"esi":true,"tx":true,"data":"' + "ab" * 9 + '"}',
            (0, 1, 0, 15, 9, b"\xab" * 9 + bytes(55)),
        ),
    ],
)
def test_each_form(line: str, expected: tuple[object, ...]) -> None:
    assert only(line) == expected


@pytest.mark.parametrize(
    "line",
    [
        "{",
        "[]",
        "1",
        '{"id":1}',
        '{"t":1,"t_ns":1,"id":1}',
        '{"t":"1","id":1}',
        '{"t":true,"id":1}',
        '{"t":1e400,"id":1}',
        '{"t":1e300,"id":1}',
        '{"t_ns":1.5,"id":1}',
        '{"t_ns":9223372036854775808,"id":1}',
        '{"t":1}',
        '{"t":1,"id":null}',
        '{"t":1,"id":-1}',
        '{"t":1,"id":true}',
        '{"t":1,"id":536870912}',
        '{"t":1,"id":"xyz"}',
        '{"t":1,"id":2048,"ext":false}',
        '{"t":1,"id":1,"ext":1}',
        '{"t":1,"id":1,"data":"0"}',
        '{"t":1,"id":1,"data":"000000000000000000"}',
        '{"t":1,"id":1,"data":[0]}',
        '{"t":1,"id":1,"bus":256}',
        '{"t":1,"id":1,"bus":"0"}',
        '{"t":1,"id":1,"brs":true}',
        '{"t":1,"id":1,"len":2}',
        '{"t":1,"id":1,"rtr":true,"len":9}',
        '{"t":1,"id":1,"rtr":true,"len":-1}',
        '{"t":1,"id":1,"rtr":true,"data":"00"}',
        '{"t":1,"id":1,"speed":3}',
    ],
)
def test_a_broken_line_is_named_and_its_neighbours_are_read(line: str) -> None:
    good = '{"t":1,"id":1}\n'
    columns, faults = ndjson.parse((good + line + "\n\n" + good).encode())
    assert len(columns) == 2
    assert (faults.total, faults.first[0].line) == (1, 2)
    assert faults.first[0].reason


@given(
    st.integers(-(2**63), 2**63 - 1),
    st.integers(0, 0x1FFFFFFF),
    st.binary(max_size=64),
    st.integers(0, 255),
    st.booleans(),
)
def test_round_trip(t_ns: int, can_id: int, payload: bytes, bus: int, tx: bool) -> None:
    fd = len(payload) > 8
    row = {
        "t_ns": t_ns,
        "id": f"{can_id:08x}",
        "data": payload.hex(),
        "bus": bus,
        "fd": fd,
        "tx": tx,
    }
    flags = (FrameFlag.FD if fd else 0) | (FrameFlag.TX if tx else 0)
    width = 64 if fd else 8
    expected = (t_ns, can_id | EXT, bus, flags, len(payload), payload.ljust(width, b"\0"))
    assert only(json.dumps(row)) == expected


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=2),
    max_leaves=3,
)
NAMES = st.sampled_from(["t", "t_ns", "id", "data", "bus", "fd", "rtr", "len", "ext", "x"])


@given(st.lists(st.dictionaries(NAMES, VALUES), max_size=5), st.binary(max_size=50))
def test_anything_is_rows_or_faults(lines: list[dict[str, object]], tail: bytes) -> None:
    text = "".join(json.dumps(line) + "\n" for line in lines).encode() + tail
    columns, faults = ndjson.parse(text)
    assert len(columns) + faults.total == sum(1 for line in text.split(b"\n") if line.strip())
