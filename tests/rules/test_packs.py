"""Runs the tests that come with the built-in packs. Their form: rules.pack_tests."""

from __future__ import annotations

import pytest

from rules.bundle import builtin_packs, builtin_tests, load_bundle
from rules.pack_tests import PackTest, PackTestError, expand, read_tests, run

BUNDLE = load_bundle()
CASES = [
    (path.stem, case)
    for path in builtin_tests()
    for case in read_tests(path.name, path.read_text("utf-8"))
]


def test_notation() -> None:
    assert expand("1 2x2 5+2x2 5-2x1 _ _x2 bad") == [1, 2, 2, 2, 5, 7, 9, 5, 3, *[None] * 3, "bad"]
    assert expand("stale") == ["bad"]


@pytest.mark.parametrize(("pack", "case"), CASES, ids=[f"{p}: {c.test}" for p, c in CASES])
def test_case(pack: str, case: PackTest) -> None:
    assert run(BUNDLE, case).faults == ()


def test_every_rule_shows_the_five() -> None:
    """A rule is tested when it fires, not just below, clears, ignores silence, takes late data."""
    shown: dict[str, set[str]] = {rule.id: set() for rule in BUNDLE.rules}
    for _, case in CASES:
        for rule_id in case.rules:
            shown[rule_id] |= set(case.shows)
    five = {"fires", "below", "clears", "silence", "late"}
    assert {rule: five - seen for rule, seen in shown.items() if five - seen} == {}


def test_every_pack_has_its_tests() -> None:
    assert {path.stem for path in builtin_packs()} == {pack for pack, _ in CASES}


HOT = "- {test: a, rules: [ice.coolant.overtemp], %s}\n"


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("series: {speed_kmh: 1 x}", "made.yaml:1: 'x' is no step of a series"),
        ("series: {speed_kmh: 1}, expect: [{at: 1, state: idle}]", "a duration has a unit"),
        ("series: {speed_kmh: 1}, colour: red", "made.yaml:1: colour: Extra inputs"),
        ("replay: a.log", "made.yaml:1: replay needs profile or dbc, and not both"),
        ("alerts: 1", "made.yaml:1: give series, codes or late, or else replay"),
    ],
)
def test_a_test_file_names_its_faults(line: str, fault: str) -> None:
    with pytest.raises(PackTestError) as refused:
        read_tests("made.yaml", HOT % line)
    assert fault in str(refused.value)


def test_a_failing_test_says_what_it_found() -> None:
    series = (
        "vehicle: {powertrain: hybrid}, series: {engine_speed_rpm: 800x9,"
        " engine_coolant_temp_c: 119x9}"
    )
    expect = "expect: [{at: 2s, state: idle}, {at: 9s, state: firing, severity: 3}], alerts: 0"
    (case,) = read_tests("made.yaml", HOT % f"{series}, {expect}")
    assert run(BUNDLE, case).faults == (
        "at 2s: pending, expected idle",
        "at 9s: severity 2, expected 3",
        "1 alerts in the end, expected 0",
    )
    (other,) = read_tests("made.yaml", HOT.replace("ice.coolant.overtemp", "no.such") % series)
    assert run(BUNDLE, other).faults == ("no rule no.such",)
