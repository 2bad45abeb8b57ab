"""Reassembles J1939 messages of more than 1785 bytes from what a gateway overheard.

Source: SAE J1939-21 and ISO 11783-3 (editions: docs/sources.md), extended transport protocol;
ETP.CM PGN 51200 (PF 0xC8), ETP.DT PGN 50944 (PF 0xC7), destination in PS. One to one only.

    ETP.CM  byte 0      1              2-4              5-7
            20  RTS     size in bytes 1-4               PGN
            21  CTS     packets        next packet      PGN   (from the receiver)
            22  DPO     packets        packets before   PGN
            23  end     size in bytes 1-4               PGN   (from the receiver)
            255 abort   reason         -                PGN   (from either side)
    ETP.DT  byte 0 = packet number less the packets before, from 1; bytes 1-7 = payload

All numbers little-endian. As in `j1939_tp` nothing is asked for again: after a lost packet the
receiver asks with CTS, the sender says with DPO where it goes on, and we go back with it. Pure:
state in, state out; one message a time per (bus, source, destination).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from decoders.j1939_tp import EVERYBODY, MAX_SIZE, PACKET, T2_NS, Key, Message
from decoders.session_memory import from_rows, to_rows

PF_CM, PF_DT = 0xC8, 0xC7
RTS, CTS, OFFSET, END, ABORT = 20, 21, 22, 23, 255
#: Longest message collected. The protocol allows 117 MB; codes never need that.
MAX_EXTENDED_SIZE = 16_384
#: At most this many messages at once and bytes remembered between batches; the oldest go first.
MAX_SESSIONS, MAX_MEMORY_BYTES = 4, 4096


@dataclass(slots=True)
class Session:
    """A message on its way. `next` is the packet expected, 0 until DPO names it."""

    pgn: int
    size: int
    seen_ns: int
    next: int = 0
    before: int = 0
    received: bytearray = field(default_factory=bytearray)


@dataclass(slots=True)
class ExtendedReassembly:
    """All sessions of one vehicle, the oldest first."""

    sessions: dict[Key, Session] = field(default_factory=dict)

    def receive(self, observed_ns: int, bus: int, can_id: int, payload: bytes) -> Message | None:
        """Take one ETP.CM or ETP.DT frame; a message when it was the last one needed."""
        source, destination = can_id & 0xFF, can_id >> 8 & 0xFF
        if len(payload) != 8 or destination == EVERYBODY:
            return None
        if can_id >> 16 & 0xFF == PF_DT:
            return self._packet(observed_ns, (bus, source, destination), payload)
        control, pgn = payload[0], int.from_bytes(payload[5:8], "little")
        if control == RTS:
            self._open((bus, source, destination), pgn, observed_ns, payload)
        elif control == OFFSET:
            session = self._alive((bus, source, destination), pgn, observed_ns)
            before = int.from_bytes(payload[2:5], "little")
            if session and before * PACKET <= len(session.received):
                del session.received[before * PACKET :]
                session.before, session.next = before, before + 1
        elif control == CTS:
            self._alive((bus, destination, source), pgn, observed_ns)
        elif control in (END, ABORT):
            for key in ((bus, destination, source), (bus, source, destination)):
                if key in self.sessions and self.sessions[key].pgn == pgn:
                    del self.sessions[key]
        return None

    def _open(self, key: Key, pgn: int, observed_ns: int, payload: bytes) -> None:
        self.sessions.pop(key, None)
        size = int.from_bytes(payload[1:5], "little")
        if MAX_SIZE < size <= MAX_EXTENDED_SIZE:
            self.sessions[key] = Session(pgn, size, observed_ns)
            while len(self.sessions) > MAX_SESSIONS:
                del self.sessions[next(iter(self.sessions))]

    def _packet(self, observed_ns: int, key: Key, payload: bytes) -> Message | None:
        session = self._alive(key, None, observed_ns)
        if session is None:
            return None
        if not payload[0] or session.before + payload[0] != session.next:
            session.next = 0
            return None
        session.received += payload[1:]
        session.next += 1
        if len(session.received) < session.size:
            return None
        del self.sessions[key]
        whole = bytes(session.received[: session.size])
        return Message(observed_ns, *key, session.pgn, whole)

    def _alive(self, key: Key, pgn: int | None, observed_ns: int) -> Session | None:
        """The session, unless it is about another PGN or its time is over (event time)."""
        session = self.sessions.get(key)
        if session is None or pgn not in (None, session.pgn):
            return None
        if not 0 <= observed_ns - session.seen_ns <= T2_NS:
            del self.sessions[key]
            return None
        session.seen_ns = observed_ns
        return session

    def expire(self, now_ns: int) -> None:
        """Forget sessions whose time is over when the vehicle's clock says `now_ns`."""
        for key, session in list(self.sessions.items()):
            if now_ns - session.seen_ns > T2_NS:
                del self.sessions[key]

    def to_memory(self) -> list[list[int | str]]:
        """JSON-able rows, the newest sessions that fit `MAX_MEMORY_BYTES`."""
        newest_first = (
            ([*key, s.pgn, s.size, s.seen_ns, s.next, s.before], s.received)
            for key, s in reversed(self.sessions.items())
        )
        return to_rows(newest_first, MAX_MEMORY_BYTES)

    @classmethod
    def from_memory(cls, rows: Sequence[Sequence[int | str]]) -> ExtendedReassembly:
        """Inverse of `to_memory`."""
        reassembly = cls()
        for numbers, received in from_rows(rows):
            bus, source, destination, pgn, size, seen_ns, following, before = numbers
            reassembly.sessions[bus, source, destination] = Session(
                pgn, size, seen_ns, following, before, received
            )
        return reassembly
