"""Rules that no vehicle's memory can hold: months of silence, work orders, a whole model. Data.

Files: rules/packs/cohorts.toml and the operator's own. The dispatcher asks the database
(roadcall/dispatcher_cohorts.py).
"""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError

from model.errors import RoadcallError
from model.record import Record
from model.severity import Severity
from model.terms_files import laid_over


class CohortRule(Record):
    """One scheduled question. A finding is an alert of a vehicle, or an incident of a model."""

    id: str
    domain: tuple[str, ...] = Field(min_length=1)
    query: Literal["silent", "offline", "crowded", "share", "recurred", "guarantees"]
    scope: Literal["vehicle", "model"] = "vehicle"
    severity: Severity
    rules: tuple[str, ...] = ()  # whose alerts are counted
    params: dict[str, float]
    zh: str
    en: str
    advice_zh: str
    advice_en: str
    source: str


class CohortError(RoadcallError):
    """A file of scheduled rules is wrong."""


@cache
def load_cohorts(*paths: Path) -> tuple[CohortRule, ...]:
    """The built-in ones, and an operator's: a table of the same id changes what it names, its
    params one by one. Raises CohortError naming file and rule."""
    tables = tomllib.loads(files("rules.packs").joinpath("cohorts.toml").read_text("utf-8"))
    found = {name: CohortRule.model_validate({"id": name, **row}) for name, row in tables.items()}
    asked = {rule.query: rule.params.keys() for rule in found.values()}
    for path in paths:
        for name, row in _read(path).items():
            try:
                rule = _changed(found.get(name), name, row)
            except (ValidationError, TypeError, AttributeError) as error:
                raise CohortError(f"{path.name}: {name}: {error}") from None
            if rule.params.keys() != asked[rule.query]:
                wanted = ", ".join(sorted(asked[rule.query]))
                raise CohortError(f"{path.name}: {name}: params of {rule.query} are {wanted}")
            found[name] = rule
    return tuple(found.values())


def _read(path: Path) -> dict[str, Any]:  # TOML has no closed type
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise CohortError(f"{path.name}: {error}") from None


def _changed(known: CohortRule | None, name: str, row: dict[str, Any]) -> CohortRule:
    before = known.model_dump() if known else {"id": name}
    return CohortRule.model_validate(laid_over(before, row))


def cohort_texts(*paths: Path) -> dict[str, dict[str, str]]:
    """Each rule's title, as people read it."""
    return {rule.id: {"zh": rule.zh, "en": rule.en} for rule in load_cohorts(*paths)}
