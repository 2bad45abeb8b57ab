"""Which promises a brand gives. The figures are those of the domain's tables, by hand."""

from __future__ import annotations

import pytest

from dispatch import clocks
from dispatch.clocks import UnknownPromiseError, find_promise, promise, seconds

MIN, H, D = 60, 3600, 86400
#: domain.md 1.2, 6.2 to 6.6: kind, brand, variant, seconds.
PROMISED = [
    ("arrival", "", "city", 30 * MIN),
    ("arrival", "", "county", 60 * MIN),
    ("arrival", "", "province", 6 * H),
    ("arrival", "vendor", "province", 60 * MIN),
    ("confirm", "", "", 3 * MIN),
    ("assign", "", "", 6 * MIN),
    ("acknowledge", "", "severity_4", 3 * MIN),
    ("acknowledge", "", "severity_2", 15 * MIN),
    ("acknowledge", "", "severity_1", 24 * H),
    ("plan", "", "", 24 * H),
    ("parts", "", "", 24 * H),
    ("progress", "", "", 30 * MIN),
    ("extra_item", "", "", 15 * MIN),
    ("return_visit", "", "", 3 * D),
    ("complaint_respond", "Geely", "", 2 * H),
    ("complaint_close", "geely", "ordinary", 3 * D),
    ("complaint_respond", "SAIC", "", 24 * H),
    ("complaint_solution", "saic", "", 48 * H),
    ("complaint_respond", "changan", "", D),
    ("complaint_close", "changan", "ordinary", 3 * D),
    ("complaint_close", "changan", "major", 5 * D),
    ("complaint_respond", "volvo_dealer", "", 30 * MIN),
    ("complaint_solution", "volvo_dealer", "", H),
    ("complaint_close", "volvo_dealer", "major", 2 * D),
    ("incident_report", "", "", H),
    ("incident_plan", "", "", 4 * H),
    ("incident_answer", "", "", 24 * H),
    ("gbt45688_handling", "", "level_1", 7 * D),
    ("gbt45688_handling", "", "level_2", D),
    ("gbt45688_handling", "", "level_3", 0),
]


@pytest.mark.parametrize(("kind", "brand", "variant", "target_s"), PROMISED)
def test_what_is_promised(kind: str, brand: str, variant: str, target_s: float) -> None:
    found = promise(kind, brand, variant)
    assert found.target_s == target_s
    assert found.source and found.zh and found.en
    assert found.brand == (brand.lower() or "default")


def test_every_kind_the_program_names_is_in_the_file() -> None:
    named = {v for k, v in vars(clocks).items() if k.isupper() and isinstance(v, str)} - {"default"}
    everywhere = set(clocks.kinds()).union(*(clocks.kinds(brand) for brand in clocks.brands()))
    assert named == everywhere


@pytest.mark.parametrize("brand", ["", *sorted(clocks.brands())])
def test_every_chain_rises(brand: str) -> None:
    for kind in clocks.kinds(brand):
        terms = clocks._terms(brand)[kind]
        percents = [warn.percent for warn in terms.warn]
        assert percents == sorted(set(percents)), kind
        assert all(warn.to for warn in terms.warn), kind


def test_brands_follow_the_default_and_unknown_promises_are_refused() -> None:
    assert promise("arrival", "SAIC", "city") == promise("arrival", "nobody", "city").model_copy(
        update={"brand": "saic"}
    )
    assert find_promise("complaint_solution", "geely") is None
    with pytest.raises(UnknownPromiseError, match="no such clock"):
        promise("complaint_solution", "geely")
    with pytest.raises(UnknownPromiseError, match="no target for"):
        promise("arrival", "", "moon")
    assert promise("promised_ready", target_s=90).target_s == 90


@pytest.mark.parametrize(
    ("text", "value"),
    [("0s", 0), ("30min", 1800), ("1.5h", 5400), ("2d", 172_800), ("soon", "soon")],
)
def test_durations(text: str, value: object) -> None:
    assert seconds(text) == value
