"""What diagnostic messages say, in the shape every decoder and listener gives it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from model.code_clears import clear_text
from model.codes import CodeProtocol, CodeReport, Dtc, EcuFact, FactKind
from model.errors import TruncatedFrameError


class Origin(NamedTuple):
    """Which ECU said it, and when."""

    observed_ns: int
    bus: int
    ecu: int

    def report(self, protocol: CodeProtocol, scope: str, codes: Iterable[Dtc]) -> CodeReport:
        """A list of codes this ECU gave."""
        return CodeReport(self.observed_ns, self.bus, self.ecu, protocol, scope, tuple(codes))

    def fact(
        self, protocol: CodeProtocol, kind: FactKind, identifier: int, content: bytes, text: str
    ) -> EcuFact:
        """Anything else this ECU said."""
        return EcuFact(
            self.observed_ns, self.bus, self.ecu, protocol, kind, identifier, content, text
        )

    def cleared(self, protocol: CodeProtocol, group: int) -> EcuFact:
        """That this ECU cleared a group of codes (`model/code_clears.py`)."""
        return self.fact(protocol, FactKind.CLEARED, group, b"", clear_text(protocol, group))


class Answer(NamedTuple):
    """Reports and facts; `pids` (service 01) and `dids` (service 22) are values for the plan."""

    reports: tuple[CodeReport, ...] = ()
    facts: tuple[EcuFact, ...] = ()
    pids: tuple[tuple[int, bytes], ...] = ()
    dids: tuple[tuple[int, bytes], ...] = ()


class Carried(NamedTuple):
    """A payload that came inside others, and the identifier of a frame of its own.

    `single_frame`: it has the length byte of ISO 15765-2, as messages marked `iso_tp` expect.
    `did`: it is the value of this data identifier, whatever the frame's identifier.
    """

    row: int
    observed_ns: int
    can_id: int
    payload: bytes
    single_frame: bool = False
    did: int | None = None


class LampPairs(NamedTuple):
    """The lamp bits of one DM1, as `j1939_dm1.LAMPS` orders them."""

    row: int
    observed_ns: int
    source: int
    pairs: tuple[int, int, int, int]


@dataclass(slots=True)
class Heard:
    """What the frames of a batch said; `carried` and `lamps` become signals by the plan."""

    reports: list[CodeReport] = field(default_factory=list)
    facts: list[EcuFact] = field(default_factory=list)
    carried: list[Carried] = field(default_factory=list)
    lamps: list[LampPairs] = field(default_factory=list)


def need(payload: bytes, count: int) -> None:
    """Raises `TruncatedFrameError` unless the payload has `count` bytes."""
    if len(payload) < count:
        raise TruncatedFrameError(needed=count, got=len(payload))


def printable(content: bytes) -> str:
    """ASCII text without its padding; other bytes are shown as dots."""
    text = content.replace(b"\0", b"").decode("latin-1").strip("\xff\xaa ")
    return "".join(c if " " <= c <= "~" else "." for c in text)
