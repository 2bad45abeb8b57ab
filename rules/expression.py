"""From the text of a condition to its tree, refusing everything that is not plainly meant.

Source: our own small language, specified here: the expression grammar of Python, read with `ast`,
over catalogue names, the rule's parameters and a few facts of the vehicle.

    a < b, 400 < rpm < 900     comparisons between equal units; a bare number takes the other's unit
    and, or, not               three-valued
    + - * / min max abs        units are carried along; adding degC to rpm is refused
    mil_lamp                   a signal that is 0 or 1 is a condition by itself
    spn(110, fmi=0)            trouble codes and lamps, see rules.code_calls
    absent(any, 90s)           silence of one signal or of the whole vehicle
    count(c, 1d, every=10s) >= 5
    avg(speed_kmh, 10m)        functions over time, see rules.windows and rules.window_calls
    spread(cell_voltage_v)     functions of arrays, see rules.arrays
    km_since("oil")            service history, see rules.fact_nodes
    10m                        a duration is a number of seconds
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from model.catalogue import catalogue
from rules.arrays import FUNCTIONS, Derived, derived_signals
from rules.code_calls import CODE_CALLS, code_number, read_code
from rules.fact_nodes import FACT_CALLS, Recurred, Since, read_recurred, read_since
from rules.nodes import (
    Absent,
    Absolute,
    And,
    Arithmetic,
    Code,
    Compare,
    Condition,
    Constant,
    Count,
    Node,
    Not,
    Number,
    Or,
    Signal,
    walk_nodes,
)
from rules.units import (
    MARK,
    SECONDS,
    ExpressionError,
    Unit,
    duration_of,
    mark_durations,
    parse_duration,
    product_unit,
    same_unit,
    spell,
    unit_of,
)
from rules.window_calls import WINDOW_CALLS, Reading, is_length, read_window
from rules.windows import Inputs, Segment, Window, segment_texts

__all__ = ["ExpressionError", "Scope", "Unit", "parse_condition", "parse_duration"]

#: The pseudo signal "anything at all", index 0 of the universe.
ANY, ANY_NAME = 0, "any"
#: Silence of a whole vehicle is known to a few seconds only below this (rules/samples.py).
MIN_SILENCE_NS = 30 * 10**9
_OPERATORS: dict[type[ast.AST], str] = {
    ast.Add: "+",
    ast.Sub: "-",
    ast.Mult: "*",
    ast.Div: "/",
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
    ast.Eq: "==",
    ast.NotEq: "!=",
}


@cache
def universe() -> tuple[str, ...]:
    """All names a condition may use, `any` first; a signal's place here is its index.

    The functions of arrays come last; an array's own place is that of its elements together.
    """
    return (ANY_NAME, *catalogue(), *(derived.name for derived in derived_signals()))


@cache
def derived_of() -> dict[int, tuple[Derived, int]]:
    """Functions of arrays by their place, with the place of the array."""
    places = index_of()
    return {places[d.name]: (d, places[d.array]) for d in derived_signals()}


@cache
def index_of() -> dict[str, int]:
    """Place in the universe by name."""
    return {name: i for i, name in enumerate(universe())}


@dataclass(frozen=True, slots=True)
class Scope:
    """What names mean beside the catalogue: parameters, and facts of the vehicle with a unit."""

    params: Mapping[str, float]
    facts: Mapping[str, tuple[float, str]]
    #: How long the rule believes a sample, and the signal whose sources it tells apart.
    max_gap_ns: int = 30 * 10**9
    by_source: int | None = None
    rule_id: str = ""


def parse_condition(text: str, scope: Scope) -> Condition:
    """The tree of a condition. Raises `ExpressionError` naming what is wrong."""
    try:
        tree = ast.parse(mark_durations(text).strip(), mode="eval")
    except SyntaxError as error:
        raise ExpressionError(f"not an expression: {text!r}") from error
    return _Parser(scope).condition(tree.body)


class _Parser:
    def __init__(self, scope: Scope) -> None:
        self._scope = scope

    def condition(self, node: ast.expr) -> Condition:
        match node:
            case ast.BoolOp(op=ast.And(), values=values):
                return And(tuple(self.condition(v) for v in values))
            case ast.BoolOp(op=ast.Or(), values=values):
                return Or(tuple(self.condition(v) for v in values))
            case ast.UnaryOp(op=ast.Not(), operand=inner):
                return Not(self.condition(inner))
            case ast.Compare():
                return self._comparison(node)
            case ast.Name():
                return self._flag(node)
            case ast.Call(func=ast.Name(id=name)) if name in CODE_CALLS:
                return read_code(node)
            case ast.Call(func=ast.Name(id="adjacent")):
                return self._adjacent(node)
            case ast.Call(func=ast.Name(id="recurred")):
                return read_recurred(node, self._scope.rule_id, _signal("odometer_km"))
            case ast.Call(func=ast.Name(id="held" | "over")):
                return self._window(node)[0]
            case ast.Call(func=ast.Name(id="absent")):
                return self._absent(node)
        raise ExpressionError(f"not a condition: {spell(node)}")

    def _flag(self, node: ast.Name) -> Condition:
        signal = catalogue().get(node.id)
        if signal is None:
            raise ExpressionError(f"unknown name {node.id}")
        if (signal.unit, signal.minimum, signal.maximum) != ("", 0, 1):
            raise ExpressionError(f"{node.id} is a number, compare it with something")
        return Signal(index_of()[node.id], node.id)

    def _comparison(self, node: ast.Compare) -> Condition:
        if _called(node.left) == "count":
            return self._count(node)
        if _called(node.left) in ("lamp", "flash"):
            return read_code(node)
        parts: list[Condition] = []
        sides = [node.left, *node.comparators]
        for operator, left, right in zip(node.ops, sides, sides[1:], strict=False):
            symbol = _OPERATORS.get(type(operator))
            if symbol is None:
                raise ExpressionError(f"comparison not allowed: {spell(node)}")
            (a, a_unit), (b, b_unit) = self.number(left), self.number(right)
            if a_unit is None and b_unit is None:
                raise ExpressionError(f"compares no signal: {spell(node)}")
            same_unit(a_unit, b_unit, node)
            parts.append(Compare(symbol, a, b))
        return parts[0] if len(parts) == 1 else And(tuple(parts))

    def number(self, node: ast.expr) -> tuple[Number, Unit]:
        match node:
            case ast.Constant(value=bool()):
                pass
            case ast.Constant(value=int() | float() as literal):
                return Constant(float(literal)), None
            case ast.Name(id=name):
                return self._name(name)
            case ast.Attribute(value=ast.Name(id="params"), attr=name):
                return self._param(name)
            case ast.UnaryOp(op=ast.USub(), operand=inner):
                value, unit = self.number(inner)
                return Arithmetic("-", Constant(0.0), value), unit
            case ast.BinOp(op=ast.Add() | ast.Sub() as operator, left=left, right=right):
                (a, a_unit), (b, b_unit) = self.number(left), self.number(right)
                unit = same_unit(a_unit, b_unit, node)
                return Arithmetic(_OPERATORS[type(operator)], a, b), unit
            case ast.BinOp(op=ast.Mult() | ast.Div() as operator, left=left, right=right):
                (a, a_unit), (b, b_unit) = self.number(left), self.number(right)
                symbol = _OPERATORS[type(operator)]
                return Arithmetic(symbol, a, b), product_unit(a_unit, b_unit, symbol)
            case ast.Call(func=ast.Name(id="abs"), args=[inner], keywords=[]):
                value, unit = self.number(inner)
                return Absolute(value), unit
            case ast.Call(func=ast.Name(id="min" | "max" as name), args=[first, *rest]) if (
                rest and not is_length(rest[0])
            ):
                value, unit = self.number(first)
                for other in rest:
                    more, more_unit = self.number(other)
                    value, unit = Arithmetic(name, value, more), same_unit(unit, more_unit, node)
                return value, unit
            case ast.Call(func=ast.Name(id=name)) if name == MARK:
                return Constant(duration_of(node) / 1e9), SECONDS
            case ast.Call(func=ast.Name(id=name)) if name in FUNCTIONS:
                return self._array(node, name)
            case ast.Call(func=ast.Name(id=name)) if name in FACT_CALLS:
                return read_since(node, name, _signal(FACT_CALLS[name]))
            case ast.Call(func=ast.Name(id="ecus")):
                return code_number(node), ()
            case ast.Call(func=ast.Name(id=name)) if name in WINDOW_CALLS:
                return self._window(node)
        raise ExpressionError(f"not a number: {spell(node)}")

    def _window(self, node: ast.Call) -> tuple[Window, Unit]:
        return read_window(node, Reading(self.condition, self.number, self.inputs, segment_of))

    def inputs(self, node: Node) -> Inputs:
        """What the argument of a window is computed from."""
        below = list(walk_nodes(node))
        if any(isinstance(n, _STANDS_ALONE) for n in below):
            raise ExpressionError("a window has no window, count(), absent() or history inside")
        codes = tuple({n.text: n for n in below if isinstance(n, Code)}.values())
        signals = tuple(sorted(used_signals(node)))
        if not signals and not codes:
            raise ExpressionError("a window is over signals or codes")
        return Inputs(signals, codes, self._scope.max_gap_ns, self._scope.by_source)

    def _name(self, name: str) -> tuple[Number, Unit]:
        if name in self._scope.params:
            return self._param(name)
        if name in self._scope.facts:
            value, unit = self._scope.facts[name]
            return Constant(value), unit_of(unit)
        signal = catalogue().get(name)
        if signal is None:
            raise ExpressionError(f"unknown name {name}")
        if signal.elements:
            raise ExpressionError(f"{name} is an array: write spread({name}), lowest({name}), ...")
        return Signal(index_of()[name], name), unit_of(signal.unit)

    def _array(self, node: ast.Call, function: str) -> tuple[Number, Unit]:
        match node:
            case ast.Call(args=[ast.Name(id=name)], keywords=[]) if (
                name in catalogue() and catalogue()[name].elements
            ):
                derived = Derived(name, function)
                return Signal(index_of()[derived.name], derived.name), unit_of(derived.unit)
        raise ExpressionError(f"{spell(node)}: write {function}(cell_voltage_v)")

    def _adjacent(self, node: ast.Call) -> Condition:
        if len(node.args) != 2 or node.keywords:
            raise ExpressionError("adjacent reads: adjacent(argmax(a), argmin(a))")
        (a, a_unit), (b, b_unit) = map(self.number, node.args)
        same_unit(a_unit, b_unit, node)
        return Compare("==", Absolute(Arithmetic("-", a, b)), Constant(1.0))

    def _param(self, name: str) -> tuple[Number, Unit]:
        if name not in self._scope.params:
            raise ExpressionError(f"unknown parameter {name}")
        return Constant(self._scope.params[name]), None

    def _absent(self, node: ast.Call) -> Condition:
        match node:
            case ast.Call(args=[ast.Name(id=name), silence], keywords=[]):
                silence_ns = duration_of(silence)
            case _:
                raise ExpressionError("absent needs a signal and a duration: absent(any, 90s)")
        if name not in index_of() or (name in catalogue() and catalogue()[name].elements):
            raise ExpressionError(f"unknown name {name}")
        if name == ANY_NAME and silence_ns < MIN_SILENCE_NS:
            raise ExpressionError("absent(any, ...) must be at least 30s")
        return Absent(index_of()[name], silence_ns)

    def _count(self, node: ast.Compare) -> Condition:
        call = node.left
        assert isinstance(call, ast.Call)
        match node:
            case ast.Compare(ops=[ast.GtE() | ast.Gt() as operator], comparators=[bound]):
                limit, _ = self.number(bound)
            case _:
                raise ExpressionError("count is compared with >= or >")
        keywords = {k.arg: k.value for k in call.keywords}
        if len(call.args) != 2 or keywords.keys() - {"every"} or not isinstance(limit, Constant):
            raise ExpressionError("count reads: count(condition, 1d, every=10s) >= 5")
        inner = self.condition(call.args[0])
        signals = [n for n in walk_nodes(inner) if isinstance(n, Signal)]
        if not signals or any(isinstance(n, Count | Window) for n in walk_nodes(inner)):
            raise ExpressionError("count needs a condition over signals, without another count")
        least = int(limit.value) + isinstance(operator, ast.Gt)
        if least < 1 or limit.value != int(limit.value):
            raise ExpressionError("count is compared with a whole number, at least 1")
        every_ns = duration_of(keywords["every"]) if "every" in keywords else 1
        window_ns = duration_of(call.args[1])
        text = spell(call)
        return Count(text, inner, signals[0].index, window_ns, every_ns, least)


_STANDS_ALONE = (Window, Count, Absent, Since, Recurred)


def _signal(name: str) -> Signal:
    return Signal(index_of()[name], name)


def _called(node: ast.expr) -> str:
    match node:
        case ast.Call(func=ast.Name(id=name)):
            return name
    return ""


def used_signals(node: Node) -> set[int]:
    """Indices of all signals below a node, without those only asked for silence."""
    return {n.index for n in walk_nodes(node) if isinstance(n, Signal)}


@cache
def segment_of(name: str) -> Segment:
    """A trip or a charging session."""
    text, max_gap_ns, gap_ns = segment_texts()[name]
    condition = parse_condition(text, Scope({}, {}))
    signals = tuple(sorted(used_signals(condition)))
    return Segment(name, condition, gap_ns, Inputs(signals, (), max_gap_ns))
