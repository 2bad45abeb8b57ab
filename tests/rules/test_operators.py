"""Codes, lamps, latches and service history, each by hand. Windows: test_window_properties."""

from __future__ import annotations

from dataclasses import replace

import pytest

from model.codes import CodeProtocol, CodeReport, Dtc, Lamps, LampState
from model.vehicle import Vehicle
from rules.bundle import bundle_of
from rules.expression import Scope, parse_condition
from rules.facts import Closed, Done, VehicleFacts
from rules.lane import VehicleRules, advance
from rules.nodes import Code, walk_nodes
from rules.pack import Rule
from tests.rules.build import T0, Row, S, Sample, upload
from tests.rules.kept import kept

TEXT = {"title": "x", "driver": "x", "technician": "x", "action": "x"}
CAR = Vehicle(vin="LRC00000000000001", profile="made")
DAY = 86400 * S
OFF = Lamps(LampState.OFF, LampState.OFF, LampState.OFF, LampState.NOT_AVAILABLE)


def rule(condition: str, **more: object) -> Rule:
    row: dict[str, object] = {"id": "a.b", "domain": ["X"], "version": 1, "kind": "fault"}
    row |= {"levels": [{"severity": 3, "condition": condition}], "source": "made"}
    return Rule.model_validate(row | {"text": {"zh": TEXT, "en": TEXT}} | more)


def states(made: Rule, rows: list[Row], facts: VehicleFacts) -> list[str]:
    """State of each alert after an ordered run."""
    rules = replace(VehicleRules.fresh(), facts=facts)
    newest = max(row.at_ns for row in rows)
    step = advance(bundle_of("made", [made]), rules, CAR, *upload(rows), newest, 0)
    return [row["state"] for row in kept(step.transitions).values()]


def report(scope: str = "active", lamps: Lamps | None = None, **code: object) -> CodeReport:
    found = Dtc(CodeProtocol.UDS, 0, **code) if code else None  # type: ignore[arg-type]
    codes = (found,) if found else ()
    return CodeReport(T0, 0, 0, CodeProtocol.UDS, scope, codes, lamps)


@pytest.mark.parametrize(
    ("text", "said", "named"),
    [
        ('dtc("P0217")', report(code="P0217"), True),
        ('dtc("P0217")', report("pending", code="P0217"), False),
        ('dtc("P0217", state="pending")', report("pending", code="P0217"), True),
        ('dtc("P0217-44")', report(code="P0217", failure_type=0x44), True),
        ('dtc("P0217-44")', report(code="P0217", failure_type=0x45), False),
        ("spn(110, fmi=[0, 16])", report(code="110/16"), True),
        ("spn(110)", report(code="1107/1"), False),
        ("fmi(0, 1)", report(code="521000/1"), True),
        ("fmi(0, 1)", report(code="521000/11"), False),
        ("any_dtc(count=10)", report(code="110/0", occurrence_count=9), False),
        ("any_dtc(count=10)", report(code="110/0", occurrence_count=10), True),
        ("any_dtc(count=10)", report(code="110/0"), False),
        ('any_dtc(system="U")', report(code="U0100"), True),
        ('any_dtc(system="U")', report(code="P0100"), False),
        ("any_dtc()", report(code="0/0"), False),
        ('lamp("RSL") == "on"', report(lamps=replace(OFF, red_stop=LampState.SLOW_FLASH)), True),
        ('lamp("RSL") == "off"', report(lamps=OFF), True),
        ('lamp("PL") == "off"', report(lamps=OFF), False),
        ('flash("MIL") == "fast"', report(lamps=replace(OFF, mil=LampState.FAST_FLASH)), True),
        ('flash("MIL") == "fast"', report(lamps=replace(OFF, mil=LampState.ON)), False),
    ],
)
def test_what_a_report_says(text: str, said: CodeReport, named: bool) -> None:
    (code,) = (n for n in walk_nodes(parse_condition(text, Scope({}, {}))) if isinstance(n, Code))
    assert code.says(said) is named


HOT: list[Row] = [Sample(T0 + i * S, "motor_temp_c", 200.0) for i in range(5)]
COOL: list[Row] = [Sample(T0 + i * S, "motor_temp_c", 50.0) for i in range(5, 90)]


@pytest.mark.parametrize(
    ("latch", "kind", "at_s", "state"),
    [
        ("none", "ack", 200, "cleared"),
        ("ack", "ack", 200, "firing"),
        ("ack", "ack", 70, "cleared"),
        ("ack", "work_order", 70, "cleared"),
        ("work_order", "ack", 70, "firing"),
        ("work_order", "work_order", 70, "cleared"),
        ("work_order", "work_order", -1, "firing"),  # closed before it began
    ],
)
def test_a_latch_waits_for_people(latch: str, kind: str, at_s: int, state: str) -> None:
    facts = VehicleFacts(closed=(Closed("a.b", T0 + at_s * S, kind),))  # type: ignore[arg-type]
    assert states(rule("motor_temp_c > 175", latch=latch), [*HOT, *COOL], facts) == [state]


@pytest.mark.parametrize(
    ("days", "km", "fires"),
    [(29, 1499.0, True), (31, 10.0, False), (1, 1501.0, False), (-1, 0.0, False), (1, None, False)],
)
def test_recurred_within_days_and_km(days: int, km: float | None, fires: bool) -> None:
    base = None if km is None else 20_000.0 - km
    facts = VehicleFacts(closed=(Closed("a.b", T0 - days * DAY, odometer_km=base),))
    rows = [Sample(T0, "odometer_km", 20_000.0), *HOT]
    made = rule("motor_temp_c > 175 and recurred(30d, 1500)")
    assert bool(states(made, rows, facts)) is fires


@pytest.mark.parametrize(
    ("text", "fires"),
    [
        ('km_since("oil") > 9999', True),
        ('km_since("oil") > 10000', False),
        ('days_since("oil") > 99', True),
        ('days_since("oil") > 101', False),
        ('hours_since("oil") >= 250', True),
        ('hours_since("belt") >= 0', False),
        ('not (hours_since("belt") >= 0)', False),
    ],
)
def test_counters_since_a_service(text: str, fires: bool) -> None:
    facts = VehicleFacts(done=(Done("oil", T0 - 100 * DAY, 10_000.0, 50.0), Done("oil", T0 + DAY)))
    rows: list[Row] = [Sample(T0, "odometer_km", 20_000.0), Sample(T0, "engine_hours_h", 300.0)]
    assert bool(states(rule(text), rows, facts)) is fires
