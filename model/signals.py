"""Decoded signals as signal-major runs.

A run is all samples of one signal from one source (J1939 source address) in one upload.

    column       dtype       meaning
    run_signal   uint16[r]   index into `table.names`
    run_source   int16[r]    J1939 source address, -1 where there is none
    run_start    int64[r+1]  run i holds samples run_start[i] .. run_start[i+1]-1
    observed_ns  int64[m]    ns since 1970-01-01 UTC; frame order inside a run
    value        float64[m]  in table.units[signal]; raw where quality is ABNORMAL or INVALID
    quality      uint8[m]    Quality
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from model.catalogue import split_element


class Quality(IntEnum):
    """Why a sample may not be used as a number (domain.md 3.2)."""

    GOOD = 0
    ABNORMAL = 1
    INVALID = 2
    OUT_OF_RANGE = 3


class FrameStatus(IntEnum):
    """What decoding one frame came to."""

    OK = 0
    UNKNOWN_ID = 1
    SHORT = 2
    BAD_MULTIPLEXER = 3
    NO_PAYLOAD = 4  # remote and error frames
    WRONG_LENGTH = 5  # all signals are there, but the message is not of that length


@dataclass(frozen=True, slots=True)
class SignalTable:
    """Names and units of a plan's signals.

    A signal bound to the catalogue carries the catalogue's name and unit; any other is called
    `Message.Signal` and keeps the DBC's unit. Elements of an array (model.catalogue) are names
    like any other.
    """

    profile: str
    names: tuple[str, ...]
    units: tuple[str, ...]

    def index(self) -> dict[str, int]:
        """Position by name."""
        return {name: i for i, name in enumerate(self.names)}

    def elements(self, array: str) -> tuple[int, ...]:
        """Positions of an array's elements, element 1 first; empty where there are none."""
        parts = [(split_element(name), i) for i, name in enumerate(self.names)]
        return tuple(i for _, i in sorted((p[1], i) for p, i in parts if p and p[0] == array))


@dataclass(frozen=True, slots=True, eq=False)
class SignalBatch:
    """What one upload says, plus the per-frame status column of its decoding."""

    table: SignalTable
    run_signal: NDArray[np.uint16]
    run_source: NDArray[np.int16]
    run_start: NDArray[np.int64]
    observed_ns: NDArray[np.int64]
    value: NDArray[np.float64]
    quality: NDArray[np.uint8]
    frame_status: NDArray[np.uint8]
    #: Exact integers of runs whose raw values do not fit a float64, by run index.
    exact: dict[int, NDArray[np.int64] | NDArray[np.uint64]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.value)

    def run(self, i: int) -> slice:
        """Samples of run i."""
        return slice(int(self.run_start[i]), int(self.run_start[i + 1]))

    def samples(self, name: str) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Times and values (GOOD only, time order) of one signal over all sources."""
        if name not in self.table.names:
            return np.zeros(0, np.int64), np.zeros(0, np.float64)
        wanted = np.flatnonzero(self.run_signal == self.table.names.index(name))
        pick = [np.arange(self.run_start[i], self.run_start[i + 1]) for i in wanted]
        rows = np.concatenate(pick) if pick else np.zeros(0, np.int64)
        rows = rows[self.quality[rows] == Quality.GOOD]
        rows = rows[np.argsort(self.observed_ns[rows], kind="stable")]
        return self.observed_ns[rows], self.value[rows]
