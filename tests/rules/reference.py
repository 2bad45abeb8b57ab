"""A second rule engine: one point at a time, plain Python, slow. Only to check the first one.

It shares with the engine nothing but the rule records: conditions are read here by a small
three-valued interpreter over `ast`, and every value is looked up in the full list of samples.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence
from copy import copy

from model.alerts import alert_id
from model.vehicle import Vehicle
from rules.pack import Level, Rule
from tests.rules.build import Report, Row, Sample
from tests.rules.reference_windows import (
    CALLS,
    SEGMENTS,
    is_window,
    remembered,
    segment_moments,
    segment_name,
    window,
)

NS = {"ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9, "d": 86400 * 10**9}


def duration(text: str) -> int:
    number, unit = re.fullmatch(r"([\d.]+)(ms|s|m|h|d)", text).groups()
    return round(float(number) * NS[unit])


def name_of(node: ast.expr) -> str:
    assert isinstance(node, ast.Name)
    return node.id


class View:
    """What one rule instance can see: samples, reports, parameters."""

    def __init__(
        self, rows: Sequence[Row], rule: Rule, vehicle: Vehicle, wheel: str, source: int | None
    ) -> None:
        self.rule, self.vehicle, self.wheel = rule, vehicle, wheel
        self.gap = rule.max_gap
        self.memo: dict[tuple[str, ...], object] = {}
        self.only = (rule.for_each.get("source"), source)
        self.samples: dict[str, list[tuple[int, float | None]]] = {}
        # At one moment the highest source, there unknown before the largest value, is in force.
        order = sorted(
            {r for r in rows if isinstance(r, Sample)},
            key=lambda r: (r.at_ns, r.source, r.value is None, r.value or 0.0),
        )
        for row in order:
            if row.name != self.only[0] or row.source == self.only[1]:
                self.samples.setdefault(row.name, []).append((row.at_ns, row.value))
        self.beats = sorted({r.at_ns for r in rows if isinstance(r, Sample)})
        self.reports: dict[tuple[int, str], list[Report]] = {}
        for report in sorted({r for r in rows if isinstance(r, Report)}):
            if report.scope in ("active", "confirmed"):
                self.reports.setdefault((report.ecu, report.scope), []).append(report)

    @remembered
    def with_gap(self, gap: int) -> View:
        """The same samples, believed for another time."""
        other = copy(self)
        other.gap, other.memo = gap, {}
        return other

    @remembered
    def tree(self, text: str) -> ast.expr:
        text = text.replace("{wheel}", self.wheel)
        text = re.sub(r"(?<![\w.'\"])(\d+(?:\.\d+)?(?:ms|s|m|h|d))\b", r"ns('\1')", text)
        return ast.parse(text.strip(), mode="eval").body

    # -- values ---------------------------------------------------------------------------------

    @remembered
    def last_good(self, name: str, at: int) -> int | None:
        good = [t for t, v in self.samples.get(name, []) if t <= at and v is not None]
        return max(good, default=None)

    @remembered
    def value(self, name: str, at: int) -> float | None:
        good = self.last_good(name, at)
        if good is None or at - good > self.gap:
            return None
        return [v for t, v in self.samples[name] if t <= at][-1]

    def number(self, node: ast.expr, at: int) -> float | None:
        if isinstance(node, ast.Constant):
            return float(node.value)
        if isinstance(node, ast.Name):
            if node.id in self.rule.params:
                return self.rule.params[node.id]
            if node.id in ("tire_placard_kpa", "cells_in_series"):
                return float(getattr(self.vehicle, node.id))
            return self.value(node.id, at)
        if isinstance(node, ast.Call) and is_window(node):
            return window(self, node, at)
        if isinstance(node, ast.Call) and node.func.id == "ns":
            return duration(node.args[0].value) / 1e9
        if isinstance(node, ast.UnaryOp):
            value = self.number(node.operand, at)
            return None if value is None else -value
        assert isinstance(node, ast.BinOp)
        a, b = self.number(node.left, at), self.number(node.right, at)
        if a is None or b is None:
            return None
        match node.op:
            case ast.Add():
                return a + b
            case ast.Sub():
                return a - b
            case ast.Mult():
                return a * b
        return a / b if b else None

    # -- truth ----------------------------------------------------------------------------------

    def truth(self, node: ast.expr, at: int) -> bool | None:
        match node:
            case ast.BoolOp(op=ast.And(), values=values):
                parts = [self.truth(v, at) for v in values]
                return False if False in parts else None if None in parts else True
            case ast.BoolOp(values=values):
                parts = [self.truth(v, at) for v in values]
                return True if True in parts else None if None in parts else False
            case ast.UnaryOp(op=ast.Not(), operand=inner):
                truth = self.truth(inner, at)
                return None if truth is None else not truth
            case ast.Name(id=name):
                return {1.0: True, 0.0: False}.get(self.value(name, at))
            case ast.Call() if is_window(node):
                value = window(self, node, at)
                return None if value is None else value == 1
            case ast.Call(func=ast.Name(id="absent"), args=[name, silence]):
                return self.silent(name_of(name), duration(silence.args[0].value), at)
            case ast.Call():
                return self.code(node, at)
            case ast.Compare(left=ast.Call(func=ast.Name("count")) as call, comparators=[least]):
                return self.count(call, at) >= self.number(least, at)
            case ast.Compare(left=left, ops=[op], comparators=[right]):
                a, b = self.number(left, at), self.number(right, at)
                if a is None or b is None:
                    return None
                return {
                    ast.Lt: a < b,
                    ast.LtE: a <= b,
                    ast.Gt: a > b,
                    ast.GtE: a >= b,
                    ast.Eq: a == b,
                    ast.NotEq: a != b,
                }[type(op)]
        raise AssertionError(ast.dump(node))

    def silent(self, name: str, silence: int, at: int) -> bool | None:
        if name == "any":
            last = max((t for t in self.beats if t <= at), default=None)
        else:
            last = self.last_good(name, at)
        return None if last is None else at - last >= silence

    def code(self, call: ast.Call, at: int) -> bool | None:
        answers = []
        for reports in self.reports.values():
            last = max((r.at_ns for r in reports if r.at_ns <= at), default=None)
            codes = [code for r in reports if r.at_ns == last for code in r.codes]
            if any(names(call, code) for code in codes):
                answers.append(True if at - last <= self.gap else None)
        return True if True in answers else None if None in answers else False

    def count(self, call: ast.Call, at: int) -> int:
        condition, window = call.args
        every = duration(call.keywords[0].value.args[0].value) if call.keywords else 1
        first = next(n.id for n in preorder(condition) if n.id not in self.rule.params)
        moments = {}
        for t, v in sorted(dict(self.samples.get(first, [])).items()):
            if t <= at and v is not None and self.truth(condition, t):
                moments.setdefault(t // every, t)
        return sum(at - duration(window.args[0].value) < t for t in moments.values())

    # -- the timeline ---------------------------------------------------------------------------

    @remembered
    def points(self, texts: Sequence[str], frontier: int) -> list[int]:
        found: set[int] = set()
        silences = []
        for node in (n for text in texts for n in ast.walk(self.tree(text))):
            if isinstance(node, ast.Name) and node.id in self.samples:
                found |= self.moments(node.id)
            if isinstance(node, ast.Call) and (name := segment_name(node)):
                found |= segment_moments(self, name, frontier)
            if isinstance(node, ast.Call) and name_of(node.func) == "absent":
                silences.append((name_of(node.args[0]), duration(node.args[1].args[0].value)))
            if isinstance(node, ast.Call) and name_of(node.func) in ("spn", "dtc", "any_dtc"):
                for reports in self.reports.values():
                    found |= self.report_moments(node, reports)
        for name, silence in silences:
            good = self.beats if name == "any" else self.good(name)
            for a, b in zip(good, [*good, 2**62][1:], strict=True):
                if b - a > silence:
                    found |= {a + silence, b}
        return sorted(p for p in found if p <= frontier)

    def report_moments(self, call: ast.Call, reports: Sequence[Report]) -> set[int]:
        """Reports that name a code, the first after each that does not, and the end of belief."""
        naming = {r.at_ns for r in reports if any(names(call, code) for code in r.codes)}
        by_time = {r.at_ns: r.at_ns in naming for r in reports}
        found, named_before = set(), False
        for at, end in zip(by_time, [*by_time, 2**62][1:], strict=True):
            if by_time[at] or named_before:
                found.add(at)
            if by_time[at] and end > at + self.gap:
                found.add(at + self.gap + 1)
            named_before = by_time[at]
        return found

    def good(self, name: str) -> list[int]:
        return sorted({t for t, v in self.samples.get(name, []) if v is not None})

    def moments(self, name: str) -> set[int]:
        ends = {t + self.gap + 1 for t in self.good(name)}
        ends = {end for end in ends if self.last_good(name, end) == end - self.gap - 1}
        return {t for t, _ in self.samples[name]} | ends

    def expired(self, texts: Sequence[str], at: int) -> bool:
        """Whether any input has been without a good sample, or a naming report, for too long."""
        for node in (n for text in texts for n in ast.walk(self.tree(text))):
            asks = isinstance(node, ast.Call) and name_of(node.func) in ("spn", "dtc", "any_dtc")
            if asks and self.code(node, at) is None:
                return True
        for name in self.inputs(texts):
            good = self.last_good(name, at)
            if good is None or at - good > self.gap:
                return True
        return False

    def inputs(self, texts: Sequence[str]) -> set[str]:
        asked, silent = set(), set()
        for text in texts:
            tree = self.tree(text)
            for node in ast.walk(tree):
                if isinstance(node, ast.Call) and name_of(node.func) == "absent":
                    silent |= {id(node.args[0])}
            for node in ast.walk(tree):
                if isinstance(node, ast.Name) and id(node) not in silent:
                    asked |= {node.id}
        facts = {"tire_placard_kpa", "cells_in_series", "any"}
        calls = {"spn", "dtc", "any_dtc", "absent", "count", "ns", *CALLS, *SEGMENTS}
        return asked - facts - calls - set(self.rule.params)


def names(call: ast.Call, code: str) -> bool:
    if code == "0/0":
        return False
    match name_of(call.func):
        case "any_dtc":
            return True
        case "dtc":
            return code in [a.value for a in call.args]
    spn, _, fmi = code.partition("/")
    if spn != str(call.args[0].value):
        return False
    wanted = [ast.literal_eval(k.value) for k in call.keywords]
    return not wanted or int(fmi) in (wanted[0] if isinstance(wanted[0], list) else wanted)


def preorder(node: ast.AST) -> list[ast.Name]:
    found = [node] if isinstance(node, ast.Name) else []
    for child in ast.iter_child_nodes(node):
        found += preorder(child)
    return found


def alerts(
    rows: Sequence[Row], rules: Sequence[Rule], vehicle: Vehicle, frontier: int
) -> dict[str, dict]:
    """Final alerts by id, as `kept` gives them."""
    found: dict[str, dict] = {}
    for rule in rules:
        for key, wheel, source in instances(rows, rule):
            view = View(rows, rule, vehicle, wheel, source)
            for row in run(view, frontier):
                made = alert_id(rule.id, vehicle.vin, key, row["started"])
                found[str(made)] = {"rule": rule.id, "instance": key, **row}
    return found


def instances(rows: Sequence[Row], rule: Rule) -> list[tuple[str, str, int | None]]:
    for kind, listed in rule.for_each.items():
        if kind == "source":
            sources = {r.source for r in rows if isinstance(r, Sample) and r.name == listed}
            return [("" if s < 0 else f"sa{s}", "", s) for s in sorted(sources)]
        return [(name, name, None) for name in listed]
    return [("", "", None)]


def debounced(level: Level) -> str:
    """The three ways to debounce, each as a count of its own."""
    text = f"({level.condition})"
    for name, asked in (
        ("onsets", level.for_count),
        ("samples", level.for_samples),
        ("cycles", level.for_cycles),
    ):
        if asked:
            text += f" and {name}({level.condition}, {asked.of}) >= {asked.least}"
    return text


def run(view: View, frontier: int) -> list[dict]:
    rule = view.rule
    gate = f"({rule.when}) and " if rule.when else ""
    conditions = [debounced(level) for level in rule.levels]
    levels = [f"{gate}({condition})" for condition in conditions]
    over = (
        rule.clear.condition
        if rule.clear
        else " and ".join(f"not ({condition})" for condition in conditions)
    )
    clear, clear_hold = f"{gate}({over})", rule.clear.hold_ns if rule.clear else 60 * 10**9
    texts = [*levels, clear]
    trees = [view.tree(text) for text in texts]
    since: list[int | None] = [None] * len(texts)
    alerts: list[dict] = []
    alert: dict | None = None
    known = 0
    for at in view.points(texts, frontier):
        truths = [view.truth(tree, at) for tree in trees]
        gone = view.expired(texts, at)
        sure = True in truths[:-1] or truths[-1] is not None
        if alert and alert["state"] != "stale" and sure:
            if at - known > rule.stale_after:
                alert["changed"] = at  # silent in between, and heard of again just now
        elif alert and alert["state"] != "stale" and at - known > rule.stale_after:
            alert |= {"state": "stale", "changed": known + rule.stale_after}
        for i, truth in enumerate(truths):
            if truth is False or (truth is None and gone):
                since[i] = None
            elif truth and since[i] is None:
                since[i] = at
        if sure:
            known = at
            if alert and alert["state"] == "stale":
                alert |= {"state": "firing", "changed": at}
        ripe = [
            level.severity
            for level, truth, start in zip(rule.levels, truths, since, strict=False)
            if truth and at - start >= level.hold_ns
        ]
        if alert is None:
            if ripe:
                started = min(s for s in since[:-1] if s is not None)
                alert = {"started": started, "state": "firing", "severity": max(ripe)}
                alert |= {"fired": at, "worst": (at, seen(view, texts, at)), "changed": at}
                alerts.append(alert)
                since[-1] = None
        elif ripe and max(ripe) > alert["severity"]:
            alert |= {"severity": max(ripe), "worst": (at, seen(view, texts, at)), "changed": at}
        elif truths[-1] and at - since[-1] >= clear_hold:
            alert |= {"state": "cleared", "changed": at}
            alert, since = None, [None] * len(texts)
    if alert and alert["state"] == "firing" and frontier - known >= rule.stale_after:
        alert |= {"state": "stale", "changed": known + rule.stale_after}
    return alerts


def seen(view: View, texts: Sequence[str], at: int) -> dict[str, float]:
    values = {name: view.value(name, at) for name in view.inputs(texts)}
    return {name: value for name, value in values.items() if value is not None}
