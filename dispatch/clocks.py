"""Which promises a brand gives: dispatch/clocks.toml as `Promise` records. Pure.

The clock itself is model.promises; its rows are store.clocks.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import cache
from typing import Annotated

from pydantic import BeforeValidator, Field

from model.calendars import load_calendar
from model.promises import Promise, Warn
from model.record import Record
from model.terms_files import read_terms, shipped

#: Kinds that the program itself starts and stops; each has a table in clocks.toml.
CONFIRM, ASSIGN, ARRIVAL, SCENE = "confirm", "assign", "arrival", "scene"
ACKNOWLEDGE, GBT45688_HANDLING = "acknowledge", "gbt45688_handling"
PLAN, PLAN_HYPOTHESIS, PICK_UP, PARTS = "plan", "plan_hypothesis", "pick_up", "parts"
PROGRESS, EXTRA_ITEM, PROMISED_READY = "progress", "extra_item", "promised_ready"
RETURN_VISIT, VERIFY, REPAIR_DAYS = "return_visit", "verify", "repair_days"
COMPLAINT_RESPOND, COMPLAINT_SOLUTION = "complaint_respond", "complaint_solution"
COMPLAINT_CLOSE = "complaint_close"
INCIDENT_REPORT, INCIDENT_PLAN = "incident_report", "incident_plan"
INCIDENT_ANSWER = "incident_answer"
NOTICE = "notice"

DEFAULT = "default"
_DURATION = re.compile(r"^(\d+(?:\.\d+)?)(s|min|h|d)$")
_UNIT_S = {"s": 1, "min": 60, "h": 3600, "d": 86400}


def seconds(text: object) -> object:
    """`30min` in seconds; anything else is left to the validator."""
    found = _DURATION.match(text) if isinstance(text, str) else None
    return float(found[1]) * _UNIT_S[found[2]] if found else text


def _warn(line: object) -> object:
    """`[80, "station", "region"]` as a record."""
    return {"percent": line[0], "to": line[1:]} if isinstance(line, list) and line else line


def _targets(target: object) -> object:
    return target if isinstance(target, dict) else {"": target}


Seconds = Annotated[float, BeforeValidator(seconds), Field(ge=0)]


class ClockTerms(Record):
    """One table of clocks.toml."""

    zh: str
    en: str
    target: Annotated[dict[str, Seconds], BeforeValidator(_targets)]
    calendar: str = "always"
    warn: tuple[Annotated[Warn, BeforeValidator(_warn)], ...]
    pause_in: frozenset[str] = frozenset()
    repeats: bool = False
    source: str


class UnknownPromiseError(KeyError):
    """No profile has this kind of clock, or not in this variant."""


def find_promise(
    kind: str, brand: str = "", variant: str = "", *, target_s: float | None = None
) -> Promise | None:
    """As `promise`; None where neither the brand nor `default` gives such a promise."""
    terms = _terms(brand.lower()).get(kind)
    if terms is None:
        return None
    if target_s is None:
        if variant not in terms.target:
            raise UnknownPromiseError(f"{kind}: no target for {variant!r}")
        target_s = terms.target[variant]
    return Promise(
        kind=kind,
        zh=terms.zh,
        en=terms.en,
        brand=brand.lower() if brand.lower() in brands() else DEFAULT,
        variant=variant,
        target_s=target_s,
        calendar=terms.calendar,
        warn=terms.warn,
        pause_states=terms.pause_in,
        repeats=terms.repeats,
        source=terms.source,
    )


def promise(
    kind: str, brand: str = "", variant: str = "", *, target_s: float | None = None
) -> Promise:
    """What a brand promises; brands without a table of their own follow `default`.

    `variant` names one of several targets (zone, severity, class); `target_s` replaces the
    profile's, for promises given to one customer. Raises UnknownPromiseError.
    """
    found = find_promise(kind, brand, variant, target_s=target_s)
    if found is None:
        raise UnknownPromiseError(f"{kind}: no such clock for {brand or DEFAULT}")
    return found


@cache
def brands() -> frozenset[str]:
    """Brands with promises of their own."""
    return frozenset(_file()) - {DEFAULT}


def kinds(brand: str = "") -> list[str]:
    """Every kind of clock a brand has."""
    return sorted(_terms(brand.lower()))


@cache
def _terms(brand: str) -> Mapping[str, ClockTerms]:
    """A brand's tables over the default's. Raises ValidationError when the file is wrong."""
    own, common = _file().get(brand, {}), _file()[DEFAULT]
    found = {
        kind: ClockTerms.model_validate({**common.get(kind, {}), **own.get(kind, {})})
        for kind in {*common, *own}
    }
    for terms in found.values():
        load_calendar(terms.calendar)
    return found


def check(brand: str) -> None:
    """Read a brand's. Raises ValidationError, ValueError for no clock, KeyError for no calendar."""
    known = {kind for tables in shipped("clocks.toml").values() for kind in tables}
    if strange := sorted(_file()[brand].keys() - known):
        raise ValueError(f"no such clock: {', '.join(strange)}")
    _terms(brand)


@cache
def _file() -> dict[str, dict[str, dict[str, object]]]:
    return read_terms("clocks.toml")


def remaining(due_at: datetime, now: datetime) -> timedelta:
    """What is left of the promise; negative when it is broken."""
    return due_at - now
