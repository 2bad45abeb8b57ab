"""What is left of transitions in the end: one alert each, as it was said last."""

from __future__ import annotations

import uuid
from collections.abc import Iterable

from model.alerts import AlertState, AlertTransition
from model.catalogue import catalogue
from rules.history import StoredAlert

_US = 1000


def outcome(transitions: Iterable[AlertTransition]) -> dict[uuid.UUID, AlertTransition]:
    """The last step of every alert that was not taken back."""
    last = {t.alert_id: t for t in transitions}
    return {i: t for i, t in last.items() if t.state is not AlertState.RETRACTED}


def content(t: AlertTransition) -> tuple[object, ...]:
    """What must be equal in any order of arrival; values of windows depend on their own times."""
    evidence = {name: value for name, value in t.evidence.items() if name in catalogue()}
    times = t.started_ns, t.fired_ns, t.worst_ns, t.at_ns
    return t.rule_id, t.instance, t.state, t.severity, *times, sorted(evidence.items())


def as_stored(told: Iterable[AlertTransition]) -> list[StoredAlert]:
    """Alerts as a store would hand them back, with its microseconds."""
    return [
        StoredAlert(
            alert_id=t.alert_id,
            rule_id=t.rule_id,
            instance=t.instance,
            state=t.state,
            severity=t.severity,
            started_ns=_floor(t.started_ns),
            fired_ns=_floor(t.fired_ns),
            worst_ns=_floor(t.worst_ns),
            changed_ns=_floor(t.at_ns),
            evidence={n: v for n, v in t.evidence.items() if n in catalogue()},
            cleared_ns=_floor(t.at_ns) if t.state is AlertState.CLEARED else None,
        )
        for t in told
    ]


def _floor(time_ns: int) -> int:
    return time_ns // _US * _US
