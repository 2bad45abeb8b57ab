"""What a rule could see at all in one upload: decides whether it is worth looking closer."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from rules.expression import ANY, derived_of
from rules.nodes import Code, Count, Signal, Span
from rules.plan import Instance
from rules.samples import NEVER
from rules.screen import Screen, is_plain
from rules.timeline import Sight
from rules.window_cells import CARRY, SKIP, Cells
from rules.window_memory import Ledger
from rules.window_spans import delta_span, number_span, span_of
from rules.windows import Window


class Bounds:
    """Smallest and largest value of each signal over everything in sight (see rules.nodes.Box)."""

    def __init__(self, sight: Sight, ledger: Ledger) -> None:
        self._sight, self._ledger, self.facts = sight, ledger, sight.facts
        self._low, self._high = ledger.bounds(sight.chunks)
        for place, (derived, array) in derived_of().items() if sight.arrays else ():
            width = max((c.widths.get(array, 0) for c in sight.chunks), default=0)
            span = derived.span(float(self._low[array]), float(self._high[array]), width)
            self._low[place], self._high[place] = span
        self._named = {text for _, text in (*sight.named, *ledger.named)}
        self._named.update(*(chunk.named for chunk in sight.chunks))
        self._stored: dict[str, int] = {}

    @cached_property
    def lo(self) -> list[float]:
        """Smallest value of each signal."""
        found: list[float] = self._low.tolist()
        return found

    @cached_property
    def hi(self) -> list[float]:
        """Largest value of each signal."""
        found: list[float] = self._high.tolist()
        return found

    def possible(self, screen: Screen) -> list[int]:
        """Places of the instances that are worth a closer look."""
        spans = [(0.0, float(bool(self._named))), (0.0, float(self._longest_silence))]
        spans += [self._rough(window, signal) for window, signal in screen.windows]
        more_low, more_high = zip(*spans, strict=True)
        return screen.possible(
            np.concatenate([self._low, more_low]), np.concatenate([self._high, more_high])
        )

    def _rough(self, window: Window, signal: int) -> Span:
        """What a window over a signal, or a trip, could be at most."""
        if window.kind == "elapsed":
            return 0.0, self._longest_ns(window) / 1e9
        now = float(self._low[signal]), float(self._high[signal])
        return number_span(window, (self._ledger.span(window),), now)

    def may_fire(self, instance: Instance, counted: tuple[tuple[int, ...], ...]) -> bool:
        """Whether an idle rule could become true anywhere in sight."""
        if instance.counts:
            stored = zip(instance.counts, counted, strict=False)
            self._stored = {count.text: len(moments) for count, moments in stored}
            if any(count.inner.may(self, True) for count in instance.counts):
                return True
        return any(level.node.may(self, True) for level in instance.levels)

    def may_name(self, code: Code) -> bool:
        """Whether any report in sight names the code."""
        return code.text in self._named

    def may_be_silent(self, signal: int, silence_ns: int) -> bool:
        """Whether a silence of this length is in sight."""
        if signal == ANY:
            return self._longest_silence >= silence_ns
        held = [h.good_ns for (i, _), h in self._sight.held.items() if i == signal]
        if held and self._sight.frontier_ns - max(held) < silence_ns:
            return False
        good = self._sight.series(signal, None).good
        good = good[good > NEVER]
        gaps = np.diff(good, append=self._sight.frontier_ns)
        return bool(len(good)) and bool((gaps >= silence_ns).any())

    def _longest_ns(self, window: Window) -> int:
        """How long a trip can have been: since it began, or since the first sample in sight."""
        assert window.segment is not None
        carried = self._ledger.cells.get(window.segment.name, {}).get(CARRY)
        begun = carried[0] if carried else min((c.oldest_ns for c in self._sight.chunks), default=0)
        return self._sight.frontier_ns - begun

    @cached_property
    def _longest_silence(self) -> int:
        """Of the whole vehicle."""
        heard = sorted((c.beats[0], c.beats[1]) for c in self._sight.chunks if c.beats[1])
        last = max((h.good_ns for (i, _), h in self._sight.held.items() if i == ANY), default=0)
        longest = max((c.beats[2] for c in self._sight.chunks), default=0)
        for first, newest in heard:
            if last:
                longest = max(longest, first - last)
            last = max(last, newest)
        return max(longest, self._sight.frontier_ns - last) if last else 0

    def counted(self, count: Count) -> int:
        """Moments counted before the watermark."""
        return self._stored.get(count.text, 0)

    def window(self, window: Window) -> Span:
        """What a window could be anywhere in sight."""
        if window.kind == "elapsed":
            return 0.0, self._longest_ns(window) / 1e9
        found = self._ledger.cells.get(window.key)
        if window.kind == "delta" and is_plain(window) and SKIP not in (found or {}):
            return self._falls(window, found or {})
        kept = [found] if found else []
        if window.inputs.by_source is not None:
            prefix = f"{window.key}/"
            kept += [cells for key, cells in self._ledger.cells.items() if key.startswith(prefix)]
        return span_of(window, kept, self)

    def _falls(self, window: Window, cells: Cells) -> Span:
        """The difference along the samples as they came: what only rises falls never."""
        assert isinstance(window.inner, Signal)
        series = self._sight.series(window.inner.index, None)
        fresh = series.values[series.times >= self._ledger.folded_ns]
        return delta_span(cells, fresh[~np.isnan(fresh)])
