"""The row a store keeps of an alert, and what the history lane reads back of it."""

from __future__ import annotations

import uuid
from collections.abc import Iterable

from model.alerts import AlertState, AlertTransition
from model.catalogue import catalogue
from model.severity import Severity
from rules.lane import StoredAlert


def kept(transitions: Iterable[AlertTransition]) -> dict[str, dict]:
    """Final alerts by id: what was said last. Times in ns."""
    last: dict[str, AlertTransition] = {}
    for t in transitions:
        key = str(t.alert_id)
        gone = key not in last or last[key].state is AlertState.RETRACTED
        assert not (gone and t.state is AlertState.RETRACTED), "retracted what nobody heard of"
        last[key] = t
    return {k: _row(t) for k, t in last.items() if t.state is not AlertState.RETRACTED}


def _row(t: AlertTransition) -> dict:
    evidence = {name: value for name, value in t.evidence.items() if name in catalogue()}
    return {
        "rule": t.rule_id,
        "instance": t.instance,
        "state": t.state.value,
        "severity": int(t.severity),
        "started": t.started_ns,
        "fired": t.fired_ns,
        "worst": (t.worst_ns, evidence),
        "changed": t.at_ns,
    }


def stored_alerts(rows: dict[str, dict]) -> list[StoredAlert]:
    """What a store would have, with its microseconds."""

    def us(time_ns: int) -> int:
        return time_ns // 1000 * 1000

    return [
        StoredAlert(
            alert_id=uuid.UUID(key),
            rule_id=row["rule"],
            instance=row["instance"],
            state=AlertState(row["state"]),
            severity=Severity(row["severity"]),
            started_ns=us(row["started"]),
            fired_ns=us(row["fired"]),
            worst_ns=us(row["worst"][0]),
            changed_ns=us(row["changed"]),
            evidence=row["worst"][1],
            cleared_ns=us(row["changed"]) if row["state"] == "cleared" else None,
        )
        for key, row in rows.items()
    ]
