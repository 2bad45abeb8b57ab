"""What a window could be at all, from its memory and the bounds of what came since."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from functools import cache
from typing import cast

import numpy as np

from rules.nodes import UNKNOWN_SPAN, Box, Condition, Floats, Number, Span
from rules.window_cells import CARRY, Cells
from rules.windows import NUMBERS, Window

_SIX, _THREE = 1e6, 1e3
#: Memory keeps six decimals (rms: three); bounds are a little wider than that.
_SLACK = 1e-3


def span_of(window: Window, kept: Sequence[Cells], box: Box) -> Span:
    """Smallest and largest value anywhere in sight; NaN = it cannot be known."""
    if window.inner is None:
        return 0.0, 1.0 if window.kind == "over" else math.inf
    if window.kind in NUMBERS:
        now = cast(Number, window.inner).span(box)
        return number_span(window, [remembered(window, cells) for cells in kept], now)
    may = cast(Condition, window.inner).may(box, True)
    match window.kind:
        case "since":
            return 0.0, math.inf
        case "held":
            return 0.0, 1.0 if may else 0.0
        case "samples":
            known = max(
                (cells[CARRY][0].bit_count() for cells in kept if CARRY in cells), default=0
            )
            return 0.0, float(window.length if may else known)
    total = max((_sum(cells) for cells in kept), default=0)
    match window.kind:
        case "duration":
            return 0.0, math.inf if may else total / 1e9
        case "share" if window.segment is None:
            return 0.0, 1.0 if may else min(1.0, total / window.length)
        case "share":
            return 0.0, 1.0 if may or total else 0.0
        case "cycles":
            return 0.0, float(min(window.length, total + (math.inf if may else 0)))
    return 0.0, math.inf if may else float(total)


@cache
def _steepness(count: int) -> float:
    """Slope per cell that values one apart can have at most, with so many samples in cells of
    their own: they lie closest together in pairs at the edges of cells."""
    places = [i // 2 for i in range(count)]
    mean = sum(places) / count
    return sum(abs(p - mean) for p in places) / sum((p - mean) ** 2 for p in places) / 2


def _sum(cells: Cells) -> int:
    return sum(cell[0] for place, cell in cells.items() if place >= 0)


def remembered(window: Window, cells: Cells) -> Span:
    """Smallest and largest number that cells remember; (inf, -inf) of none."""
    known: list[float] = []
    for place, cell in cells.items():
        if place < 0:
            continue
        match window.kind:
            case "avg":
                known.append(cell[1] / (cell[0] * _SIX))
            case "rms":
                root = math.sqrt(cell[1] / cell[0]) / _THREE
                known += [-root, root]
            case "delta" | "range":
                known += [cell[0] / _SIX, cell[1] / _SIX]
            case "rate":
                known.append(cell[1] / _SIX)
            case _:
                known.append(cell[0] / _SIX)
    return min(known, default=math.inf), max(known, default=-math.inf)


def number_span(window: Window, kept: Iterable[Span], now: Span) -> Span:
    """What a window of numbers could be: `kept` is in its memory, `now` what came since."""
    lo, hi = now
    if math.isnan(lo):
        return UNKNOWN_SPAN
    for low, high in kept:
        lo, hi = min(lo, low), max(hi, high)
    if window.kind == "range" and lo == hi:
        return 0.0, 0.0
    # Memory is rounded to whole numbers.
    lo, hi = lo - _SLACK, hi + _SLACK
    match window.kind:
        case "rms":
            return 0.0, max(abs(lo), abs(hi))
        case "range":
            return 0.0, hi - lo
        case "delta":
            return lo - hi, hi - lo
        case "rate":
            steepest = 1.5 * _steepness(max(3, window.least)) * (hi - lo)
            return -steepest / (window.cell_ns / 1e9), steepest / (window.cell_ns / 1e9)
    return lo, hi


def delta_span(cells: Cells, values: Floats) -> Span:
    """What the difference of a newer and an older number could be, of memory and then `values`."""
    places = sorted(place for place in cells if place >= 0)
    kept = [value / _SIX for place in places for value in cells[place]]
    every = np.concatenate([np.array(kept), values])
    if not len(every):
        return UNKNOWN_SPAN
    fall = float((every - np.maximum.accumulate(every)).min())
    rise = float((every - np.minimum.accumulate(every)).max())
    return fall - _SLACK, rise + _SLACK
