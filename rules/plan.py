"""Rules compiled for one kind of vehicle: parameters chosen, conditions as trees."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from model.catalogue import split_element
from model.severity import Severity
from model.signals import SignalTable
from model.vehicle import Vehicle
from rules.arrays import STRETCH_NS
from rules.expression import (
    ExpressionError,
    Scope,
    derived_of,
    index_of,
    parse_condition,
    universe,
    used_signals,
)
from rules.nodes import ACTIVE_SCOPES, Absent, And, Code, Condition, Count, Not, Or, walk_nodes
from rules.pack import Latch, Level, Rule
from rules.screen import Screen, screen_of
from rules.windows import Window

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
    windows: tuple[Window, ...]
    #: The signal whose sources are told apart, or None: instances then appear as sources do.
    by_source: int | None
    #: Who must say that it is over: nobody, someone who has seen it, or a closed work order.
    latch: Latch

    @property
    def reach_ns(self) -> int:
        """How far back a sample can still matter to an idle rule (counts aside)."""
        silence = max((a.silence_ns for a in self.absents), default=0)
        holds = [self.clear_hold_ns, *(level.hold_ns for level in self.levels)]
        holds += [w.length for w in self.windows if w.is_short]
        return max(*holds, silence) + 2 * self.max_gap_ns


@dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """Of each signal of a table: its place in the universe, -1 where no rule asks; the number of
    an array's element, else 0. `widths`: elements of each array, by its place."""

    table: SignalTable
    place: NDArray[np.int16]
    element: NDArray[np.int16]
    widths: dict[int, int]


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
    #: Every window of every rule, and the signals they are computed from.
    windows: tuple[Window, ...]
    windowed_ns: dict[int, int]
    #: Lists of codes somebody asks for.
    scopes: frozenset[str]
    screen: Screen
    #: How far below what is still needed samples of arrays are kept; 0 = no arrays.
    array_ns: int = 0
    _tables: dict[int, Columns] = field(default_factory=dict)

    def columns_of(self, table: SignalTable) -> Columns:
        """Where the signals of a decoder's table are asked for."""
        kept = self._tables.get(id(table))
        if kept is None:
            if len(self._tables) >= _TABLES_KEPT:
                self._tables.clear()
            kept = self._tables[id(table)] = columns_of(table, self.wanted)
        return kept


def columns_of(table: SignalTable, wanted: NDArray[np.bool_]) -> Columns:
    """Places of a table's signals among those that are wanted."""
    place = np.full(len(table.names), -1, np.int16)
    element = np.zeros(len(table.names), np.int16)
    widths: dict[int, int] = {}
    for i, name in enumerate(table.names):
        array, number = split_element(name) or (name, 0)
        found = index_of().get(array, -1)
        if found > 0 and wanted[found]:
            place[i], element[i] = found, number
            if number:
                widths[found] = max(widths.get(found, 0), number)
    return Columns(table, place, element, widths)


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
    windows = {w.key: w for instance in instances for w in instance.windows}
    windowed = _windowed(windows.values())
    wanted[list(windowed)] = True
    arrays = {place: array for place, (_, array) in derived_of().items() if wanted[place]}
    wanted[list(arrays.values())] = True
    asking = [i.max_gap_ns for i in instances if arrays.keys() & set(i.signals)]
    return Plan(
        instances=tuple(instances),
        codes=codes,
        not_applicable=tuple(rule.id for rule in rules if rule not in applying),
        joined=frozenset(joined),
        believed_ns=believed,
        wanted=wanted,
        windows=tuple(windows.values()),
        windowed_ns=windowed,
        scopes=ACTIVE_SCOPES.union(*(code.scopes for code in codes)),
        array_ns=max(asking, default=0) + STRETCH_NS if asking else 0,
        screen=screen_of(instances, len(universe())),
    )


def _windowed(windows: Iterable[Window]) -> dict[int, int]:
    """Signals of windows and of the trips they are about, and how long they are believed."""
    found: dict[int, int] = {}
    for window in windows:
        asked = [window.inputs, *([window.segment.inputs] if window.segment else [])]
        for inputs in asked:
            for signal in inputs.signals:
                found[signal] = max(found.get(signal, 0), inputs.max_gap_ns)
    return found


def applies(rule: Rule, vehicle: Vehicle) -> bool:
    """Whether a rule is for this vehicle."""
    return not misfits(rule, vehicle)


def misfits(rule: Rule, vehicle: Vehicle) -> dict[str, str]:
    """What of a vehicle a rule is not for, by field."""
    wanted = rule.applies_to
    years = wanted.model_years
    fields: tuple[tuple[str, Collection[str], str], ...] = (
        ("powertrain", wanted.powertrain, vehicle.powertrain),
        ("brand", wanted.brand, vehicle.brand),
        ("model", wanted.model, vehicle.model),
        ("battery_chemistry", wanted.battery_chemistry, vehicle.battery_chemistry),
        ("profile", wanted.profile, vehicle.profile),
        ("region", wanted.region, vehicle.region),
        ("use", wanted.use, vehicle.use),
    )
    found = {name: value for name, allowed, value in fields if allowed and value not in allowed}
    if years is not None and not years[0] <= vehicle.model_year <= years[1]:
        found["model_year"] = str(vehicle.model_year)
    return found


def thresholds_for(rule: Rule, vehicle: Vehicle) -> dict[str, float]:
    """Parameters for this vehicle: the override with the most matching fields wins."""
    chosen = dict(rule.params)
    for row in sorted(rule.overrides, key=lambda row: len(row.matchers())):
        if row.matches(vehicle):
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
    facts = {fact: read(vehicle) for fact, read in FACTS.items()}
    scope = Scope(thresholds, facts, rule.max_gap, by_source, rule.id)

    def tree(text: str) -> Condition:
        for kind, letter in letters.items():
            text = text.replace(f"{{{kind}}}", letter)
        return parse_condition(text, scope)

    def gated(condition: Condition) -> Condition:
        return condition if gate is None else And((gate, condition))

    gate = tree(rule.when) if rule.when else None
    conditions = [tree(debounced(level)) for level in rule.levels]
    levels = tuple(
        CompiledLevel(level.severity, gated(condition), level.hold_ns, level.early)
        for level, condition in zip(rule.levels, conditions, strict=True)
    )
    over = tree(rule.clear.condition) if rule.clear else Not(Or(tuple(conditions)))
    clear = gated(over)
    roots = (*(level.node for level in levels), clear)
    nodes = [n for root in roots for n in walk_nodes(root)]
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
        windows=tuple({n.key: n for n in nodes if isinstance(n, Window)}.values()),
        by_source=by_source,
        latch=rule.latch,
    )


def condition_faults(rule: Rule, vehicle: Vehicle) -> list[str]:
    """What is wrong with each condition of a rule by itself."""
    thresholds = thresholds_for(rule, vehicle)
    scope = Scope(thresholds, {fact: read(vehicle) for fact, read in FACTS.items()}, rule.max_gap)
    faults: dict[str, None] = {}
    for written in [*rule.conditions(), *map(debounced, rule.levels)]:
        text = written
        for kind, names in rule.for_each.items():
            text = text.replace(f"{{{kind}}}", names[0])
        try:
            parse_condition(text, scope)
        except ExpressionError as error:
            faults[str(error)] = None
    return list(faults)


def debounced(level: Level) -> str:
    """A level's condition with what `for_count`, `for_samples` and `for_cycles` add to it."""
    c, parts = f"({level.condition})", [f"({level.condition})"]
    if level.for_count:
        parts.append(f"onsets({c}, {level.for_count.of}) >= {level.for_count.least}")
    if level.for_samples:
        parts.append(f"samples({c}, {level.for_samples.of}) >= {level.for_samples.least}")
    if level.for_cycles:
        parts.append(f"cycles({c}, {level.for_cycles.of}) >= {level.for_cycles.least}")
    return " and ".join(parts)
