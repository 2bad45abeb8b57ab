"""Facts for fault episodes: what code reports and readiness answers leave behind.

Every merge here is also in store/code_facts.py, as SQL: in any order, any number of parts, the
result is the same.

Source: SAE J1979 service 01 PID 01 and SAE J1939-73 DM5 for the bits of readiness, as in the
decoders; a monitor that is not supported does not count.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import orjson

from model.code_clears import UNKNOWN_GROUP
from model.code_severity import of_lamps, of_uds
from model.codes import CodeReport, CodeScope, Dtc, EcuFact, FactKind, FreezeFrame
from model.episodes import (
    BUCKET_NS,
    BUCKETS_A_DAY,
    NO_FAILURE_TYPE,
    WHOLE_LISTS,
    Clear,
    EpisodeKind,
    FaultKey,
    Heard,
    Sighting,
    Sign,
    SignKind,
)
from model.severity import Severity

_NO_CODES = frozenset({"0/0", "P0000"})
_PID_01, _DM5 = 1, 65230
_NOT_AVAILABLE = 0xFF


@dataclass(frozen=True, slots=True)
class Facts:
    """What uploads of one vehicle say, merged."""

    sightings: tuple[Sighting, ...]
    heard: tuple[Heard, ...]
    signs: tuple[Sign, ...]
    clears: tuple[Clear, ...] = ()


def facts_of(reports: Sequence[CodeReport], answers: Iterable[EcuFact] = ()) -> Facts:
    """The facts of reports, of readiness answers and of codes cleared."""
    answers = list(answers)
    seen = [s for r in reports for s in _seen(r)]
    heard = [_heard(r) for r in reports if r.scope in WHOLE_LISTS]
    signs = [sign for answer in answers if (sign := _sign(answer)) is not None]
    clears = [clear for answer in answers if (clear := _clear(answer)) is not None]
    return Facts(
        merged_sightings(seen), merged_heard(heard), merged_signs(signs), merged_clears(clears)
    )


def merged_sightings(sightings: Iterable[Sighting]) -> tuple[Sighting, ...]:
    """One row a code, list and bucket."""
    rows: dict[tuple[FaultKey, str, int], Sighting] = {}
    for s in sightings:
        place = (s.key, s.scope, s.bucket)
        known = rows.get(place)
        rows[place] = s if known is None else _merged(known, s)
    return tuple(rows.values())


def merged_heard(heard: Iterable[Heard]) -> tuple[Heard, ...]:
    """One row a list and UTC day."""
    rows: dict[tuple[int, str, str, int], Heard] = {}
    for h in heard:
        place = (h.ecu, h.protocol, h.scope, h.day)
        known = rows.get(place, h)
        rows[place] = replace(
            known,
            buckets=known.buckets | h.buckets,
            last_report_ns=max(known.last_report_ns, h.last_report_ns),
        )
    return tuple(rows.values())


def merged_signs(signs: Iterable[Sign]) -> tuple[Sign, ...]:
    """One row a sign and bucket."""
    rows: dict[tuple[int, str, SignKind, int], Sign] = {}
    for s in signs:
        place = (s.ecu, s.protocol, s.kind, s.bucket)
        rows[place] = min(rows.get(place, s), s, key=lambda sign: sign.at_ns)
    return tuple(rows.values())


def merged_clears(clears: Iterable[Clear]) -> tuple[Clear, ...]:
    """One row a group and bucket."""
    rows: dict[tuple[int, str, int, int], Clear] = {}
    for c in clears:
        place = (c.ecu, c.protocol, c.group, c.bucket)
        known = rows.get(place, c)
        rows[place] = replace(
            known,
            first_ns=min(known.first_ns, c.first_ns),
            last_ns=max(known.last_ns, c.last_ns),
        )
    return tuple(rows.values())


def key_of(dtc: Dtc) -> FaultKey:
    """Identity of a code in its vehicle (domain.md 2.2)."""
    kind = NO_FAILURE_TYPE if dtc.failure_type is None else dtc.failure_type
    return FaultKey(EpisodeKind.CODE, dtc.ecu, dtc.protocol, dtc.code, kind)


def _seen(report: CodeReport) -> Iterable[Sighting]:
    for dtc in report.codes:
        if dtc.code in _NO_CODES:
            continue
        if report.scope == CodeScope.PREFAILED and (dtc.detection_counter or 0) <= 0:
            continue  # counts towards passing
        frames = _frames(dtc.freeze_frames) if report.scope == CodeScope.FREEZE_FRAME else None
        yield Sighting(
            key=key_of(dtc),
            scope=report.scope,
            bucket=report.observed_ns // BUCKET_NS,
            first_ns=report.observed_ns,
            last_ns=report.observed_ns,
            status_any=dtc.status,
            status=dtc.status,
            occurrence_count=dtc.occurrence_count,
            conversion_method=dtc.conversion_method,
            # With several codes in one message nobody knows which of them lit the lamp.
            lamp=of_lamps(report.lamps) if len(report.codes) == 1 else Severity.UNKNOWN,
            graded=of_uds(dtc.severity),
            freeze_frames=frames,
            freeze_ns=report.observed_ns if frames else None,
        )


def _frames(frames: tuple[FreezeFrame, ...]) -> str | None:
    """JSON: [[number, [[identifier, hex], ...]], ...]."""
    if not frames:
        return None
    rows = [[f.number, [[i, content.hex()] for i, content in f.parts]] for f in frames]
    return orjson.dumps(rows).decode()


def _merged(a: Sighting, b: Sighting) -> Sighting:
    status, lamp, graded = _newest(a, b)
    frames, freeze_ns = _earliest(a, b)
    return Sighting(
        key=a.key,
        scope=a.scope,
        bucket=a.bucket,
        first_ns=min(a.first_ns, b.first_ns),
        last_ns=max(a.last_ns, b.last_ns),
        n=a.n + b.n,
        status_any=_either(a.status_any, b.status_any),
        status=status,
        occurrence_count=_most(a.occurrence_count, b.occurrence_count),
        conversion_method=max(a.conversion_method, b.conversion_method),
        lamp=lamp,
        graded=graded,
        freeze_frames=frames,
        freeze_ns=freeze_ns,
    )


def _newest(a: Sighting, b: Sighting) -> tuple[int | None, Severity, Severity]:
    """Of equal times the greater."""
    if a.last_ns != b.last_ns:
        newer = max(a, b, key=lambda s: s.last_ns)
        return newer.status, newer.lamp, newer.graded
    return _most(a.status, b.status), max(a.lamp, b.lamp), max(a.graded, b.graded)


def _earliest(a: Sighting, b: Sighting) -> tuple[str | None, int | None]:
    """Of equal times the lesser."""
    rows = [(s.freeze_ns, s.freeze_frames) for s in (a, b) if s.freeze_ns is not None]
    if not rows:
        return None, None
    at_ns, frames = min(rows, key=lambda row: (row[0], row[1] or ""))
    return frames, at_ns


def _either(a: int | None, b: int | None) -> int | None:
    return a if b is None else b if a is None else a | b


def _most(a: int | None, b: int | None) -> int | None:
    return max((x for x in (a, b) if x is not None), default=None)


def _heard(report: CodeReport) -> Heard:
    day, place = divmod(report.observed_ns // BUCKET_NS, BUCKETS_A_DAY)
    return Heard(report.ecu, report.protocol, report.scope, day, 1 << place, report.observed_ns)


def _sign(answer: EcuFact) -> Sign | None:
    """A readiness answer as a sign. With codes or the lamp on, nothing was reset."""
    if answer.kind is not FactKind.READINESS:
        return None
    content = answer.content
    if answer.identifier == _PID_01 and len(content) >= 4:
        free = content[0] == 0
        supported = (content[1] & 7) << 8 | content[2]
        waiting = ((content[1] >> 4 & 7) << 8 | content[3]) & supported
    elif answer.identifier == _DM5 and len(content) >= 8:
        free = content[0] in (0, _NOT_AVAILABLE) and content[1] in (0, _NOT_AVAILABLE)
        supported = (content[3] & 7) << 16 | int.from_bytes(content[4:6], "little")
        waiting = (content[3] >> 4 & 7) << 16 | int.from_bytes(content[6:8], "little")
        waiting &= supported
    else:
        return None
    # Continuous monitors run within minutes: only the others show a reset for long enough.
    others = supported & (0xFF if answer.identifier == _PID_01 else 0xFFFF)
    if not others:
        return None
    kind = SignKind.PARTIAL
    if not waiting:
        kind = SignKind.COMPLETE
    elif free and waiting & others == others:
        kind = SignKind.RESET
    return Sign(answer.ecu, answer.protocol, kind, answer.observed_ns)


def _clear(answer: EcuFact) -> Clear | None:
    if answer.kind is not FactKind.CLEARED or answer.identifier == UNKNOWN_GROUP:
        return None
    at_ns = answer.observed_ns
    return Clear(answer.ecu, answer.protocol, answer.identifier, at_ns, at_ns)
