"""Alerts: what a rule says about a vehicle, and what changed."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from enum import StrEnum

from model.severity import Severity

#: Namespace of every deterministic Roadcall id (our own, random once).
NAMESPACE = uuid.UUID("8f0f3c0e-5d7b-5a43-9d0f-6f6f1d2c7a11")


class AlertState(StrEnum):
    """What the vehicle says; what people do with it is `Handling`."""

    FIRING = "firing"
    STALE = "stale"
    CLEARED = "cleared"
    RETRACTED = "retracted"
    EXPIRED = "expired"  # stale for so long that nothing is expected any more


class Dismissal(StrEnum):
    """Why a person dismissed an alert."""

    FALSE_ALARM = "false_alarm"  # nothing was wrong: counts against the rule
    DUPLICATE = "duplicate"
    KNOWN = "known"  # accepted, or repaired already
    TEST = "test"
    OTHER = "other"


class Handling(StrEnum):
    """What people did (domain.md 6.2)."""

    NEW = "new"
    ACKNOWLEDGED = "acknowledged"
    IN_PROGRESS = "in_progress"
    RESOLVED = "resolved"
    DISMISSED = "dismissed"


#: Reason of an alert that ended because its rule did.
REMOVED = "rule_removed"


def alert_id(rule_id: str, vin: str, instance: str, started_ns: int) -> uuid.UUID:
    """The same fault found again, by replay or by a second worker, has the same id."""
    return uuid.uuid5(NAMESPACE, f"alert|{rule_id}|{vin}|{instance}|{started_ns}")


@dataclass(frozen=True, slots=True)
class AlertTransition:
    """One step of one alert, in event time; it tells the whole alert, so the last one said holds.

    `started_ns` is when the condition first became true, `at_ns` when this step became true,
    `fired_ns` when the alert fired first and `worst_ns` when it reached its severity.
    `evidence` holds the values at `worst_ns`, in catalogue units; `thresholds` the parameters.
    `history` marks a step found in late data: it is stored but never dispatches. `bundle_hash` and
    `profile_hash` name the rules and the decoding it came from, `lead_s` says how far before
    `started_ns` the rule looked; `reason` is REMOVED where not the vehicle ended it.
    """

    alert_id: uuid.UUID
    rule_id: str
    rule_version: int
    vin: str
    instance: str
    state: AlertState
    severity: Severity
    started_ns: int
    at_ns: int
    fired_ns: int
    worst_ns: int
    evidence: dict[str, float] = field(default_factory=dict)
    thresholds: dict[str, float] = field(default_factory=dict)
    history: bool = False
    bundle_hash: str = ""
    profile_hash: str = ""
    lead_s: float = 30.0
    reason: str = ""
    #: Rule memory from before it was raised and the moment it stands at, where its frames alone do
    #: not raise it again.
    memory: tuple[int, str] | None = field(default=None, repr=False, compare=False)
