"""Windows computed along the points of a rule, and folded into memory when time has passed.

Made once per upload; what one rule computed another one reads.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import cast

import numpy as np

from rules.nodes import Bools, Box, Condition, Floats, Number, Signal
from rules.samples import Chunk, Times
from rules.state import NO_RUN, Track
from rules.timeline import Sight, Timeline
from rules.window_cells import (
    CARRY,
    KINDS,
    NOWHERE,
    SKIP,
    Cell,
    Cells,
    Ints,
    before,
    join,
    running,
    whole_cells,
    with_rows,
    worth,
    worth_of_past,
)
from rules.window_feed import Feed, SegmentView, feed_of, last_known, onsets, trace
from rules.window_memory import Ledger
from rules.windows import NUMBERS, Segment, Window

_NS = 1e9
#: Times of the rows of a window, running cells, places, and all cells when complete.
Rows = tuple[Times, Ints, Ints, Cells]


def key_of(window: Window, source: int | None) -> str:
    """Name of a window in memory; a source of its own where the rule tells sources apart."""
    signal = window.inputs.by_source
    apart = signal is not None and signal in window.inputs.signals
    return f"{window.key}/{source}" if apart else window.key


class Views:
    """All windows of one vehicle from the last fold to the frontier."""

    def __init__(self, ledger: Ledger, chunks: Sequence[Chunk], frontier_ns: int) -> None:
        self._ledger = ledger
        folded_ns = ledger.folded_ns
        self.sight = Sight(chunks, ledger.held, ledger.named, folded_ns, folded_ns, frontier_ns)
        self._feeds: dict[str, Feed] = {}
        self._segments: dict[str, SegmentView] = {}
        self._rows: dict[str, Rows] = {}

    # -- what rules read ------------------------------------------------------------------------

    def column(
        self, window: Window, source: int | None, points: Times, now: Floats | None = None
    ) -> Floats:
        """Value at each point, NaN = unknown. `now`: where the argument is a signal, its values."""
        if window.kind in ("elapsed", "over"):
            return self._of_segment(window, points)
        key = key_of(window, source)
        if now is not None and window.kind in NUMBERS:
            value = self._cells(window, self._rows_of_signal(window, source, key), key, points)
            return np.where(np.isnan(now), np.nan, value)
        feed = self._feed(window, source)
        match window.kind:
            case "duration" | "share":
                value = self._duration(window, feed, key, points)
            case "held":
                value = self._held(window, feed, key, points)
            case "since":
                return self._since(feed, key, points)
            case "samples":
                value = self._samples(window, feed, key, points)
            case _:
                value = self._cells(window, self._kept(window, feed, key), key, points)
        return np.where(feed.known(points), value, np.nan)

    def segment(self, segment: Segment) -> SegmentView:
        """A trip or session along its own points."""
        found = self._segments.get(segment.name)
        if found is None:
            line = Timeline(segment.inputs, self.sight, None, ())
            truth = segment.condition.truth(line)
            true, false = (np.broadcast_to(t, len(line.points)) for t in truth)
            carry = self._memory(segment.name).get(CARRY)
            found = trace(segment, line.points, (true, false), carry)
            self._segments[segment.name] = found
        return found

    # -- the argument ---------------------------------------------------------------------------

    def _memory(self, key: str) -> Cells:
        return self._ledger.cells.get(key, {})

    def _feed(self, window: Window, source: int | None) -> Feed:
        key = key_of(window, source)
        found = self._feeds.get(key)
        if found is None:
            found = self._feeds[key] = self._read(window, source)
        return found

    def _read(self, window: Window, source: int | None) -> Feed:
        first_ns = self.sight.from_ns - 1
        line = Timeline(window.inputs, self.sight, source, (), first_ns=first_ns)
        if window.segment is not None:
            line.add(self.segment(window.segment).moments())
        n, inner = len(line.points), window.inner
        assert inner is not None
        if window.kind in NUMBERS:
            values = np.broadcast_to(inner.values(line), n)  # type: ignore[union-attr]
            true, false = ~np.isnan(values), np.zeros(n, np.bool_)
        else:
            truth = inner.truth(line)  # type: ignore[union-attr]
            true, false = (np.broadcast_to(t, n) for t in truth)
            values = np.where(true, 1.0, 0.0)
        sampled = expired = np.zeros(n, np.bool_)
        if window.kind == "held":
            expired = line.expired()
        elif window.kind not in ("since", "duration", "share"):
            sampled = self._sampled(line, self._memory(key_of(window, source)).get(SKIP))
        counting = true
        if window.segment is not None:
            _, over, _ = self.segment(window.segment).at(line.points)
            counting = true & ~over
        return feed_of(line.points, values, (true, false), expired, sampled, counting)

    def _sampled(self, line: Timeline, skip: Cell | None) -> Bools:
        sampled = line.sampled()
        sampled[:1] = False
        return sampled & (line.points >= skip[0]) if skip else sampled

    # -- families of windows --------------------------------------------------------------------

    def _of_segment(self, window: Window, points: Times) -> Floats:
        assert window.segment is not None
        begun, over, last = self.segment(window.segment).at(points)
        value = np.where(over, last - begun, points - begun) / _NS
        if window.kind == "over":
            value = np.where(over, 1.0, 0.0)
        return np.where(begun == NOWHERE, np.nan, value)

    def _places(self, window: Window, moments: Times, *, inside: bool) -> Ints:
        """Cell of each moment. `inside`: NOWHERE between segments, else the last one counts on."""
        if window.segment is None:
            return moments // window.cell_ns
        begun, over, _ = self.segment(window.segment).at(moments)
        return np.where(over, NOWHERE, begun) if inside else begun

    def _kept(self, window: Window, feed: Feed, key: str) -> Rows:
        """The rows of an argument that is more than a signal."""
        found = self._rows.get(key)
        if found is None:
            kind, memory = KINDS[window.kind], self._memory(key)
            chosen = feed.sampled & feed.known_rows
            if window.kind == "onsets":
                chosen = onsets(feed, memory.get(CARRY, (0,))[0]) & feed.sampled
            elif window.kind in NUMBERS:
                chosen = feed.sampled & feed.true
            times = feed.points[chosen]
            places = self._places(window, times, inside=True)
            inside = places != NOWHERE
            times, places = times[inside], places[inside]
            columns = kind.rows(times, feed.values[chosen][inside], window)
            acc = running(kind, np.stack(columns, 1), places)
            found = times, acc, places, with_rows(kind, memory, acc, places)
            self._rows[key] = found
        return found

    def _cells(self, window: Window, rows: Rows, key: str, points: Times) -> Floats:
        kind, memory = KINDS[window.kind], self._memory(key)
        times, acc, places, cells = rows
        out = np.full(len(points), np.nan)
        at = self._places(window, points, inside=False)
        row = np.searchsorted(times, points, "right") - 1
        for place in np.unique(at[at != NOWHERE]).tolist():
            here = at == place
            older = before(window, cells, place)
            mine = row[here]
            fresh = (mine >= 0) & (np.append(places, NOWHERE)[mine] == place)
            now = acc[mine[fresh]]
            mem = [(place, memory[place])] if place in memory else []
            if mem:
                now = join(kind, memory[place], now)
            past = np.nan if fresh.all() else worth_of_past(window, kind, older + mem)
            value = np.full(len(mine), past)
            if len(older) + 1 >= window.least:
                value[fresh] = worth(window, kind, older, now)
            out[here] = value
        return out

    def _duration(self, window: Window, feed: Feed, key: str, points: Times) -> Floats:
        memory, skip = self._memory(key), self._memory(key).get(SKIP, (0,))[0]
        floor = max(self.sight.from_ns, skip)
        places = self._places(window, points, inside=False)
        first = places
        if window.segment is None:
            first = places - window.cells + 1
            begin = first * window.cell_ns
        else:
            begin = places
        spent = feed.true_ns(points) - feed.true_ns(np.maximum(begin, floor))
        spent = np.maximum(spent, 0)
        for place, cell in memory.items():
            if place >= 0:
                spent = spent + np.where((first <= place) & (place <= places), cell[0], 0)
        known = places != NOWHERE
        if window.kind == "duration":
            return np.where(known, spent / _NS, np.nan)
        whole: Ints | int = window.length
        if window.segment is not None:
            begun, over, last = self.segment(window.segment).at(points)
            whole = np.maximum(np.where(over, last, points) - begun, 1)
        return np.where(known, np.minimum(spent / whole, 1.0), np.nan)

    def _runs(self, feed: Feed, key: str) -> Ints:
        """Start of the run in force at each point, the first point counted out."""
        track = Track(feed.true, feed.known_rows, feed.false | (~feed.known_rows & feed.expired), 0)
        carried = self._memory(key).get(CARRY, (NO_RUN,))[0]
        rows = slice(1, len(feed.points))
        return np.append(carried, track.runs(feed.points, rows, carried))

    def _held(self, window: Window, feed: Feed, key: str, points: Times) -> Floats:
        place = feed.place(points)
        old = points - self._runs(feed, key)[place] >= window.length
        return np.where(feed.true[place] & old, 1.0, 0.0)

    def _last_true(self, feed: Feed, key: str) -> Ints:
        carried = self._memory(key).get(CARRY, (NOWHERE,))[0]
        times = np.where(feed.true, feed.points, NOWHERE)
        times[0] = carried
        return np.maximum.accumulate(times)

    def _since(self, feed: Feed, key: str, points: Times) -> Floats:
        place = feed.place(points)
        last = self._last_true(feed, key)[place]
        ago = np.where(feed.true[place], 0, points - last) / _NS
        return np.where((last == NOWHERE) & ~feed.true[place], np.nan, ago)

    def _samples(self, window: Window, feed: Feed, key: str, points: Times) -> Floats:
        times, bits = self._bits(window, feed, key)
        upto = np.searchsorted(times, points, "right") + window.length
        total = np.append(0, np.cumsum(bits))
        return np.asarray(total[upto] - total[upto - window.length], np.float64)

    def _bits(self, window: Window, feed: Feed, key: str) -> tuple[Times, Ints]:
        """Times of known samples; their truth after that of the samples remembered."""
        packed = self._memory(key).get(CARRY, (0,))[0]
        old = [packed >> i & 1 for i in reversed(range(window.length))]
        rows = feed.sampled & feed.known_rows
        return feed.points[rows], np.append(np.array(old, np.int64), feed.true[rows])

    # -- memory ---------------------------------------------------------------------------------

    def fold(self, windows: Iterable[Window], upto_ns: int, box: Box) -> dict[str, Cells]:
        """Memory of all windows with everything before `upto_ns` in it; `box` bounds what came."""
        after: dict[str, Cells] = {}
        for window in windows:
            if window.segment is not None:
                carried = self.segment(window.segment).carried(upto_ns)
                if carried[0] != NOWHERE:
                    after[window.segment.name] = {CARRY: carried}
            if window.inner is None:
                continue
            for source in self._sources(window):
                key = key_of(window, source)
                if not self._memory(key) and not self._may_matter(window, box):
                    continue
                if window.kind in NUMBERS and isinstance(window.inner, Signal):
                    cells = self._folded_signal(window, source, upto_ns)
                else:
                    cells = self._folded(window, source, upto_ns)
                skip = self._memory(key).get(SKIP, (0,))
                if skip[0] > upto_ns:
                    cells[SKIP] = skip
                if cells:
                    after[key] = cells
        return after

    def _may_matter(self, window: Window, box: Box) -> bool:
        if window.kind in NUMBERS:
            return not math.isnan(cast(Number, window.inner).span(box)[0])
        return cast(Condition, window.inner).may(box, True)

    def _samples_of(
        self, window: Window, source: int | None, key: str, upto_ns: int
    ) -> tuple[Times, Ints, Ints]:
        """Good samples of a window's signal: times, cells of one, places."""
        assert isinstance(window.inner, Signal)
        filtered = window.inner.index == window.inputs.by_source
        series = self.sight.series(window.inner.index, source if filtered else None)
        floor_ns = max(self.sight.from_ns, self._memory(key).get(SKIP, (0,))[0])
        first, end = np.searchsorted(series.times, [floor_ns, upto_ns]).tolist()
        times, values = series.times[first:end], series.values[first:end]
        good = ~np.isnan(values)
        places = self._places(window, times[good], inside=True)
        inside = places != NOWHERE
        times, values = times[good][inside], values[good][inside]
        rows = np.stack(KINDS[window.kind].rows(times, values, window), 1)
        return times, rows, places[inside]

    def _rows_of_signal(self, window: Window, source: int | None, key: str) -> Rows:
        """The same as `_kept` where the argument is a signal: its good samples are the rows."""
        found = self._rows.get(key)
        if found is None:
            frontier_ns = self.sight.frontier_ns
            times, rows, places = self._samples_of(window, source, key, frontier_ns + 1)
            acc = running(KINDS[window.kind], rows, places)
            cells = with_rows(KINDS[window.kind], self._memory(key), acc, places)
            found = self._rows[key] = times, acc, places, cells
        return found

    def _folded_signal(self, window: Window, source: int | None, upto_ns: int) -> Cells:
        """The same as `_folded` where the argument is a signal."""
        key = key_of(window, source)
        kind, memory = KINDS[window.kind], self._memory(key)
        _, rows, places = self._samples_of(window, source, key, upto_ns)
        cells = dict(memory)
        for place, cell in whole_cells(kind, rows, places):
            if place in cells:
                total = join(kind, cells[place], np.array([cell], np.int64))
                cells[place] = tuple(total[0].tolist())
            else:
                cells[place] = cell
        return self._wanted(window, cells, upto_ns)

    def _wanted(self, window: Window, cells: Cells, upto_ns: int) -> Cells:
        """Cells a window that ends at that moment or later can still hold."""
        newest = int(self._places(window, np.array([upto_ns]), inside=False)[0])
        wanted: Cells = dict(before(window, cells, newest))
        if newest in cells:
            wanted[newest] = cells[newest]
        return wanted

    def _sources(self, window: Window) -> list[int | None]:
        signal = window.inputs.by_source
        if signal is None or signal not in window.inputs.signals:
            return [None]
        prefix = f"{window.key}/"
        known = {int(k[len(prefix) :]) for k in self._ledger.cells if k.startswith(prefix)}
        return [*sorted(known | self.sight.sources(signal))]

    def _folded(self, window: Window, source: int | None, upto_ns: int) -> Cells:
        key, feed = key_of(window, source), self._feed(window, source)
        last = int(np.searchsorted(feed.points, upto_ns)) - 1
        match window.kind:
            case "duration" | "share":
                return self._spent(window, feed, key, upto_ns)
            case "held":
                run = int(self._runs(feed, key)[last])
                return {} if run == NO_RUN else {CARRY: (run,)}
            case "since":
                moment = int(self._last_true(feed, key)[last])
                return {} if moment == NOWHERE else {CARRY: (moment,)}
            case "samples":
                times, bits = self._bits(window, feed, key)
                end = int(np.searchsorted(times, upto_ns)) + window.length
                packed = 0
                for bit in bits[end - window.length : end].tolist():
                    packed = packed << 1 | int(bit)
                return {CARRY: (packed,)} if packed else {}
        kind, memory = KINDS[window.kind], self._memory(key)
        times, acc, places, _ = self._kept(window, feed, key)
        end = int(np.searchsorted(times, upto_ns))
        cells = with_rows(kind, memory, acc[:end], places[:end])
        wanted = self._wanted(window, cells, upto_ns)
        if window.kind == "cycles":
            counting = [place for place, cell in wanted.items() if cell[0]]
            return {p: cell for p, cell in wanted.items() if counting and p >= min(counting)}
        if window.kind == "onsets" and (at := last_known(feed, memory.get(CARRY, (0,))[0])[last]):
            wanted[CARRY] = (int(at),)
        return wanted

    def _spent(self, window: Window, feed: Feed, key: str, upto_ns: int) -> Cells:
        memory, skip = self._memory(key), self._memory(key).get(SKIP, (0,))[0]
        floor = max(self.sight.from_ns, skip)
        newest = int(self._places(window, np.array([upto_ns]), inside=False)[0])
        after: Cells = {}
        if window.segment is not None:
            if newest == NOWHERE:
                return after
            bounds = [(newest, newest, upto_ns)]
        else:
            size, first = window.cell_ns, newest - window.cells + 1
            bounds = [(p, p * size, (p + 1) * size) for p in range(first, newest + 1)]
        for place, begin, end in bounds:
            edges = np.clip(np.array([begin, end]), min(floor, upto_ns), upto_ns)
            low, high = feed.true_ns(edges).tolist()
            total = memory.get(place, (0,))[0] + high - low
            if total:
                after[place] = (total,)
        return after
