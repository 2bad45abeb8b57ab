"""Functions over time for the reference evaluator: every sample looked up again at every moment."""

from __future__ import annotations

import ast
import math
import re
import tomllib
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import rules.packs

if TYPE_CHECKING:
    from tests.rules.reference import View

NS = {"ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9, "d": 86400 * 10**9}
NUMBERS = ("avg", "min", "max", "range", "rms", "delta", "rate", "percentile", "p50", "p95")
COUNTED = ("onsets", "samples", "cycles", "held", "since", "elapsed", "over")
CALLS = (*NUMBERS, *COUNTED, "duration", "duration_above", "share", "share_above")
SEGMENTS = tomllib.loads(
    (Path(next(iter(rules.packs.__path__))) / "segments.toml").read_text("utf-8")
)


def is_window(node: ast.AST) -> bool:
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
        return False
    name = node.func.id
    return name in CALLS and not (name in ("min", "max") and not is_length(node.args[1]))


def is_length(node: ast.expr) -> bool:
    if isinstance(node, ast.Name):
        return node.id in SEGMENTS
    return isinstance(node, ast.Call) and node.func.id == "ns"


def ns_of(node: ast.expr) -> int:
    number, unit = re.fullmatch(r"([\d.]+)(ms|s|m|h|d)", node.args[0].value).groups()
    return round(float(number) * NS[unit])


def segment_name(node: ast.Call) -> str | None:
    if node.func.id == "cycles":
        return "trip"
    last = node.args[-1] if node.args else None
    return last.id if isinstance(last, ast.Name) and last.id in SEGMENTS else None


def remembered(ask: Callable) -> Callable:
    """The same question to the same view has the same answer."""

    def answer(view: View, *question: object) -> object:
        key = (ask.__name__, *(ast.dump(q) if isinstance(q, ast.AST) else str(q) for q in question))
        if key not in view.memo:
            view.memo[key] = ask(view, *question)
        return view.memo[key]

    return answer


@remembered
def trips(view: View, name: str, at: int) -> list[list[int]]:
    """[start, last true moment, moment it was false or 0] of every trip that began until then."""
    spec = SEGMENTS[name]
    sub = view.with_gap(ns_of(view.tree(spec["max_gap"])))
    gap = ns_of(view.tree(spec["gap"]))
    tree = sub.tree(spec["condition"])
    found: list[list[int]] = []
    for t in sub.points([spec["condition"]], at):
        truth = sub.truth(tree, t)
        if truth:
            if not found or found[-1][2] or t - found[-1][1] > gap:
                found.append([t, t, 0])
            found[-1][1] = t
        elif truth is False and found and not found[-1][2]:
            found[-1][2] = t
    return found


@remembered
def trip_at(view: View, name: str, at: int) -> tuple[int, bool, int] | None:
    """Start, whether over, last true moment of the newest trip."""
    found = trips(view, name, at)
    if not found:
        return None
    start, last, ended = found[-1]
    gap = ns_of(view.tree(SEGMENTS[name]["gap"]))
    return start, bool(ended) or at - last > gap, last


@remembered
def segment_moments(view: View, name: str, at: int) -> set[int]:
    """Every moment at which a trip may begin or be over."""
    spec = SEGMENTS[name]
    sub = view.with_gap(ns_of(view.tree(spec["max_gap"])))
    gap = ns_of(view.tree(spec["gap"]))
    tree, points = sub.tree(spec["condition"]), sub.points([spec["condition"]], at)
    true = [t for t in points if sub.truth(tree, t)]
    pairs = zip(true, [*true, 2**62][1:], strict=False)
    return {*points, *(t + gap + 1 for t, following in pairs if following - t > gap)}


def known(view: View, inner: ast.expr, at: int, *, number: bool) -> bool:
    return (view.number(inner, at) if number else view.truth(inner, at)) is not None


@remembered
def rows(view: View, inner: ast.expr, at: int) -> list[int]:
    """Moments until `at` at which something the argument uses was sampled."""
    found: set[int] = set()
    for node in ast.walk(inner):
        if isinstance(node, ast.Name) and node.id in view.samples:
            found |= {t for t, _ in view.samples[node.id]}
        if isinstance(node, ast.Call) and node.func.id in ("spn", "dtc", "any_dtc"):
            for reports in view.reports.values():
                moments = view.report_moments(node, reports)
                found |= moments & {r.at_ns for r in reports}
    return sorted(t for t in found if t <= at)


def places(view: View, call: ast.Call, cells: int, at: int) -> list[tuple[int, int]]:
    """(cell, moment) of every row of the window that ends at `at`."""
    inner, name = call.args[0], segment_name(call)
    moments = rows(view, inner, at)
    if name is None:
        size = ns_of(call.args[-1]) // cells
        return [(t // size, t) for t in moments if at // size - cells < t // size]
    starts = [start for start, _, _ in trips(view, name, at)][-cells:]
    inside = [(trip_at(view, name, t), t) for t in moments]
    return [(trip[0], t) for trip, t in inside if trip and not trip[1] and trip[0] in starts]


def window(view: View, call: ast.Call, at: int) -> float | None:
    name = call.func.id
    segment = segment_name(call)
    if name in ("elapsed", "over"):
        trip = trip_at(view, segment, at)
        if trip is None:
            return None
        start, over, last = trip
        return float(over) if name == "over" else ((last if over else at) - start) / 1e9
    inner = call.args[0]
    if name.endswith("_above"):
        inner = ast.Compare(call.args[0], [ast.Gt()], [call.args[1]])
        call = ast.Call(ast.Name(name.removesuffix("_above")), [inner, call.args[2]], [])
        name = call.func.id
    if name == "since":
        return since(view, inner, at)
    if not known(view, inner, at, number=name in NUMBERS):
        return None
    if segment is not None and trip_at(view, segment, at) is None:
        return None
    if name in NUMBERS:
        return number(view, call, at)
    if name in ("duration", "share"):
        return spent(view, call, at)
    return counted(view, call, at)


def number(view: View, call: ast.Call, at: int) -> float | None:
    name, inner = call.func.id, call.args[0]
    percent = {"p50": 50, "p95": 95}.get(name)
    if name == "percentile":
        percent = call.args[1].value
    segment = segment_name(call)
    cells = 1 if segment else 100 if percent is not None else 10
    found = [
        (place, t, view.number(inner, t))
        for place, t in places(view, call, cells, at)
        if view.number(inner, t) is not None
    ]
    least = call.keywords[0].value.value if call.keywords else 1
    used = {place for place, _, _ in found}
    if not found or len(used) < least:
        return None
    values = [round(v * 1e6) / 1e6 for _, _, v in found]
    last = {place: (t, v) for (place, t, _), v in zip(found, values, strict=True)}
    match name:
        case "avg":
            return math.fsum(values) / len(values)
        case "min":
            return min(values)
        case "max":
            return max(values)
        case "rms":
            return math.sqrt(math.fsum((round(v * 1e3) / 1e3) ** 2 for v in values) / len(values))
        case "range":
            return max(values) - min(values)
        case "delta":
            return values[-1] - values[0]
        case "rate":
            return slope([last[place] for place in sorted(used)])
    ordered = sorted(v for _, v in last.values())
    return ordered[max(0, math.ceil(percent / 100 * len(ordered)) - 1)]


def slope(pairs: list[tuple[int, float]]) -> float | None:
    if len(pairs) < 3:
        return None
    times = [t // 10**6 / 1e3 - pairs[0][0] // 10**6 / 1e3 for t, _ in pairs]
    middle, mean = sum(times) / len(pairs), sum(v for _, v in pairs) / len(pairs)
    above = sum((t - middle) * (v - mean) for t, (_, v) in zip(times, pairs, strict=True))
    return above / sum((t - middle) ** 2 for t in times)


def spent(view: View, call: ast.Call, at: int) -> float:
    inner, name = call.args[0], segment_name(call)
    moments = {*rows(view, inner, at), *view.points([ast.unparse(inner)], at)}
    if name:
        start, over, last = trip_at(view, name, at)
        whole = max((last if over else at) - start, 1)
        for _, true, ended in trips(view, name, at):
            gone = true + ns_of(view.tree(SEGMENTS[name]["gap"])) + 1
            moments |= {m for m in (ended, gone) if m and m <= at}
    else:
        whole = ns_of(call.args[1])
        start = (at // (whole // 10) - 9) * (whole // 10)
    total = 0
    edges = sorted({start, at, *(m for m in moments if start <= m <= at)})
    for a, b in pairwise(edges):
        inside = name is None or not trip_at(view, name, a)[1]
        if inside and view.truth(inner, a):
            total += b - a
    return total / 1e9 if call.func.id == "duration" else min(total / whole, 1.0)


def since(view: View, inner: ast.expr, at: int) -> float | None:
    if view.truth(inner, at):
        return 0.0
    true = [t for t in view.points([ast.unparse(inner)], at) if view.truth(inner, t)]
    return (at - true[-1]) / 1e9 if true else None


def counted(view: View, call: ast.Call, at: int) -> float:
    name, inner = call.func.id, call.args[0]
    points = view.points([ast.unparse(inner)], at)
    truths = [(t, view.truth(inner, t)) for t in points]
    sampled = set(rows(view, inner, at))
    if name == "held":
        start = None
        for t, truth in truths:
            if truth is False or (truth is None and view.expired([ast.unparse(inner)], t)):
                start = None
            elif truth and start is None:
                start = t
        held = view.truth(inner, at) and start is not None
        return float(bool(held and at - start >= ns_of(call.args[1])))
    if name == "samples":
        bits = [truth for t, truth in truths if t in sampled and truth is not None]
        return float(sum(bits[-call.args[1].value :]))
    if name == "cycles":
        flagged = {
            place for place, t in places(view, call, call.args[1].value, at) if view.truth(inner, t)
        }
        return float(len(flagged))
    cells = 1 if segment_name(call) else 10
    onsets, last = set(), None
    for t, truth in truths:
        if truth and not last and t in sampled:
            onsets.add(t)
        last = last if truth is None else truth
    return float(sum(t in onsets for _, t in places(view, call, cells, at)))
