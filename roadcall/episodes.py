"""Episodes follow the facts, in the transaction that writes them.

Only faults that an upload may have changed are folded again: a code that is repeated every second
moves no more than its `last_seen`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence

from model.alerts import AlertTransition
from model.clock import NS
from model.codes import CodeReport, EcuFact
from model.effects import Effects
from model.episodes import (
    BUCKET_NS,
    OWN_PARAMETERS,
    PRESENT,
    WHOLE_VEHICLE,
    Episode,
    EpisodeKind,
    EpisodeParameters,
    EpisodeState,
    FaultKey,
)
from rules.episodes import episodes_of, rule_episodes
from rules.sightings import Facts, facts_of
from store import code_facts, episodes
from store.code_facts import Changed, EcuPlace, Identity
from store.database import Connection
from store.episodes import Standing, StoredFacts

#: A late report may still move the end of an episode that ended up to this long after it.
SETTLED_NS = 24 * 3600 * NS


def follow(
    conn: Connection, effects: Sequence[Effects], parameters: EpisodeParameters = OWN_PARAMETERS
) -> None:
    """After the effects of uploads: their code reports and alerts become episodes."""
    vins = {e.vehicle_id: e.key.vin for e in effects}
    follow_alerts(conn, [(e.vehicle_id, e.transitions) for e in effects], parameters)
    follow_facts(conn, _facts(effects), vins, parameters)


def follow_facts(
    conn: Connection,
    facts: Mapping[int, Facts],
    vins: Mapping[int, str],
    parameters: EpisodeParameters = OWN_PARAMETERS,
) -> None:
    """Merge facts of vehicles into what is stored, and fold what they may have changed."""
    facts = {v: f for v, f in facts.items() if f.sightings or f.heard or f.signs or f.clears}
    if not facts:
        return
    code_facts.lock(conn, list(facts))
    changed = code_facts.write(
        conn,
        {v: f.sightings for v, f in facts.items()},
        {v: f.heard for v, f in facts.items()},
        {v: f.signs for v, f in facts.items()},
        {v: f.clears for v, f in facts.items()},
    )
    look = _Look(facts, changed)
    stand = episodes.standing(conn, list(facts), look.oldest_ns - SETTLED_NS)
    faults, steady = look.touched(stand)
    episodes.see(conn, steady)
    fold(conn, faults, vins, parameters)


def follow_alerts(
    conn: Connection,
    said: Iterable[tuple[int, Sequence[AlertTransition]]],
    parameters: EpisodeParameters = OWN_PARAMETERS,
) -> None:
    """After transitions of alerts were written, by vehicle: their rules' faults are episodes."""
    faults: set[Identity] = set()
    vins: dict[int, str] = {}
    for vehicle_id, transitions in said:
        for t in transitions:
            vins[vehicle_id] = t.vin
            faults.add((vehicle_id, FaultKey.of_rule(t.rule_id, t.instance)))
    if faults:
        code_facts.lock(conn, list(vins))
        fold(conn, faults, vins, parameters)


def fold(
    conn: Connection,
    faults: Collection[Identity],
    vins: Mapping[int, str],
    parameters: EpisodeParameters = OWN_PARAMETERS,
) -> None:
    """Fold faults again from all that is stored of them. Lock the vehicles first."""
    if not faults:
        return
    found = episodes.read_facts(conn, sorted(faults), parameters)
    episodes.write(conn, [(f, _episodes(vins[f.vehicle_id], f, parameters)) for f in found])


def _episodes(vin: str, f: StoredFacts, parameters: EpisodeParameters) -> Sequence[Episode]:
    if f.key.kind is EpisodeKind.RULE:
        return rule_episodes(vin, f.key, f.presences, f.signs, parameters)
    return episodes_of(vin, f.sightings, f.heard, f.signs, parameters, f.clears)


def _facts(effects: Sequence[Effects]) -> dict[int, Facts]:
    reports: defaultdict[int, list[CodeReport]] = defaultdict(list)
    answers: defaultdict[int, list[EcuFact]] = defaultdict(list)
    for e in effects:
        if e.reports:
            reports[e.vehicle_id] += e.reports
        if e.facts:
            answers[e.vehicle_id] += e.facts
    return {v: facts_of(reports[v], answers[v]) for v in {*reports, *answers}}


class _Look:
    """What a take says of each fault and ECU, beside what it changed in the rows."""

    def __init__(self, facts: Mapping[int, Facts], changed: Changed) -> None:
        self._changed = changed
        self._named_ns: dict[Identity, int] = {}
        self._low_ns: dict[EcuPlace, int] = {}
        self._high_ns: dict[EcuPlace, int] = {}
        for v, f in facts.items():
            for s in f.sightings:
                self._named_ns[v, s.key] = max(self._named_ns.get((v, s.key), 0), s.last_ns)
            for h in f.heard:
                place, low = (v, h.ecu, h.protocol), _first_ns(h.day, h.buckets)
                self._low_ns[place] = min(self._low_ns.get(place, low), low)
                self._high_ns[place] = max(self._high_ns.get(place, 0), h.last_report_ns)
        moments = [*self._low_ns.values(), *self._named_ns.values()]
        moments += [s.at_ns for f in facts.values() for s in f.signs]
        moments += [c.first_ns for f in facts.values() for c in f.clears]
        self.oldest_ns = min(moments)

    def touched(self, stand: Iterable[Standing]) -> tuple[set[Identity], dict[Identity, int]]:
        """Faults to fold again, and codes that are only seen again, with when."""
        faults, steady = set(self._changed.faults), {}
        for s in stand:
            identity = (s.vehicle_id, s.key)
            if identity in faults:
                continue
            if self._changes(s):
                faults.add(identity)
            elif identity in self._named_ns:
                steady[identity] = self._named_ns[identity]
        return faults, steady

    def _changes(self, s: Standing) -> bool:
        if {(s.vehicle_id, s.key.ecu), (s.vehicle_id, WHOLE_VEHICLE)} & self._changed.signs:
            return True
        place = (s.vehicle_id, s.key.ecu, s.key.protocol)
        if place not in self._high_ns:
            return False
        if place in self._changed.heard and self._may_move(s, place):
            return True
        if s.state in PRESENT:
            return self._named_ns.get((s.vehicle_id, s.key), 0) < self._high_ns[place]
        return self._low_ns[place] // BUCKET_NS <= s.last_seen_ns // BUCKET_NS

    def _may_move(self, s: Standing, place: EcuPlace) -> bool:
        if s.ended_ns is None or s.state is EpisodeState.CLEARED:
            return True
        return self._low_ns[place] < s.ended_ns + SETTLED_NS


def _first_ns(day: int, buckets: int) -> int:
    """Where the first bucket of a bitmap begins."""
    place = (buckets & -buckets).bit_length() - 1
    return (day * 144 + place) * BUCKET_NS
