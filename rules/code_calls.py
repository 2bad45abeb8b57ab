"""How trouble codes and lamps are written in a condition.

dtc("P0217", "P1217")                any of these; "P0217-44" with its failure type
spn(110)  spn(110, fmi=0)  fmi=[0, 1]
fmi(0, 1)                            any SPN with one of these failure modes
any_dtc()  any_dtc(system="P")       system P, C, B or U
... state="pending"                  which list: active (with confirmed, the default), confirmed,
                                     pending, permanent, previous
... count=10                         the ECU counted it at least so often
ecus(any_dtc()) >= 3                 how many ECUs name one now
lamp("RSL") == "on"                  MIL, RSL, AWL, PL: on (also flashing), off
flash("MIL") == "fast"               fast, slow
"""

from __future__ import annotations

import ast
import re

from model.codes import CodeScope, LampState
from rules.nodes import Code, Ecus
from rules.units import ExpressionError, spell, whole

CODE_CALLS = frozenset(("dtc", "spn", "fmi", "any_dtc"))
_TEXT = re.compile(r"[PCBU][0-9A-F]{4}(-[0-9A-F]{2})?")
_SPN, _FMI = 0x7FFFF, 31
_NOW = frozenset((CodeScope.ACTIVE.value, CodeScope.CONFIRMED.value))
_STATES = {
    "active": _NOW,
    **{
        scope.value: frozenset((scope.value,))
        for scope in (
            CodeScope.CONFIRMED,
            CodeScope.PENDING,
            CodeScope.PERMANENT,
            CodeScope.PREVIOUS,
        )
    },
}
_LAMPS = {"MIL": "mil", "RSL": "red_stop", "AWL": "amber_warning", "PL": "protect"}
_SLOW, _FAST = LampState.SLOW_FLASH, LampState.FAST_FLASH
_LAMP_STATES = {
    ("lamp", "on"): frozenset((LampState.ON, _SLOW, _FAST)),
    ("lamp", "off"): frozenset((LampState.OFF,)),
    ("flash", "fast"): frozenset((_FAST,)),
    ("flash", "slow"): frozenset((_SLOW,)),
}


def read_code(node: ast.expr) -> Code:
    """The predicate of a call. Raises `ExpressionError`."""
    match node:
        case ast.Compare():
            return _lamp(node)
        case ast.Call(func=ast.Name(id=name)) if name in CODE_CALLS:
            options = {k.arg: k.value for k in node.keywords}
            allowed = {"state", "count"} | {"spn": {"fmi"}, "any_dtc": {"system"}}.get(name, set())
            if options.keys() - allowed:
                raise ExpressionError(f"{spell(node)}: {_HOW[name]}")
            return _code(name, node, options)
    raise ExpressionError(f"not a trouble code: {spell(node)}")


_HOW = {
    "dtc": 'dtc reads: dtc("P0217")',
    "spn": "spn reads: spn(110), spn(110, fmi=0), spn(110, fmi=[0, 1])",
    "fmi": "fmi reads: fmi(0, 1)",
    "any_dtc": 'any_dtc reads: any_dtc(), any_dtc(system="P")',
}


def code_number(node: ast.Call) -> Ecus:
    """`ecus(...)`. Raises `ExpressionError`."""
    if len(node.args) != 1 or node.keywords:
        raise ExpressionError("ecus reads: ecus(any_dtc())")
    return Ecus(read_code(node.args[0]))


def _code(name: str, node: ast.Call, options: dict[str | None, ast.expr]) -> Code:
    scopes, more = _NOW, ""
    if "state" in options:
        state = _text(options["state"], _STATES)
        scopes, more = _STATES[state], f", state={state}"
    least = whole(options["count"], 126, 1) if "count" in options else 0
    more += f", count={least}" if least else ""
    args = node.args
    match name:
        case "dtc":
            codes = [_trouble_code(arg) for arg in args]
            if codes:
                text = f"dtc({','.join(codes)}{more})"
                return Code(text, frozenset(codes), scopes=scopes, least=least)
        case "spn" if len(args) == 1:
            number = whole(args[0], _SPN)
            if "fmi" not in options:
                text = f"spn({number}{more})"
                return Code(text, frozenset(), f"{number}/", scopes=scopes, least=least)
            modes = _modes(options["fmi"])
            listed = frozenset(f"{number}/{mode}" for mode in modes)
            text = f"spn({number}, fmi={','.join(map(str, modes))}{more})"
            return Code(text, listed, scopes=scopes, least=least)
        case "fmi" if args:
            modes = sorted(whole(arg, _FMI) for arg in args)
            text = f"fmi({','.join(map(str, modes))}{more})"
            ends = tuple(f"/{mode}" for mode in modes)
            return Code(text, frozenset(), ends=ends, scopes=scopes, least=least)
        case "any_dtc" if not args:
            system = _text(options["system"], "PCBU") if "system" in options else ""
            text = f"any_dtc({system}{more})"
            return Code(text, frozenset(), system, scopes=scopes, least=least)
    raise ExpressionError(_HOW[name])


def _modes(node: ast.expr) -> list[int]:
    listed = node.elts if isinstance(node, ast.List) else [node]
    return sorted(whole(mode, _FMI) for mode in listed)


def _trouble_code(arg: ast.expr) -> str:
    match arg:
        case ast.Constant(value=str() as code) if _TEXT.fullmatch(code):
            return code
    raise ExpressionError(f"not a trouble code: {spell(arg)}")


def _text(node: ast.expr, known: object) -> str:
    match node:
        case ast.Constant(value=str() as text) if text and text in list(known):  # type: ignore[call-overload]
            return text
    raise ExpressionError(f"not one of {', '.join(known)}: {spell(node)}")  # type: ignore[arg-type]


def _lamp(node: ast.Compare) -> Code:
    match node:
        case ast.Compare(
            left=ast.Call(func=ast.Name(id=name), args=[ast.Constant(value=str() as lamp)]),
            ops=[ast.Eq()],
            comparators=[ast.Constant(value=str() as state)],
        ) if lamp in _LAMPS and (name, state) in _LAMP_STATES:
            text = f"{name}({lamp})=={state}"
            return Code(text, frozenset(), lamp=_LAMPS[lamp], lit=_LAMP_STATES[name, state])
    raise ExpressionError('lamps read: lamp("RSL") == "on" or "off", flash("MIL") == "fast"')
