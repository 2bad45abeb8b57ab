"""What is odd about a DBC file: repairs, overlaps, bits past the end, signals without a name."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING

from dbc.loader import load_file
from dbc.profile import Binding, ProfileError, load_profile
from dbc.repair import Remark

if TYPE_CHECKING:
    from cantools.database.can import Message
    from cantools.database.can.signal import Signal


@dataclass(frozen=True, slots=True)
class FileCheck:
    """Findings about one file. Only `faults` keep it from being used."""

    path: Path
    messages: int = 0
    signals: int = 0
    faults: tuple[str, ...] = ()
    repairs: tuple[Remark, ...] = ()
    #: "Message: A and B share bits 8-11"
    overlaps: tuple[str, ...] = ()
    #: "Message.Signal: bit 70 of 64"
    beyond: tuple[str, ...] = ()
    #: "Message.Signal" without a catalogue name.
    unmapped: tuple[str, ...] = ()


def check_file(path: Path) -> FileCheck:
    """Read the file and, where one lies beside it, its profile."""
    try:
        loaded = load_file(path)
        bindings = _bindings(path)
    except ProfileError as error:
        return FileCheck(path, faults=error.faults)
    names = [f"{m.name}.{s.name}" for m in loaded.messages for s in m.signals]
    return FileCheck(
        path,
        messages=len(loaded.messages),
        signals=len(names),
        repairs=loaded.repairs,
        overlaps=tuple(o for m in loaded.messages for o in overlaps(m)),
        beyond=tuple(b for m in loaded.messages for b in _beyond(m)),
        unmapped=tuple(n for n in names if n not in bindings),
    )


def _bindings(path: Path) -> dict[str, Binding]:
    if not path.with_suffix(".toml").is_file():
        return {}
    return dict(load_profile(path.stem, [path.parent]).bindings)


def overlaps(message: Message) -> Iterator[str]:
    """Pairs of signals that share bits and can be there at the same time."""
    for a, b in combinations(message.signals, 2):
        shared = sorted(_bits(a) & _bits(b))
        if shared and not _apart(message, a, b):
            ends = f"bits {shared[0]}-{shared[-1]}" if len(shared) > 1 else f"bit {shared[0]}"
            yield f"{message.name}: {a.name} and {b.name} share {ends}"


def _bits(signal: Signal) -> frozenset[int]:
    """Positions in reading order: byte * 8 from the low bit, as little-endian signals count."""
    if signal.byte_order == "little_endian":
        return frozenset(range(signal.start, signal.start + signal.length))
    first = 8 * (signal.start // 8) + 7 - signal.start % 8
    return frozenset(8 * (p // 8) + 7 - p % 8 for p in range(first, first + signal.length))


def _apart(message: Message, a: Signal, b: Signal) -> bool:
    """Whether no multiplexer value brings both."""
    left, right = _conditions(message, a), _conditions(message, b)
    return any(not left[switch] & right[switch] for switch in left.keys() & right.keys())


def _conditions(message: Message, signal: Signal) -> dict[str, set[int]]:
    """Values of each switch that bring the signal."""
    found: dict[str, set[int]] = {}
    while signal.multiplexer_signal is not None:
        found[signal.multiplexer_signal] = set(signal.multiplexer_ids or ())
        signal = message.get_signal_by_name(signal.multiplexer_signal)
    return found


def _beyond(message: Message) -> Iterator[str]:
    for signal in message.signals:
        last = max(_bits(signal))
        if message.length and last >= 8 * message.length:
            yield f"{message.name}.{signal.name}: bit {last} of {8 * message.length}"
