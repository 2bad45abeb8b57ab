"""A repair plan: what is probably wrong, how to find out, and what it takes (domain.md 6.3)."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Annotated

from pydantic import Field, StringConstraints

from model.record import Label, Prose, Record, Word

#: People who work on high voltage have at least this level (domain.md 1.2, 63; our own).
HIGH_VOLTAGE_LEVEL = 3

Words = Annotated[str, StringConstraints(max_length=500, pattern=r"^[^\x00]*$")]
SkillLevel = Annotated[int, Field(ge=1, le=4)]


class Phrase(Record):
    """A text in both languages."""

    zh: Words
    en: Words


class Hypothesis(Phrase):
    """What may be wrong. `evidence` names what to look at: value by signal or code, where known."""

    evidence: dict[Words, float | None] = Field(default_factory=dict)


class TestStep(Phrase):
    """One test; they are done in order."""

    __test__ = False  # not a pytest class

    #: What a good part shows.
    good: Phrase | None = None


class PlannedPart(Phrase):
    """A part to have ready. `part_no` is the parts system's, empty until somebody names it."""

    part_no: Label = ""
    qty: float = Field(1, gt=0, le=10_000)
    #: What the parts system said when the plan was written; None = not known.
    in_stock: float | None = None
    eta_h: float | None = None


class Document(Phrase):
    """Where it is written; the text itself stays in the maker's library."""

    ref: Words


class SimilarCase(Record):
    """A repair of the same fault in the same model that lasted."""

    work_order_id: uuid.UUID
    confirmed_cause: Prose
    correction: Prose
    verified: bool


class PlanBody(Record):
    """What the plan says. People edit this; each edit is a new version."""

    hypotheses: tuple[Hypothesis, ...] = Field((), max_length=20)
    tests: tuple[TestStep, ...] = Field((), max_length=60)
    parts: tuple[PlannedPart, ...] = Field((), max_length=60)
    labour_min: float | None = Field(None, ge=0, le=100_000)
    tools: tuple[Phrase, ...] = Field((), max_length=40)
    min_skill_level: SkillLevel = 1
    #: What whoever helps should know: engine, battery …
    skills: frozenset[Word] = frozenset()
    high_voltage: bool = False
    documents: tuple[Document, ...] = Field((), max_length=40)
    similar_cases: tuple[SimilarCase, ...] = Field((), max_length=20)
    #: Lower and upper price in CNY, where somebody gave one; pricing stays outside.
    price_cny: tuple[float, float] | None = None
    note: Prose = ""


class RepairPlan(Record):
    """One version of a case's plan. A version is written once; only the approval is added."""

    case_id: uuid.UUID
    version: int = Field(ge=1)
    body: PlanBody
    #: Templates it began from.
    templates: tuple[str, ...] = ()
    author: str
    created_at: datetime
    approved_by: str | None = None
    approved_at: datetime | None = None
