"""From the text of a condition to its tree, refusing everything that is not plainly meant.

Source: our own small language, specified here: the expression grammar of Python, read with `ast`,
over catalogue names, the rule's parameters and a few facts of the vehicle.

    a < b, 400 < rpm < 900     comparisons between equal units; a bare number takes the other's unit
    and, or, not               three-valued
    + - * / min max abs        units are carried along; adding degC to rpm is refused
    mil_lamp                   a signal that is 0 or 1 is a condition by itself
    spn(110, fmi=0)            also fmi=[0, 1], or no fmi; dtc("P0217", "P1217"); any_dtc()
    absent(any, 90s)           silence of one signal or of the whole vehicle
    count(c, 1d, every=10s) >= 5
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from model.catalogue import catalogue
from model.errors import RoadcallError
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

#: Nanoseconds of each unit a duration may have.
DURATIONS = {"ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9, "d": 86400 * 10**9}
_DURATION = re.compile(r"(?<![\w.\"'])(\d+(?:\.\d+)?)(ms|s|m|h|d)\b")
_CODE = re.compile(r"[PCBU][0-9A-F]{4}(-[0-9A-F]{2})?")
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

#: A unit as powers: (("kOhm", 1), ("V", -1)). None = a bare number, which takes any unit.
Unit = tuple[tuple[str, int], ...] | None


class ExpressionError(RoadcallError):
    """A condition that cannot be meant."""


@cache
def universe() -> tuple[str, ...]:
    """All names a condition may use, `any` first; a signal's place here is its index."""
    return (ANY_NAME, *catalogue())


@cache
def index_of() -> dict[str, int]:
    """Place in the universe by name."""
    return {name: i for i, name in enumerate(universe())}


def parse_duration(text: str) -> int:
    """`90s` -> ns. Raises `ExpressionError`."""
    found = _DURATION.fullmatch(text)
    if not found:
        raise ExpressionError(f"{text!r} is not a duration such as 500ms, 10s, 5m, 2h, 1d")
    return round(float(found[1]) * DURATIONS[found[2]])


@dataclass(frozen=True, slots=True)
class Scope:
    """What names mean beside the catalogue: parameters, and facts of the vehicle with a unit."""

    params: Mapping[str, float]
    facts: Mapping[str, tuple[float, str]]


def parse_condition(text: str, scope: Scope) -> Condition:
    """The tree of a condition. Raises `ExpressionError` naming what is wrong."""
    written = _DURATION.sub(lambda m: f"duration('{m[0]}')", text)
    try:
        tree = ast.parse(written.strip(), mode="eval")
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
            case ast.Call(func=ast.Name(id="spn")):
                return _spn(node)
            case ast.Call(func=ast.Name(id="dtc")):
                return _dtc(node)
            case ast.Call(func=ast.Name(id="any_dtc"), args=[], keywords=[]):
                return Code("any_dtc()", frozenset())
            case ast.Call(func=ast.Name(id="absent")):
                return self._absent(node)
        raise ExpressionError(f"not a condition: {ast.unparse(node)}")

    def _flag(self, node: ast.Name) -> Condition:
        signal = catalogue().get(node.id)
        if signal is None:
            raise ExpressionError(f"unknown name {node.id}")
        if (signal.unit, signal.minimum, signal.maximum) != ("", 0, 1):
            raise ExpressionError(f"{node.id} is a number, compare it with something")
        return Signal(index_of()[node.id], node.id)

    def _comparison(self, node: ast.Compare) -> Condition:
        if isinstance(node.left, ast.Call) and _called(node.left) == "count":
            return self._count(node)
        parts: list[Condition] = []
        sides = [node.left, *node.comparators]
        for operator, left, right in zip(node.ops, sides, sides[1:], strict=False):
            symbol = _OPERATORS.get(type(operator))
            if symbol is None:
                raise ExpressionError(f"comparison not allowed: {ast.unparse(node)}")
            (a, a_unit), (b, b_unit) = self.number(left), self.number(right)
            if a_unit is None and b_unit is None:
                raise ExpressionError(f"compares no signal: {ast.unparse(node)}")
            _same_unit(a_unit, b_unit, node)
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
                unit = _same_unit(a_unit, b_unit, node)
                return Arithmetic(_OPERATORS[type(operator)], a, b), unit
            case ast.BinOp(op=ast.Mult() | ast.Div() as operator, left=left, right=right):
                (a, a_unit), (b, b_unit) = self.number(left), self.number(right)
                symbol = _OPERATORS[type(operator)]
                return Arithmetic(symbol, a, b), _product(a_unit, b_unit, symbol)
            case ast.Call(func=ast.Name(id="abs"), args=[inner], keywords=[]):
                value, unit = self.number(inner)
                return Absolute(value), unit
            case ast.Call(func=ast.Name(id="min" | "max" as name), args=[first, *rest]) if rest:
                value, unit = self.number(first)
                for other in rest:
                    more, more_unit = self.number(other)
                    value, unit = Arithmetic(name, value, more), _same_unit(unit, more_unit, node)
                return value, unit
        raise ExpressionError(f"not a number: {ast.unparse(node)}")

    def _name(self, name: str) -> tuple[Number, Unit]:
        if name in self._scope.params:
            return self._param(name)
        if name in self._scope.facts:
            value, unit = self._scope.facts[name]
            return Constant(value), _unit(unit)
        signal = catalogue().get(name)
        if signal is None:
            raise ExpressionError(f"unknown name {name}")
        return Signal(index_of()[name], name), _unit(signal.unit)

    def _param(self, name: str) -> tuple[Number, Unit]:
        if name not in self._scope.params:
            raise ExpressionError(f"unknown parameter {name}")
        return Constant(self._scope.params[name]), None

    def _absent(self, node: ast.Call) -> Condition:
        match node:
            case ast.Call(args=[ast.Name(id=name), silence], keywords=[]):
                silence_ns = _duration(silence)
            case _:
                raise ExpressionError("absent needs a signal and a duration: absent(any, 90s)")
        if name not in index_of():
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
        if not signals or any(isinstance(n, Count) for n in walk_nodes(inner)):
            raise ExpressionError("count needs a condition over signals, without another count")
        least = int(limit.value) + isinstance(operator, ast.Gt)
        if least < 1 or limit.value != int(limit.value):
            raise ExpressionError("count is compared with a whole number, at least 1")
        every_ns = _duration(keywords["every"]) if "every" in keywords else 1
        window_ns = _duration(call.args[1])
        text = ast.unparse(call)
        return Count(text, inner, signals[0].index, window_ns, every_ns, least)


def _called(node: ast.Call) -> str:
    return node.func.id if isinstance(node.func, ast.Name) else ""


def _duration(node: ast.expr) -> int:
    match node:
        case ast.Call(func=ast.Name(id="duration"), args=[ast.Constant(value=str() as text)]):
            return parse_duration(text)
    raise ExpressionError(f"not a duration: {ast.unparse(node)}")


def _whole(node: ast.expr, most: int) -> int:
    match node:
        case ast.Constant(value=int() as value) if not isinstance(value, bool):
            if 0 <= value <= most:
                return value
    raise ExpressionError(f"not a whole number from 0 to {most}: {ast.unparse(node)}")


def _spn(node: ast.Call) -> Code:
    match node:
        case ast.Call(args=[number], keywords=[]):
            spn = _whole(number, 0x7FFFF)
            return Code(f"spn({spn})", frozenset(), f"{spn}/")
        case ast.Call(args=[number], keywords=[ast.keyword(arg="fmi", value=modes)]):
            spn = _whole(number, 0x7FFFF)
            listed = modes.elts if isinstance(modes, ast.List) else [modes]
            fmis = sorted(_whole(mode, 31) for mode in listed)
            text = f"spn({spn}, fmi={','.join(map(str, fmis))})"
            return Code(text, frozenset(f"{spn}/{fmi}" for fmi in fmis))
    raise ExpressionError("spn reads: spn(110), spn(110, fmi=0), spn(110, fmi=[0, 1])")


def _dtc(node: ast.Call) -> Code:
    codes: list[str] = []
    for arg in node.args:
        match arg:
            case ast.Constant(value=str() as code) if _CODE.fullmatch(code):
                codes.append(code)
            case _:
                raise ExpressionError(f"not a trouble code: {ast.unparse(arg)}")
    if not codes or node.keywords:
        raise ExpressionError('dtc reads: dtc("P0217")')
    return Code(f"dtc({','.join(codes)})", frozenset(codes))


def _unit(text: str) -> Unit:
    return ((text, 1),) if text else ()


def _same_unit(a: Unit, b: Unit, node: ast.AST) -> Unit:
    if a is not None and b is not None and a != b:
        raise ExpressionError(f"{_spell(a)} meets {_spell(b)}: {ast.unparse(node)}")
    return b if a is None else a


def _product(a: Unit, b: Unit, operator: str) -> Unit:
    if a is None and b is None:
        return None
    powers = dict(a or ())
    for name, power in b or ():
        powers[name] = powers.get(name, 0) + (power if operator == "*" else -power)
    return tuple(sorted((n, p) for n, p in powers.items() if p))


def _spell(unit: Unit) -> str:
    return " ".join(n if p == 1 else f"{n}^{p}" for n, p in unit or ()) or "a plain number"


def used_signals(node: Node) -> set[int]:
    """Indices of all signals below a node, without those only asked for silence."""
    return {n.index for n in walk_nodes(node) if isinstance(n, Signal)}
