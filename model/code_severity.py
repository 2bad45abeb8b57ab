"""How bad a code is by what the vehicle says itself, read from `code_severity.toml`."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files

from model.codes import Lamps, LampState
from model.severity import Severity

FLASHING = frozenset({LampState.SLOW_FLASH, LampState.FAST_FLASH})
LIT = FLASHING | {LampState.ON}


@cache
def severity_table() -> dict[str, dict[str, Severity]]:
    """The table of domain.md 2.1: {source: {what it says: severity}}."""
    text = files("model").joinpath("code_severity.toml").read_text("utf-8")
    return {
        source: {said: Severity(level) for said, level in rows.items()}
        for source, rows in tomllib.loads(text).items()
    }


def of_lamps(lamps: Lamps | None) -> Severity:
    """The worst lit lamp; UNKNOWN where none is lit, in error or not there."""
    if lamps is None:
        return Severity.UNKNOWN
    lit = {
        "red_stop": lamps.red_stop in LIT,
        "mil_flashing": lamps.mil in FLASHING,
        "amber_warning": lamps.amber_warning in LIT,
        "mil": lamps.mil in LIT,
        "protect": lamps.protect in LIT,
    }
    table = severity_table()["lamp"]
    return max((table[name] for name, on in lit.items() if on), default=Severity.UNKNOWN)


@cache
def of_uds(severity: int | None) -> Severity:
    """The worst of the ISO 14229 severity bits; without them the worst class of ISO 27145."""
    for source in ("uds", "class"):
        found = [
            level
            for bit, level in severity_table()[source].items()
            if (severity or 0) & int(bit, 16)
        ]
        if found:
            return max(found)
    return Severity.UNKNOWN


def of_fmi(fmi: int | None) -> Severity:
    """UNKNOWN where the failure mode does not grade the fault."""
    return severity_table()["fmi"].get(str(fmi), Severity.UNKNOWN)


def of_level(level: int) -> Severity:
    """Of the highest alarm level of GB/T 32960. A level it does not define is UNKNOWN."""
    return severity_table()["gbt"].get(str(level), Severity.UNKNOWN)


def of_due_days(days: int) -> Severity:
    """Of a repair term of GB/T 45688; INFO beyond its longest."""
    table = {int(limit): level for limit, level in severity_table()["due"].items()}
    return next((table[d] for d in sorted(table) if days <= d), Severity.INFO)
