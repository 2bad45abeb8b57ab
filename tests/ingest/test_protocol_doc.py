"""The page strangers read, the reference encoder and model/wire.py say the same."""

from __future__ import annotations

import importlib.util
import json
import re
import struct
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from ingest import candump, ndjson
from ingest.problems import KINDS
from ingest.upload import IngestLimits
from model import wire

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGE = (DOCS / "gateway-protocol.md").read_text("utf-8")
VECTORS = json.loads((DOCS / "reference/vectors.json").read_text())


def load_encoder() -> ModuleType:
    spec = importlib.util.spec_from_file_location("encoder", DOCS / "reference/encoder.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("vector", VECTORS, ids=lambda v: v["name"])
def test_vectors(vector: dict[str, Any]) -> None:
    expected = bytes.fromhex("".join(vector["wire"]))
    encoder = load_encoder()
    assert encoder.encode([encoder.parse(line) for line in vector["candump"]]) == expected
    columns, faults = candump.parse("\n".join(vector["candump"]).encode())
    assert not faults.total
    batch = columns.batch()
    assert wire.encode(batch) == expected
    again = wire.decode(expected, vin="", gateway_id="", batch_id="", received_ns=0)
    for column in ("observed_ns", "can_id", "bus", "flags", "length", "payload8", "payload64"):
        assert getattr(again, column).tolist() == getattr(batch, column).tolist()


def test_the_first_vector_by_the_table() -> None:
    """Built from the page's table alone."""
    expected = struct.pack("<4sBBHII", b"RCFB", 1, 0, 0, 2, 0)
    expected += struct.pack("<qq", 1622547830084000000, 1622547830084850000)
    expected += struct.pack("<II", 0x18F02300 | 1 << 31, 0x7DF)
    expected += bytes([0, 1, 0, 0, 8, 2]) + bytes.fromhex("0000F0FFFF00FFFF 0201000000000000")
    assert bytes.fromhex("".join(VECTORS[0]["wire"])) == expected
    assert all(line.replace(" ", "") in PAGE.replace(" ", "") for line in VECTORS[0]["wire"])


def test_the_encoder_is_short_and_alone() -> None:
    source = (DOCS / "reference/encoder.py").read_text()
    assert source.count("\n") < 100
    assert f"{source.count(chr(10))} lines" in PAGE
    assert re.findall(r"^(?:import|from) (\w+)", source, re.MULTILINE) == ["struct", "sys"]


def test_the_page_lists_every_refusal_and_limit() -> None:
    for kind, (status, _) in KINDS.items():
        assert f"`{kind}`" in PAGE, kind
        assert str(status) in PAGE
    limits = IngestLimits()
    assert f"{limits.max_body_bytes >> 20} MiB" in PAGE
    assert f"{limits.max_inflated_bytes >> 20} MiB" in PAGE
    assert f"{limits.max_frames // 1000} 000 a batch" in PAGE
    assert f"{limits.max_future_s:.0f} s" in PAGE
    assert f"{limits.body_timeout_s:.0f} s" in PAGE
    assert f"within {limits.token_ttl_s:.0f} s" in PAGE


def test_the_text_examples_of_the_page_are_read() -> None:
    blocks = re.findall(r"```\n(.*?)```", PAGE, re.DOTALL)
    text = next(b for b in blocks if "123#R8" in b)
    columns, faults = candump.parse(text.encode())
    assert (len(columns), faults.total) == (5, 0)
    lines = next(b for b in blocks if b.startswith('{"t_ns"'))
    same, faults = ndjson.parse(lines.encode())
    assert faults.total == 0
    assert same.batch().payload(0) == columns.batch().payload(0)
    assert same.observed_ns.tolist() == columns.observed_ns[:2].tolist()
    assert same.can_id.tolist() == columns.can_id[:2].tolist()
    assert same.bus.tolist() == columns.bus[:2].tolist()
