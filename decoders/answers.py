"""What one diagnostic message says, in the shape every service decoder gives it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from model.codes import CodeProtocol, CodeReport, Dtc, EcuFact, FactKind
from model.errors import TruncatedFrameError


@dataclass(frozen=True, slots=True)
class Origin:
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


@dataclass(frozen=True, slots=True)
class Answer:
    """Reports and facts; `pids` are service 01 values for the DBC to decode."""

    reports: tuple[CodeReport, ...] = ()
    facts: tuple[EcuFact, ...] = ()
    pids: tuple[tuple[int, bytes], ...] = ()


def need(payload: bytes, count: int) -> None:
    """Raises `TruncatedFrameError` unless the payload has `count` bytes."""
    if len(payload) < count:
        raise TruncatedFrameError(needed=count, got=len(payload))


def printable(content: bytes) -> str:
    """ASCII text without padding; other bytes are shown as dots."""
    text = content.decode("latin-1").strip("\0\xff\xaa ") if content else ""
    return "".join(c if " " <= c <= "~" else "." for c in text)
