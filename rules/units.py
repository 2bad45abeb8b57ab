"""Units and durations of the rule language, and the one error everything in it raises."""

from __future__ import annotations

import ast
import re

from model.errors import RoadcallError

#: Nanoseconds of each unit a duration may have.
DURATIONS = {"ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9, "d": 86400 * 10**9}
_DURATION = re.compile(r"(?<![\w.\"'])(\d+(?:\.\d+)?)(ms|s|m|h|d)\b")
#: The call a duration is written as between its text and its tree.
MARK = "__ns__"
_MARKED = re.compile(r"__ns__\('([^']*)'\)")

#: A unit as powers: (("kOhm", 1), ("V", -1)). None = a bare number, which takes any unit.
Unit = tuple[tuple[str, int], ...] | None
SECONDS: Unit = (("s", 1),)


class ExpressionError(RoadcallError):
    """A condition that cannot be meant."""


def parse_duration(text: str) -> int:
    """`90s` -> ns. Raises `ExpressionError`."""
    found = _DURATION.fullmatch(text)
    if not found:
        raise ExpressionError(f"{text!r} is not a duration such as 500ms, 10s, 5m, 2h, 1d")
    return round(float(found[1]) * DURATIONS[found[2]])


def mark_durations(text: str) -> str:
    """Write `10s` as `__ns__('10s')`, which Python can read."""
    return _DURATION.sub(lambda m: f"{MARK}('{m[0]}')", text)


def spell(node: ast.AST) -> str:
    """A piece of a condition as its author wrote it."""
    return _MARKED.sub(r"\1", ast.unparse(node))


def duration_of(node: ast.expr) -> int:
    """ns of a duration in a condition. Raises `ExpressionError`."""
    match node:
        case ast.Call(func=ast.Name(id=name), args=[ast.Constant(value=str() as text)]) if (
            name == MARK
        ):
            return parse_duration(text)
    raise ExpressionError(f"not a duration: {spell(node)}")


def whole(node: ast.expr, most: int, least: int = 0) -> int:
    """A whole number within bounds. Raises `ExpressionError`."""
    match node:
        case ast.Constant(value=int() as value) if not isinstance(value, bool):
            if least <= value <= most:
                return value
    raise ExpressionError(f"not a whole number from {least} to {most}: {spell(node)}")


def unit_of(text: str) -> Unit:
    """A catalogue unit as powers."""
    return ((text, 1),) if text else ()


def same_unit(a: Unit, b: Unit, node: ast.AST) -> Unit:
    """The unit two numbers share. Raises `ExpressionError`."""
    if a is not None and b is not None and a != b:
        raise ExpressionError(f"{_spell_unit(a)} meets {_spell_unit(b)}: {spell(node)}")
    return b if a is None else a


def product_unit(a: Unit, b: Unit, operator: str) -> Unit:
    """The unit of `a * b` or `a / b`."""
    if a is None and b is None:
        return None
    powers = dict(a or ())
    for name, power in b or ():
        powers[name] = powers.get(name, 0) + (power if operator == "*" else -power)
    return tuple(sorted((n, p) for n, p in powers.items() if p))


def _spell_unit(unit: Unit) -> str:
    return " ".join(n if p == 1 else f"{n}^{p}" for n, p in unit or ()) or "a plain number"
