"""The reference page says what the packs say, and every rule of the domain list has its place."""

from __future__ import annotations

import tomllib
from importlib.resources import files
from pathlib import Path

from rules.bundle import load_bundle
from rules.cohorts import cohort_texts, load_cohorts
from rules.page import page, spell_hold

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "rules.md"

#: What is no rule of a pack, and where it lives.
ELSEWHERE = {
    "M16": "store.campaigns: mean ambient temperature of a week",
    "M17": "rules/packs/usage.toml: severe use shortens intervals",
}


def test_the_page_is_up_to_date() -> None:
    """Stale? `python -m rules.page > docs/reference/rules.md`."""
    assert PAGE.read_text("utf-8") == page()


def test_holds_are_spelled_in_their_largest_unit() -> None:
    assert [spell_hold(s * 10**9) for s in (0, 5, 60, 90, 3600, 86400)] == [
        "0s", "5s", "1m", "90s", "1h", "1d",
    ]  # fmt: skip
    assert spell_hold(500_000_000) == "500ms"


def test_every_rule_of_the_domain_list_has_its_place() -> None:
    listed = set()
    for letter, last in (("E", 35), ("N", 28), ("D", 10), ("M", 21)):
        listed |= {f"{letter}{n:02}" for n in range(1, last + 1)}
    programmes = tomllib.loads(files("rules.packs").joinpath("maintenance.toml").read_text("utf-8"))
    kinds = [k for name in programmes.values() for k in name.values() if isinstance(k, dict)]
    planned = {rule for kind in kinds for rule in kind.get("rules", [])}
    here = {domain for rule in load_bundle().rules for domain in rule.domain}
    scheduled = {domain for rule in load_cohorts() for domain in rule.domain}
    assert here | scheduled <= listed
    assert listed - here - planned - scheduled == ELSEWHERE.keys()


def test_scheduled_rules_count_alerts_of_rules_that_exist() -> None:
    known = {rule.id for rule in load_bundle().rules}
    scheduled = cohort_texts().keys()
    assert not known & scheduled
    assert {name for rule in load_cohorts() for name in rule.rules} <= known | scheduled
