"""Fault episodes: the life of one fault, folded from its facts (domain.md 6.1). Pure.

    none -> SUSPECT -> ACTIVE -> PASSIVE (not named any more, or only stored)
    PASSIVE -> ACTIVE (count + 1) | HEALED (three good cycles, or the status says passed)
    any open -> CLEARED (its ECU says that a tool erased it, or a person says so)
    CLEARED -> VERIFIED (monitors complete, status proven, or good cycles) | RECURRED (repeat + 1)

What ended and comes back within 24 h is the same episode, later a new one. The facts merge in
any order, marks are sorted, so the same facts give the same episodes however they arrived.
Resolution is a bucket of ten minutes: on, off and on again within one is one appearance.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from model.clock import NS
from model.code_book import explain
from model.code_names import J1939
from model.code_severity import of_fmi
from model.episodes import (
    OPEN,
    OWN_PARAMETERS,
    PRESENT,
    Clear,
    Episode,
    EpisodeKind,
    EpisodeParameters,
    EpisodeState,
    FaultKey,
    Heard,
    RulePresence,
    Sighting,
    Sign,
    episode_id,
)
from model.severity import Severity
from rules.episode_marks import Mark, Said, code_marks, rule_marks

_NAMED = frozenset({Said.STORED, Said.PERMANENT, Said.SUSPECT, Said.FAILED})
_APPEARS_AS = {
    Said.FAILED: EpisodeState.ACTIVE,
    Said.SUSPECT: EpisodeState.SUSPECT,
    Said.STORED: EpisodeState.PASSIVE,
    Said.PERMANENT: EpisodeState.PASSIVE,
}

#: Which states a missing code leaves.
_ENDS_PRESENCE = {Said.GONE: PRESENT, Said.FADED: frozenset({EpisodeState.SUSPECT})}
#: Which states a clearing ends.
_CLEARS = {
    Said.RESET: OPEN,
    Said.ERASED: OPEN,
    Said.RESET_ACTIVE: PRESENT,
    Said.RESET_PREVIOUS: OPEN - PRESENT,
}


def episodes_of(
    vin: str,
    sightings: Sequence[Sighting],
    heard: Sequence[Heard],
    signs: Sequence[Sign],
    parameters: EpisodeParameters = OWN_PARAMETERS,
    clears: Sequence[Clear] = (),
) -> tuple[Episode, ...]:
    """Episodes of one code, oldest first: its sightings, and what its ECU was heard of.

    `clears` may be of any ECU.
    """
    if not sightings:
        return ()
    marks = code_marks(sightings, heard, signs, parameters, clears)
    return _fold(vin, sightings[0].key, marks, parameters)


def rule_episodes(
    vin: str,
    key: FaultKey,
    presences: Sequence[RulePresence],
    signs: Sequence[Sign],
    parameters: EpisodeParameters = OWN_PARAMETERS,
) -> tuple[Episode, ...]:
    """Episodes of what one rule finds, oldest first; `signs` are those of the whole vehicle."""
    return _fold(vin, key, rule_marks(presences, signs), parameters)


def severity_of(key: FaultKey, said: Severity, conversion_method: int = 0) -> Severity:
    """What the vehicle says: lamp, severity byte, FMI; where it is silent our code book."""
    if key.kind is EpisodeKind.RULE:
        return said
    found = J1939.fullmatch(key.code)
    worst = max(said, of_fmi(int(found["fmi"])) if found else Severity.UNKNOWN)
    if worst is not Severity.UNKNOWN:
        return worst
    return explain(key.dtc(conversion_method)).severity


def _fold(
    vin: str, key: FaultKey, marks: Iterable[Mark], parameters: EpisodeParameters
) -> tuple[Episode, ...]:
    lives: list[_Life] = []
    for mark in marks:
        life = lives[-1] if lives else None
        if mark.said in _NAMED and (life is None or life.must_end(mark, parameters)):
            lives.append(_Life.born(mark, life))
        elif life is not None:
            life.take(mark, parameters)
    return tuple(life.episode(vin, key) for life in lives)


@dataclass(slots=True)
class _Life:
    """An episode while marks go by."""

    state: EpisodeState
    started_ns: int
    last_seen_ns: int
    since_ns: int
    repeat: int = 0
    count: int = 1
    ended_ns: int | None = None
    good: int = 0
    permanent: bool = False
    worst: Severity = Severity.UNKNOWN
    status: int | None = None
    occurrence_count: int | None = None
    conversion_method: int = 0
    freeze_frames: str | None = None
    freeze_ns: int | None = None

    @classmethod
    def born(cls, mark: Mark, before: _Life | None) -> _Life:
        """A new episode; after one that was cleared it is a recurrence."""
        state, repeat = _APPEARS_AS[mark.said], 0
        if before is not None and before.state is EpisodeState.CLEARED:
            repeat = before.repeat + 1
            state = EpisodeState.RECURRED if state in PRESENT else state
        life = cls(state, mark.at_ns, mark.at_ns, mark.at_ns, repeat)
        life._learn(mark)
        return life

    def must_end(self, mark: Mark, parameters: EpisodeParameters) -> bool:
        """Whether a naming begins another episode."""
        if self.ended_ns is None or not self._returns(mark):
            return False
        return mark.at_ns - self.ended_ns > parameters.reopen_s * NS

    def take(self, mark: Mark, parameters: EpisodeParameters) -> None:
        """One mark."""
        if mark.said in _NAMED:
            self._named(mark)
        elif self.state in _ENDS_PRESENCE.get(mark.said, ()):
            self._to(EpisodeState.PASSIVE, self.last_seen_ns)
        elif mark.said is Said.REMOVED:
            self.permanent = False
        elif self.state in _CLEARS.get(mark.said, ()):
            self._end(EpisodeState.CLEARED, mark.at_ns)
        elif mark.said in {Said.PASSED, Said.PROVEN}:
            self._passed(mark)
        elif mark.said is Said.COMPLETE:
            self._prove(mark.at_ns)
        elif mark.said is Said.GOOD_CYCLE:
            self._good_cycle(mark, parameters)
        if mark.sighting is not None:
            self._learn(mark)

    def _returns(self, mark: Mark) -> bool:
        """A stored code is no return of a healed one, a permanent one of none that ended."""
        if mark.said is Said.PERMANENT:
            return False
        return mark.said is not Said.STORED or self.state is not EpisodeState.HEALED

    def _named(self, mark: Mark) -> None:
        self.last_seen_ns = max(self.last_seen_ns, mark.at_ns)
        self._learn(mark)
        if mark.said is Said.PERMANENT:
            self.permanent = True
            return
        state = _APPEARS_AS[mark.said]
        if self.ended_ns is not None:
            if self._returns(mark):
                self._come_back(state, mark.at_ns)
        elif state is EpisodeState.PASSIVE:
            if self.state in PRESENT:
                self._to(state, mark.at_ns)
        elif self.state is EpisodeState.PASSIVE:
            self.count, self.good = self.count + 1, 0
            self._to(state, mark.at_ns)
        elif self.state is EpisodeState.SUSPECT and state is EpisodeState.ACTIVE:
            self._to(state, mark.at_ns)

    def _come_back(self, state: EpisodeState, at_ns: int) -> None:
        """Within a day of its end."""
        if self.state is EpisodeState.CLEARED:
            self.repeat += 1
            state = EpisodeState.RECURRED if state in PRESENT else state
        self.count, self.good, self.ended_ns = self.count + 1, 0, None
        self._to(state, at_ns)

    def _passed(self, mark: Mark) -> None:
        self.last_seen_ns = max(self.last_seen_ns, mark.from_ns)
        if mark.said is Said.PROVEN:
            self._prove(mark.at_ns)
        if self.ended_ns is None:
            self._end(EpisodeState.HEALED, mark.at_ns)

    def _good_cycle(self, mark: Mark, parameters: EpisodeParameters) -> None:
        if mark.from_ns <= self.since_ns:
            return
        self.good += 1
        if self.good < parameters.good_cycles:
            return
        if self.state is EpisodeState.PASSIVE:
            self._end(EpisodeState.HEALED, mark.at_ns)
        else:
            self._prove(mark.at_ns)

    def _prove(self, at_ns: int) -> None:
        """Cleared and proven good; a permanent code proves the opposite."""
        if self.state is EpisodeState.CLEARED and not self.permanent:
            self._end(EpisodeState.VERIFIED, at_ns)

    def _end(self, state: EpisodeState, at_ns: int) -> None:
        self.ended_ns = at_ns
        self._to(state, at_ns)

    def _to(self, state: EpisodeState, at_ns: int) -> None:
        self.state, self.since_ns = state, at_ns
        self.good = 0

    def _learn(self, mark: Mark) -> None:
        """Keep the worst severity, the newest status, the earliest freeze frames."""
        self.worst = max(self.worst, mark.severity)
        s = mark.sighting
        if s is None:
            return
        self.worst = max(self.worst, s.lamp, s.graded)
        if s.status is not None:
            self.status = s.status
        counts = [c for c in (self.occurrence_count, s.occurrence_count) if c is not None]
        self.occurrence_count = max(counts, default=None)
        self.conversion_method = max(self.conversion_method, s.conversion_method)
        if s.freeze_ns is not None and (self.freeze_ns is None or s.freeze_ns < self.freeze_ns):
            self.freeze_frames, self.freeze_ns = s.freeze_frames, s.freeze_ns

    def episode(self, vin: str, key: FaultKey) -> Episode:
        """What it has come to."""
        return Episode(
            episode_id=episode_id(vin, key, self.started_ns),
            key=key,
            state=self.state,
            severity=severity_of(key, self.worst, self.conversion_method),
            count=self.count,
            repeat=self.repeat,
            started_ns=self.started_ns,
            last_seen_ns=self.last_seen_ns,
            since_ns=self.since_ns,
            ended_ns=self.ended_ns,
            status=self.status,
            occurrence_count=self.occurrence_count,
            conversion_method=self.conversion_method,
            freeze_frames=self.freeze_frames,
        )
