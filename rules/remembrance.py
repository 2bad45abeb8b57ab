"""What a rule remembered before it raised an alert: with the frames from there on it does so again.

Only for rules that look back further than the frames kept with an alert: over trips, charging
sessions, windows of more than ten minutes, counts.
"""

from __future__ import annotations

from dataclasses import replace

from rules.memory import VehicleRules
from rules.plan import Instance, Plan
from rules.state import RuleState
from rules.window_memory import Ledger


def remembered(plan: Plan, rules: VehicleRules, rule_id: str) -> VehicleRules | None:
    """The memory of one rule at the last fold; None where frames alone are enough, or before it."""
    instances = [i for i in plan.instances if i.rule_id == rule_id]
    folded_ns, old = rules.ledger.folded_ns, rules.ledger
    if not folded_ns or not any(map(looks_far, instances)):
        return None
    windows = [w for i in instances for w in i.windows]
    inputs = [w.inputs for w in windows] + [w.segment.inputs for w in windows if w.segment]
    keys = {w.key for w in windows} | {w.segment.name for w in windows if w.segment}
    signals = {s for i in instances for s in i.signals} | {s for i in inputs for s in i.signals}
    return VehicleRules(
        newest_ns=folded_ns,
        watermark_ns=folded_ns,
        received_ns=folded_ns,
        states={
            key: _at(state, folded_ns) for key, state in rules.states.items() if key[0] == rule_id
        },
        ledger=Ledger(
            folded_ns,
            held={key: row for key, row in old.held.items() if key[0] in signals},
            named=dict(old.named),
            cells={key: c for key, c in old.cells.items() if key.partition("/")[0] in keys},
        ),
    )


def looks_far(instance: Instance) -> bool:
    """Whether more decides than the frames that are kept with its alerts."""
    return bool(instance.counts) or any(not w.is_short for w in instance.windows)


def _at(state: RuleState, folded_ns: int) -> RuleState:
    """Without alerts, and what was counted later; what is pending then is found pending again."""
    counted = tuple(tuple(t for t in moments if t < folded_ns) for moments in state.counted)
    return replace(state, open=None, told=(), counted=counted)
