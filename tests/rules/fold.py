"""What a store makes of a stream of transitions (rules/telling.py): one row an alert id."""

from __future__ import annotations

import uuid
from collections.abc import Iterable

from model.alerts import AlertState, AlertTransition
from model.catalogue import catalogue
from model.severity import Severity
from rules.lane import StoredAlert


def fold(transitions: Iterable[AlertTransition]) -> dict[str, dict]:
    """Final alerts by id."""
    rows: dict[str, dict] = {}
    for t in transitions:
        evidence = {name: value for name, value in t.evidence.items() if name in catalogue()}
        if t.state is AlertState.RETRACTED:
            assert str(t.alert_id) in rows, "retracted an alert nobody heard of"
            del rows[str(t.alert_id)]
            continue
        row = rows.setdefault(
            str(t.alert_id),
            {
                "rule": t.rule_id,
                "instance": t.instance,
                "started": t.started_ns,
                "fired": {},
                "cleared": None,
                "stale": [],
            },
        )
        row |= {"state": t.state.value, "severity": int(t.severity)}
        if t.state is AlertState.STALE:
            row["stale"].append(t.at_ns)
        elif t.state is AlertState.CLEARED:
            row["cleared"] = t.at_ns, evidence
        else:
            row["cleared"] = None
            fired_ns = row["fired"].get(int(t.severity), (t.at_ns,))[0]
            resumed = any(fired_ns < stale_ns < t.at_ns for stale_ns in row["stale"])
            if not resumed:
                row["fired"][int(t.severity)] = t.at_ns, evidence
    return rows


def stored_alerts(rows: dict[str, dict]) -> list[StoredAlert]:
    """What a store would have, with its microseconds."""
    found = []
    for key, row in rows.items():
        fired = min(at for at, _ in row["fired"].values())
        cleared = row["cleared"][0] if row["cleared"] else None
        changed = max(
            [fired, *row["stale"], *(at for at, _ in row["fired"].values()), cleared or 0]
        )
        times = [t // 1000 * 1000 for t in (row["started"], fired, changed)]
        state, severity = AlertState(row["state"]), Severity(row["severity"])
        over = cleared // 1000 * 1000 if cleared else None
        names = row["rule"], row["instance"]
        found.append(StoredAlert(uuid.UUID(key), *names, state, severity, *times, over))
    return found
