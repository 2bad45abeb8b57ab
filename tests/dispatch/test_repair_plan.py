"""Repair plans: templates by rule and code, and who may approve."""

from __future__ import annotations

from importlib.resources import files

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from dispatch.repair_plan import Approver, codes_in, draft, matching, objection, templates
from dispatch.work_terms import load_work_terms
from model.catalogue import catalogue
from model.repair_plan import Hypothesis, PlanBody
from rules.bundle import builtin_packs, load_bundle

TERMS = load_work_terms()
GUESS = (Hypothesis(zh="猜", en="guess"),)


def test_every_template_speaks_both_languages_and_names_known_signals() -> None:
    assert len(templates()) == len({t.id for t in templates()}) >= 20
    for template in templates():
        phrases = [*template.hypotheses, *template.tests, *template.parts, *template.tools]
        goods = [test.good for test in template.tests if test.good]
        for phrase in [*phrases, *goods, *template.documents]:
            assert phrase.zh.strip() and phrase.en.strip(), template.id
            assert phrase.en.isascii() or set(phrase.en) - set(map(chr, range(128))) <= {"°", "±"}
        named = {name for h in template.hypotheses for name in h.evidence}
        assert named <= set(catalogue()), template.id
        assert not template.high_voltage or template.min_skill_level >= 3, template.id


def test_every_serious_rule_of_the_built_in_packs_has_a_plan_with_hypotheses() -> None:
    for rule in load_bundle(*builtin_packs()).rules:
        if max(level.severity for level in rule.levels) >= 3:
            body, used = draft(rule.id, (), {})
            assert body.hypotheses and body.tests and body.tools, rule.id
            assert used != ("any",), rule.id


@pytest.mark.parametrize(
    ("rule", "codes", "expected"),
    [
        ("ice.coolant.overtemp", (), ["engine.overheat"]),
        ("ice.coolant.overtemp", ("P0217",), ["engine.overheat"]),
        ("ice.brand.new", (), ["engine.any"]),
        ("ev.cell.spread", (), ["battery.cell_voltage"]),
        ("ev.alarm.interlock", (), ["high_voltage.any"]),
        ("lamp.mil_with_code", ("P0420",), ["emissions.catalyst", "lamp.codes"]),
        ("lamp.red_stop", ("100/1",), ["engine.oil_pressure", "lamp.codes"]),
        ("nothing.known", (), ["any"]),
        ("nothing.known", ("P0300",), ["engine.misfire"]),
    ],
)
def test_the_most_exact_template_wins(
    rule: str, codes: tuple[str, ...], expected: list[str]
) -> None:
    assert [t.id for t in matching(rule, codes)] == expected


def test_codes_are_read_from_the_evidence_of_a_rule() -> None:
    evidence = {"dtc(P0217,P1217)": 1.0, "spn(110, fmi=0)": 1.0, "spn(100, fmi=1,17,18)": 1.0}
    assert codes_in(evidence) == ("P0217", "P1217", "110/0", "100/*")
    assert codes_in({"engine_coolant_temp_c": 119.0, "spn(111)": 1.0}) == ("111/*",)


@given(st.lists(st.text(max_size=40), max_size=5))
def test_any_evidence_gives_codes_that_templates_can_match(evidence: list[str]) -> None:
    for code in codes_in(evidence):
        matching("x", (code,))


def test_a_draft_carries_the_evidence_and_the_strictest_demands() -> None:
    body, used = draft("ice.coolant.overtemp", ("P0AA6",), {"engine_coolant_temp_c": 119.0})
    assert used == ("battery.insulation", "engine.overheat")
    assert body.high_voltage and body.min_skill_level == 3
    assert body.labour_min == 240
    assert body.skills == {"battery", "high_voltage", "engine"}
    leaking = next(h for h in body.hypotheses if h.en == "Coolant low or leaking")
    assert leaking.evidence == {"engine_coolant_temp_c": 119.0}
    assert len({h.en for h in body.hypotheses}) == len(body.hypotheses)


def test_the_files_hold_nothing_else() -> None:
    for path in files("dispatch").joinpath("plans").iterdir():
        assert isinstance(yaml.safe_load(path.read_text("utf-8")), list)


def approver(*certificates: str, level: int = 3, active: bool = True) -> Approver:
    return Approver(
        person_id="p", active=active, skill_level=level, certificates=frozenset(certificates)
    )


@pytest.mark.parametrize(
    ("who", "high_voltage", "why"),
    [
        (None, False, "the approver is not on the roster"),
        (approver("plan_approval", active=False), False, "the approver is not on the roster"),
        (approver("technician"), False, "no valid certificate: plan_approval"),
        (approver("plan_approval", level=1), False, "skill level 2 is needed, the approver has 1"),
        (approver("plan_approval"), True, "no valid certificate: high_voltage"),
        (
            approver("plan_approval", "high_voltage", level=2),
            True,
            "skill level 3 is needed, the approver has 2",
        ),
        (approver("plan_approval", level=2), False, ""),
        (approver("plan_approval", "high_voltage"), True, ""),
    ],
)
def test_who_may_approve(who: Approver | None, high_voltage: bool, why: str) -> None:
    plan = PlanBody(hypotheses=GUESS, min_skill_level=2, high_voltage=high_voltage)
    assert objection(who, plan, TERMS) == why


def test_a_plan_that_guesses_nothing_is_not_approved() -> None:
    assert objection(approver("plan_approval"), PlanBody(), TERMS) == "a plan without hypothesis"
