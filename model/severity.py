"""The one severity scale (domain.md 2.1)."""

from __future__ import annotations

from enum import IntEnum


class Severity(IntEnum):
    """Numbers are stored; names are localised."""

    UNKNOWN = -1
    INFO = 0
    REMIND = 1
    VISIT_SOON = 2
    STOP = 3
    EMERGENCY = 4
