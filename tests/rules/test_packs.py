"""Runs the data tests beside it: one YAML file a built-in pack.

    period: 1s                         time between samples, default 1s
    series: {name: "..."}              name@3 = from source address 3
        5          one sample          5x3     four samples: one and three more
        5+2x3      5 7 9 11            5-2x3   5 3 1 -1
        _  _x4     missing             bad badx4   a reading that is not good
    codes: [{at, codes, ecu, scope, until, late_by}]   a report a second from `at` to `until`
    late: [{at, late_by, name: value}] one more sample that arrives late
    expect: [{at, state, severity, instance}]   state at that moment, all samples known
    alerts: 1                          how many alerts there are in the end

`at` is event time from the first sample. Every test is also driven as the samples arrive, late ones
late, through the live and the history lane: the alerts in the end must be those of the ordered run.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from model.vehicle import Vehicle
from rules.bundle import builtin_packs, load_bundle
from rules.expression import parse_duration
from rules.lane import VehicleRules, advance, history_start, rebuild, tick
from rules.state import NO_RUN
from tests.rules.build import T0, Report, Row, Sample, upload
from tests.rules.fold import fold, stored_alerts

HERE = Path(__file__).parent
BUNDLE = load_bundle()
CASES = [
    (path.stem, case)
    for path in sorted(HERE.glob("*.yaml"))
    for case in yaml.safe_load(path.read_text("utf-8"))
]
_STEP = re.compile(r"(_|bad|-?[\d.]+)(?:([+-])([\d.]+))?(?:x(\d+))?")


def expand(notation: str) -> list[float | str | None]:
    """One entry a period; None = missing, "bad" = not good."""
    out: list[float | str | None] = []
    for word in notation.split():
        start, sign, slope, times = _STEP.fullmatch(word).groups()
        if start == "_":
            out += [None] * int(times or 1)
            continue
        n = int(times or 0) + 1
        if start == "bad":
            out += ["bad"] * (int(times) if times else 1)
            continue
        step = float(slope or 0) * (-1 if sign == "-" else 1)
        out += [float(start) + step * i for i in range(n)]
    return out


def test_notation() -> None:
    assert expand("1 2x2 5+2x2 5-2x1 _ _x2 bad") == [1, 2, 2, 2, 5, 7, 9, 5, 3, *[None] * 3, "bad"]


def sample(name: str, at_ns: int, value: float | str) -> Sample:
    signal, _, source = name.partition("@")
    number = None if value == "bad" else float(value)
    return Sample(T0 + at_ns, signal, number, int(source) if source else -1)


def rows_of(case: dict) -> list[tuple[int, Row]]:
    """(arrival, row) of a case."""
    period = parse_duration(case.get("period", "1s"))
    found: list[tuple[int, Row]] = []
    for name, notation in case.get("series", {}).items():
        values = enumerate(expand(notation))
        samples = [sample(name, i * period, value) for i, value in values if value is not None]
        found += [(row.at_ns, row) for row in samples]
    for line in case.get("codes", []):
        at = parse_duration(line["at"])
        until = parse_duration(line.get("until", line["at"]))
        late = parse_duration(line.get("late_by", "0s"))
        for moment in range(at, until + 1, 10**9):
            scope = line.get("scope", "active")
            row = Report(T0 + moment, line.get("ecu", 0), tuple(line["codes"]), scope)
            found.append((row.at_ns + late, row))
    for line in case.get("late", []):
        at = parse_duration(line["at"])
        for name in line.keys() - {"at", "late_by"}:
            row = sample(name, at, line[name])
            found.append((row.at_ns + parse_duration(line["late_by"]), row))
    return sorted(found, key=lambda pair: pair[0])


def vehicle_of(case: dict) -> Vehicle:
    return Vehicle(vin="LRC00000000000001", profile="made", **case.get("vehicle", {}))


def run_ordered(case: dict, upto_ns: int) -> tuple[VehicleRules, dict[str, dict]]:
    """Everything observed until then, in order, at once; the watermark driven to the end."""
    car = vehicle_of(case)
    rows = sorted((row for _, row in rows_of(case) if row.at_ns <= upto_ns), key=lambda r: r.at_ns)
    newest = max((row.at_ns for row in rows), default=0)
    step = advance(BUNDLE, VehicleRules.fresh(), car, *upload(rows), newest, lateness_ns=0)
    end = tick(BUNDLE, step.rules, car, upto_ns, lateness_ns=0)
    return end.rules, fold([*step.transitions, *end.transitions])


def run_arriving(case: dict) -> dict[str, dict]:
    """As the samples arrive, one upload a moment, history re-run when asked for."""
    car, rules, said, sent = vehicle_of(case), VehicleRules.fresh(), [], []
    pairs = rows_of(case)
    for moment in sorted({at for at, _ in pairs}):
        part = [row for at, row in pairs if at == moment]
        sent.append(part)
        step = advance(BUNDLE, rules, car, *upload(part), moment)
        rules, said = step.rules, [*said, *step.transitions]
        if step.late_from_ns is not None:
            stored = stored_alerts(fold(said))
            start = history_start(BUNDLE, car, step.late_from_ns, stored)
            step = rebuild(BUNDLE, rules, car, map(upload, sent), start, stored)
            rules, said = step.rules, [*said, *step.transitions]
    end = tick(BUNDLE, rules, car, rules.received_ns + 30 * 10**9)
    return fold([*said, *end.transitions])


@pytest.mark.parametrize(("pack", "case"), CASES, ids=[f"{p}: {c['test']}" for p, c in CASES])
def test_case(pack: str, case: dict) -> None:
    rule_id = case["rules"][0]
    for expected in case["expect"]:
        at_ns = T0 + parse_duration(expected["at"])
        rules, alerts = run_ordered(case, at_ns)
        state = rules.states.get((rule_id, expected.get("instance", "")))
        mine = [
            r
            for r in alerts.values()
            if (r["rule"], r["instance"]) == (rule_id, expected.get("instance", ""))
        ]
        if state is not None and state.told:
            got, severity = mine[-1]["state"], mine[-1]["severity"]
        elif state is not None and state.open is not None:
            got, severity = state.open.state.value, int(state.open.severity)
        elif state is not None and any(p != NO_RUN for p in state.pending):
            got, severity = "pending", None
        else:
            got, severity = ("cleared" if mine else "idle"), None
        assert got == expected["state"], f"at {expected['at']}"
        if "severity" in expected:
            assert severity == expected["severity"], f"at {expected['at']}"


@pytest.mark.parametrize(("pack", "case"), CASES, ids=[f"{p}: {c['test']}" for p, c in CASES])
def test_arrival_changes_nothing(pack: str, case: dict) -> None:
    arriving = run_arriving(case)
    end = max(row.at_ns for _, row in rows_of(case))
    _, ordered = run_ordered(case, end + 30 * 10**9)
    rules = set(case["rules"])
    only = {k: r for k, r in arriving.items() if r["rule"] in rules}
    assert only == {k: r for k, r in ordered.items() if r["rule"] in rules}
    if "alerts" in case:
        assert len(only) == case["alerts"]


def test_every_rule_shows_the_five() -> None:
    """A rule is tested when it fires, not just below, clears, ignores silence, takes late data."""
    shown: dict[str, set[str]] = {rule.id: set() for rule in BUNDLE.rules}
    for _, case in CASES:
        for rule_id in case["rules"]:
            shown[rule_id] |= set(case["shows"])
    five = {"fires", "below", "clears", "silence", "late"}
    assert {rule: five - seen for rule, seen in shown.items() if five - seen} == {}


def test_every_pack_has_its_tests() -> None:
    assert {path.stem for path in builtin_packs()} == {pack for pack, _ in CASES}
