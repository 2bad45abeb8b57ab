"""Rules that no vehicle's memory can hold: months of silence, work orders, a whole model. Data.

File: rules/packs/cohorts.toml. The dispatcher asks the database (roadcall/dispatcher_cohorts.py).
"""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files
from typing import Literal

from pydantic import Field

from model.record import Record
from model.severity import Severity


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


@cache
def load_cohorts() -> tuple[CohortRule, ...]:
    """Every one. Raises ValidationError when the file is wrong."""
    tables = tomllib.loads(files("rules.packs").joinpath("cohorts.toml").read_text("utf-8"))
    return tuple(CohortRule.model_validate({"id": name, **row}) for name, row in tables.items())


@cache
def cohort_ids() -> frozenset[str]:
    """Rule ids of alerts that no bundle says."""
    return frozenset(rule.id for rule in load_cohorts())


def cohort_texts() -> dict[str, dict[str, str]]:
    """Each rule's title, as people read it."""
    return {rule.id: {"zh": rule.zh, "en": rule.en} for rule in load_cohorts()}
