"""One upload from bytes to log records: encodings, bounds, parts, content rules."""

from __future__ import annotations

import gzip
import hashlib
from contextlib import suppress
from itertools import pairwise

import numpy as np
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from ingest.problems import RefusalError
from ingest.upload import (
    CANDUMP_TYPE,
    FRAMES_TYPE,
    NDJSON_TYPE,
    PART_BYTES,
    IngestLimits,
    Upload,
    read_upload,
)
from model import wire
from model.errors import DecodeError
from model.frames import FrameBatch, FrameFlag, frame_batch
from model.log import MAX_RECORD_BYTES

VIN = "LRDCALL0000000001"
NOW_NS = 1_700_000_000_000_000_000
LIMITS = IngestLimits()


def batch_of(n: int, n64: int = 0, seed: int = 1) -> FrameBatch:
    """Random payloads: nothing for zstd to shrink."""
    random = np.random.default_rng(seed)
    flags = np.zeros(n + n64, np.uint8)
    flags[n:] = FrameFlag.FD
    length = np.full(n + n64, 8, np.uint8)
    length[n:] = 64
    return frame_batch(
        observed_ns=random.permutation(NOW_NS - np.arange(n + n64, dtype=np.int64) * 1_000_003),
        can_id=random.integers(0, 0x800, n + n64).astype(np.uint32),
        flags=flags,
        length=length,
        payload8=random.integers(0, 256, (n, 8)).astype(np.uint8),
        payload64=random.integers(0, 256, (n64, 64)).astype(np.uint8),
    )


def upload(
    body: bytes, media_type: str = FRAMES_TYPE, encoding: str = "", batch_id: str = "k"
) -> Upload:
    return Upload(VIN, "gw", batch_id, NOW_NS, media_type, encoding, body)


def refusal(body: bytes, *args: str, limits: IngestLimits = LIMITS) -> RefusalError:
    with pytest.raises(RefusalError) as caught:
        read_upload(upload(body, *args), limits)
    return caught.value


def unsized(plain: bytes) -> bytes:
    stream = zstandard.ZstdCompressor().compressobj()
    return stream.compress(plain) + stream.flush()


def decoded(value: bytes) -> FrameBatch:
    return wire.decode(
        wire.inflate(value), vin=VIN, gateway_id="gw", batch_id="k", received_ns=NOW_NS
    )


@pytest.mark.parametrize("encoding", ["", "gzip", "zstd", "zstd-unsized"])
def test_the_log_gets_the_same_frames_whatever_the_encoding(encoding: str) -> None:
    plain = wire.encode(batch_of(200, 20))
    body = {
        "": plain,
        "gzip": gzip.compress(plain),
        "zstd": zstandard.compress(plain),
        "zstd-unsized": unsized(plain),
    }[encoding]
    accepted = read_upload(upload(body, encoding=encoding.partition("-")[0]), LIMITS)
    (record,) = accepted.records
    assert wire.inflate(record.value) == plain
    assert record.digest == hashlib.sha256(plain).digest()[:8].hex()
    assert (record.key.gateway_id, record.key.vin) == ("gw", VIN)
    assert (record.key.batch_id, record.key.part, accepted.frames) == ("k", 0, 220)


def test_a_zstd_body_goes_to_the_log_as_it_came() -> None:
    body = wire.pack(batch_of(100))
    (record,) = read_upload(upload(body, encoding="zstd"), LIMITS).records
    assert record.value is body


def test_without_a_key_content_and_vehicle_name_the_batch() -> None:
    plain = wire.encode(batch_of(5))
    expected = "sha256-" + hashlib.sha256(VIN.encode() + plain).hexdigest()
    assert read_upload(upload(plain, batch_id=""), LIMITS).batch_id == expected
    packed = upload(gzip.compress(plain), encoding="gzip", batch_id="")
    assert read_upload(packed, LIMITS).batch_id == expected


def test_a_large_upload_is_cut_by_time_into_parts_the_log_can_hold() -> None:
    batch = batch_of(60_000, 3_000)
    plain = wire.encode(batch)
    accepted = read_upload(upload(plain), LIMITS)
    packed = read_upload(upload(zstandard.compress(plain, 9), encoding="zstd"), LIMITS)
    assert [r.digest for r in accepted.records] == [r.digest for r in packed.records]
    assert [r.key.part for r in accepted.records] == list(range(len(accepted.records)))
    assert all(len(r.value) <= MAX_RECORD_BYTES for r in accepted.records)
    parts = [decoded(r.value) for r in accepted.records]
    assert len(parts) == -(-len(plain) // PART_BYTES)
    assert sum(map(len, parts)) == accepted.frames == 63_000
    for earlier, later in pairwise(parts):
        assert earlier.observed_ns.max() <= later.observed_ns.min()
    assert sorted(rows(batch)) == sorted(row for part in parts for row in rows(part))


def rows(batch: FrameBatch) -> list[tuple[int, int, int, bytes]]:
    return [
        (int(t), int(i), int(f), batch.payload(row))
        for row, (t, i, f) in enumerate(
            zip(batch.observed_ns, batch.can_id, batch.flags, strict=True)
        )
    ]


@pytest.mark.parametrize(
    ("encoding", "pack"),
    [
        ("gzip", lambda plain: gzip.compress(plain, mtime=0)),
        ("zstd", zstandard.compress),
        ("zstd", unsized),
    ],
)
def test_a_bomb_stops_while_inflating(encoding: str, pack) -> None:  # type: ignore[no-untyped-def]
    limits = IngestLimits(max_inflated_bytes=1 << 20)
    refused = refusal(pack(bytes(50 << 20)), FRAMES_TYPE, encoding, limits=limits)
    assert (refused.status, refused.errors[0].field) == (413, "body")


def test_a_zstd_frame_that_lies_about_its_size_is_refused() -> None:
    body = bytearray(zstandard.compress(bytes(range(200))))
    assert body[5] == 200  # RFC 8878 3.1.1.1.4: one byte of Frame_Content_Size
    body[5] = 100
    assert refusal(bytes(body), FRAMES_TYPE, "zstd").status == 400


@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
@pytest.mark.parametrize("wrong", ["empty", "cut", "plain", "tail", "twice"])
def test_a_body_that_is_not_its_encoding_is_400(encoding: str, wrong: str) -> None:
    plain = wire.encode(batch_of(50))
    whole = gzip.compress(plain) if encoding == "gzip" else zstandard.compress(plain)
    body = {
        "empty": b"",
        "cut": whole[:-3],
        "plain": plain,
        "tail": whole + b"x",
        "twice": whole + whole,
    }[wrong]
    refused = refusal(body, FRAMES_TYPE, encoding)
    assert (refused.status, refused.errors[0].field) == (400, "Content-Encoding")


def test_content_rules_name_the_field() -> None:
    def field(batch: FrameBatch, **limits: int) -> tuple[int, str]:
        refused = refusal(wire.encode(batch), limits=IngestLimits(**limits))  # type: ignore[arg-type]
        return refused.status, refused.errors[0].field

    def changed(column: str, value: int) -> FrameBatch:
        batch = batch_of(3)
        getattr(batch, column)[1] = value
        return batch

    ahead = NOW_NS + 32_401 * 10**9
    assert field(changed("observed_ns", ahead)) == (422, "observed_ns")
    assert field(changed("can_id", 0x800)) == (422, "can_id")
    assert field(changed("flags", 16)) == (422, "flags")
    assert field(changed("flags", FrameFlag.FD)) == (422, "flags")
    assert field(changed("length", 9)) == (422, "body")
    assert field(batch_of(0)) == (422, "frames")
    assert field(batch_of(10), max_frames=9) == (413, "frames")
    assert refusal(b"").status == 422
    past = changed("observed_ns", 0)
    assert read_upload(upload(wire.encode(past)), LIMITS).frames == 3


def test_text_bodies_name_their_broken_lines() -> None:
    good = b"(1.000000) can0 123#00\n"
    refused = refusal(good * 30 + b"nonsense\n" + good, CANDUMP_TYPE)
    assert (refused.status, [e.field for e in refused.errors]) == (422, ["line 31"])
    refused = refusal(b'{"t":1,"id":1}\n{"t":1,"id":"x"}', NDJSON_TYPE)
    assert (refused.status, [e.field for e in refused.errors]) == (422, ["line 2"])
    refused = refusal(b"\n" * 10, CANDUMP_TYPE, limits=IngestLimits(max_frames=9))
    assert (refused.status, refused.errors[0].field) == (413, "lines")


@given(
    st.binary(max_size=300),
    st.sampled_from([FRAMES_TYPE, CANDUMP_TYPE, NDJSON_TYPE]),
    st.sampled_from(["", "gzip", "zstd"]),
)
def test_any_bytes_are_taken_or_refused(body: bytes, media_type: str, encoding: str) -> None:
    try:
        assert read_upload(upload(body, media_type, encoding), LIMITS).frames > 0
    except RefusalError as refused:
        assert refused.status in {400, 413, 422}


@given(st.integers(0, 40), st.integers(0, 5), st.binary(min_size=1, max_size=3), st.integers(0))
def test_a_damaged_batch_decodes_or_is_a_decode_error(
    n: int, n64: int, damage: bytes, place: int
) -> None:
    body = bytearray(wire.encode(batch_of(n, n64)))
    place %= len(body)
    body[place : place + len(damage)] = damage
    for value in (bytes(body), wire.pack(batch_of(n, n64))[: place + 1]):
        try:
            plain = wire.inflate(value) if value[:4] != wire.MAGIC else value
            wire.decode(plain, vin=VIN, gateway_id="g", batch_id="b", received_ns=0)
        except DecodeError:
            pass


def test_inflate_takes_nothing_after_the_frame() -> None:
    with pytest.raises(DecodeError):
        wire.inflate(wire.pack(batch_of(3)) + b"x")


@given(st.binary(max_size=200))
def test_inflate_takes_one_zstd_frame_or_raises_decode_error(value: bytes) -> None:
    for candidate in (value, b"\x28\xb5\x2f\xfd" + value):
        with suppress(DecodeError):
            wire.inflate(candidate)
