"""How functions over time are written.

avg(x, 10m)  min  max  rms  delta       min and max of two and more numbers compare instead
range(x, 10m)                           largest minus smallest
rate(x, 60s)                            per second
percentile(x, 95, 1h)  p95(x, 1h)
... least=5                             unknown unless five tenths of the window hold samples
duration_above(x, limit, 1h)            s; duration(condition, 1h)
share_above(x, limit, trip)             0..1; share(condition, trip)
onsets(condition, 10m)                  how often it became true
samples(condition, 5)                   of the last 5 known samples, how many were true
cycles(condition, 3)                    of the last 3 trips, in how many it was true
held(condition, 4h)                     a condition: true all that time
since(condition)                        s since it was true, 0 while it is
elapsed(trip)  over(trip)               s since it began; a condition: it has ended
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import dataclass

from rules.nodes import Compare, Condition, Node, Number
from rules.units import MARK, SECONDS, ExpressionError, Unit, duration_of, same_unit, spell, whole
from rules.windows import (
    MOST_COUNTED,
    SHORTEST_NS,
    Inputs,
    Segment,
    Window,
    segment_texts,
)

_PLAIN = ("avg", "min", "max", "range", "rms", "delta", "rate")
_PERCENTS = {"p50": 50.0, "p90": 90.0, "p95": 95.0, "p99": 99.0}
WINDOW_CALLS = frozenset(
    (*_PLAIN, *_PERCENTS, "percentile", "duration", "duration_above", "share", "share_above")
) | {"onsets", "samples", "cycles", "held", "since", "elapsed", "over"}


@dataclass(frozen=True, slots=True)
class Reading:
    """The parser's own functions."""

    condition: Callable[[ast.expr], Condition]
    number: Callable[[ast.expr], tuple[Number, Unit]]
    inputs: Callable[[Node], Inputs]
    segment: Callable[[str], Segment]


@dataclass(frozen=True, slots=True)
class _Call:
    node: ast.Call
    read: Reading

    def refuse(self, how: str) -> ExpressionError:
        return ExpressionError(f"{spell(self.node)}: write {how}")

    def over(self, written: ast.expr) -> tuple[int, Segment | None]:
        """Length in ns, or the segment."""
        match written:
            case ast.Name(id=name) if name in segment_texts():
                return 0, self.read.segment(name)
            case ast.Name(id=name):
                raise ExpressionError(f"{name} is not a window: a duration, trip or session")
        length = duration_of(written)
        if length < SHORTEST_NS:
            raise ExpressionError(f"{spell(written)} is too short for a window, 5s is the least")
        return length, None

    def least(self) -> int:
        for keyword in self.node.keywords:
            if keyword.arg != "least":
                raise ExpressionError(f"{spell(self.node)}: unknown option {keyword.arg}")
            return whole(keyword.value, 10, 1)
        return 1

    def window(
        self,
        kind: str,
        inner: Node,
        length: int,
        segment: Segment | None = None,
        *,
        percent: float = 0.0,
    ) -> Window:
        inputs, least = self.read.inputs(inner), self.least()
        if least > 1 and (segment is not None or kind not in (*_PLAIN, "percentile")):
            raise self.refuse("least only in functions of numbers over a time, not over a segment")
        text = spell(self.node)
        return Window(kind, text, inner, inputs, length, segment, least, percent)


def is_length(node: ast.expr) -> bool:
    """Whether an argument is a window: `min(x, 10m)`, not `min(x, y)`."""
    match node:
        case ast.Name(id=name):
            return name in segment_texts()
        case ast.Call(func=ast.Name(id=name)):
            return name == MARK
    return False


def read_window(node: ast.Call, read: Reading) -> tuple[Window, Unit]:
    """The window of a call, and the unit of its value. Raises `ExpressionError`."""
    assert isinstance(node.func, ast.Name)
    call, name, args = _Call(node, read), node.func.id, node.args
    if name in (*_PLAIN, *_PERCENTS, "percentile"):
        return _number(call, name, args)
    if name in ("elapsed", "over"):
        return _segment(call, name, args)
    if name in ("duration_above", "share_above"):
        if len(args) != 3:
            raise call.refuse(f"{name}(signal, limit, 1h)")
        (x, x_unit), (limit, limit_unit) = read.number(args[0]), read.number(args[1])
        same_unit(x_unit, limit_unit, node)
        name, inner, args = name.removesuffix("_above"), Compare(">", x, limit), args[1:]
        return _lasting(call, name, inner, args[1])
    if not args or len(args) != (1 if name == "since" else 2):
        raise call.refuse("since(condition)" if name == "since" else f"{name}(condition, window)")
    condition = read.condition(args[0])
    match name:
        case "duration" | "share":
            return _lasting(call, name, condition, args[1])
        case "since":
            return call.window(name, condition, 0), SECONDS
        case "held":
            return call.window(name, condition, duration_of(args[1])), ()
        case "samples":
            return call.window(name, condition, whole(args[1], MOST_COUNTED, 1)), ()
        case "cycles":
            cycles = whole(args[1], MOST_COUNTED, 1)
            return call.window(name, condition, cycles, read.segment("trip")), ()
    length, segment = call.over(args[1])
    return call.window(name, condition, length, segment), ()


def _number(call: _Call, name: str, args: list[ast.expr]) -> tuple[Window, Unit]:
    percent = _PERCENTS.get(name, 0.0)
    if name == "percentile":
        if len(args) != 3:
            raise call.refuse("percentile(signal, 95, 1h)")
        percent, args = float(whole(args[1], 100)), [args[0], args[2]]
    if len(args) != 2:
        raise call.refuse(f"{name}(signal, 10m)")
    inner, unit = call.read.number(args[0])
    length, segment = call.over(args[1])
    kind = "percentile" if percent or name == "percentile" else name
    if kind in ("rate", "percentile") and segment is not None:
        raise call.refuse(f"{name} over a time, not over a {segment.name}")
    window = call.window(kind, inner, length, segment, percent=percent)
    return window, _per_second(unit) if name == "rate" else unit


def _per_second(unit: Unit) -> Unit:
    return None if unit is None else tuple(sorted((*unit, ("s", -1))))


def _segment(call: _Call, name: str, args: list[ast.expr]) -> tuple[Window, Unit]:
    match args:
        case [ast.Name(id=segment)] if segment in segment_texts() and not call.node.keywords:
            found = call.read.segment(segment)
            window = Window(name, spell(call.node), None, found.inputs, 0, found)
            return window, SECONDS if name == "elapsed" else ()
    raise call.refuse(f"{name}(trip)")


def _lasting(call: _Call, name: str, inner: Condition, over: ast.expr) -> tuple[Window, Unit]:
    length, segment = call.over(over)
    window = call.window(name, inner, length, segment)
    return window, SECONDS if name == "duration" else ()
