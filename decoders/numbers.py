"""Raw bits of many runs become values and quality. Second half of the NumPy kernel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from decoders.plan import FLOAT_KINDS, Kind, Plan
from decoders.runs import Ints, ranges
from model.signals import Quality

Scalar = TypeVar("Scalar", bound=np.generic)


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """Samples of several runs: run i has `count[i]` samples of plan signal `signal[i]`."""

    plan: Plan
    signal: Ints
    count: Ints
    raw: NDArray[np.uint64]

    def numbers(self) -> tuple[NDArray[np.float64], NDArray[np.uint8]]:
        """Values in the catalogue's (else the DBC's) unit, and quality.

        value = raw * scale + offset with two roundings, then the unit conversion with two more.
        """
        meaning = self.plan.signals
        raw = self.raw
        value = raw.view(np.int64).astype(np.float64)
        value *= self._spread(meaning.scale)
        value += self._spread(meaning.offset)
        quality = np.zeros(len(value), np.uint8)
        self._special(value, quality)
        self._convert(value)
        bad = raw - self._spread(meaning.lowest) > self._spread(meaning.span)
        if bad.any():
            self._mark(np.flatnonzero(bad), value, quality)
        return value, quality

    def _spread(self, column: NDArray[Scalar]) -> NDArray[Scalar]:
        return np.repeat(column[self.signal], self.count)

    def _samples(self, runs: NDArray[np.bool_]) -> tuple[Ints, Ints]:
        """Positions of the samples of some runs, and the signal of each."""
        first = np.cumsum(self.count) - self.count
        count = self.count[runs]
        return ranges(first[runs], count), np.repeat(self.signal[runs], count)

    def _special(self, value: NDArray[np.float64], quality: NDArray[np.uint8]) -> None:
        """Runs whose raw bits are no plain int64: floats, 64-bit unsigned, exact products."""
        kinds = self.plan.signals.kind[self.signal]
        for kind in np.flatnonzero(np.bincount(kinds)).tolist():
            if kind == Kind.INTEGER:
                continue
            at, s = self._samples(kinds == kind)
            if kind == Kind.EXACT:
                value[at] = self._exact(at, s)
                continue
            with np.errstate(invalid="ignore", over="ignore"):
                value[at] = self._scaled(_unpacked(self.raw[at], kind), s)
            if kind in FLOAT_KINDS:
                quality[at] = self._float_quality(value[at], s)

    def _scaled(self, number: NDArray[np.float64], s: Ints) -> NDArray[np.float64]:
        """Identity keeps -0.0, which an added offset of 0 would not."""
        scale, offset = self.plan.signals.scale[s], self.plan.signals.offset[s]
        return np.where((scale == 1) & (offset == 0), number, number * scale + offset)

    def _exact(self, at: Ints, s: Ints) -> list[float]:
        """Integer arithmetic, rounded once at the end; by the offset too, if that is no integer."""
        raw, meaning = self.raw[at], self.plan.signals
        signed = self.plan.signal_bits.sign[s] != 0
        plus, minus = raw.tolist(), raw.view(np.int64).tolist()
        rows = zip(plus, minus, signed.tolist(), strict=True)
        numbers = [negative if sign else number for number, negative, sign in rows]
        scales, offsets = meaning.scale[s].tolist(), meaning.offset[s].tolist()
        return [
            float(n * int(k) + (int(c) if c.is_integer() else c))
            for n, k, c in zip(numbers, scales, offsets, strict=True)
        ]

    def _float_quality(self, value: NDArray[np.float64], s: Ints) -> NDArray[np.uint8]:
        """NaN and infinities are INVALID; the bounds are the DBC's and the catalogue's."""
        outside = (value < self.plan.signals.minimum[s]) | (value > self.plan.signals.maximum[s])
        quality = outside.astype(np.uint8) * np.uint8(Quality.OUT_OF_RANGE)
        quality[~np.isfinite(value)] = Quality.INVALID
        return quality

    def _convert(self, value: NDArray[np.float64]) -> None:
        """From the DBC's unit to the catalogue's, where they differ."""
        meaning = self.plan.signals
        foreign = (meaning.unit_factor[self.signal] != 1) | (meaning.unit_offset[self.signal] != 0)
        if foreign.any():
            at, s = self._samples(foreign)
            value[at] = value[at] * meaning.unit_factor[s] + meaning.unit_offset[s]

    def _mark(self, bad: Ints, value: NDArray[np.float64], quality: NDArray[np.uint8]) -> None:
        """What raw values that are not good mean; J1939 patterns keep the raw number as value."""
        s = np.repeat(self.signal, self.count)[bad]
        raw = self.raw[bad]
        error, absent = self.plan.signals.error_from[s], self.plan.signals.absent_from[s]
        pattern = (error > 0) & (raw >= error)
        quality[bad] = np.where(
            pattern,
            np.where(raw >= absent, np.uint8(Quality.INVALID), np.uint8(Quality.ABNORMAL)),
            np.uint8(Quality.OUT_OF_RANGE),
        )
        value[bad[pattern]] = raw[pattern].astype(np.float64)


def _unpacked(raw: NDArray[np.uint64], kind: int) -> NDArray[np.float64]:
    if kind == Kind.FLOAT16:
        return raw.astype(np.uint16).view(np.float16).astype(np.float64)
    if kind == Kind.FLOAT32:
        return raw.astype(np.uint32).view(np.float32).astype(np.float64)
    return raw.view(np.float64) if kind == Kind.FLOAT64 else raw.astype(np.float64)
