"""What a rule could see at all in one upload: decides whether it is worth looking closer."""

from __future__ import annotations

import numpy as np

from rules.expression import universe
from rules.nodes import Code, Count
from rules.plan import Instance
from rules.samples import NEVER
from rules.timeline import Sight


class Bounds:
    """Smallest and largest value of each signal over everything in sight (see rules.nodes.Box)."""

    def __init__(self, sight: Sight) -> None:
        self._sight = sight
        held_lo, held_hi = np.full((2, len(universe())), np.nan)
        for (signal, _), held in sight.held.items():
            held_lo[signal] = np.fmin(held_lo[signal], held.value)
            held_hi[signal] = np.fmax(held_hi[signal], held.value)
        self.lo: list[float] = np.fmin.reduce([held_lo, *(c.lo for c in sight.chunks)]).tolist()
        self.hi: list[float] = np.fmax.reduce([held_hi, *(c.hi for c in sight.chunks)]).tolist()
        self._named = {text for _, text in sight.named}
        self._named.update(*(chunk.named for chunk in sight.chunks))
        self._stored: dict[str, int] = {}

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
        held = [h.good_ns for (i, _), h in self._sight.held.items() if i == signal]
        if held and self._sight.frontier_ns - max(held) < silence_ns:
            return False
        good = self._sight.series(signal, None).good
        good = good[good > NEVER]
        gaps = np.diff(good, append=self._sight.frontier_ns)
        return bool(len(good)) and bool((gaps >= silence_ns).any())

    def counted(self, count: Count) -> int:
        """Moments counted before the watermark."""
        return self._stored.get(count.text, 0)
