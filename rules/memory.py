"""What rules remember of one vehicle, and its JSON form.

The memory stands at the watermark. Samples above it are only in `chunks`: they are not part of the
JSON and have to be fed again after a restart (`rules.lane.refill`).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from model.alerts import AlertState
from model.severity import Severity
from rules.expression import index_of, universe
from rules.plan import Instance, Plan
from rules.samples import NEVER, Chunk, Held, Holds, Named
from rules.state import NO_RUN, RuleState, RuleStep, fresh_state

#: (rule id, instance name)
Key = tuple[str, str]


@dataclass(frozen=True, slots=True, eq=False)
class VehicleRules:
    """Rule memory of one vehicle. Times are 0 before the first sample."""

    newest_ns: int = 0
    watermark_ns: int = 0
    received_ns: int = 0
    held: Holds = field(default_factory=dict)
    named: Named = field(default_factory=dict)
    states: dict[Key, RuleState] = field(default_factory=dict)
    chunks: tuple[Chunk, ...] = ()
    #: Wall clock before which a tick has nothing to do.
    due_ns: int = 0

    @classmethod
    def fresh(cls) -> VehicleRules:
        """A vehicle nothing was heard of."""
        return cls()

    def to_memory(self) -> dict[str, Any]:  # JSON has no closed type
        """JSON-able; everything but the samples above the watermark."""
        memory: dict[str, Any] = {
            "newest_ns": self.newest_ns,
            "watermark_ns": self.watermark_ns,
            "received_ns": self.received_ns,
        }
        held: dict[str, list[list[float | int | None]]] = {}
        for (signal, source), row in self.held.items():
            held.setdefault(universe()[signal], []).append(
                _held_to_memory(source, row, self.watermark_ns)
            )
        if held:
            memory["held"] = held
        if self.named:
            memory["named"] = [[ecu, text, time] for (ecu, text), time in self.named.items()]
        if self.states:
            states = self.states.items()
            memory["states"] = [[*key, _state_to_memory(state)] for key, state in states]
        return memory

    @classmethod
    def from_memory(cls, memory: dict[str, Any]) -> VehicleRules:
        """Undo `to_memory`; unknown signal names are forgotten."""
        if not memory:
            return cls()
        held: Holds = {}
        for name, rows in memory.get("held", {}).items():
            for row in rows if name in index_of() else []:
                held[index_of()[name], row[0]] = _held_from_memory(row, memory["watermark_ns"])
        return cls(
            newest_ns=memory["newest_ns"],
            watermark_ns=memory["watermark_ns"],
            received_ns=memory["received_ns"],
            held=held,
            named={(ecu, text): time for ecu, text, time in memory.get("named", [])},
            states={
                (rule, name): _state_from_memory(row)
                for rule, name, row in memory.get("states", [])
            },
        )


def wanted_holds(plan: Plan, states: dict[Key, RuleState]) -> frozenset[int]:
    """Signals whose last sample below the watermark can still matter.

    A sample of a signal that stands alone in its rules matters only while one of them is busy:
    an idle rule does not care whether it is false or unknown.
    """
    if not states:
        return plan.joined
    rules = {rule for rule, _ in states}
    busy = {s for i in plan.instances if i.rule_id in rules for s in i.signals}
    return plan.joined | busy


def forget(plan: Plan, held: Holds, watermark_ns: int, wanted: frozenset[int]) -> Holds:
    """Held samples that are wanted and not too old to be believed by any rule."""
    believed = plan.believed_ns
    return {
        key: row
        for key, row in held.items()
        if key[0] in wanted and watermark_ns - row.observed_ns <= believed.get(key[0], 0)
    }


def state_for(instance: Instance, state: RuleState | None) -> RuleState:
    """The state as this version of the rule can use it: another shape drops what is pending."""
    fresh = fresh_state(instance)
    if state is None:
        return fresh
    same_levels = len(state.pending) == len(fresh.pending)
    same_counts = len(state.counted) == len(fresh.counted)
    if same_levels and same_counts:
        return state
    return replace(
        state,
        pending=state.pending if same_levels else fresh.pending,
        counted=state.counted if same_counts else fresh.counted,
    )


def _held_to_memory(source: int, row: Held, watermark_ns: int) -> list[float | int | None]:
    """Source, age at the watermark, value; and the age of the last good one if it is another."""
    age_ns = watermark_ns - row.observed_ns
    if row.good_ns == row.observed_ns and not math.isnan(row.value):
        return [source, age_ns, row.value]
    value = None if math.isnan(row.value) else row.value
    return [source, age_ns, value, None if row.good_ns == NEVER else watermark_ns - row.good_ns]


def _held_from_memory(row: list[Any], watermark_ns: int) -> Held:
    _, age_ns, value, *good = row
    time = watermark_ns - age_ns
    good_ns = (NEVER if good[0] is None else watermark_ns - good[0]) if good else time
    return Held(time, math.nan if value is None else float(value), good_ns)


def _step_to_memory(step: RuleStep) -> list[Any]:
    fields = [step.state.value, int(step.severity), step.started_ns, step.at_ns, int(step.early)]
    return [*fields, step.evidence]


def _step_from_memory(row: list[Any]) -> RuleStep:
    state, severity, started_ns, at_ns, early, evidence = row
    values = {name: float(value) for name, value in evidence.items()}
    return RuleStep(AlertState(state), Severity(severity), started_ns, at_ns, bool(early), values)


def _run(time: int) -> int | None:
    return None if time == NO_RUN else time


def _state_to_memory(state: RuleState) -> dict[str, Any]:
    row: dict[str, Any] = {}
    if any(p != NO_RUN for p in state.pending):
        row["pending"] = [_run(p) for p in state.pending]
    if state.open is not None:
        row["open"] = _step_to_memory(state.open)
        row["known_ns"] = state.known_ns
        if state.clear_since_ns != NO_RUN:
            row["clear_since_ns"] = state.clear_since_ns
    if any(state.counted):
        row["counted"] = state.counted
    if state.told:
        row["told"] = [_step_to_memory(step) for step in state.told]
    return row


def _state_from_memory(row: dict[str, Any]) -> RuleState:
    def run(time: int | None) -> int:
        return NO_RUN if time is None else time

    counted: Iterable[list[int]] = row.get("counted", ())
    return RuleState(
        pending=tuple(run(p) for p in row.get("pending", [])),
        clear_since_ns=run(row.get("clear_since_ns")),
        open=_step_from_memory(row["open"]) if "open" in row else None,
        known_ns=row.get("known_ns", 0),
        counted=tuple(tuple(moments) for moments in counted),
        told=tuple(map(_step_from_memory, row.get("told", []))),
    )
