"""Values to frames, a column at a time, by the same DBC files that decode them.

Source: DBC layout as cantools reads it; J1939-71 for the filling bits.

An `Encoder` is compiled from a profile: for each signal its place in the payload and one straight
line from the catalogue value to the raw number. Payloads are built in two arrays of 64-bit words,
one numbered from the least significant bit (little-endian signals), one from the most significant
bit (big-endian signals), joined at the end. Multiplexed messages send their pages in turn.
J1939 payloads hold 1-bits wherever the vehicle has no value ("not available"), others 0-bits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dbc.loader import load_messages
from dbc.profile import Binding, Profile
from dbc.units import conversion
from model.catalogue import find_signal
from model.frames import EXTENDED_ID

if TYPE_CHECKING:
    from cantools.database import Message, Signal

Floats = NDArray[np.float64]
Words = NDArray[np.uint64]
#: Signals of this name count the frames of their message.
COUNTER = "AliveCounter"
#: Cycles where the DBC file names none: by PGN, from J1939-71, and for any other message.
J1939_CYCLE_MS = {
    61444: 20, 61443: 50, 61445: 100, 65265: 100, 65266: 100, 65263: 500,
}  # fmt: skip
DEFAULT_CYCLE_MS = 1000


@dataclass(frozen=True, slots=True)
class Place:
    """Bits of a signal: (word, left shift) pairs, the shift negative for a right shift."""

    big_endian: bool
    mask: int
    parts: tuple[tuple[int, int], ...]

    def put(self, raw: Words, little: Words, big: Words, rows: slice) -> None:
        """OR raw numbers into the word columns of `rows`."""
        words = big if self.big_endian else little
        for word, shift in self.parts:
            moved = raw << np.uint64(shift) if shift >= 0 else raw >> np.uint64(-shift)
            words[rows, word] |= moved


@dataclass(frozen=True, slots=True)
class Field:
    """One signal: raw = value * gain + bias, rounded and kept within [low, high]."""

    source: str
    place: Place
    gain: float
    bias: float
    low: float
    high: float
    float_bits: int = 0

    def raw(self, values: Floats) -> Words:
        """Raw bit patterns; a value past the ends of the signal sticks at the end."""
        if self.source == COUNTER:
            return values.astype(np.int64).view(np.uint64) & np.uint64(self.place.mask)
        line = values * self.gain + self.bias
        if self.float_bits == 32:
            return line.astype(np.float32).view(np.uint32).astype(np.uint64)
        if self.float_bits == 64:
            return line.view(np.uint64)
        whole = np.clip(np.rint(line), self.low, self.high).astype(np.int64)
        return whole.view(np.uint64) & np.uint64(self.place.mask)


@dataclass(frozen=True, slots=True)
class Page:
    """One multiplexer page (the only one of a plain message): its selectors and fields."""

    selectors: tuple[tuple[Place, int], ...]
    fields: tuple[Field, ...]


@dataclass(frozen=True, slots=True)
class MessagePlan:
    """How to build the frames of one message."""

    name: str
    can_id: int
    fd: bool
    length: int
    cycle_ns: int
    pages: tuple[Page, ...]
    fill: bytes

    def encode(self, first: int, count: int, sample: Callable[[str], Floats]) -> NDArray[np.uint8]:
        """Payloads uint8[count, 8 or 64] of frames number `first` and following.

        `sample` gives the values of a source for all of these frames.
        """
        width = len(self.fill)
        little = np.zeros((count, width // 8), np.uint64)
        big = np.zeros((count, width // 8), np.uint64)
        for number, page in enumerate(self.pages):
            rows = slice((number - first) % len(self.pages), count, len(self.pages))
            for place, selected in page.selectors:
                place.put(np.uint64(selected), little, big, rows)  # type: ignore[arg-type]
            for f in page.fields:
                f.place.put(f.raw(sample(f.source)[rows]), little, big, rows)
        joined = little.astype("<u8", copy=False).view(np.uint8) | big.astype(">u8").view(np.uint8)
        return joined | np.frombuffer(self.fill, np.uint8)


def compile_messages(profile: Profile, sources: frozenset[str]) -> tuple[MessagePlan, ...]:
    """Plans of the profile's messages that have a field; fields without a source stay unset."""
    plans = [
        compile_message(message, profile, sources)
        for path in profile.dbc
        for message in load_messages(path)
        if message.length <= (64 if message.is_fd else 8)  # longer ones need a transport protocol
    ]
    return tuple(p for p in plans if any(page.fields for page in p.pages))


def compile_message(message: Message, profile: Profile, sources: frozenset[str]) -> MessagePlan:
    """Plan of one message."""
    width = 64 if message.is_fd else 8
    pages = tuple(
        _page(message, chosen, profile, sources) for chosen in _selections(message.signal_tree)
    )
    used = np.zeros(width * 8, bool)
    for page in pages:
        for place in [*(p for p, _ in page.selectors), *(f.place for f in page.fields)]:
            used |= _bits(place, width)
    ones = np.packbits(~used, bitorder="little").tobytes()[: message.length]
    fill = (ones if profile.j1939 else b"").ljust(width, b"\0")
    can_id = message.frame_id | (int(EXTENDED_ID) if message.is_extended_frame else 0)
    if profile.j1939 and can_id & 0xFF == 0xFE:
        can_id &= ~0xFF  # a null source address stands for any; the engine's is 0
    known = J1939_CYCLE_MS.get(can_id >> 8 & 0x3FFFF) if profile.j1939 else None
    cycle_ms = message.cycle_time or known or DEFAULT_CYCLE_MS
    return MessagePlan(
        message.name, can_id, message.is_fd, message.length, cycle_ms * 1_000_000, pages, fill
    )


def _selections(tree: Sequence[object]) -> Iterator[dict[str, int | None]]:
    """Every page as {signal name: selector value, or None for a plain signal}, nested included."""
    chosen: list[dict[str, int | None]] = [{}]
    for node in tree:
        if isinstance(node, str):
            options: list[dict[str, int | None]] = [{node: None}]
        else:
            assert isinstance(node, dict)
            ((name, branches),) = node.items()
            options = [
                {name: value} | rest
                for value, branch in branches.items()
                for rest in _selections(branch)
            ]
        chosen = [before | option for before in chosen for option in options]
    yield from chosen


def _page(
    message: Message, chosen: dict[str, int | None], profile: Profile, sources: frozenset[str]
) -> Page:
    selectors, fields = [], []
    for name, selected in chosen.items():
        signal = message.get_signal_by_name(name)
        if selected is not None:
            selectors.append((_place(signal), selected))
            continue
        field = _field(message.name, signal, profile.bindings.get(f"{message.name}.{name}"))
        if field.source in sources or name == COUNTER:
            fields.append(field)
    return Page(tuple(selectors), tuple(fields))


def _field(message: str, signal: Signal, binding: Binding | None) -> Field:
    """Undo binding (catalogue = dbc * a + b), then the DBC's own scaling (dbc = raw * c + d)."""
    a, b, source = 1.0, 0.0, f"{message}.{signal.name}"
    if binding is not None:
        source, known = binding.name, find_signal(binding.name)
        assert known is not None, "profiles bind names of the catalogue only"
        pair = conversion(signal.unit or "", known.unit) if binding.factor is None else None
        a, b = pair or (binding.factor or 1.0, binding.offset)
    scale, offset = float(signal.conversion.scale), float(signal.conversion.offset)
    if signal.name == COUNTER:
        source, scale, offset = COUNTER, 1.0, 0.0
    top = 2.0**signal.length
    low, high = (-top / 2, top / 2 - 1) if signal.is_signed else (0.0, top - 1)
    bits = signal.length if signal.conversion.is_float else 0
    gain = 1 / (a * scale)
    return Field(source, _place(signal), gain, -(b / a + offset) / scale, low, high, bits)


def _place(signal: Signal) -> Place:
    """Word and shift of each part; a signal may cross one word border."""
    mask = (1 << signal.length) - 1
    if signal.byte_order == "little_endian":
        word, shift = divmod(signal.start, 64)
        parts = [(word, shift)]
        if shift + signal.length > 64:
            parts.append((word + 1, shift - 64))
        return Place(False, mask, tuple(parts))
    first = signal.start // 8 * 8 + 7 - signal.start % 8  # bits from the payload's first bit
    word, bit = divmod(first, 64)
    shift = 64 - bit - signal.length
    parts = [(word, shift)]
    if shift < 0:
        parts.append((word + 1, 64 + shift))
    return Place(True, mask, tuple(parts))


def _bits(place: Place, width: int) -> NDArray[np.bool_]:
    """Which payload bits a place covers, in little-endian bit order."""
    little, big = np.zeros((1, width // 8), np.uint64), np.zeros((1, width // 8), np.uint64)
    place.put(np.array([place.mask], np.uint64), little, big, slice(None))
    joined = little.astype("<u8").view(np.uint8) | big.astype(">u8").view(np.uint8)
    return np.unpackbits(joined[0], bitorder="little").astype(bool)
