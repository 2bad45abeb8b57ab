"""Which steps people hear of, and what is said when an early step turns out wrong.

Serious steps are told on arrival, from samples that a late one may still reorder. Each time the
truth above the watermark is found anew it is compared with what was told:

    told and still true            nothing
    true, serious, not yet told    told, with every earlier step of the same rule
    told, no longer true           RETRACTED, or the last true step of the same alert said again

Every step tells the whole alert, so whoever stores one row an alert keeps what was said last.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from model.alerts import AlertState, AlertTransition, alert_id
from rules.plan import Instance
from rules.state import RuleStep


@dataclass(frozen=True, slots=True)
class Voice:
    """One rule of one vehicle speaking."""

    instance: Instance
    name: str
    vin: str
    #: Ids of alerts by start, where they were not made here.
    ids: dict[int, uuid.UUID] = field(default_factory=dict)

    def id_of(self, started_ns: int) -> uuid.UUID:
        """Id of the alert that started then."""
        made = alert_id(self.instance.rule_id, self.vin, self.name, started_ns)
        return self.ids.get(started_ns, made)

    def say(self, step: RuleStep, *, history: bool = False) -> AlertTransition:
        """A step as everyone else knows it."""
        return AlertTransition(
            alert_id=self.id_of(step.started_ns),
            rule_id=self.instance.rule_id,
            rule_version=self.instance.version,
            vin=self.vin,
            instance=self.name,
            state=step.state,
            severity=step.severity,
            started_ns=step.started_ns,
            at_ns=step.at_ns,
            fired_ns=step.fired_ns,
            worst_ns=step.worst_ns,
            evidence=step.evidence,
            thresholds=self.instance.thresholds,
            history=history,
        )


def reconcile(
    settled: Sequence[RuleStep],
    told: Sequence[RuleStep],
    sure: Sequence[RuleStep],
    likely: Sequence[RuleStep],
    *,
    all_likely: bool,
) -> tuple[list[RuleStep], tuple[RuleStep, ...]]:
    """Steps to say now, and those of them (and of `told`) that stay unsure.

    `settled` are true steps below the old watermark that `told` may go on from, `told` what was
    said above it; `sure` and `likely` are the true steps below and above the new one. `all_likely`
    tells steps that wait for the watermark too: a silent vehicle has no other way to move.
    """
    truth = [*sure, *likely]
    same = 0
    while same < min(len(told), len(truth)) and told[same] == truth[same]:
        same += 1
    due = len(sure)
    for place, step in enumerate(likely, len(sure) + 1):
        if step.early or all_likely:
            due = place
    due = max(due, same)
    spoken = _correct(settled, told[same:], truth[:due], same) + truth[same:due]
    return spoken, tuple(truth[len(sure) : due])


def _correct(
    settled: Sequence[RuleStep], wrong: Sequence[RuleStep], truth: Sequence[RuleStep], same: int
) -> list[RuleStep]:
    """What undoes steps that were told and are not true."""
    spoken: list[RuleStep] = []
    for started_ns in dict.fromkeys(step.started_ns for step in wrong):
        true = [step for step in [*settled, *truth] if step.started_ns == started_ns]
        if not true:
            claim = [step for step in wrong if step.started_ns == started_ns][-1]
            spoken.append(replace(claim, state=AlertState.RETRACTED, early=False))
        elif not any(step.started_ns == started_ns for step in truth[same:]):
            spoken.append(true[-1])
    return spoken
