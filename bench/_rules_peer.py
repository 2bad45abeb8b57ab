"""The peer of `bench.rules`: every rule looked at again with every sample, in plain Python.

Generous to it: it knows three-valued comparison and `for`, but no windows, codes, silence, levels
that grow worse, late samples or restarts; rules that need more are left out on its side.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from types import CodeType

from model.signals import SignalBatch
from model.vehicle import Vehicle
from rules.bundle import Bundle
from rules.plan import applies, thresholds_for

Sample = tuple[int, str, float]


class PerSample:
    """All plain rules of one vehicle."""

    def __init__(self, bundle: Bundle, vehicle: Vehicle) -> None:
        self._values: dict[str, float] = {}
        self._since: dict[int, int] = {}
        self._rules: dict[str, list[tuple[int, CodeType, int, frozenset[str]]]] = {}
        self.fired = 0
        number = 0
        for rule in bundle.rules:
            known = thresholds_for(rule, vehicle)
            self._values |= known | {"tire_placard_kpa": vehicle.tire_placard_kpa}
            for level in rule.levels if applies(rule, vehicle) else ():
                text = f"({rule.when}) and ({level.condition})" if rule.when else level.condition
                names = _names(text)
                if names is not None:
                    number += 1
                    code = compile(text.strip(), rule.id, "eval")
                    asked = frozenset(names - known.keys() - {"tire_placard_kpa"})
                    for name in asked:
                        row = (number, code, level.hold_ns, asked)
                        self._rules.setdefault(name, []).append(row)
        self.rules = number

    def run(self, samples: Sequence[Sample]) -> int:
        """How many evaluations it took."""
        done = 0
        for at_ns, name, value in samples:
            self._values[name] = value
            for number, code, hold_ns, asked in self._rules.get(name, ()):
                done += 1
                if not asked <= self._values.keys():
                    continue
                if eval(code, {}, self._values):
                    since = self._since.setdefault(number, at_ns)
                    self.fired += at_ns - since >= hold_ns
                else:
                    self._since.pop(number, None)
        return done


def _names(text: str) -> set[str] | None:
    """Names of a plain condition; None where it calls anything."""
    try:
        tree = ast.parse(text.strip(), mode="eval")
    except SyntaxError:
        return None
    if any(isinstance(node, ast.Call) for node in ast.walk(tree)):
        return None
    return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}


def samples_of(signals: SignalBatch) -> list[Sample]:
    """Good samples in time order, as an evaluator by sample would get them."""
    found: list[Sample] = []
    for i, index in enumerate(signals.run_signal.tolist()):
        run, name = signals.run(i), signals.table.names[index]
        times, values = signals.observed_ns[run].tolist(), signals.value[run].tolist()
        good = (signals.quality[run] == 0).tolist()
        rows = zip(times, values, good, strict=True)
        found += [(at, name, value) for at, value, fine in rows if fine]
    return sorted(found)
