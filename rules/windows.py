"""What a window is: one function over time in a condition, and what it needs to be computed.

    avg min max range rms delta rate percentile     numbers over the good samples of an expression
    duration_above share_above duration share  how long a condition was true
    onsets samples cycles held since           how often, or since when, a condition was true
    elapsed over                               the trip or charging session itself

A window of time moves in steps of a tenth (percentile: a hundredth), so that what has to be
remembered has a fixed size: it holds the tenth that is running and the nine before it. Tenths are
counted from 1970, so the result does not depend on when anything arrived. A window over a trip or
a session starts with it and keeps its last value until the next one starts. Samples are rounded to
six decimals (rms: three), sums are whole numbers: no order of adding changes them.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from zlib import crc32

from rules.nodes import Box, Code, Columns, Condition, Floats, Node, Span, Truth
from rules.units import parse_duration

TENTHS, HUNDREDTHS = 10, 100
#: Windows of time: shorter than this one should ask for the signal itself.
SHORTEST_NS = 5 * 10**9
#: Late samples are put into windows up to this one exactly; see rules.window_memory.ledger_at.
READ_BACK_NS = 600 * 10**9
#: How many samples or cycles may be counted.
MOST_COUNTED = 60
NUMBERS = ("avg", "min", "max", "range", "rms", "delta", "rate", "percentile")
CONDITIONS = ("duration", "share", "onsets", "samples", "cycles", "held", "since")


@dataclass(frozen=True, slots=True)
class Inputs:
    """What an expression is computed from (see rules.timeline.Timeline)."""

    signals: tuple[int, ...]
    codes: tuple[Code, ...]
    max_gap_ns: int
    by_source: int | None = None
    absents: tuple[()] = ()
    counts: tuple[()] = ()
    windows: tuple[()] = ()


@dataclass(frozen=True, slots=True)
class Segment:
    """A trip or a charging session: from the first moment the condition is true until it is
    false, or has not been known to be true for `gap_ns`."""

    name: str
    condition: Condition
    gap_ns: int
    inputs: Inputs


@dataclass(frozen=True, slots=True)
class Window:
    """One function over time.

    `length` is ns of time, the number of samples or cycles, or the hold of `held`; 0 for a
    segment. `least` is how many tenths must hold samples; `percent` belongs to percentile.
    """

    kind: str
    text: str
    inner: Node | None
    inputs: Inputs
    length: int = 0
    segment: Segment | None = None
    least: int = 1
    percent: float = 0.0
    #: Short name in a vehicle's memory; changes with everything that changes the meaning.
    key: str = field(init=False)

    def __post_init__(self) -> None:
        meaning = (self.kind, self.inner, self.inputs, self.length, self.percent, self.segment)
        object.__setattr__(self, "key", f"{crc32(repr(meaning).encode()):08x}")

    @property
    def cells(self) -> int:
        """Into how many cells the window is cut."""
        if self.segment is not None:
            return self.length if self.kind == "cycles" else 1
        return HUNDREDTHS if self.kind == "percentile" else TENTHS

    @property
    def cell_ns(self) -> int:
        """Length of a cell of a window of time."""
        return self.length // self.cells

    @property
    def is_short(self) -> bool:
        """Whether late samples may be read back for the whole window."""
        timed = self.segment is None and self.kind not in ("samples", "since")
        return timed and self.length <= READ_BACK_NS

    def values(self, columns: Columns) -> Floats:
        return columns.window(self)

    def span(self, box: Box) -> Span:
        return box.window(self)

    def truth(self, columns: Columns) -> Truth:
        value = columns.window(self)
        return value == 1, value == 0

    def may(self, box: Box, truth: bool) -> bool:
        lo, hi = box.window(self)
        return hi >= 1 if truth else lo <= 0

    def children(self) -> tuple[Node, ...]:
        return () if self.inner is None else (self.inner,)


@cache
def segment_texts() -> dict[str, tuple[str, int, int]]:
    """Condition, longest belief in a sample, and longest unknown stretch of each segment."""
    rows = tomllib.loads(files("rules.packs").joinpath("segments.toml").read_text("utf-8"))
    return {
        name: (row["condition"], parse_duration(row["max_gap"]), parse_duration(row["gap"]))
        for name, row in rows.items()
    }
