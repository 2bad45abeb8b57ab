"""Rules compiled for one kind of vehicle: parameters chosen, conditions as trees."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from model.severity import Severity
from model.signals import SignalTable
from model.vehicle import Vehicle
from rules.expression import Scope, index_of, parse_condition, universe, used_signals
from rules.nodes import Absent, And, Code, Condition, Count, Not, Or, walk_nodes
from rules.pack import Rule

#: What a condition may ask about the vehicle itself: value and unit.
FACTS: dict[str, Callable[[Vehicle], tuple[float, str]]] = {
    "tire_placard_kpa": lambda v: (v.tire_placard_kpa, "kPa"),
    "cells_in_series": lambda v: (float(v.cells_in_series), ""),
    "model_year": lambda v: (float(v.model_year), ""),
}
_TABLES_KEPT = 1024


@dataclass(frozen=True, slots=True)
class CompiledLevel:
    """One severity: gate and condition as one tree."""

    severity: Severity
    node: Condition
    hold_ns: int
    early: bool


@dataclass(frozen=True, slots=True, eq=False)
class Instance:
    """One rule for one part of one kind of vehicle."""

    rule_id: str
    version: int
    name: str
    levels: tuple[CompiledLevel, ...]
    clear: Condition
    clear_hold_ns: int
    stale_after_ns: int
    max_gap_ns: int
    thresholds: dict[str, float]
    #: Signals by index, without those only asked for silence.
    signals: tuple[int, ...]
    codes: tuple[Code, ...]
    absents: tuple[Absent, ...]
    counts: tuple[Count, ...]
    #: The signal whose sources are told apart, or None: instances then appear as sources do.
    by_source: int | None

    @property
    def reach_ns(self) -> int:
        """How far back a sample can still matter to an idle rule (counts aside)."""
        silence = max((a.silence_ns for a in self.absents), default=0)
        holds = [self.clear_hold_ns, *(level.hold_ns for level in self.levels)]
        return max(*holds, silence) + 2 * self.max_gap_ns


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """All instances for one kind of vehicle."""

    instances: tuple[Instance, ...]
    codes: tuple[Code, ...]
    #: Rules of the bundle that are not for this kind of vehicle.
    not_applicable: tuple[str, ...]
    #: Signals with more than one partner in a condition: their last values outlive an upload.
    joined: frozenset[int]
    #: The longest time any rule believes a sample of a signal.
    believed_ns: dict[int, int]
    wanted: NDArray[np.bool_]
    _tables: dict[int, tuple[SignalTable, NDArray[np.int16]]] = field(default_factory=dict)

    def columns_of(self, table: SignalTable) -> NDArray[np.int16]:
        """Index in the universe of each signal of a decoder's table, -1 where no rule asks."""
        kept = self._tables.get(id(table))
        if kept is None:
            if len(self._tables) >= _TABLES_KEPT:
                self._tables.clear()
            places = [index_of().get(name, -1) for name in table.names]
            known = np.array([i if i > 0 and self.wanted[i] else -1 for i in places], np.int16)
            kept = self._tables[id(table)] = (table, known)
        return kept[1]


def plan_for(rules: tuple[Rule, ...], codes: tuple[Code, ...], vehicle: Vehicle) -> Plan:
    """Compile every rule that applies to the vehicle."""
    applying = [rule for rule in rules if applies(rule, vehicle)]
    instances = [i for rule in applying for i in compile_rule(rule, vehicle)]
    wanted = np.zeros(len(universe()), np.bool_)
    believed: dict[int, int] = {}
    joined: set[int] = set()
    for instance in instances:
        inputs = {*instance.signals, *(a.signal for a in instance.absents)}
        if len(inputs) + len(instance.codes) > 1:
            joined |= inputs
        for signal in inputs:
            wanted[signal] = True
            believed[signal] = max(believed.get(signal, 0), instance.reach_ns)
    left_out = tuple(rule.id for rule in rules if rule not in applying)
    return Plan(tuple(instances), codes, left_out, frozenset(joined), believed, wanted)


def applies(rule: Rule, vehicle: Vehicle) -> bool:
    """Whether a rule is for this vehicle."""
    wanted = rule.applies_to
    return all(
        not allowed or value in allowed
        for allowed, value in (
            (wanted.powertrain, vehicle.powertrain),
            (wanted.brand, vehicle.brand),
            (wanted.model, vehicle.model),
            (wanted.battery_chemistry, vehicle.battery_chemistry),
            (wanted.profile, vehicle.profile),
        )
    )


def thresholds_for(rule: Rule, vehicle: Vehicle) -> dict[str, float]:
    """Parameters for this vehicle: the override with the most matching fields wins."""
    chosen = dict(rule.params)
    for row in sorted(rule.overrides, key=lambda row: len(row.matchers())):
        if all(getattr(vehicle, name) == value for name, value in row.matchers().items()):
            chosen |= row.params
    return chosen


def compile_rule(rule: Rule, vehicle: Vehicle) -> list[Instance]:
    """One instance per name of `for_each`. Raises `ExpressionError`."""
    for kind, names in rule.for_each.items():
        if kind == "source":
            assert isinstance(names, str)
            return [_compile(rule, vehicle, "", {}, index_of()[names])]
        return [_compile(rule, vehicle, name, {kind: name}, None) for name in names]
    return [_compile(rule, vehicle, "", {}, None)]


def _compile(
    rule: Rule, vehicle: Vehicle, name: str, letters: dict[str, str], by_source: int | None
) -> Instance:
    thresholds = thresholds_for(rule, vehicle)
    scope = Scope(thresholds, {fact: read(vehicle) for fact, read in FACTS.items()})

    def tree(text: str) -> Condition:
        for kind, letter in letters.items():
            text = text.replace(f"{{{kind}}}", letter)
        return parse_condition(text, scope)

    def gated(condition: Condition) -> Condition:
        return condition if gate is None else And((gate, condition))

    gate = tree(rule.when) if rule.when else None
    conditions = [tree(level.condition) for level in rule.levels]
    levels = tuple(
        CompiledLevel(level.severity, gated(condition), level.hold_ns, level.early)
        for level, condition in zip(rule.levels, conditions, strict=True)
    )
    over = tree(rule.clear.condition) if rule.clear else Not(Or(tuple(conditions)))
    clear = gated(over)
    nodes = [n for node in (*(level.node for level in levels), clear) for n in walk_nodes(node)]
    roots = (*(level.node for level in levels), clear)
    return Instance(
        rule_id=rule.id,
        version=rule.version,
        name=name,
        levels=levels,
        clear=clear,
        clear_hold_ns=rule.clear.hold_ns if rule.clear else 60 * 10**9,
        stale_after_ns=rule.stale_after,
        max_gap_ns=rule.max_gap,
        thresholds=thresholds,
        signals=tuple(sorted(set().union(*(used_signals(root) for root in roots)))),
        codes=tuple({n.text: n for n in nodes if isinstance(n, Code)}.values()),
        absents=tuple({n: None for n in nodes if isinstance(n, Absent)}),
        counts=tuple({n.text: n for n in nodes if isinstance(n, Count)}.values()),
        by_source=by_source,
    )
