"""Service history in a condition.

km_since("oil")  hours_since("oil")  days_since("oil")   since the item was done
recurred(30d)  recurred(30d, 1500)                        a work order of this rule was closed
                                                          within 30 days (and 1 500 km)
"""

from __future__ import annotations

import ast
import math
from dataclasses import dataclass

from rules.facts import VehicleFacts
from rules.nodes import UNKNOWN_SPAN, Box, Columns, Floats, Node, Signal, Span, Truth
from rules.units import ExpressionError, Unit, duration_of, spell

FACT_CALLS = {
    "km_since": "odometer_km",
    "hours_since": "engine_hours_h",
    "days_since": "odometer_km",
}
_UNITS: dict[str, Unit] = {
    "km_since": (("km", 1),),
    "hours_since": (("h", 1),),
    "days_since": (("d", 1),),
}
DAY_NS = 86400 * 10**9


@dataclass(frozen=True, slots=True)
class Since:
    """How much of a counter has passed since an item was done; unknown if it never was."""

    kind: str
    item: str
    counter: Signal

    def values(self, columns: Columns) -> Floats:
        return columns.since(self)

    def baselines(self, facts: VehicleFacts) -> list[tuple[int, float]]:
        """(moment, counter then) of each time it was done, in order; NaN = not known."""
        found = []
        for row in facts.done:
            if row.item == self.item:
                km, hours = row.odometer_km, row.engine_hours_h
                base = {"km_since": km, "hours_since": hours}.get(self.kind, row.at_ns / DAY_NS)
                found.append((row.at_ns, math.nan if base is None else base))
        return sorted(found)

    def span(self, box: Box) -> Span:
        known = [base for _, base in self.baselines(box.facts) if base == base]  # noqa: PLR0124
        if not known:
            return UNKNOWN_SPAN
        if self.kind == "days_since":
            return 0.0, math.inf
        lo, hi = self.counter.span(box)
        return lo - max(known), hi - min(known)

    def children(self) -> tuple[Node, ...]:
        return (self.counter,)


@dataclass(frozen=True, slots=True)
class Recurred:
    """The fault is back after a work order of the same rule was closed."""

    rule_id: str
    within_ns: int
    within_km: float | None
    counter: Signal

    def truth(self, columns: Columns) -> Truth:
        return columns.recurred(self)

    def may(self, box: Box, truth: bool) -> bool:
        closed = any(c.rule_id == self.rule_id for c in box.facts.closed)
        return closed or not truth

    def children(self) -> tuple[Node, ...]:
        return (self.counter,) if self.within_km is not None else ()


def read_since(node: ast.Call, name: str, counter: Signal) -> tuple[Since, Unit]:
    """`km_since("oil")`. Raises `ExpressionError`."""
    match node.args:
        case [ast.Constant(value=str() as item)] if item and not node.keywords:
            return Since(name, item, counter), _UNITS[name]
    raise ExpressionError(f'{spell(node)}: write {name}("item")')


def read_recurred(node: ast.Call, rule_id: str, counter: Signal) -> Recurred:
    """`recurred(30d, 1500)`. Raises `ExpressionError`."""
    match node.args:
        case [within] if not node.keywords:
            return Recurred(rule_id, duration_of(within), None, counter)
        case [within, ast.Constant(value=int() | float() as km)] if not node.keywords:
            return Recurred(rule_id, duration_of(within), float(km), counter)
    raise ExpressionError(f"{spell(node)}: write recurred(30d, 1500)")
