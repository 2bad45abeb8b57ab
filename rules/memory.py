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
from rules.facts import NO_FACTS, VehicleFacts
from rules.plan import Instance, Plan
from rules.samples import NEVER, Chunk, Held, Holds
from rules.state import NO_RUN, RuleState, RuleStep, fresh_state
from rules.window_memory import Ledger, cells_from_memory, cells_to_memory

#: (rule id, instance name)
Key = tuple[str, str]


@dataclass(frozen=True, slots=True, eq=False)
class VehicleRules:
    """Rule memory of one vehicle. Times are 0 before the first sample."""

    newest_ns: int = 0
    watermark_ns: int = 0
    received_ns: int = 0
    states: dict[Key, RuleState] = field(default_factory=dict)
    chunks: tuple[Chunk, ...] = ()
    ledger: Ledger = field(default_factory=Ledger)
    #: Service history from the database; not part of the JSON.
    facts: VehicleFacts = NO_FACTS
    #: Wall clock before which a tick has nothing to do.
    due_ns: int = 0

    #: How much further back array functions need samples, see `Plan.array_ns`.
    array_ns: int = 0

    @property
    def since_ns(self) -> int:
        """From where stored samples are needed after a restart."""
        folded_ns = self.ledger.folded_ns or self.watermark_ns
        return min(self.watermark_ns, folded_ns) - self.array_ns

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
        if self.states:
            states = self.states.items()
            memory["states"] = [[*key, _state_to_memory(state)] for key, state in states]
        if self.array_ns:
            memory["array_ns"] = self.array_ns
        ledger = self.ledger
        if ledger.held:
            memory["held"] = _holds_to_memory(ledger.held, ledger.folded_ns)
        if ledger.named:
            memory["named"] = [[ecu, text, time] for (ecu, text), time in ledger.named.items()]
        if ledger.folded_ns:
            memory["windows"] = _windows_to_memory(ledger, self.watermark_ns)
        return memory

    @classmethod
    def from_memory(cls, memory: dict[str, Any]) -> VehicleRules:
        """Undo `to_memory`; unknown signal names are forgotten."""
        if not memory:
            return cls()
        return cls(
            newest_ns=memory["newest_ns"],
            watermark_ns=memory["watermark_ns"],
            received_ns=memory["received_ns"],
            array_ns=memory.get("array_ns", 0),
            ledger=_ledger_from_memory(memory),
            states={
                (rule, name): _state_from_memory(row)
                for rule, name, row in memory.get("states", [])
            },
        )


def wanted_holds(plan: Plan, states: dict[Key, RuleState]) -> frozenset[int]:
    """Signals whose last sample below the fold can still matter to rules.

    A sample of a signal that stands alone in its rules matters only while one of them is busy:
    an idle rule does not care whether it is false or unknown.
    """
    if not states:
        return plan.joined
    rules = {rule for rule, _ in states}
    busy = {s for i in plan.instances if i.rule_id in rules for s in i.signals}
    return plan.joined | busy


def forget(plan: Plan, held: Holds, at_ns: int, wanted: frozenset[int]) -> Holds:
    """Held samples that are not too old to be believed by any window, or any rule that wants
    them."""
    believed, windowed = plan.believed_ns, plan.windowed_ns
    return {
        key: row
        for key, row in held.items()
        if at_ns - row.good_ns <= windowed.get(key[0], -1)
        or (key[0] in wanted and at_ns - row.observed_ns <= believed.get(key[0], 0))
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


def _holds_to_memory(holds: Holds, at_ns: int) -> dict[str, list[list[float | int | None]]]:
    rows: dict[str, list[list[float | int | None]]] = {}
    for (signal, source), row in holds.items():
        rows.setdefault(universe()[signal], []).append(_held_to_memory(source, row, at_ns))
    return rows


def _holds_from_memory(rows: dict[str, Any], at_ns: int) -> Holds:
    places = index_of()
    return {
        (places[name], row[0]): _held_from_memory(row, at_ns)
        for name, listed in rows.items()
        if name in places
        for row in listed
    }


def _windows_to_memory(ledger: Ledger, watermark_ns: int) -> dict[str, Any]:
    row: dict[str, Any] = {"age_ns": watermark_ns - ledger.folded_ns}
    if ledger.cells:
        row["cells"] = {key: cells_to_memory(cells) for key, cells in ledger.cells.items()}
    return row


def _ledger_from_memory(memory: dict[str, Any]) -> Ledger:
    row = memory.get("windows")
    if row is None:
        return Ledger()
    folded_ns = memory["watermark_ns"] - row["age_ns"]
    return Ledger(
        folded_ns,
        held=_holds_from_memory(memory.get("held", {}), folded_ns),
        named={(ecu, text): time for ecu, text, time in memory.get("named", [])},
        cells={key: cells_from_memory(cells) for key, cells in row.get("cells", {}).items()},
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
    times = [step.started_ns, step.at_ns, step.fired_ns, step.worst_ns]
    return [step.state.value, int(step.severity), *times, int(step.early), step.evidence]


def _step_from_memory(row: list[Any]) -> RuleStep:
    state, severity, started_ns, at_ns, fired_ns, worst_ns, early, evidence = row
    values = {name: float(value) for name, value in evidence.items()}
    times = started_ns, at_ns, fired_ns, worst_ns
    return RuleStep(AlertState(state), Severity(severity), *times, bool(early), values)


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
