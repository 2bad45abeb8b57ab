"""From one bundle to the next while vehicles drive. Pure.

Of each rule, for each vehicle, at its watermark:

    text changed only            nothing is forgotten
    condition changed, idle      what was pending is forgotten, the new condition begins
    condition changed, alert     the alert goes on under the rule that raised it (`Finishing`) until
                                 it is over; then the new condition begins
    removed                      open alerts are closed, reason `rule_removed`

"Condition" is everything of a rule that decides when an alert begins or ends.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from model.alerts import REMOVED, AlertState, AlertTransition
from model.vehicle import Vehicle
from rules.bundle import Bundle, bundle_of
from rules.memory import Key, VehicleRules
from rules.pack import Rule
from rules.plan import Instance
from rules.state import RuleState
from rules.telling import Voice

#: Fields of a rule that people read, or that say what follows from an alert.
WORDS = frozenset({"text", "source", "domain", "version", "kind", "plan", "inhibit_by"})
_MIXED_KEPT = 64

#: Rules whose alerts go on under an earlier bundle: rule id -> hash of that bundle.
Finishing = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Difference:
    """What changes from one bundle to another, by rule id."""

    added: tuple[str, ...]
    removed: tuple[str, ...]
    #: Rules whose conditions differ, and in which fields.
    changed: dict[str, tuple[str, ...]]
    reworded: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Switched:
    """A vehicle's rules under the new bundle."""

    rules: VehicleRules
    finishing: dict[str, str]
    transitions: tuple[AlertTransition, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Bundles:
    """The bundle in force, and earlier ones that some vehicle's alerts still need, by hash."""

    active: Bundle
    earlier: Mapping[str, Bundle] = field(default_factory=dict)
    _mixed: dict[tuple[tuple[str, str], ...], Bundle] = field(default_factory=dict)

    def named(self, name: str) -> Bundle | None:
        """A bundle by hash, if it is known here."""
        return self.active if name == self.active.hash else self.earlier.get(name)

    def of(self, finishing: Finishing) -> Bundle:
        """The active bundle, with the earlier rules a vehicle still needs."""
        if not finishing:
            return self.active
        key = tuple(sorted(finishing.items()))
        mixed = self._mixed.get(key)
        if mixed is None:
            if len(self._mixed) >= _MIXED_KEPT:
                self._mixed.clear()
            mixed = self._mixed[key] = self._mix(finishing)
        return mixed

    def _mix(self, finishing: Finishing) -> Bundle:
        rules = {rule.id: rule for rule in self.active.rules}
        for rule_id, name in finishing.items():
            bundle = self.named(name)
            rule = bundle.rule(rule_id) if bundle else None
            if rule is not None:
                rules[rule_id] = rule
        return bundle_of(self.active.hash, rules.values())


def sense(rule: Rule) -> dict[str, object]:
    """Everything of a rule that decides when an alert begins or ends."""
    return rule.model_dump(exclude=set(WORDS))


def difference(before: Bundle, after: Bundle) -> Difference:
    """What changes, rule by rule."""
    old, new = ({rule.id: rule for rule in b.rules} for b in (before, after))
    changed: dict[str, tuple[str, ...]] = {}
    reworded = []
    for rule_id in sorted(old.keys() & new.keys()):
        was, now = sense(old[rule_id]), sense(new[rule_id])
        fields = tuple(name for name in now if was.get(name) != now[name])
        if fields:
            changed[rule_id] = fields
        elif old[rule_id] != new[rule_id]:
            reworded.append(rule_id)
    added, removed = sorted(new.keys() - old.keys()), sorted(old.keys() - new.keys())
    return Difference(tuple(added), tuple(removed), changed, tuple(reworded))


def switch(
    before: Bundle, after: Bundle, rules: VehicleRules, vehicle: Vehicle, finishing: Finishing
) -> Switched:
    """Move a vehicle's memory from one bundle to the next, at its watermark.

    `before` is what it ran with, earlier rules of `finishing` included. Samples above the watermark
    are left out of the memory: they have to be fed again, as after a restart.
    """
    change = difference(before, after)
    gone, other = set(change.removed), set(change.changed)
    states: dict[Key, RuleState] = {}
    still: dict[str, str] = {}
    closed: list[AlertTransition] = []
    for key, state in rules.states.items():
        rule_id, is_open = key[0], bool(state.open or state.told)
        if rule_id in gone:
            closed += _close(before, vehicle, key, state, rules.watermark_ns)
        elif rule_id not in other:
            states[key] = state
        elif is_open:
            states[key] = state
            still[rule_id] = finishing.get(rule_id, before.hash)
    # A rule's instances stand and fall together: the others of a finishing rule keep theirs too.
    states |= {k: s for k, s in rules.states.items() if k[0] in still}
    moved = replace(rules, states=states, chunks=(), due_ns=0)
    return Switched(moved, still, tuple(closed))


def finished(rules: VehicleRules, finishing: Finishing) -> dict[str, str]:
    """Which rules still have an alert under an earlier bundle."""
    busy = {key[0] for key, state in rules.states.items() if state.open or state.told}
    return {rule_id: name for rule_id, name in finishing.items() if rule_id in busy}


def without(rules: VehicleRules, over: Iterable[str]) -> VehicleRules:
    """Forget what is left of rules whose earlier version has ended."""
    ended = set(over)
    return replace(rules, states={k: s for k, s in rules.states.items() if k[0] not in ended})


def _close(
    before: Bundle, vehicle: Vehicle, key: Key, state: RuleState, at_ns: int
) -> list[AlertTransition]:
    """The end of an alert whose rule is no more."""
    newest = state.told[-1] if state.told else state.open
    instance = instance_of(before, vehicle, *key)
    if newest is None or newest.state is AlertState.CLEARED or instance is None:
        return []
    over = replace(newest, state=AlertState.CLEARED, at_ns=max(at_ns, newest.at_ns), early=False)
    return [replace(Voice(instance, key[1], vehicle.vin).say(over), reason=REMOVED)]


def instance_of(bundle: Bundle, vehicle: Vehicle, rule_id: str, name: str) -> Instance | None:
    """The compiled rule behind an alert."""
    for instance in bundle.plan(vehicle).instances:
        by_name = instance.by_source is not None or instance.name == name
        if instance.rule_id == rule_id and by_name:
            return instance
    return None
