"""Reassembles diagnostic messages from the CAN frames a gateway overheard.

Source: ISO 15765-2 (edition: docs/sources.md), protocol control information.

    frame              byte 0      next bytes                    payload from byte
    single             0L          -                             1     L = length, 1-7
    single, CAN FD     00          length                        2     frames above 8 bytes only
    first              1L LL       -                             2     L LL = length, to 4095
    first, escape      10 00       length, 4 bytes, big-endian   6     above 4095 only
    consecutive        2N          -                             1     N = sequence, 1..F, 0, 1..
    flow control       3S          block size, st_min            -     0 go on, 1 wait, 2 overflow

Normal and normal fixed addressing start at byte 0 of the CAN frame; extended and mixed addressing
put an address byte before it (`offset` 1), which is then part of who is speaking.

We only listen: flow control belongs to the two speakers and changes nothing here. What breaks the
rules: a frame that cannot be read is ignored; a wrong sequence number, a consecutive frame cut
short or later than N_Cr, or a new first or single frame of the same speaker ends the message on
its way, which is then lost; a message above `MAX_SIZE` is not collected. Consecutive frames of no
message are ignored. Pure: state in, state out, one message a time per (bus, identifier, address).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple

from decoders.session_memory import from_rows, to_rows
from model.clock import NS

SINGLE, FIRST, CONSECUTIVE, FLOW_CONTROL = 0, 1, 2, 3
CLASSIC, ESCAPE_FROM = 8, 4095
#: Longest pause between two frames of a message.
N_CR_NS = 1 * NS
#: Longest message collected: more is a download, not a diagnosis.
MAX_SIZE = 16_384
#: At most this many messages at once and bytes remembered between batches; the oldest go first.
MAX_SESSIONS, MAX_MEMORY_BYTES = 32, 4096
NO_ADDRESS = -1
#: Control bytes of single frames are below these.
_FIRST_FRAMES = FIRST << 4
#: Control bytes of consecutive frames: 21 follows the first frame, 20 follows 2F.
_FIRST_CONTROL, _SECOND, _LAST_CONTROL = 0x20, 0x21, 0x2F

Key = tuple[int, int, int]


class Message(NamedTuple):
    """One whole message; `begun_ns` and `observed_ns` are the times of its first and last frame."""

    begun_ns: int
    observed_ns: int
    bus: int
    can_id: int
    address: int
    payload: bytes


#: A message of a tuple, at half the price.
_MESSAGE = partial(tuple.__new__, Message)


@dataclass(slots=True)
class Session:
    """A message on its way, `missing` bytes of it; `width` is the length of its frames.

    `next` is the control byte that the next frame has.
    """

    begun_ns: int
    seen_ns: int
    missing: int
    width: int
    next: int
    received: bytearray


@dataclass(slots=True)
class Reassembly:
    """All messages on their way of one vehicle, the oldest first; `broken` counts those lost."""

    sessions: dict[Key, Session] = field(default_factory=dict)
    broken: int = 0

    def receive(
        self, observed_ns: int, bus: int, can_id: int, frame: bytes, offset: int = 0
    ) -> Message | None:
        """Take one frame; a message when it was the last one needed."""
        length = len(frame)
        if length <= offset:
            return None
        address = frame[0] if offset else NO_ADDRESS
        control = frame[offset]
        if control < _FIRST_FRAMES:
            start, size = offset + 1, control
            if length > CLASSIC:
                if control or length <= start:
                    return None
                start, size = offset + 2, frame[offset + 1]
            if not 0 < size <= length - start:
                return None
            if self.sessions:
                self.lose((bus, can_id, address))
            payload = frame[start : start + size]
            return _MESSAGE((observed_ns, observed_ns, bus, can_id, address, payload))
        key, kind = (bus, can_id, address), control >> 4
        if kind == CONSECUTIVE:
            session = self.sessions.get(key)
            if session is None:
                return None
            part = frame[offset + 1 :]
            session.missing -= len(part)
            late = not 0 <= observed_ns - session.seen_ns <= N_CR_NS
            if control != session.next or late or (session.missing > 0 and length != session.width):
                self.lose(key)
                return None
            session.received += part
            if session.missing <= 0:
                return self._finish(observed_ns, key, session)
            session.seen_ns = observed_ns
            session.next = control + 1 if control < _LAST_CONTROL else _FIRST_CONTROL
        elif kind == FIRST and length >= CLASSIC:
            self._open(observed_ns, key, frame, offset)
        return None

    def _open(self, observed_ns: int, key: Key, frame: bytes, offset: int) -> None:
        size, start = (frame[offset] & 0xF) << 8 | frame[offset + 1], offset + 2
        if not size:
            size, start = int.from_bytes(frame[offset + 2 : offset + 6], "big"), offset + 6
            if size <= ESCAPE_FROM:
                return
        if size <= max(len(frame) - start, CLASSIC - 1 - offset):
            return  # a single frame would have done
        if self.sessions:
            self.lose(key)
        if size > MAX_SIZE:
            self.broken += 1
            return
        part = bytearray(frame[start:])
        missing, width = size - len(part), len(frame)
        self.sessions[key] = Session(observed_ns, observed_ns, missing, width, _SECOND, part)
        if len(self.sessions) > MAX_SESSIONS:
            self.lose(next(iter(self.sessions)))

    def _finish(self, observed_ns: int, key: Key, session: Session) -> Message:
        del self.sessions[key]
        received = session.received
        payload = bytes(received[: len(received) + session.missing])
        return _MESSAGE((session.begun_ns, observed_ns, *key, payload))

    def lose(self, key: Key) -> None:
        """Somebody began something new: the message on its way is lost."""
        if self.sessions.pop(key, None) is not None:
            self.broken += 1

    def expire(self, now_ns: int) -> None:
        """Forget messages whose time is over when the vehicle's clock says `now_ns`."""
        for key, session in list(self.sessions.items()):
            if now_ns - session.seen_ns > N_CR_NS:
                self.lose(key)

    def to_memory(self) -> list[list[int | str]]:
        """JSON-able rows, the newest messages that fit `MAX_MEMORY_BYTES`."""
        newest_first = (
            ([*key, s.begun_ns, s.seen_ns, s.missing, s.width, s.next], s.received)
            for key, s in reversed(self.sessions.items())
        )
        return to_rows(newest_first, MAX_MEMORY_BYTES)

    @classmethod
    def from_memory(cls, rows: Sequence[Sequence[int | str]]) -> Reassembly:
        """Inverse of `to_memory`."""
        reassembly = cls()
        for numbers, received in from_rows(rows):
            bus, can_id, address, begun_ns, seen_ns, missing, width, following = numbers
            reassembly.sessions[bus, can_id, address] = Session(
                begun_ns, seen_ns, missing, width, following, received
            )
        return reassembly
