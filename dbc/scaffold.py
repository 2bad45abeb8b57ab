"""A first profile for new DBC files, to be filled in by someone who knows the vehicle."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from dbc.loader import load_file
from dbc.profile import POWERTRAINS
from dbc.units import conversion
from model.catalogue import catalogue

if TYPE_CHECKING:
    from cantools.database.can.signal import Signal

#: Words that say nothing about which quantity a signal is.
_FILLERS = frozenset(
    ["sig", "signal", "val", "value", "act", "actual", "cur", "current", "meas", "measured"]
)


def profile_text(name: str, files: Sequence[Path], *, j1939: bool) -> str:
    """TOML with a line for every signal; guesses are comments. Raises `ProfileError`."""
    lines = [
        f"profile = {json.dumps(name)}",
        f'powertrain = "combustion"  # {" | ".join(POWERTRAINS)}',
        f"dbc = [{', '.join(json.dumps(f.name) for f in files)}]",
        f"j1939 = {str(j1939).lower()}",
        "",
        "# Take the # away where the name is right; what is left out keeps its own name.",
        "[signals]",
    ]
    for path in files:
        for message in load_file(path).messages:
            lines.append(f"# {message.name}, 0x{message.frame_id:X}")
            for signal in message.signals:
                key = json.dumps(f"{message.name}.{signal.name}")
                guess = guess_name(signal) or ""
                lines.append(f"# {key} = {json.dumps(guess)}  # {_facts(signal)}")
    return "\n".join([*lines, ""])


def _facts(signal: Signal) -> str:
    bounds = "" if signal.minimum is None else f", {signal.minimum} .. {signal.maximum}"
    return f"{signal.length} bits, {signal.unit or 'no unit'}{bounds}"


def guess_name(signal: Signal) -> str | None:
    """The catalogue name whose words are all in the signal's, with a unit we can convert."""
    words = _words(signal.name)
    found = []
    for name, row in catalogue().items():
        wanted = _words(name)
        if row.unit:  # the name ends in its unit
            wanted = wanted[:-1]
        fits = wanted and not row.elements and set(wanted) <= set(words)
        if fits and conversion(signal.unit or "", row.unit) is not None:
            found.append((len(wanted), name))
    return max(found)[1] if found else None


def _words(name: str) -> list[str]:
    """engine, speed of EngineSpeed, ENGINE_SPEED and engine_speed_rpm's first two."""
    spaced = re.sub(r"([a-z0-9])([A-Z])|([A-Z])([A-Z][a-z])", r"\1\3 \2\4", name)
    words = [w.lower() for w in re.split(r"[\s_.]+", spaced) if w]
    return [w for w in words if w not in _FILLERS]
