"""What a timeline needs of others: what it is made for, and the windows of the vehicle."""

from __future__ import annotations

from typing import Protocol

from rules.nodes import Absent, Code, Count, Floats
from rules.samples import Times
from rules.windows import Segment, Window


class Asked(Protocol):
    """What a timeline is made for: a rule instance, or the argument of a window."""

    @property
    def signals(self) -> tuple[int, ...]: ...
    @property
    def codes(self) -> tuple[Code, ...]: ...
    @property
    def absents(self) -> tuple[Absent, ...]: ...
    @property
    def counts(self) -> tuple[Count, ...]: ...
    @property
    def windows(self) -> tuple[Window, ...]: ...
    @property
    def max_gap_ns(self) -> int: ...
    @property
    def by_source(self) -> int | None: ...


class Moments(Protocol):
    """Where trips and sessions begin and are over."""

    def moments(self) -> Times: ...


class Windows(Protocol):
    """Windows of the vehicle, see rules.window_views."""

    def column(
        self, window: Window, source: int | None, points: Times, now: Floats | None = None
    ) -> Floats: ...
    def segment(self, segment: Segment) -> Moments: ...
