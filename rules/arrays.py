"""Functions over arrays (cell voltages, probe temperatures) as signals of their own.

    spread(a)  lowest(a)  highest(a)  median(a)  total(a)    in the unit of the array
    argmax(a)  argmin(a)                                     number of the element, from 1

"At the same time" means within one stretch of 5 s, counted from 1970: of each element the last
sample there is taken, and the result holds from the end of the stretch on. It is unknown if any
element of the profile has no good sample in it. Array samples stand in a chunk as runs of the array
with the element's number as source.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.catalogue import catalogue
from rules.nodes import Floats

Times = NDArray[np.int64]
#: Ours: vehicles send their cells in pages; this is room for slow ones.
STRETCH_NS = 5 * 10**9
Matrix = NDArray[np.float64]
FUNCTIONS: dict[str, Callable[[Matrix], Floats]] = {
    "spread": lambda m: m.max(1) - m.min(1),
    "lowest": lambda m: m.min(1),
    "highest": lambda m: m.max(1),
    "median": lambda m: np.median(m, 1),
    "total": lambda m: np.array([float(row.sum()) for row in m]),
    "argmax": lambda m: m.argmax(1) + 1.0,
    "argmin": lambda m: m.argmin(1) + 1.0,
}


@dataclass(frozen=True, slots=True)
class Derived:
    """One function of one array."""

    array: str
    function: str

    @property
    def name(self) -> str:
        return f"{self.function}({self.array})"

    @property
    def unit(self) -> str:
        """As in the catalogue; an element's number has none."""
        return "" if self.function.startswith("arg") else catalogue()[self.array].unit

    def span(self, lo: float, hi: float, width: int) -> tuple[float, float]:
        """Bounds from those of all elements; with memory's rounding left to the caller."""
        match self.function:
            case "spread":
                return 0.0, hi - lo
            case "total":
                return min(lo * width, lo), max(hi * width, hi)
            case "argmax" | "argmin":
                return 1.0, float(width)
        return lo, hi


def derived_signals() -> list[Derived]:
    """Every function of every array of the catalogue."""
    arrays = [name for name, signal in catalogue().items() if signal.elements]
    return [Derived(array, function) for array in arrays for function in FUNCTIONS]


def derive(
    derived: Derived, runs: Iterable[tuple[int, Times, Floats]], width: int
) -> tuple[Times, Floats]:
    """Times and values from runs of (element, times, values); NaN where one is missing."""
    listed = list(runs)
    if not listed:
        return np.zeros(0, np.int64), np.zeros(0)
    element = np.concatenate([np.full(len(t), e, np.int64) for e, t, _ in listed])
    times = np.concatenate([t for _, t, _ in listed])
    values = np.concatenate([v for _, _, v in listed])
    stretch = times // STRETCH_NS
    order = np.lexsort((values, times, element, stretch))
    stretch, element, values = stretch[order], element[order], values[order]
    last = np.append((np.diff(stretch) != 0) | (np.diff(element) != 0), True)
    rows, place = np.unique(stretch[last], return_inverse=True)
    matrix = np.full((len(rows), max(width, int(element.max()))), np.nan)
    matrix[place, element[last] - 1] = values[last]
    whole = ~np.isnan(matrix).any(1)
    out = np.full(len(rows), np.nan)
    if whole.any():
        out[whole] = FUNCTIONS[derived.function](matrix[whole])
    return (rows + 1) * STRETCH_NS, out
