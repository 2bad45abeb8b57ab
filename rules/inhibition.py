"""Root causes that rules name: none may, through others, name itself, or all of them would hush."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from fnmatch import fnmatchcase

from rules.pack import Rule


def circle_faults(rules: Mapping[str, Rule]) -> list[str]:
    """One line for each rule that hushes itself, directly or through other rules."""
    causes = {
        rule.id: {
            other
            for other in rules
            for named in rule.inhibit_by
            if fnmatchcase(other, named.rule) and other != rule.id
        }
        for rule in rules.values()
    }
    return [
        f"{rule}: inhibit_by leads back to the rule itself"
        for rule, first in causes.items()
        if rule in _reached(first, causes)
    ]


def _reached(start: Collection[str], causes: Mapping[str, Collection[str]]) -> set[str]:
    """Every rule that hushes one of these, directly or through others, and these."""
    found: set[str] = set()
    waiting = list(start)
    while waiting:
        rule = waiting.pop()
        if rule not in found:
            found.add(rule)
            waiting += causes[rule]
    return found
