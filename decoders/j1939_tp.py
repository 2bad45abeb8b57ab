"""Reassembles J1939 messages of more than 8 bytes from what a gateway overheard.

Source: SAE J1939-21 (edition: docs/sources.md), transport protocol; TP.CM PGN 60416 (PF 0xEC),
TP.DT PGN 60160 (PF 0xEB), destination in PS, 255 = everybody.

    TP.CM   byte 0      1-2           3          4                5-7
            16  RTS     size          packets    most per CTS     PGN
            17  CTS     packets, next packet     -                PGN   (from the receiver)
            19  end     size          packets    -                PGN   (from the receiver)
            32  BAM     size          packets    -                PGN
            255 abort   reason                                    PGN   (from either side)
    TP.DT   byte 0 = sequence number from 1, bytes 1-7 = payload, the last one padded

We only listen: nothing is ever asked for again. A lost packet ends a broadcast; in a connection
the receiver asks again with CTS, and we go back with it. Pure: state in, state out. One session
per (bus, source, destination); the standard allows one broadcast and one connection of a pair.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from decoders.session_memory import from_rows, to_rows
from model.clock import NS

PF_CM, PF_DT, EVERYBODY = 0xEC, 0xEB, 0xFF
RTS, CTS, END, BAM, ABORT = 16, 17, 19, 32, 255
MIN_SIZE, MAX_SIZE, PACKET = 9, 1785, 7
#: T1: longest pause between packets; T2/T3: between packets and answers of a connection.
T1_NS, T2_NS = 750 * NS // 1000, 1250 * NS // 1000
#: At most this many sessions at once and bytes remembered between batches; the oldest go first.
MAX_SESSIONS, MAX_MEMORY_BYTES = 16, 2048

Key = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Message:
    """One reassembled message; `observed_ns` is the time of its last packet."""

    observed_ns: int
    bus: int
    source: int
    destination: int
    pgn: int
    payload: bytes


@dataclass(slots=True)
class Session:
    """A message on its way. `next` is the packet expected, 0 after one was lost."""

    pgn: int
    size: int
    seen_ns: int
    next: int = 1
    received: bytearray = field(default_factory=bytearray)

    @property
    def packets(self) -> int:
        return -(-self.size // PACKET)


@dataclass(slots=True)
class Reassembly:
    """All sessions of one vehicle, the oldest first."""

    sessions: dict[Key, Session] = field(default_factory=dict)

    def receive(self, observed_ns: int, bus: int, can_id: int, payload: bytes) -> Message | None:
        """Take one TP.CM or TP.DT frame; a message when it was the last one needed.

        Frames that break the protocol end their session and are otherwise ignored.
        """
        source, destination = can_id & 0xFF, can_id >> 8 & 0xFF
        if len(payload) != 8:
            return None
        if can_id >> 16 & 0xFF == PF_DT:
            return self._packet(observed_ns, (bus, source, destination), payload)
        control, pgn = payload[0], int.from_bytes(payload[5:8], "little")
        if control in (RTS, BAM):
            self._open((bus, source, destination), control, pgn, observed_ns, payload)
        elif control == CTS:
            self._go_on((bus, destination, source), pgn, observed_ns, payload)
        elif control in (END, ABORT):
            for key in ((bus, destination, source), (bus, source, destination)):
                if key in self.sessions and self.sessions[key].pgn == pgn:
                    del self.sessions[key]
        return None

    def _open(self, key: Key, control: int, pgn: int, observed_ns: int, payload: bytes) -> None:
        self.sessions.pop(key, None)
        session = Session(pgn, int.from_bytes(payload[1:3], "little"), observed_ns)
        right_receiver = (key[2] == EVERYBODY) == (control == BAM)
        if not (MIN_SIZE <= session.size <= MAX_SIZE and payload[3] == session.packets):
            return
        if right_receiver:
            self.sessions[key] = session
            while len(self.sessions) > MAX_SESSIONS:
                del self.sessions[next(iter(self.sessions))]

    def _go_on(self, key: Key, pgn: int, observed_ns: int, payload: bytes) -> None:
        """CTS: the receiver is alive and names the next packet; 0 packets = please wait."""
        session = self._alive(key, observed_ns)
        if session is None or session.pgn != pgn:
            return
        session.seen_ns = observed_ns
        have = len(session.received) // PACKET
        if payload[1] and 1 <= payload[2] <= have + 1:
            del session.received[(payload[2] - 1) * PACKET :]
            session.next = payload[2]

    def _packet(self, observed_ns: int, key: Key, payload: bytes) -> Message | None:
        session = self._alive(key, observed_ns)
        if session is None:
            return None
        session.seen_ns = observed_ns
        if not payload[0] or payload[0] != session.next:
            session.next = 0
            if key[2] == EVERYBODY:
                del self.sessions[key]
            return None
        session.received += payload[1:]
        session.next += 1
        if session.next <= session.packets:
            return None
        del self.sessions[key]
        bus, source, destination = key
        whole = bytes(session.received[: session.size])
        return Message(observed_ns, bus, source, destination, session.pgn, whole)

    def _alive(self, key: Key, observed_ns: int) -> Session | None:
        """The session, unless its time is over (event time; going back in time ends it too)."""
        session = self.sessions.get(key)
        if session is not None and not 0 <= observed_ns - session.seen_ns <= _patience_ns(key):
            del self.sessions[key]
            return None
        return session

    def expire(self, now_ns: int) -> None:
        """Forget sessions whose time is over when the vehicle's clock says `now_ns`."""
        for key, session in list(self.sessions.items()):
            if now_ns - session.seen_ns > _patience_ns(key):
                del self.sessions[key]

    def to_memory(self) -> list[list[int | str]]:
        """JSON-able rows, the newest sessions that fit `MAX_MEMORY_BYTES`."""
        newest_first = (
            ([*key, s.pgn, s.size, s.seen_ns, s.next], s.received)
            for key, s in reversed(self.sessions.items())
        )
        return to_rows(newest_first, MAX_MEMORY_BYTES)

    @classmethod
    def from_memory(cls, rows: Sequence[Sequence[int | str]]) -> Reassembly:
        """Inverse of `to_memory`."""
        reassembly = cls()
        for numbers, received in from_rows(rows):
            bus, source, destination, pgn, size, seen_ns, following = numbers
            reassembly.sessions[bus, source, destination] = Session(
                pgn, size, seen_ns, following, received
            )
        return reassembly


def _patience_ns(key: Key) -> int:
    return T1_NS if key[2] == EVERYBODY else T2_NS
