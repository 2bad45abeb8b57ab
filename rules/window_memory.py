"""What windows remember of a vehicle, the newest samples and codes, and the JSON form of windows.

They have a checkpoint of their own, which lags behind the watermark: folding costs more than
deciding that nothing can fire, so it is done once for many uploads. After a restart the samples
since then are read back from the archive, as those above the watermark are.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from operator import is_not

import numpy as np

from rules.expression import universe
from rules.nodes import Floats, Span
from rules.samples import Chunk, Holds, Named
from rules.window_cells import CARRY, SKIP, Cells
from rules.window_spans import remembered
from rules.windows import Window

#: How far the watermark runs ahead before windows are folded. Ours: half of what an upload costs
#: would be folding once a minute; the samples kept are five times those above the watermark.
FOLD_NS = 120 * 10**9
#: At the start of a run through history: what is true there became true before it, if ever.
_ASSUMED = 3
_BEGUN: Cells = {CARRY: (_ASSUMED,)}


@dataclass(frozen=True, slots=True, eq=False)
class Ledger:
    """Memory of all windows at `folded_ns`, with the samples in force and codes named then."""

    folded_ns: int = 0
    held: Holds = field(default_factory=dict)
    named: Named = field(default_factory=dict)
    cells: dict[str, Cells] = field(default_factory=dict)
    #: Bounds of each window's memory, found once.
    _spans: dict[str, Span] = field(default_factory=dict, repr=False)
    _seen: list[tuple[tuple[Chunk, ...], Floats, Floats]] = field(default_factory=list, repr=False)

    def span(self, window: Window) -> Span:
        """Smallest and largest number in the memory of a window."""
        found = self._spans.get(window.key)
        if found is None:
            found = self._spans[window.key] = remembered(window, self.cells.get(window.key, {}))
        return found

    def bounds(self, chunks: Sequence[Chunk]) -> tuple[Floats, Floats]:
        """Smallest and largest value of each signal, NaN of none, held or in chunks.

        Uploads are added one by one, so what was found for those before is used again.
        """
        seen, lo, hi = self._seen[-1] if self._seen else ((), *self._held_bounds())
        if len(seen) > len(chunks) or any(map(is_not, seen, chunks)):
            seen, (lo, hi) = (), self._held_bounds()
        for chunk in chunks[len(seen) :]:
            lo, hi = np.fmin(lo, chunk.lo), np.fmax(hi, chunk.hi)
        self._seen[:] = [(tuple(chunks), lo, hi)]
        return lo.copy(), hi.copy()

    def _held_bounds(self) -> tuple[Floats, Floats]:
        lo, hi = np.full((2, len(universe())), np.nan)
        for (signal, _), row in self.held.items():
            lo[signal] = np.fmin(lo[signal], row.value)
            hi[signal] = np.fmax(hi[signal], row.value)
        return lo, hi


def cells_to_memory(cells: Cells) -> list[list[int]]:
    """Width, then rows of place and cell, each the difference to the one before, in one list;
    after it what is carried along."""
    places = sorted(place for place in cells if place >= 0)
    flat: list[int] = []
    last: list[int] = []
    for place in places:
        row = [place, *cells[place]]
        flat += [a - b for a, b in zip(row, last or [0] * len(row), strict=True)]
        last = row
    extra = [[place, *cells[place]] for place in (CARRY, SKIP) if place in cells]
    return [[len(last), *flat], *extra] if flat else extra


def cells_from_memory(rows: Iterable[list[int]]) -> Cells:
    """Undo `cells_to_memory`."""
    cells: Cells = {}
    for row in rows:
        if row[0] < 0:
            cells[row[0]] = tuple(row[1:])
            continue
        width, last = row[0], [0] * row[0]
        for start in range(1, len(row), width):
            last = [a + b for a, b in zip(row[start : start + width], last, strict=True)]
            cells[last[0]] = tuple(last[1:])
    return cells


def begun_before(windows: Iterable[Window], ledger: Ledger, late_ns: int) -> list[int]:
    """Where the remembered cells begin that samples of a moment belong to, one a window, and before
    that what held then. A run through history that starts there leaves no sample out.
    """
    begun = []
    for window in windows:
        places = [
            place
            for key, cells in ledger.cells.items()
            if key.partition("/")[0] == window.key
            for place in cells
            if place >= 0
        ]
        gap_ns = 2 * window.inputs.max_gap_ns
        if window.segment is not None:
            begun.append(max((p for p in places if p <= late_ns), default=late_ns) - gap_ns)
        elif window.cell_ns and late_ns // window.cell_ns in places:
            begun.append(late_ns // window.cell_ns * window.cell_ns - gap_ns)
    return begun


def trips_known_from(windows: Iterable[Window], ledger: Ledger, start_ns: int) -> int:
    """From where a run through history knows each trip from its beginning; 0 = all along.

    Of trips before the last one only those are known that a window remembers.
    """
    known_ns = 0
    for window in windows:
        name = window.segment.name if window.segment is not None else ""
        found = ledger.cells.get(name, {}).get(CARRY)
        if found is not None and found[0] >= start_ns:
            kept = (c for k, c in ledger.cells.items() if k.partition("/")[0] == window.key)
            places = [place for cells in kept for place in cells if place >= start_ns]
            known_ns = max(known_ns, min([found[0], *places]))
    return known_ns


def ledger_at(windows: Iterable[Window], ledger: Ledger, start_ns: int) -> Ledger:
    """Memory for a run through history that starts before the fold.

    Cells that were complete by then are kept. One that was not is kept with all that is in it, and
    late samples that belong there are left out: its samples are not stored one by one.
    """
    if start_ns >= ledger.folded_ns:
        return ledger
    after: dict[str, Cells] = {}
    for window in windows:
        next_ns = ledger.folded_ns
        if window.segment is not None:
            name = window.segment.name
            found = ledger.cells.get(name, {}).get(CARRY)
            if found is not None and found[0] < start_ns:
                over = found[2] if found[1] < start_ns else 0
                after[name] = {CARRY: (found[0], min(found[1], start_ns), over)}
            elif found is not None:
                next_ns = min(next_ns, found[0])
        if window.kind == "onsets":
            after[window.key] = dict(_BEGUN)
        for key, cells in ledger.cells.items():
            if key.partition("/")[0] == window.key:
                kept = _cells_at(window, cells, start_ns, next_ns)
                if kept:
                    after[key] = kept
    return Ledger(start_ns, cells=after)


def known_again(windows: Iterable[Window], ledger: Ledger, live: Ledger) -> Ledger:
    """After a run through history: what nothing was heard of in it is as it was before it."""
    keys = {window.key for window in windows if window.kind == "onsets"}
    cells = dict(ledger.cells)
    for key, kept in ledger.cells.items():
        if kept.get(CARRY) != (_ASSUMED,) or key.partition("/")[0] not in keys:
            continue
        before = live.cells.get(key, {}).get(CARRY)
        cells[key] = {place: cell for place, cell in kept.items() if place != CARRY}
        if before is not None:
            cells[key][CARRY] = before
        if not cells[key]:
            del cells[key]
    return replace(ledger, cells=cells)


def _cells_at(window: Window, cells: Cells, start_ns: int, next_ns: int) -> Cells:
    """Cells of before the start. `next_ns`: where the next trip begins at the latest, or the fold
    is: a trip that is not over at the start ends before it."""
    if CARRY in cells and window.kind != "onsets":
        old = window.kind == "samples" or cells[CARRY][0] < start_ns
        return {CARRY: cells[CARRY]} if old else {}
    size = 1 if window.segment is not None else window.cell_ns
    kept = {place: cell for place, cell in cells.items() if 0 <= place * size < start_ns}
    if kept:
        following = [place for place in cells if place >= start_ns]
        trip_ns = min([next_ns, *following])
        end_ns = trip_ns if window.segment is not None else (max(kept) + 1) * size
        if end_ns > start_ns:
            kept[SKIP] = (min(end_ns, next_ns),)
    if window.kind == "onsets":
        kept |= _BEGUN
    return kept
