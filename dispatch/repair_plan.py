"""Drafts a repair plan from the templates of its rule and trouble codes, and says who may approve.

Templates are data: dispatch/plans/*.yaml. Every file is read; two templates with one id stop the
program.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from functools import cache
from importlib.resources import files
from typing import TypeVar

import yaml
from pydantic import Field

from dispatch.work_terms import WorkTerms
from model.record import Record
from model.repair_plan import (
    HIGH_VOLTAGE_LEVEL,
    Document,
    Hypothesis,
    Phrase,
    PlanBody,
    PlannedPart,
    SimilarCase,
    SkillLevel,
    TestStep,
)

#: A code inside the evidence of an alert: J2012 text, or spn(SPN, fmi=FMI).
J2012 = re.compile(r"\b[PCBU][0-9A-F]{4}\b")
SPN = re.compile(r"\bspn\((\d+)(?:, fmi=(\d+))?([\d,]*)\)")

P = TypeVar("P", bound=Phrase)


class TemplateHypothesis(Phrase):
    """A hypothesis and the signals that speak for or against it."""

    evidence: tuple[str, ...] = ()


class Template(Record):
    """One entry of a template file."""

    id: str
    rules: tuple[str, ...] = ()
    codes: tuple[str, ...] = ()
    hypotheses: tuple[TemplateHypothesis, ...] = ()
    tests: tuple[TestStep, ...] = ()
    parts: tuple[PlannedPart, ...] = ()
    labour_min: float | None = None
    tools: tuple[Phrase, ...] = ()
    min_skill_level: SkillLevel = 1
    skills: frozenset[str] = frozenset()
    high_voltage: bool = False
    documents: tuple[Document, ...] = ()


class Approver(Record):
    """What is known about somebody who wants to approve a plan."""

    person_id: str
    active: bool
    skill_level: SkillLevel
    #: Certificates valid on the day.
    certificates: frozenset[str] = Field(default_factory=frozenset)


@cache
def templates() -> tuple[Template, ...]:
    """Every template, by id. Raises ValidationError or ValueError when a file is wrong."""
    found: dict[str, Template] = {}
    folder = files("dispatch").joinpath("plans")
    for path in sorted(folder.iterdir(), key=lambda p: p.name):
        if path.name.endswith(".yaml"):
            for entry in yaml.safe_load(path.read_text("utf-8")):
                made = Template.model_validate(entry)
                if made.id in found:
                    raise ValueError(f"{path.name}: a second template {made.id}")
                found[made.id] = made
    return tuple(found.values())


def codes_in(evidence: Iterable[str]) -> tuple[str, ...]:
    """Trouble codes named in the evidence of an alert: `P0217`, or `110/0` (SPN/FMI)."""
    codes: list[str] = []
    for text in evidence:
        codes += J2012.findall(text)
        codes += [f"{m[1]}/{'*' if ',' in m[3] else m[2] or '*'}" for m in SPN.finditer(text)]
    return tuple(dict.fromkeys(codes))


def matching(rule_id: str, codes: Sequence[str]) -> list[Template]:
    """The templates of the codes, then that of the rule: the most exact name wins.

    The template for any rule at all is only used where nothing else is known.
    """
    by_code = [t for t in templates() if any(_same(c, own) for own in t.codes for c in codes)]
    ranked = [
        (len(pattern.replace("*", "")), "*" not in pattern, template)
        for template in templates()
        for pattern in template.rules
        if fnmatchcase(rule_id, pattern)
    ]
    best = max(ranked, key=lambda row: row[:2], default=None)
    by_rule = [best[2]] if best and (best[0] or not by_code) and best[2] not in by_code else []
    return [*by_code, *by_rule]


def _same(code: str, own: str) -> bool:
    """Whether a code is the one a template names; SPN/* stands for any FMI on either side."""
    return code == own or fnmatchcase(code, own) or fnmatchcase(own, code)


def draft(
    rule_id: str,
    codes: Sequence[str],
    evidence: Mapping[str, float],
    *,
    similar: Sequence[SimilarCase] = (),
) -> tuple[PlanBody, tuple[str, ...]]:
    """The first version of a plan, and the ids of the templates it comes from.

    Codes come first: an ECU knows more about its own fault than a limit on a signal does.
    """
    chosen = matching(rule_id, codes)
    body = PlanBody(
        hypotheses=_unique(
            Hypothesis(zh=h.zh, en=h.en, evidence={name: evidence.get(name) for name in h.evidence})
            for template in chosen
            for h in template.hypotheses
        ),
        tests=_unique(test for template in chosen for test in template.tests),
        parts=_unique(part for template in chosen for part in template.parts),
        labour_min=max((t.labour_min for t in chosen if t.labour_min is not None), default=None),
        tools=_unique(tool for template in chosen for tool in template.tools),
        min_skill_level=max((t.min_skill_level for t in chosen), default=1),
        skills=frozenset[str]().union(*(t.skills for t in chosen)),
        high_voltage=any(t.high_voltage for t in chosen),
        documents=_unique(document for template in chosen for document in template.documents),
        similar_cases=tuple(similar),
    )
    return body, tuple(t.id for t in chosen)


def _unique(phrases: Iterable[P]) -> tuple[P, ...]:
    """In order, each text once."""
    return tuple({p.en: p for p in reversed(list(phrases))}.values())[::-1]


def objection(approver: Approver | None, plan: PlanBody, terms: WorkTerms) -> str:
    """Why somebody may not approve a plan; empty when they may."""
    if approver is None or not approver.active:
        return "the approver is not on the roster"
    wanted = [terms.approval_certificate]
    level = plan.min_skill_level
    if plan.high_voltage:
        wanted.append(terms.high_voltage_certificate)
        level = max(level, HIGH_VOLTAGE_LEVEL)
    missing = [name for name in wanted if name not in approver.certificates]
    if missing:
        return f"no valid certificate: {', '.join(missing)}"
    if approver.skill_level < level:
        return f"skill level {level} is needed, the approver has {approver.skill_level}"
    return "" if plan.hypotheses else "a plan without hypothesis"
