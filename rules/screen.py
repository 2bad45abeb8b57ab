"""Which idle rules could become true at all, for all rules of a vehicle at once.

Every level is written as alternatives of comparisons that must all be possible; a comparison of a
signal with a fixed number is judged by the largest or smallest value in sight, in one array
operation for all rules. What is more than that counts as possible here; `Bounds` looks at it then.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, cast

import numpy as np
from numpy.typing import NDArray

from rules.nodes import (
    Absent,
    Absolute,
    And,
    Arithmetic,
    Box,
    Code,
    Compare,
    Condition,
    Constant,
    Not,
    Number,
    Or,
    Signal,
    walk_nodes,
)
from rules.windows import NUMBERS, Window

#: Alternatives of one level; a level with more of them is always looked at.
MOST_ALTERNATIVES = 32
#: (slot, sign, limit, strict): sign * bound > limit, or >= unless strict.
Leaf = tuple[int, float, float, bool]
_FLIPPED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "==", "!=": "!="}
_NEGATED = {"<": ">=", "<=": ">", ">": "<=", ">=": "<", "==": "!=", "!=": "=="}


class Levels(Protocol):
    """What a screen needs of a rule instance."""

    @property
    def levels(self) -> Sequence[Screened]: ...


class Screened(Protocol):
    """One level."""

    @property
    def node(self) -> Condition: ...


@dataclass(frozen=True, slots=True, eq=False)
class Screen:
    """Compiled for one plan. Slots: each signal, then whether any code is named, the longest
    silence of the vehicle in ns, and each of `windows`."""

    slot: NDArray[np.intp]
    sign: NDArray[np.float64]
    limit: NDArray[np.float64]
    strict: NDArray[np.bool_]
    #: First leaf of each alternative, first alternative of each instance.
    alternative: NDArray[np.intp]
    instance: NDArray[np.intp]
    #: Windows judged here, with their signal (of `elapsed`: 0).
    windows: tuple[tuple[Window, int], ...]

    def possible(self, lo: NDArray[np.float64], hi: NDArray[np.float64]) -> list[int]:
        """Places of the instances that could fire, from the bounds of every slot."""
        if not len(self.instance):
            return []
        # What is unknown is NaN, and no comparison with it holds.
        bound = np.where(self.sign > 0, hi[self.slot], -lo[self.slot])
        passed = np.where(self.strict, bound > self.limit, bound >= self.limit)
        both = np.logical_and.reduceat(passed, self.alternative)
        return [*np.flatnonzero(np.logical_or.reduceat(both, self.instance)).tolist()]


def screen_of(instances: Sequence[Levels], signals: int) -> Screen:
    """Compile the screen of a plan; `signals` is the size of the universe."""
    compiler = _Compiler(signals)
    leaves: list[Leaf] = []
    alternatives: list[int] = []
    firsts: list[int] = []
    for instance in instances:
        firsts.append(len(alternatives))
        for level in instance.levels:
            for way in compiler.ways(level.node, truth=True):
                alternatives.append(len(leaves))
                # Something that always holds, so that no alternative is empty.
                leaves += [*way, (signals, 1.0, 0.0, False)]
    slot, sign, limit, strict = zip(*leaves, strict=True) if leaves else ((), (), (), ())
    return Screen(
        np.array(slot, np.intp),
        np.array(sign, np.float64),
        np.array(limit, np.float64),
        np.array(strict, np.bool_),
        np.array(alternatives, np.intp),
        np.array(firsts, np.intp),
        tuple(compiler.windows.items()),
    )


def is_plain(window: Window) -> bool:
    """Whether it is over numbers of one signal, all its sources together."""
    apart = window.inputs.by_source is not None
    return window.kind in NUMBERS and isinstance(window.inner, Signal) and not apart


#: Ways in which a condition may have a truth, each a list of what must be possible.
Ways = list[list[Leaf]]
_ALWAYS: Ways = [[]]


class _Compiler:
    def __init__(self, signals: int) -> None:
        self._named, self._silence, self._first = signals, signals + 1, signals + 2
        self.windows: dict[Window, int] = {}

    def ways(self, node: Condition, *, truth: bool) -> Ways:
        match node:
            case Not(inner=inner):
                return self.ways(inner, truth=not truth)
            case And(parts=parts) | Or(parts=parts):
                found = [self.ways(part, truth=truth) for part in parts]
                if isinstance(node, Or) == truth:
                    return _any(found)
                return _all(found)
            case Signal(index=index):
                return [[(index, 1.0, 1.0, False) if truth else (index, -1.0, 0.0, False)]]
            case Code() if truth:
                return [[(self._named, 1.0, 1.0, False)]]
            case Absent(signal=0, silence_ns=silence_ns) if truth:
                return [[(self._silence, 1.0, float(silence_ns), False)]]
            case Compare(operator=operator, left=left, right=right):
                if _fixed(left) is not None:
                    left, right, operator = right, left, _FLIPPED[operator]
                limit = _fixed(right)
                if limit is not None:
                    return self._against(operator if truth else _NEGATED[operator], left, limit)
        return _ALWAYS

    def _against(self, operator: str, number: Number, limit: float) -> Ways:
        """A number compared with a fixed one."""
        match number:
            case Arithmetic(operator="min" | "max" as chosen, left=left, right=right):
                if operator in ("==", "!="):
                    return _ALWAYS
                found = [self._against(operator, side, limit) for side in (left, right)]
                # The smaller one is small if either is, and large only if both are.
                either = (chosen == "min") == (operator in ("<", "<="))
                return _any(found) if either else _all(found)
            case Absolute(inner=inner) if operator not in ("==", "!="):
                found = [
                    self._against(operator, inner, limit),
                    self._against(_FLIPPED[operator], inner, -limit),
                ]
                return _any(found) if operator in (">", ">=") else _all(found)
            case Signal(index=slot):
                return _compared(operator, slot, limit)
            case Window() if is_plain(number) or number.kind == "elapsed":
                signal = number.inner.index if isinstance(number.inner, Signal) else 0
                self.windows[number] = signal
                place = [*self.windows].index(number)
                return _compared(operator, self._first + place, limit)
        return _ALWAYS


def _any(found: list[Ways]) -> Ways:
    return [way for ways in found for way in ways]


def _all(found: list[Ways]) -> Ways:
    every: Ways = [[]]
    for ways in found:
        if len(every) * len(ways) <= MOST_ALTERNATIVES:
            every = [[*one, *other] for one in every for other in ways]
    return every


def _compared(operator: str, slot: int, limit: float) -> Ways:
    above, below = (slot, 1.0, limit), (slot, -1.0, -limit)
    match operator:
        case "<":
            return [[(*below, True)]]
        case "<=":
            return [[(*below, False)]]
        case ">":
            return [[(*above, True)]]
        case ">=":
            return [[(*above, False)]]
        case "==":
            return [[(*above, False), (*below, False)]]
    return [[(*above, True)], [(*below, True)]]


def _fixed(node: Number) -> float | None:
    """The value of a number without signals."""
    if all(isinstance(below, Constant | Arithmetic) for below in walk_nodes(node)):
        lo, hi = node.span(cast(Box, None))
        return lo if lo == hi else None
    return None
