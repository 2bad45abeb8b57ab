"""What the facts of one fault say, as marks in order of time; `rules/episodes.py` folds them.

Source: ISO 14229-1 DTC status byte, ISO 14230-3 status byte, SAE J1979 services 03, 07, 0A,
SAE J1939-73 DM1, DM2, DM6, DM12.

    UDS status   01 set: failed; 08: stored; 04: suspect; 10: erased; 40: no result yet; else
                 passed, and proven where 20 (failed since clear) is not set either
    KWP status   bits 6-5: 3 failed, 2 suspect, 1 stored; bit 4 set: no result yet; else passed
    no status    active, confirmed, emission: failed; pending, prefailed: suspect; previous,
                 listed: stored; permanent: permanent
    missing      from a later active or confirmed list of its ECU: gone
    cleared      services 04 and 14: reset; DM11: only what is there, DM3: only what is not
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache

from model.code_clears import ClearScope, clear_scope
from model.codes import CodeProtocol, CodeScope
from model.episodes import (
    BUCKET_NS,
    BUCKETS_A_DAY,
    Clear,
    EpisodeParameters,
    Heard,
    RulePresence,
    Sighting,
    Sign,
    SignKind,
)
from model.severity import Severity


class Said(IntEnum):
    """What a mark says; at one moment the lower is said first: the fault has the last word."""

    RESET = 0  # codes were cleared
    RESET_PREVIOUS = 1  # those that were not active
    RESET_ACTIVE = 2  # those that were
    GONE = 3  # missing from a list of what is wrong now
    FADED = 4  # missing from a list of suspects
    REMOVED = 5  # missing from the permanent list
    PASSED = 6
    PROVEN = 7  # passed, and never failed since codes were cleared
    ERASED = 8
    COMPLETE = 9  # all monitors have run
    GOOD_CYCLE = 10  # ended; the fault was asked for and not there
    NOTE = 11  # says nothing of the state
    STORED = 12
    PERMANENT = 13
    SUSPECT = 14
    FAILED = 15


#: The fault is there.
THERE = frozenset({Said.SUSPECT, Said.FAILED})
_NOW = (CodeScope.ACTIVE, CodeScope.CONFIRMED)
_SUSPECTS = (CodeScope.PENDING, CodeScope.PREFAILED)
_BY_SCOPE = {
    CodeScope.ACTIVE: Said.FAILED,
    CodeScope.CONFIRMED: Said.FAILED,
    CodeScope.EMISSION: Said.FAILED,
    CodeScope.PENDING: Said.SUSPECT,
    CodeScope.PREFAILED: Said.SUSPECT,
    CodeScope.PREVIOUS: Said.STORED,
    CodeScope.LISTED: Said.STORED,
    CodeScope.PERMANENT: Said.PERMANENT,
}
_BY_CLEAR = {
    ClearScope.PREVIOUS: Said.RESET_PREVIOUS,
    ClearScope.ACTIVE: Said.RESET_ACTIVE,
}
_KWP_STORAGE = {3: Said.FAILED, 2: Said.SUSPECT, 1: Said.STORED}


@dataclass(frozen=True, slots=True)
class Mark:
    """One thing said at `at_ns`, by a sighting or with a rule's severity.

    `from_ns` is where a good cycle began, and until when a rule's fault that passed was there.
    """

    at_ns: int
    said: Said
    from_ns: int = 0
    sighting: Sighting | None = None
    severity: Severity = Severity.UNKNOWN


def rule_marks(presences: Iterable[RulePresence], signs: Iterable[Sign]) -> list[Mark]:
    """Alerts of one rule as marks: there while they stand, passed when they clear."""
    marks = [m for m in _sign_marks(signs) if m.said is Said.RESET]
    for p in presences:
        marks.append(Mark(p.started_ns, Said.FAILED, severity=p.severity))
        if p.cleared_ns is not None:
            marks.append(Mark(p.cleared_ns, Said.PASSED, from_ns=p.cleared_ns))
        elif p.seen_ns > p.started_ns:
            marks.append(Mark(p.seen_ns, Said.FAILED, severity=p.severity))
    return sorted(marks, key=_order)


def code_marks(
    sightings: Sequence[Sighting],
    heard: Sequence[Heard],
    signs: Sequence[Sign],
    parameters: EpisodeParameters,
    clears: Iterable[Clear] = (),
) -> list[Mark]:
    """All marks of one code: its sightings, what its ECU was heard of, its signs and clears."""
    if not sightings:
        return []
    marks = [mark for s in sightings for mark in _sighting_marks(s)]
    marks += _absences(sightings, heard)
    marks += _good_cycles(sightings, heard, parameters)
    marks += _sign_marks(signs)
    marks += _clear_marks(c for c in clears if c.concerns(sightings[0].key))
    return sorted(marks, key=_order)


@lru_cache(maxsize=4096)
def verdict(protocol: str, scope: str, status: int | None) -> Said:
    """What one naming says of its code."""
    if scope == CodeScope.PERMANENT:
        return Said.PERMANENT
    if status is None:
        return _BY_SCOPE.get(CodeScope(scope), Said.NOTE)
    if protocol == CodeProtocol.KWP:
        stored = _KWP_STORAGE.get(status >> 5 & 3)
        return stored or (Said.NOTE if status & 0x10 else Said.PASSED)
    for bit, said in ((0x01, Said.FAILED), (0x08, Said.STORED), (0x04, Said.SUSPECT)):
        if status & bit:
            return said
    if status & 0x10:
        return Said.ERASED
    if status & 0x40:
        return Said.NOTE
    return Said.PASSED if status & 0x20 else Said.PROVEN


def was_there(sighting: Sighting) -> bool:
    """Whether the fault was there at some time in the bucket."""
    return _any_verdict(sighting) in THERE


def _order(mark: Mark) -> tuple[int, int, int, str, int]:
    """Total, so that equal facts in any order fold equally."""
    s = mark.sighting
    return mark.at_ns, mark.said, mark.from_ns, s.scope if s else "", mark.severity


def _any_verdict(s: Sighting) -> Said:
    return verdict(s.key.protocol, s.scope, s.status_any)


def _sighting_marks(s: Sighting) -> Iterator[Mark]:
    """Within a bucket the worst comes first and the last word last."""
    yield Mark(s.first_ns, _any_verdict(s), sighting=s)
    yield Mark(s.last_ns, verdict(s.key.protocol, s.scope, s.status), sighting=s)


def _sign_marks(signs: Iterable[Sign]) -> Iterator[Mark]:
    """A reset or a completion counts once: until another readiness is heard it is the same."""
    known: dict[tuple[int, str], SignKind] = {}
    for sign in sorted(signs, key=lambda s: (s.at_ns, s.kind, s.ecu, s.protocol)):
        if sign.kind is SignKind.CLEARED:
            yield Mark(sign.at_ns, Said.RESET)
            continue
        before = known.get((sign.ecu, sign.protocol))
        known[sign.ecu, sign.protocol] = sign.kind
        if sign.kind is SignKind.RESET and before is not SignKind.RESET:
            yield Mark(sign.at_ns, Said.RESET)
        elif sign.kind is SignKind.COMPLETE and before is not SignKind.COMPLETE:
            yield Mark(sign.at_ns, Said.COMPLETE)


def _clear_marks(clears: Iterable[Clear]) -> Iterator[Mark]:
    for c in clears:
        said = _BY_CLEAR.get(clear_scope(c.protocol, c.group), Said.RESET)
        yield Mark(c.first_ns, said)
        yield Mark(c.last_ns, said)


def _absences(sightings: Sequence[Sighting], heard: Sequence[Heard]) -> Iterator[Mark]:
    seen = {s.scope for s in sightings}
    now = [scope for scope in _NOW if scope in seen] or [CodeScope.EMISSION]
    for said, scopes, rows in (
        (Said.GONE, now, [s for s in sightings if was_there(s)]),
        (Said.FADED, [c for c in _SUSPECTS if c in seen], [s for s in sightings if was_there(s)]),
        (
            Said.REMOVED,
            [CodeScope.PERMANENT],
            [s for s in sightings if s.scope == CodeScope.PERMANENT],
        ),
    ):
        yield from _missing(said, rows, [h for h in heard if h.scope in scopes])


def _missing(said: Said, rows: Sequence[Sighting], heard: Sequence[Heard]) -> Iterator[Mark]:
    """After each bucket with the code: the first later moment at which its list lacked it."""
    last_ns: dict[int, int] = {}
    listed = {(s.scope, s.bucket) for s in rows}
    for s in rows:
        last_ns[s.bucket] = max(last_ns.get(s.bucket, 0), s.last_ns)
    there, asked = sorted(last_ns), heard_buckets(heard)
    for h in heard:
        bucket = h.last_report_ns // BUCKET_NS
        if (h.scope, bucket) in listed and h.last_report_ns > last_ns[bucket]:
            yield Mark(h.last_report_ns, said)
    for i, bucket in enumerate(there):
        place = bisect_right(asked, bucket)
        following = there[i + 1] if i + 1 < len(there) else None
        if place < len(asked) and (following is None or asked[place] < following):
            yield Mark(asked[place] * BUCKET_NS, said)


def heard_buckets(heard: Iterable[Heard]) -> list[int]:
    """Buckets in which any of the lists was sent, ascending."""
    days: dict[int, int] = {}
    for h in heard:
        days[h.day] = days.get(h.day, 0) | h.buckets
    return [
        day * BUCKETS_A_DAY + place
        for day in sorted(days)
        for place in range(BUCKETS_A_DAY)
        if days[day] >> place & 1
    ]


def cycles(buckets: Sequence[int], silence: int) -> list[tuple[int, int]]:
    """Driving cycles, first and last bucket: stretches without `silence` empty buckets."""
    found: list[tuple[int, int]] = []
    for bucket in buckets:
        if found and bucket - found[-1][1] <= silence:
            found[-1] = found[-1][0], bucket
        else:
            found.append((bucket, bucket))
    return found


def cycle_number(heard: Sequence[Heard], at_ns: int, parameters: EpisodeParameters) -> int | None:
    """In which driving cycle of a vehicle a moment lies, from 1; None before the first.

    By the lists of ECUs that speak by themselves; of others only where there are none.
    """
    speaking = [h for h in heard if h.protocol == CodeProtocol.J1939]
    asked = speaking or heard
    silence = parameters.silence_buckets(asked[0].protocol) if asked else 1
    begun = [first for first, _ in cycles(heard_buckets(asked), silence)]
    return bisect_right(begun, at_ns // BUCKET_NS) or None


def _good_cycles(
    sightings: Sequence[Sighting], heard: Sequence[Heard], parameters: EpisodeParameters
) -> Iterator[Mark]:
    """Cycles that are over: the code was asked for, not there, and not without a result."""
    seen = {s.scope for s in sightings}
    scopes = {c for c in (*_NOW, *_SUSPECTS, CodeScope.EMISSION) if c in seen} or set(_NOW)
    asked = heard_buckets(h for h in heard if h.scope in scopes)
    spoilt = sorted({s.bucket for s in sightings if was_there(s) or _without_result(s)})
    silence = parameters.silence_buckets(sightings[0].key.protocol)
    for first, last in cycles(heard_buckets(heard), silence)[:-1]:
        if _any_within(asked, first, last) and not _any_within(spoilt, first, last):
            yield Mark((last + 1) * BUCKET_NS, Said.GOOD_CYCLE, from_ns=first * BUCKET_NS)


def _without_result(s: Sighting) -> bool:
    if s.scope == CodeScope.PERMANENT:
        return True
    bit = {CodeProtocol.UDS: 0x40, CodeProtocol.KWP: 0x10}.get(CodeProtocol(s.key.protocol), 0)
    return bool((s.status or 0) & bit)


def _any_within(places: Sequence[int], first: int, last: int) -> bool:
    i = bisect_left(places, first)
    return i < len(places) and places[i] <= last
