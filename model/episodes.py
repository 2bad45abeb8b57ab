"""Fault episodes (domain.md 6.1), and the facts they are derived from.

Facts merge in any order (`rules/sightings.py`, `store/code_facts.py`): the earliest, the latest,
the sum, the union. Time is cut in buckets of ten minutes since 1970, so a code that is repeated
every second stays one row.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

from model.alerts import NAMESPACE
from model.clock import NS
from model.code_clears import holds
from model.codes import CodeProtocol, CodeScope, Dtc
from model.record import Record
from model.severity import Severity

BUCKET_NS = 600 * NS
BUCKETS_A_DAY = 144
#: The ECU of what is said of the whole vehicle.
WHOLE_VEHICLE = -1
#: A code without a failure type byte.
NO_FAILURE_TYPE = -1
#: Lists that name every code there is: a code missing from a later one is gone.
WHOLE_LISTS = frozenset(
    {
        CodeScope.ACTIVE,
        CodeScope.CONFIRMED,
        CodeScope.PENDING,
        CodeScope.PREVIOUS,
        CodeScope.EMISSION,
        CodeScope.PERMANENT,
        CodeScope.PREFAILED,
    }
)


class EpisodeKind(StrEnum):
    """What found the fault."""

    CODE = "code"
    RULE = "rule"


class EpisodeState(StrEnum):
    """How a fault stands; UNKNOWN is said when it is read, of an open one without newer data."""

    SUSPECT = "suspect"
    ACTIVE = "active"
    PASSIVE = "passive"
    HEALED = "healed"
    CLEARED = "cleared"
    VERIFIED = "verified"
    RECURRED = "recurred"
    UNKNOWN = "unknown"


#: The fault is there by the newest word on it.
PRESENT = frozenset({EpisodeState.SUSPECT, EpisodeState.ACTIVE, EpisodeState.RECURRED})
OPEN = PRESENT | {EpisodeState.PASSIVE}


class SignKind(StrEnum):
    """What speaks of all codes of an ECU at once."""

    RESET = "reset"  # no monitor has run since codes were cleared
    PARTIAL = "partial"  # some have
    COMPLETE = "complete"  # all have
    CLEARED = "cleared"  # a person says that the codes were cleared, or the repair done


class CodeVerdict(StrEnum):
    """What an operator thinks of a code."""

    IGNORE = "ignore"
    CRITICAL = "critical"


@dataclass(frozen=True, slots=True, order=True)
class FaultKey:
    """Which fault of a vehicle; of a rule `code` is its id and `instance` which one."""

    kind: EpisodeKind
    ecu: int
    protocol: str
    code: str
    failure_type: int = NO_FAILURE_TYPE
    instance: str = ""

    @classmethod
    def of_rule(cls, rule_id: str, instance: str) -> Self:
        """The fault a rule finds."""
        return cls(EpisodeKind.RULE, WHOLE_VEHICLE, "", rule_id, NO_FAILURE_TYPE, instance)

    def dtc(self, conversion_method: int = 0) -> Dtc:
        """The code of a code's fault, for `model.code_book.explain`."""
        kind = None if self.failure_type == NO_FAILURE_TYPE else self.failure_type
        protocol = CodeProtocol(self.protocol)
        return Dtc(protocol, self.ecu, self.code, kind, conversion_method=conversion_method)


@dataclass(frozen=True, slots=True)
class Sighting:
    """A code in one list of its ECU during one bucket.

    `status_any` holds every status bit seen; `status`, `lamp`, `graded` are those of the last
    report: the lamps' severity where they can only mean this code, and the severity byte's.
    `freeze_frames` is the JSON of the earliest frames, sent at `freeze_ns`.
    """

    key: FaultKey
    scope: str
    bucket: int
    first_ns: int
    last_ns: int
    n: int = 1
    status_any: int | None = None
    status: int | None = None
    occurrence_count: int | None = None
    conversion_method: int = 0
    lamp: Severity = Severity.UNKNOWN
    graded: Severity = Severity.UNKNOWN
    freeze_frames: str | None = None
    freeze_ns: int | None = None


@dataclass(frozen=True, slots=True)
class Heard:
    """That an ECU sent a whole list: bit i = in bucket i of that UTC day."""

    ecu: int
    protocol: str
    scope: str
    day: int
    buckets: int
    last_report_ns: int


@dataclass(frozen=True, slots=True)
class Sign:
    """The first sign of its kind in one bucket. `ecu` may be `WHOLE_VEHICLE`."""

    ecu: int
    protocol: str
    kind: SignKind
    at_ns: int

    @property
    def bucket(self) -> int:
        """Its bucket."""
        return self.at_ns // BUCKET_NS


@dataclass(frozen=True, slots=True)
class Clear:
    """An ECU's word that it cleared a group of codes: the first and the last of one bucket.

    `group`: `model/code_clears.py`.
    """

    ecu: int
    protocol: str
    group: int
    first_ns: int
    last_ns: int

    @property
    def bucket(self) -> int:
        """Its bucket."""
        return self.first_ns // BUCKET_NS

    def concerns(self, key: FaultKey) -> bool:
        """Whether this code is of the group, whatever its state."""
        if (self.ecu, self.protocol) != (key.ecu, key.protocol):
            return False
        kind = None if key.failure_type == NO_FAILURE_TYPE else key.failure_type
        return holds(self.protocol, self.group, key.code, kind)


@dataclass(frozen=True, slots=True)
class RulePresence:
    """One alert as presence: from `started_ns`; `cleared_ns` None while it stands."""

    started_ns: int
    seen_ns: int
    cleared_ns: int | None
    severity: Severity


class EpisodeParameters(Record):
    """All of them our own, except the good cycles (SAE J1979: the lamp goes out after three)."""

    #: A silence longer than this ends a driving cycle of an ECU that speaks by itself.
    cycle_silence_s: int = 600
    #: The same for one that is asked (OBD, UDS, KWP): its silence only says that nobody asked.
    asked_silence_s: int = 4 * 3600
    good_cycles: int = 3
    #: Coming back within this of its end, a fault keeps its episode (domain.md 2.2).
    reopen_s: int = 24 * 3600
    #: How far back facts are read again; an episode that reaches further is read from its start.
    window_s: int = 90 * 86_400
    #: An open episode whose ECU says nothing for this long is UNKNOWN.
    stale_after_s: int = 7 * 86_400

    def silence_buckets(self, protocol: str) -> int:
        """Empty buckets that end a driving cycle."""
        speaks = protocol == CodeProtocol.J1939
        return max(1, (self.cycle_silence_s if speaks else self.asked_silence_s) * NS // BUCKET_NS)


OWN_PARAMETERS = EpisodeParameters()


@dataclass(frozen=True, slots=True)
class Episode:
    """One fault from its first sign to its end. `since_ns` is when `state` began.

    `count` is how often it appeared, `repeat` how often it came back after it was cleared.
    """

    episode_id: uuid.UUID
    key: FaultKey
    state: EpisodeState
    severity: Severity
    count: int
    repeat: int
    started_ns: int
    last_seen_ns: int
    since_ns: int
    ended_ns: int | None
    status: int | None = None
    occurrence_count: int | None = None
    conversion_method: int = 0
    freeze_frames: str | None = None

    @property
    def is_open(self) -> bool:
        """At most one of a fault is."""
        return self.state in OPEN


def episode_id(vin: str, key: FaultKey, started_ns: int) -> uuid.UUID:
    """The same facts in any order give the same id."""
    parts: Sequence[object] = (
        vin,
        key.kind,
        key.ecu,
        key.protocol,
        key.code,
        key.failure_type,
        key.instance,
        started_ns,
    )
    return uuid.uuid5(NAMESPACE, "|".join(["episode", *map(str, parts)]))
