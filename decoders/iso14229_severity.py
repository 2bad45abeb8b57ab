"""How bad a code is, where the ECU says so.

Source: ISO 14229-1 Annex D (severity mask); ISO 27145-3 and GTR 5 (classes); editions and what
was not read: docs/sources.md.

    bit  7     check immediately
         6     check at next halt
         5     maintenance only
         4-0   class: 01 unclassified, 02 A, 04 B1, 08 B2, 10 C
"""

from __future__ import annotations

from model.severity import Severity

#: GTR classes, the worst first.
CLASSES = ((0x02, "A"), (0x04, "B1"), (0x08, "B2"), (0x10, "C"))
_ADVICE = ((0x80, Severity.STOP), (0x40, Severity.VISIT_SOON), (0x20, Severity.REMIND))
_BY_CLASS = {
    "A": Severity.VISIT_SOON,
    "B1": Severity.REMIND,
    "B2": Severity.REMIND,
    "C": Severity.INFO,
}


def emission_class(severity: int) -> str | None:
    """A, B1, B2 or C; None where the ECU did not classify it."""
    return next((name for bit, name in CLASSES if severity & bit), None)


def level(severity: int) -> Severity:
    """Our scale: what the maker advises where he does, else what the class means."""
    for bit, advice in _ADVICE:
        if severity & bit:
            return advice
    return _BY_CLASS.get(emission_class(severity) or "", Severity.UNKNOWN)
