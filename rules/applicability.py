"""Whether a rule can say anything about a vehicle at all: a rule that cannot is not "OK".

applicable        some level could become true with the signals the vehicle's profile has
not applicable    the rule is for other vehicles (`applies_to`)
signal missing    it is for this one, but every level needs a signal the profile does not have
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from model.catalogue import split_element
from model.vehicle import Vehicle
from rules.bundle import Bundle
from rules.expression import ANY, derived_of, universe
from rules.fact_nodes import Since
from rules.facts import Closed, Done, VehicleFacts
from rules.nodes import Code, Count, Span, walk_nodes
from rules.pack import Rule
from rules.plan import Instance, misfits
from rules.window_spans import span_of
from rules.windows import Window


class Standing(StrEnum):
    """Of one rule towards one vehicle."""

    APPLICABLE = "applicable"
    NOT_APPLICABLE = "not_applicable"
    SIGNAL_MISSING = "signal_missing"


class _Anything:
    """A box in which signals that exist may have any value."""

    facts = VehicleFacts()

    def __init__(self, names: Collection[str]) -> None:
        known = {split[0] if (split := split_element(name)) else name for name in names}
        universal = universe()
        there = [i == ANY or name in known for i, name in enumerate(universal)]
        for place, (_, array) in derived_of().items():
            there[place] = there[array]
        self.lo = [-math.inf if yes else math.nan for yes in there]
        self.hi = [math.inf if yes else math.nan for yes in there]

    def may_name(self, code: Code) -> bool:
        return True

    def may_be_silent(self, signal: int, silence_ns: int) -> bool:
        return not math.isnan(self.lo[signal])

    def counted(self, count: Count) -> int:
        return 0

    def window(self, window: Window) -> Span:
        return span_of(window, (), self)


def standings(bundle: Bundle, vehicle: Vehicle, names: Collection[str]) -> dict[str, Standing]:
    """Standing of every rule; `names` are the signals the vehicle's profile can send."""
    plan, box = bundle.plan(vehicle), _Anything(names)
    found = dict.fromkeys(plan.not_applicable, Standing.NOT_APPLICABLE)
    for instance in plan.instances:
        # Service history is not a signal: it may come at any time.
        below = [node for level in instance.levels for node in walk_nodes(level.node)]
        items = {node.item for node in below if isinstance(node, Since)}
        done = tuple(Done(item, 0, 0.0, 0.0) for item in items)
        box.facts = VehicleFacts(done, (Closed(instance.rule_id, 0),))
        able = any(level.node.may(box, True) for level in instance.levels)
        if able or instance.rule_id not in found:
            found[instance.rule_id] = Standing.APPLICABLE if able else Standing.SIGNAL_MISSING
    return found


@dataclass(frozen=True, slots=True)
class Reason:
    """One rule towards one vehicle: its standing; what of the vehicle it is not for; signals it
    asks for that the vehicle's profile does not have."""

    standing: Standing
    misfits: Mapping[str, str]
    missing: tuple[str, ...]


def reason(bundle: Bundle, rule: Rule, vehicle: Vehicle, names: Collection[str]) -> Reason:
    """Why a rule of the bundle can, or cannot, say anything about a vehicle; as `standings`."""
    instances = [i for i in bundle.plan(vehicle).instances if i.rule_id == rule.id]
    asked = {name for instance in instances for name in signals_of(instance)}
    sent = {split[0] if (split := split_element(name)) else name for name in names}
    missing = tuple(sorted(asked - sent))
    return Reason(standings(bundle, vehicle, names)[rule.id], misfits(rule, vehicle), missing)


def signals_of(instance: Instance) -> set[str]:
    """Names of all signals an instance asks for, arrays by their own name."""
    inputs = {*instance.signals, *(a.signal for a in instance.absents)}
    inputs |= {signal for window in instance.windows for signal in window.inputs.signals}
    segments = [window.segment for window in instance.windows if window.segment]
    inputs |= {signal for segment in segments for signal in segment.inputs.signals}
    places = {derived_of()[i][1] if i in derived_of() else i for i in inputs}
    return {universe()[i] for i in places if i > 0}


def tally(vehicles: Iterable[Mapping[str, Standing]]) -> Counter[tuple[str, Standing]]:
    """How many vehicles have each standing, by rule."""
    return Counter(row for found in vehicles for row in found.items())
