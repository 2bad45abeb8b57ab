"""Windows cut into cells: what a cell remembers, how cells add up, and what they come to. Pure.

A cell is a tuple of whole numbers, a window's memory is cells by number: tenths since 1970 of a
window of time, or starts of trips or sessions. `rate` keeps times in ms.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rules.nodes import Floats
from rules.windows import Window

Ints = NDArray[np.int64]
Cell = tuple[int, ...]
#: What a window remembers below the point to which it was folded. Two places are not cells: what a
#: window over a condition carries along, and a moment before which samples are in already.
Cells = dict[int, Cell]
CARRY, SKIP = -1, -2
#: A moment that belongs to no cell.
NOWHERE = -(2**62)
_SIX, _THREE = 1e6, 1e3
_MS = 10**6


@dataclass(frozen=True, slots=True)
class Kind:
    """How rows of samples become cells, and cells a value. `ops`: one a column."""

    ops: tuple[str, ...]
    rows: Callable[[Ints, Floats, Window], list[Ints]]
    final: Callable[[Ints, Window], NDArray[np.floating[Any]]]


def _fixed(values: Floats, scale: float) -> Ints:
    return np.rint(values * scale).astype(np.int64)


def _ones(times: Ints) -> Ints:
    return np.ones(len(times), np.int64)


#: Kinds whose cells add up to one cell. `rate` and `percentile` look at each cell, see `_spread`.
KINDS: dict[str, Kind] = {
    "avg": Kind(
        ("sum", "sum"),
        lambda t, v, w: [_ones(t), _fixed(v, _SIX)],
        lambda total, w: total[:, 1] / (total[:, 0] * _SIX),
    ),
    "rms": Kind(
        ("sum", "sum"),
        lambda t, v, w: [_ones(t), _fixed(v, _THREE) ** 2],
        lambda total, w: np.sqrt(total[:, 1] / total[:, 0]) / _THREE,
    ),
    "min": Kind(("min",), lambda t, v, w: [_fixed(v, _SIX)], lambda total, w: total[:, 0] / _SIX),
    "max": Kind(("max",), lambda t, v, w: [_fixed(v, _SIX)], lambda total, w: total[:, 0] / _SIX),
    "range": Kind(
        ("min", "max"),
        lambda t, v, w: [_fixed(v, _SIX), _fixed(v, _SIX)],
        lambda total, w: (total[:, 1] - total[:, 0]) / _SIX,
    ),
    "delta": Kind(
        ("first", "last"),
        lambda t, v, w: [_fixed(v, _SIX), _fixed(v, _SIX)],
        lambda total, w: (total[:, 1] - total[:, 0]) / _SIX,
    ),
    "rate": Kind(
        ("last", "last"),
        lambda t, v, w: [t // _MS, _fixed(v, _SIX)],
        lambda total, w: total[:, 0] * np.nan,
    ),
    "percentile": Kind(
        ("last",), lambda t, v, w: [_fixed(v, _SIX)], lambda total, w: total[:, 0] / _SIX
    ),
    "onsets": Kind(
        ("sum",), lambda t, v, w: [v.astype(np.int64)], lambda total, w: total[:, 0] * 1.0
    ),
    "cycles": Kind(
        ("max",), lambda t, v, w: [v.astype(np.int64)], lambda total, w: total[:, 0] * 1.0
    ),
}


def running(kind: Kind, rows: Ints, cells: Ints) -> Ints:
    """Each row with all rows before it in its cell. Rows are in order of time."""
    out = rows.copy()
    edges = np.flatnonzero(np.diff(cells)) + 1
    bounds = [0, *edges.tolist(), len(cells)]
    for start, stop in pairwise(bounds):
        for column, op in enumerate(kind.ops):
            part = rows[start:stop, column]
            match op:
                case "sum":
                    out[start:stop, column] = np.cumsum(part)
                case "min":
                    out[start:stop, column] = np.minimum.accumulate(part)
                case "max":
                    out[start:stop, column] = np.maximum.accumulate(part)
                case "first" if len(part):
                    out[start:stop, column] = part[0]
    return out


def whole_cells(kind: Kind, rows: Ints, cells: Ints) -> list[tuple[int, Cell]]:
    """Rows in order of time as complete cells."""
    if not len(rows):
        return []
    first = np.flatnonzero(np.append(True, np.diff(cells) != 0))
    last = np.append(first[1:], len(cells)) - 1
    columns = []
    for column, op in enumerate(kind.ops):
        values = rows[:, column]
        match op:
            case "sum":
                columns.append(np.add.reduceat(values, first))
            case "min":
                columns.append(np.minimum.reduceat(values, first))
            case "max":
                columns.append(np.maximum.reduceat(values, first))
            case "first":
                columns.append(values[first])
            case _:
                columns.append(values[last])
    found = zip(*(column.tolist() for column in columns), strict=True)
    return list(zip(cells[first].tolist(), found, strict=True))


def join(kind: Kind, older: Cell, newer: Ints) -> Ints:
    """A cell followed by rows of running cells."""
    out = newer.copy()
    for column, op in enumerate(kind.ops):
        match op:
            case "sum":
                out[:, column] += older[column]
            case "min":
                out[:, column] = np.minimum(newer[:, column], older[column])
            case "max":
                out[:, column] = np.maximum(newer[:, column], older[column])
            case "first":
                out[:, column] = older[column]
    return out


def with_rows(kind: Kind, cells: Mapping[int, Cell], acc: Ints, places: Ints) -> Cells:
    """Remembered cells and the running rows after them, every cell complete."""
    out = dict(cells)
    if not len(places):
        return out
    for row in np.flatnonzero(np.append(np.diff(places) != 0, True)).tolist():
        place = int(places[row])
        fresh = acc[row : row + 1]
        before = out.get(place)
        total = fresh if before is None else join(kind, before, fresh)
        out[place] = tuple(total[0].tolist())
    return out


def before(window: Window, cells: Mapping[int, Cell], place: int) -> list[tuple[int, Cell]]:
    """Cells of the window that ends in `place`, without that one, oldest first."""
    older = sorted(c for c in cells if 0 <= c < place)
    if window.segment is not None:
        count = window.cells - 1
        return [(c, cells[c]) for c in older[-count:]] if count else []
    return [(c, cells[c]) for c in older if c > place - window.cells]


def worth(window: Window, kind: Kind, older: list[tuple[int, Cell]], now: Ints) -> Floats:
    """Values of windows with the same older cells and different newest ones (rows of `now`)."""
    match window.kind:
        case "rate":
            return _slope(window, older, now)
        case "percentile":
            return _percentile(window, older, now)
        case "cycles":
            return np.asarray(now[:, 0] + sum(cell[0] for _, cell in older), np.float64)
    total = now
    for _, cell in reversed(older):
        total = join(kind, cell, total)
    return np.asarray(kind.final(total, window), np.float64)


def worth_of_past(window: Window, kind: Kind, cells: list[tuple[int, Cell]]) -> float:
    """Value of a window into whose running cell nothing has come."""
    if len(cells) < window.least or not cells:
        return 0.0 if window.kind in ("onsets", "cycles") else np.nan
    return float(worth(window, kind, cells[:-1], np.array([cells[-1][1]], np.int64))[0])


def _slope(window: Window, older: list[tuple[int, Cell]], now: Ints) -> Floats:
    """Least squares through the last sample of each cell, per second; unknown below three."""
    if len(older) < 2:
        return np.full(len(now), np.nan)
    first_ms, first = older[0][1]
    times = [(cell[0] - first_ms) / 1e3 for _, cell in older]
    values = [(cell[1] - first) / _SIX for _, cell in older]
    t, v = (now[:, 0] - first_ms) / 1e3, (now[:, 1] - first) / _SIX
    n, sum_t, sum_v = len(older) + 1, sum(times) + t, sum(values) + v
    sum_tt = sum(one * one for one in times) + t * t
    sum_tv = sum(one * other for one, other in zip(times, values, strict=True)) + t * v
    return np.asarray((n * sum_tv - sum_t * sum_v) / (n * sum_tt - sum_t * sum_t), np.float64)


def _percentile(window: Window, older: list[tuple[int, Cell]], now: Ints) -> Floats:
    """Nearest rank over the last sample of each cell."""
    known = np.array(sorted(cell[0] for _, cell in older), np.int64)
    rank = max(0, -int(-window.percent * (len(known) + 1) // 100) - 1)
    out = np.empty(len(now))
    for i, value in enumerate(now[:, 0].tolist()):
        place = int(np.searchsorted(known, value))
        picked = known[rank] if rank < place else value if rank == place else known[rank - 1]
        out[i] = picked / _SIX
    return out
