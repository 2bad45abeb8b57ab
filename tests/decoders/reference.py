"""An independent decoder: big integers, one frame at a time. For what cantools cannot decode."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from cantools.database.can import Message
from cantools.database.can.signal import Signal

Numbers = dict[str, float]
_FLOATS = {16: "e", 32: "f", 64: "d"}


@dataclass(frozen=True)
class Place:
    """One signal: where its bits are in the payload read as one big integer."""

    signal: Signal
    big: bool
    first: int
    length: int

    @property
    def need(self) -> int:
        return (self.first + self.length + 7) // 8

    def raw(self, payload: bytes) -> int:
        """Unsigned bits; the payload must hold them."""
        if self.big:
            whole = int.from_bytes(payload, "big")
            return whole >> (8 * len(payload) - self.first - self.length) & (1 << self.length) - 1
        return int.from_bytes(payload, "little") >> self.first & (1 << self.length) - 1


def place_of(signal: Signal) -> Place:
    big = signal.byte_order == "big_endian"
    first = 8 * (signal.start // 8) + 7 - signal.start % 8 if big else signal.start
    return Place(signal, big, first, signal.length)


def signed(place: Place, raw: int) -> int:
    negative = place.signal.is_signed and raw >> (place.length - 1)
    return raw - (1 << place.length) if negative else raw


def number(place: Place, raw: int) -> float:
    """The physical value; integers multiply as integers and round once."""
    signal = place.signal
    if signal.conversion.is_float:
        kind = _FLOATS[place.length]
        plain = struct.unpack(f"<{kind}", raw.to_bytes(place.length // 8, "little"))[0]
        identity = signal.scale == 1 and signal.offset == 0
        return float(plain if identity else plain * signal.scale + signal.offset)
    return float(signed(place, raw) * signal.scale + signal.offset)


class Reference:
    """All signals of one message."""

    def __init__(self, message: Message) -> None:
        self.message = message
        self.places = [
            place_of(s)
            for s in message.signals
            if (s.length in _FLOATS if s.conversion.is_float else s.length <= 64)
        ]
        self.by_name = {p.signal.name: p for p in self.places}

    def decode(self, payload: bytes) -> Numbers:
        """Values of all active signals that the payload holds."""
        raws = {p.signal.name: p.raw(payload) for p in self.places if p.need <= len(payload)}
        return {
            name: number(self.by_name[name], raw)
            for name, raw in raws.items()
            if self._active(self.by_name[name].signal, raws)
        }

    def _active(self, signal: Signal, raws: dict[str, int]) -> bool:
        switch = signal.multiplexer_signal
        if switch is None:
            return True
        if switch not in raws or not self._active(self.by_name[switch].signal, raws):
            return False
        length = self.by_name[switch].length
        wanted = {i % (1 << length) for i in signal.multiplexer_ids or ()}
        return raws[switch] in wanted
