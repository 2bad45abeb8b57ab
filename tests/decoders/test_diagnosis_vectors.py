"""Answers with known meaning: tests/vectors/diagnosis.toml."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from model.codes import CodeReport, Dtc
from tests.decoders.diagnosis_build import frames_of, hear

FILE = Path(__file__).resolve().parent.parent / "vectors" / "diagnosis.toml"
VECTORS = tomllib.loads(FILE.read_text("utf-8"))["answer"]


def written(dtc: Dtc) -> str:
    text = dtc.code if dtc.failure_type is None else f"{dtc.code}-{dtc.failure_type:02X}"
    return text if dtc.status is None else f"{text} {dtc.status:02X}"


def shown(report: CodeReport, wanted: dict[str, Any]) -> dict[str, Any]:
    """The report in the words of the vector; only what the vector names."""
    found: dict[str, Any] = {
        "scope": report.scope,
        "protocol": report.protocol,
        "codes": [written(dtc) for dtc in report.codes],
        "severity": [dtc.severity for dtc in report.codes],
        "counters": [dtc.detection_counter for dtc in report.codes],
        "frames": [
            [frame.number, [[i, content.hex()] for i, content in frame.parts]]
            for dtc in report.codes
            for frame in dtc.freeze_frames
        ],
    }
    return {key: found[key] for key in wanted}


@pytest.mark.parametrize("vector", VECTORS, ids=lambda v: v["payload"][:24])
def test_vector(vector: dict[str, Any]) -> None:
    frames = frames_of(0x7E8, bytes.fromhex(vector["payload"]))
    if "request" in vector:
        frames = [*frames_of(0x7E0, bytes.fromhex(vector["request"])), *frames]
    heard = hear(frames)
    reports = vector.get("reports", [])
    assert len(heard.reports) == len(reports)
    assert [shown(r, w) for r, w in zip(heard.reports, reports, strict=True)] == reports
    assert [
        {"kind": f.kind, "identifier": f.identifier, "text": f.text} for f in heard.facts
    ] == vector.get("facts", [])
    assert {r.ecu for r in heard.reports} | {f.ecu for f in heard.facts} <= {0x7E8}


def test_each_answer_cut_short_is_an_error_or_another_answer() -> None:
    """Every prefix of every vector: no exception leaves, and nothing is reported twice."""
    for vector in VECTORS:
        payload = bytes.fromhex(vector["payload"])
        for length in range(1, len(payload)):
            hear(frames_of(0x7E8, payload[:length]))
