"""The compiled form of a condition: a tree that computes columns, and bounds on them.

Every node answers two questions. `values`/`truth`: what is it at each point of a timeline, with
three-valued logic (neither true nor false = unknown, Kleene). `span`/`may`: what can it be at all,
given the smallest and largest value of each signal; this decides per upload whether to look closer.
`may(box, True)` asks whether it could be true somewhere, `may(box, False)` whether false.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from model.codes import CodeReport, CodeScope, Dtc

if TYPE_CHECKING:
    from rules.fact_nodes import Recurred, Since
    from rules.facts import VehicleFacts
    from rules.windows import Window

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
#: (is true, is false) per point; both False = unknown.
Truth = tuple[Bools, Bools]
Span = tuple[float, float]
#: Lists of codes that say what is wrong now; absence from `pending` or `previous` says nothing.
ACTIVE_SCOPES = frozenset((CodeScope.ACTIVE.value, CodeScope.CONFIRMED.value))
NO_FAULT = "0/0"
UNKNOWN_SPAN: Span = (math.nan, math.nan)
ANYTHING: Span = (-math.inf, math.inf)


class Columns(Protocol):
    """Values along one rule's timeline."""

    def number(self, signal: int) -> Floats: ...
    def code(self, code: Code) -> Truth: ...
    def ecus(self, code: Code) -> Floats: ...
    def absent(self, signal: int, silence_ns: int) -> Truth: ...
    def enough(self, count: Count) -> Truth: ...
    def window(self, window: Window) -> Floats: ...
    def since(self, node: Since) -> Floats: ...
    def recurred(self, node: Recurred) -> Truth: ...


class Box(Protocol):
    """Bounds over everything an evaluation could see."""

    @property
    def lo(self) -> Sequence[float]: ...
    @property
    def hi(self) -> Sequence[float]: ...
    @property
    def facts(self) -> VehicleFacts: ...

    def may_name(self, code: Code) -> bool: ...
    def may_be_silent(self, signal: int, silence_ns: int) -> bool: ...
    def counted(self, count: Count) -> int: ...
    def window(self, window: Window) -> Span: ...


class Number(Protocol):
    """A value per point; NaN = unknown."""

    def values(self, columns: Columns) -> Floats: ...
    def span(self, box: Box) -> Span: ...
    def children(self) -> tuple[Node, ...]: ...


class Condition(Protocol):
    """True, false or unknown per point."""

    def truth(self, columns: Columns) -> Truth: ...
    def may(self, box: Box, truth: bool) -> bool: ...
    def children(self) -> tuple[Node, ...]: ...


Node = Number | Condition


def walk_nodes(node: Node) -> Iterator[Node]:
    """The node and everything below it, left to right."""
    yield node
    for child in node.children():
        yield from walk_nodes(child)


@dataclass(frozen=True, slots=True)
class Constant:
    value: float

    def values(self, columns: Columns) -> Floats:
        return np.asarray(self.value, np.float64)

    def span(self, box: Box) -> Span:
        return self.value, self.value

    def children(self) -> tuple[Node, ...]:
        return ()


@dataclass(frozen=True, slots=True)
class Signal:
    """A catalogue signal, held until its maximum age. As a condition: 1 is true, 0 is false."""

    index: int
    name: str

    def values(self, columns: Columns) -> Floats:
        return columns.number(self.index)

    def span(self, box: Box) -> Span:
        return box.lo[self.index], box.hi[self.index]

    def truth(self, columns: Columns) -> Truth:
        value = columns.number(self.index)
        return value == 1, value == 0

    def may(self, box: Box, truth: bool) -> bool:
        return box.hi[self.index] >= 1 if truth else box.lo[self.index] <= 0

    def children(self) -> tuple[Node, ...]:
        return ()


_ARITHMETIC: dict[str, Callable[[Floats, Floats], Floats]] = {
    "+": np.add,
    "-": np.subtract,
    "*": np.multiply,
    "/": np.divide,
    "min": np.minimum,
    "max": np.maximum,
}


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """Two numbers made one. Anything that is not a finite number is unknown."""

    operator: str
    left: Number
    right: Number

    def values(self, columns: Columns) -> Floats:
        with np.errstate(all="ignore"):
            both = _ARITHMETIC[self.operator](self.left.values(columns), self.right.values(columns))
        return np.where(np.isfinite(both), both, np.nan)

    def span(self, box: Box) -> Span:
        (a, b), (c, d) = self.left.span(box), self.right.span(box)
        if math.isnan(a) or math.isnan(c):
            return UNKNOWN_SPAN
        match self.operator:
            case "+":
                return a + c, b + d
            case "-":
                return a - d, b - c
            case "min":
                return min(a, c), min(b, d)
            case "max":
                return max(a, c), max(b, d)
            case "/" if c <= 0 <= d:
                return ANYTHING
            case "/":
                corners = (a / c, a / d, b / c, b / d)
            case _:
                corners = (a * c, a * d, b * c, b * d)
        return ANYTHING if any(map(math.isnan, corners)) else (min(corners), max(corners))

    def children(self) -> tuple[Node, ...]:
        return self.left, self.right


@dataclass(frozen=True, slots=True)
class Absolute:
    inner: Number

    def values(self, columns: Columns) -> Floats:
        return np.abs(self.inner.values(columns))

    def span(self, box: Box) -> Span:
        lo, hi = self.inner.span(box)
        least = 0.0 if lo <= 0 <= hi else min(abs(lo), abs(hi))
        return UNKNOWN_SPAN if math.isnan(lo) else (least, max(abs(lo), abs(hi)))

    def children(self) -> tuple[Node, ...]:
        return (self.inner,)


@dataclass(frozen=True, slots=True)
class Compare:
    operator: str
    left: Number
    right: Number

    def truth(self, columns: Columns) -> Truth:
        a, b = self.left.values(columns), self.right.values(columns)
        match self.operator:
            case "<":
                return a < b, a >= b
            case "<=":
                return a <= b, a > b
            case ">":
                return a > b, a <= b
            case ">=":
                return a >= b, a < b
        equal, differ = a == b, (a < b) | (a > b)
        return (equal, differ) if self.operator == "==" else (differ, equal)

    def may(self, box: Box, truth: bool) -> bool:
        (a, b), (c, d) = self.left.span(box), self.right.span(box)
        match self.operator:
            case "<":
                return a < d if truth else b >= c
            case "<=":
                return a <= d if truth else b > c
            case ">":
                return b > c if truth else a <= d
            case ">=":
                return b >= c if truth else a < d
        if (self.operator == "==") == truth:
            return a <= d and c <= b
        return a < d or c < b

    def children(self) -> tuple[Node, ...]:
        return self.left, self.right


@dataclass(frozen=True, slots=True)
class And:
    parts: tuple[Condition, ...]

    def truth(self, columns: Columns) -> Truth:
        true, false = self.parts[0].truth(columns)
        for part in self.parts[1:]:
            t, f = part.truth(columns)
            true, false = true & t, false | f
        return true, false

    def may(self, box: Box, truth: bool) -> bool:
        for part in self.parts:  # a plain loop: this runs for every rule of every upload
            if part.may(box, truth) is not truth:
                return not truth
        return truth

    def children(self) -> tuple[Node, ...]:
        return self.parts


@dataclass(frozen=True, slots=True)
class Or:
    parts: tuple[Condition, ...]

    def truth(self, columns: Columns) -> Truth:
        true, false = self.parts[0].truth(columns)
        for part in self.parts[1:]:
            t, f = part.truth(columns)
            true, false = true | t, false & f
        return true, false

    def may(self, box: Box, truth: bool) -> bool:
        for part in self.parts:
            if part.may(box, truth) is truth:
                return truth
        return not truth

    def children(self) -> tuple[Node, ...]:
        return self.parts


@dataclass(frozen=True, slots=True)
class Not:
    inner: Condition

    def truth(self, columns: Columns) -> Truth:
        true, false = self.inner.truth(columns)
        return false, true

    def may(self, box: Box, truth: bool) -> bool:
        return self.inner.may(box, not truth)

    def children(self) -> tuple[Node, ...]:
        return (self.inner,)


@dataclass(frozen=True, slots=True)
class Code:
    """A trouble code or a lamp as some ECU reports it right now, see rules.code_calls.

    True while the newest report of any one ECU says so. An ECU that never did says nothing;
    one that did and then fell silent makes it unknown, never false.
    """

    text: str
    codes: frozenset[str]  # exact codes; empty = see the next two
    spn: str = ""  # "110/" or "P": how a code begins
    ends: tuple[str, ...] = ()  # "/0": how it ends
    scopes: frozenset[str] = ACTIVE_SCOPES
    least: int = 0  # occurrences
    lamp: str = ""
    lit: frozenset[str] = frozenset()

    def says(self, report: CodeReport) -> bool:
        """Whether a report makes it true."""
        if report.scope not in self.scopes:
            return False
        if self.lamp:
            return report.lamps is not None and getattr(report.lamps, self.lamp) in self.lit
        return any(map(self.names, report.codes))

    def names(self, found: Dtc) -> bool:
        """Whether it is about this code."""
        if found.code == NO_FAULT or (found.occurrence_count or 0) < self.least:
            return False
        if self.codes:
            mode = found.failure_type
            full = "" if mode is None else f"{found.code}-{mode:02X}"
            return found.code in self.codes or full in self.codes
        return found.code.startswith(self.spn) and (not self.ends or found.code.endswith(self.ends))

    def truth(self, columns: Columns) -> Truth:
        return columns.code(self)

    def may(self, box: Box, truth: bool) -> bool:
        return box.may_name(self) if truth else True

    def children(self) -> tuple[Node, ...]:
        return ()


@dataclass(frozen=True, slots=True)
class Ecus:
    """How many ECUs report a code right now; unknown when one that did fell silent."""

    code: Code

    def values(self, columns: Columns) -> Floats:
        return columns.ecus(self.code)

    def span(self, box: Box) -> Span:
        return (0.0, math.inf) if box.may_name(self.code) else (0.0, 0.0)

    def children(self) -> tuple[Node, ...]:
        return (self.code,)


@dataclass(frozen=True, slots=True)
class Absent:
    """No good sample of a signal (or, for `any`, nothing at all) for this long; unknown before
    the first."""

    signal: int
    silence_ns: int

    def truth(self, columns: Columns) -> Truth:
        return columns.absent(self.signal, self.silence_ns)

    def may(self, box: Box, truth: bool) -> bool:
        return box.may_be_silent(self.signal, self.silence_ns) if truth else True

    def children(self) -> tuple[Node, ...]:
        return ()


@dataclass(frozen=True, slots=True)
class Count:
    """`count(condition, 1d, every=10s) >= 5`.

    Counts samples of the condition's first signal at which it is true, at most one per stretch of
    `every_ns`, so that a fast bus counts like a slow one.
    """

    text: str
    inner: Condition
    first: int
    window_ns: int
    every_ns: int
    least: int

    def truth(self, columns: Columns) -> Truth:
        return columns.enough(self)

    def may(self, box: Box, truth: bool) -> bool:
        return not truth or box.counted(self) >= self.least or self.inner.may(box, True)

    def children(self) -> tuple[Node, ...]:
        return (self.inner,)
