"""Frames with known values for the DBC files we ship: tests/vectors/<profile>.toml."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from dbc.profile import load_profile, profile_names
from decoders.plan import compile_plan
from model.frames import EXTENDED_ID
from model.signals import FrameStatus, Quality
from tests.decoders.build import run_decoder, values_of

FOLDER = Path(__file__).resolve().parent.parent / "vectors"
FILES = sorted(p for p in FOLDER.glob("*.toml") if p.stem in profile_names())


def vectors() -> list[tuple[str, dict[str, Any]]]:
    return [
        (path.stem, vector)
        for path in FILES
        for vector in tomllib.loads(path.read_text("utf-8")).get("vector", [])
    ]


@pytest.mark.parametrize(("profile", "vector"), vectors(), ids=lambda v: str(v)[:60])
def test_vector(profile: str, vector: dict[str, Any]) -> None:
    """The GOOD values the vector names, from the source it names; others may be there too."""
    identifier, payload = vector["frame"].split("#")
    can_id = int(identifier, 16) | (int(EXTENDED_ID) if len(identifier) == 8 else 0)
    plan = compile_plan(load_profile(profile))
    signals = run_decoder(plan, [(can_id, bytes.fromhex(payload))]).signals
    assert signals.frame_status.tolist() == [FrameStatus.OK]
    good = values_of(signals, Quality.GOOD)
    for name, value in vector["values"].items():
        assert good[name][vector["source"]] == [pytest.approx(value, rel=1e-12)], name


@pytest.mark.parametrize(("profile", "without"), [("j1939_core", {65251}), ("j1939_truck", set())])
def test_every_message_of_the_standards_has_a_vector(profile: str, without: set[int]) -> None:
    """But EC1, which comes by transport protocol (test_samples)."""
    plan = compile_plan(load_profile(profile))
    seen = {int(v["frame"][2:6], 16) for name, v in vectors() if name == profile}
    groups = {int(key) >> 8 & 0xFFFF for key in plan.ids.key}
    assert groups - seen == without
