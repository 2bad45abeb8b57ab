"""Rule packs, loaded and checked as one bundle, and compiled for a vehicle.

A bundle with any fault is refused as a whole, with every fault named: file, rule, reason.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path

import yaml
from pydantic import ValidationError

from model.catalogue import catalogue
from model.errors import RoadcallError
from model.vehicle import Vehicle
from rules.expression import ExpressionError, index_of
from rules.inhibition import circle_faults
from rules.nodes import Code
from rules.pack import Rule, override_faults
from rules.plan import FACTS, Instance, Plan, compile_rule, condition_faults, plan_for

_PLANS_KEPT = 4096
_WORD = re.compile(r"[A-Za-z_]\w*")


class BundleError(RoadcallError):
    """A bundle that was refused. `faults` has one line per fault."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__(f"{len(faults)} faults in rule packs:\n" + "\n".join(faults))
        self.faults = faults


@dataclass(frozen=True, slots=True, eq=False)
class Bundle:
    """All rules of all packs, typed; `hash` names the content."""

    hash: str
    rules: tuple[Rule, ...]
    codes: tuple[Code, ...]
    _plans: dict[tuple[object, ...], Plan] = field(default_factory=dict, repr=False)

    def rule(self, rule_id: str) -> Rule | None:
        """A rule by id."""
        return next((rule for rule in self.rules if rule.id == rule_id), None)

    def plan(self, vehicle: Vehicle) -> Plan:
        """The rules that apply to this vehicle, with its parameters; compiled once per model."""
        key = (
            vehicle.brand,
            vehicle.model,
            vehicle.model_year,
            vehicle.region,
            vehicle.use,
            vehicle.powertrain,
            vehicle.battery_chemistry,
            vehicle.profile,
            vehicle.cells_in_series,
            vehicle.tire_placard_kpa,
        )
        plan = self._plans.get(key)
        if plan is None:
            if len(self._plans) >= _PLANS_KEPT:
                self._plans.clear()
            plan = self._plans[key] = plan_for(self.rules, self.codes, vehicle)
        return plan


def builtin_packs() -> list[Path]:
    """The packs that come with Roadcall, in sorted order."""
    return sorted(Path(str(files("rules.packs"))).glob("*.yaml"))


def builtin_tests() -> list[Path]:
    """The test files of these packs, of the same names."""
    return sorted(Path(str(files("rules.packs"))).glob("tests/*.yaml"))


def load_bundle(*paths: Path) -> Bundle:
    """The given packs, or the built-in ones. Raises `BundleError` naming every fault."""
    return read_bundle(pack_texts(paths or builtin_packs()))


def pack_texts(paths: Iterable[Path]) -> dict[str, str]:
    """Texts of packs by file name; two files of one name are told apart by their folders."""
    texts: dict[str, str] = {}
    for path in paths:
        name = path.name if path.name not in texts else str(path)
        texts[name] = path.read_text("utf-8")
    return texts


def read_bundle(texts: Mapping[str, str]) -> Bundle:
    """Packs by file name. Raises `BundleError` naming every fault."""
    faults: list[str] = []
    rules: dict[str, Rule] = {}
    digest = hashlib.sha256()
    for name, text in sorted(texts.items()):
        digest.update(f"{name}\0{text}\0".encode())
        for line, rule in _read_pack(name, text, faults):
            if rule.id in rules:
                faults.append(f"{name}:{line}: {rule.id}: this id is taken")
            rules[rule.id] = rule
    faults += circle_faults(rules)
    if faults:
        raise BundleError(faults)
    return bundle_of(digest.hexdigest()[:16], rules.values())


def bundle_of(content_hash: str, rules: Iterable[Rule]) -> Bundle:
    """Checked rules as a bundle."""
    every = tuple(rules)
    codes = {code.text: code for rule in every for i in _instances(rule) for code in i.codes}
    return Bundle(content_hash, every, tuple(codes.values()))


def _read_pack(name: str, text: str, faults: list[str]) -> Iterator[tuple[int, Rule]]:
    """(line, rule) of every rule without fault."""
    try:
        rows, lines = _parse(text)
    except yaml.YAMLError as error:
        faults.append(f"{name}: not YAML: {error}".replace("\n", " "))
        return
    if not isinstance(rows, list):
        faults.append(f"{name}: a pack is a list of rules")
        return
    for place, (line, row) in enumerate(zip(lines, rows, strict=True)):
        rule_id = f"rule {place + 1}"
        if isinstance(row, dict):
            rule_id = row.get("id", rule_id)
        where = f"{name}:{line}: {rule_id}"
        try:
            rule = Rule.model_validate(row)
        except ValidationError as error:
            faults += [f"{where}: {_spell(e['loc'], e['msg'])}" for e in error.errors()]
            continue
        wrong = rule_faults(rule)
        faults += [f"{where}: {fault}" for fault in wrong]
        if not wrong:
            yield line, rule


def _parse(text: str) -> tuple[object, list[int]]:
    """What a YAML file holds, and the line (from 1) on which each item of its list begins."""
    loader = yaml.SafeLoader(text)
    try:
        root = loader.get_single_node()
        rows = loader.construct_document(root) if root is not None else None
    finally:
        loader.dispose()
    listed = root.value if isinstance(root, yaml.SequenceNode) else []
    return rows, [node.start_mark.line + 1 for node in listed]


def _spell(place: tuple[int | str, ...], message: str) -> str:
    return f"{'.'.join(map(str, place))}: {message}" if place else message


def rule_faults(rule: Rule) -> list[str]:
    """What is wrong beyond the schema: names, units, parameters, instances."""
    faults = override_faults(rule)
    reserved = catalogue().keys() | FACTS.keys()
    faults += [
        f"parameter {p} has the name of something else" for p in rule.params if p in reserved
    ]
    written = " ".join(rule.conditions())
    words = set(_WORD.findall(written))
    faults += [f"parameter {p} is never used" for p in rule.params if p not in words]
    for kind, names in rule.for_each.items():
        if kind == "source":
            if not isinstance(names, str) or names not in index_of():
                faults.append("for_each source names one signal")
        elif isinstance(names, str) or not names or f"{{{kind}}}" not in written:
            faults.append(f"for_each {kind} is a list, used as {{{kind}}} in the conditions")
    if faults:
        return faults
    faults = condition_faults(rule, _NOBODY)
    if faults:
        return faults
    try:
        return [fault for instance in _instances(rule) for fault in _silence_faults(instance)]
    except ExpressionError as error:
        return [str(error)]


def _silence_faults(instance: Instance) -> list[str]:
    """Silence is its own hold, and what gates it must be believed that long."""
    faults = []
    longest = max((a.silence_ns for a in instance.absents), default=0)
    if longest and any(level.hold_ns for level in instance.levels):
        faults.append("a rule with absent() has no for: ask for a longer silence")
    if longest > instance.max_gap_ns and instance.signals:
        faults.append("max_gap is shorter than the silence: its gate would be unknown by then")
    return faults


#: A car that exists nowhere, to compile a rule for checking.
_NOBODY = Vehicle(vin="0" * 17, profile="none")


def _instances(rule: Rule) -> list[Instance]:
    return compile_rule(rule, _NOBODY)
