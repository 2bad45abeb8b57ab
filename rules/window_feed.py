"""A window's argument, and trips and sessions, along their own points. Pure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rules.nodes import Bools, Floats, Truth
from rules.samples import Times, distinct
from rules.window_cells import NOWHERE, Cell, Ints
from rules.windows import Segment


@dataclass(frozen=True, slots=True, eq=False)
class SegmentView:
    """Trips along their own points: start of the newest (NOWHERE before the first), the last moment
    it was known to be true, whether it was false since."""

    points: Times
    begun: Ints
    last_true: Ints
    over: Bools
    gap_ns: int
    before: Cell

    def at(self, moments: Times) -> tuple[Ints, Bools, Ints]:
        """Start of the newest segment at each moment, whether it is over, last time it was true."""
        place = np.searchsorted(self.points, moments, "right")
        begun = np.append(self.before[0], self.begun)[place]
        last = np.append(self.before[1], self.last_true)[place]
        over = np.append(self.before[2] == 1, self.over)[place]
        return begun, over | (moments - last > self.gap_ns), last

    def moments(self) -> Times:
        """Every moment at which a segment may begin or be over."""
        last = distinct(np.append(self.last_true, self.before[1]))
        last = last[last != NOWHERE]
        alone = np.diff(last, append=2**62) > self.gap_ns
        return np.concatenate([self.points, last[alone] + self.gap_ns + 1])

    def carried(self, upto_ns: int) -> Cell:
        """Memory at a moment: start, last true moment, over."""
        place = int(np.searchsorted(self.points, upto_ns)) - 1
        if place < 0:
            return self.before
        return int(self.begun[place]), int(self.last_true[place]), int(self.over[place])


def trace(segment: Segment, points: Times, truth: Truth, carry: Cell | None) -> SegmentView:
    """Follow a segment along its points. `carry`: start, last true moment, over."""
    true, false = truth
    start, last, over = before = carry or (NOWHERE, NOWHERE, 1)
    rows = np.flatnonzero(true)
    times, falses = points[rows], np.cumsum(false)
    seen = np.append(0, falses[rows])
    fresh = (np.diff(seen) > 0) | (np.diff(times, prepend=last) > segment.gap_ns)
    if len(rows):
        fresh[0] |= over == 1
        begins = np.maximum.accumulate(np.where(fresh, times, NOWHERE))
        begins = np.maximum(begins, np.where(np.cumsum(fresh) > 0, NOWHERE, start))
    else:
        begins = times
    rank = np.cumsum(true)
    return SegmentView(
        points,
        begun=np.append(start, begins)[rank],
        last_true=np.append(last, times)[rank],
        over=(falses > seen[rank]) | ((rank == 0) & (over == 1)),
        gap_ns=segment.gap_ns,
        before=before,
    )


@dataclass(frozen=True, slots=True, eq=False)
class Feed:
    """A window's argument along its points. The first point is the moment before all samples.

    `true`/`false`: of a condition; of a number, whether it is known. `sampled`: points at which a
    signal has a sample, rather than runs out. `counting`: where time counts, that is, true and not
    between trips. `spent`: such ns before each point.
    """

    points: Times
    values: Floats
    true: Bools
    false: Bools
    expired: Bools
    sampled: Bools
    counting: Bools
    spent: Ints

    @property
    def known_rows(self) -> Bools:
        """Points at which the argument is known."""
        return self.true | self.false

    def place(self, moments: Times) -> NDArray[np.intp]:
        """Point in force at each moment."""
        return np.maximum(np.searchsorted(self.points, moments, "right") - 1, 0)

    def known(self, moments: Times) -> Bools:
        """Whether the argument is known at each moment."""
        place = self.place(moments)
        return self.true[place] | self.false[place]

    def true_ns(self, moments: Times) -> Ints:
        """ns the condition was true from the first point to each moment."""
        place = self.place(moments)
        spent: Ints = self.spent[place] + self.counting[place] * (moments - self.points[place])
        return np.maximum(spent, 0)


def feed_of(
    points: Times, values: Floats, truth: Truth, expired: Bools, sampled: Bools, counting: Bools
) -> Feed:
    """A feed with its running sum."""
    spent = np.append(0, np.cumsum(np.diff(points) * counting[:-1]))
    return Feed(points, values, *truth, expired, sampled, counting, spent)


def onsets(feed: Feed, carried: int) -> Bools:
    """Points that are true where the last known truth was not. `carried`: not 0 = it was true."""
    last = last_known(feed, carried)
    found: Bools = feed.true & (np.append(1, last[:-1]) == 0)
    return found


def last_known(feed: Feed, carried: int) -> NDArray[np.int8]:
    """The last known truth at each point, 1 or 0; at the first point the one carried."""
    state = np.where(feed.true, 1, np.where(feed.false, 0, -1)).astype(np.int8)
    state[0] = carried
    rank = np.maximum.accumulate(np.where(state >= 0, np.arange(len(state)), 0))
    return state[rank]
