"""One DBC signal as plan rows: where its bits are, its number, and which raw values are good.

Source: SAE J1939-71 (ranges of transmitted values); edition: docs/sources.md.

    width                 error indicator (ABNORMAL)   not available (INVALID)
    8 bits, multiples     first byte FE                first byte FF
    of 4 above (12, 16…)  (FE, FE0-FEF, FE00-FEFF …)   (FF, FF0-FFF, FF00-FFFF …)
    2-7, other widths     all ones minus 1             all ones

These patterns hold for unsigned integer signals of J1939 messages only. In any message a value
outside the DBC's [minimum|maximum] or the catalogue's range is OUT_OF_RANGE, where those bounds
are real (minimum < maximum). Bounds are widened by half a step, because DBC files round them
(250.996 for 250.99609375), and never by more.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from decoders.plan import Kind

if TYPE_CHECKING:
    from cantools.database.can.signal import Signal

_WORD = 1 << 64
#: Integer scales and offsets below this multiply exactly in 128 bits.
MAX_EXACT = 1 << 62
FLOATS = {16: Kind.FLOAT16, 32: Kind.FLOAT32, 64: Kind.FLOAT64}


@dataclass(frozen=True, slots=True)
class FieldRow:
    """One row of `plan.Fields`."""

    mask: int
    word: int = 0
    shift: int = 0
    sign: int = 0
    carry: int = 0
    need: int = 0


@dataclass(frozen=True, slots=True)
class MeaningRow:
    """One row of `plan.Signals`."""

    name: int
    bits: int
    span: int
    lowest: int = 0
    error_from: int = 0
    absent_from: int = 0
    kind: Kind = Kind.INTEGER
    scale: float = 1.0
    offset: float = 0.0
    unit: tuple[float, float] = (1.0, 0.0)
    minimum: float = -math.inf
    maximum: float = math.inf


def field_row(signal: Signal) -> FieldRow:
    """Word, shift and mask of a signal of 1 to 64 bits."""
    length, start = signal.length, signal.start
    little = signal.byte_order == "little_endian"
    # Position in reading order: DBC numbers big-endian bits from the top of each byte.
    first = start if little else 8 * (start // 8) + 7 - start % 8
    word, inside = divmod(first, 64)
    over = max(0, inside + length - 64)
    if little:
        shift, carry = inside, 64 - inside if over else 0
    else:
        shift, carry = max(0, 64 - inside - length), -over
    return FieldRow(
        word=2 * word + (0 if little else 1),
        shift=shift,
        mask=(1 << length) - 1,
        sign=1 << (length - 1) if signal.is_signed and not signal.conversion.is_float else 0,
        carry=carry,
        need=(first + length + 7) // 8,
    )


def meaning_row(
    signal: Signal,
    name: int,
    *,
    j1939: bool,
    unit: tuple[float, float] = (1.0, 0.0),
    bounds: tuple[float | None, float | None] = (None, None),
) -> MeaningRow:
    """Scaling, unit conversion and good raw values. `bounds` are the catalogue's, converted."""
    kind = _kind(signal)
    ranges = [_real(signal.minimum, signal.maximum, (1.0, 0.0)), _real(*bounds, unit)]
    error, absent = (0, 0)
    if j1939 and kind in (Kind.INTEGER, Kind.UNSIGNED64) and not signal.is_signed:
        error, absent = j1939_patterns(signal.length)
    low, high = _raw_range(signal, ranges)
    if error:
        high = min(high, error - 1)
    is_float = kind in FLOATS.values()
    empty = low > high
    return MeaningRow(
        name=name,
        kind=kind,
        bits=signal.length,
        scale=float(signal.scale),
        offset=float(signal.offset),
        unit=unit,
        # Nothing is good: the one raw value that would pass does not fit fewer than 64 bits.
        lowest=0 if is_float else (_WORD // 2 if empty else low % _WORD),
        span=_WORD - 1 if is_float else (0 if empty else high - low),
        error_from=error,
        absent_from=absent,
        minimum=max(r[0] for r in ranges),
        maximum=min(r[1] for r in ranges),
    )


def j1939_patterns(bits: int) -> tuple[int, int]:
    """First raw value of the error and of the not-available range; (0, 0) for one bit."""
    whole = (1 << bits) - 1
    if bits < 2:
        return 0, 0
    if bits >= 8 and bits % 4 == 0:
        return 0xFE << (bits - 8), 0xFF << (bits - 8)
    return whole - 1, whole


def _kind(signal: Signal) -> Kind:
    if signal.conversion.is_float:
        return FLOATS[signal.length]
    scale = float(signal.scale)
    plain = scale == 1 and signal.offset == 0
    exact = scale.is_integer() and max(abs(scale), abs(float(signal.offset))) < MAX_EXACT
    if not plain and exact and signal.length + int(abs(scale)).bit_length() > 52:
        return Kind.EXACT
    return Kind.UNSIGNED64 if signal.length == 64 and not signal.is_signed else Kind.INTEGER


def _real(
    minimum: float | None, maximum: float | None, unit: tuple[float, float]
) -> tuple[float, float]:
    """Bounds in the DBC's unit; infinite where they are not real."""
    low = -math.inf if minimum is None else float(minimum)
    high = math.inf if maximum is None else float(maximum)
    if not low < high:
        return -math.inf, math.inf
    factor, offset = unit
    ends = sorted(((low - offset) / factor, (high - offset) / factor))
    return ends[0], ends[1]


def _raw_range(signal: Signal, ranges: list[tuple[float, float]]) -> tuple[int, int]:
    """Good raw values by the ranges, within what the field can hold."""
    bits = signal.length
    low, high = (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if signal.is_signed else (
        0, (1 << bits) - 1
    )  # fmt: skip
    scale, offset = Fraction(float(signal.scale)), Fraction(float(signal.offset))
    if scale == 0 or signal.conversion.is_float:
        return low, high
    for pair in ranges:
        for bound, lower in zip(pair, (scale > 0, scale < 0), strict=True):
            if math.isinf(bound):
                continue
            raw = (Fraction(bound) - offset) / scale
            if lower:
                low = max(low, math.ceil(raw - Fraction(1, 2)))
            else:
                high = min(high, math.floor(raw + Fraction(1, 2)))
    return low, high
