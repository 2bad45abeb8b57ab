"""Arrival order, repetition, cuts and restarts change nothing: all equals the reference."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from model.alerts import AlertTransition
from model.vehicle import Vehicle
from rules.bundle import Bundle, load_bundle
from rules.lane import VehicleRules, advance, refill, tick
from tests.rules.build import T0, Report, Row, S, Sample, upload
from tests.rules.kept import kept
from tests.rules.reference import alerts

CAR = Vehicle(vin="LRC00000000000001", profile="made")
LATENESS = 8 * S
RECEIVED = T0 + 1000 * S
HALF = S // 2

VALUES: dict[str, list[float | None]] = {
    "engine_speed_rpm": [800.0, 800.0, 800.0, 0.0, None],
    "engine_coolant_temp_c": [90.0, 105.0, 110.0, 112.0, 118.0, 125.0, None],
    "battery_voltage_v": [10.0, 10.5, 13.0, None],
    "tire_pressure_fl_kpa": [170.0, 180.0, 240.0],
    "ignition_on": [1.0, 0.0],
    "red_stop_lamp": [1.0, 1.0, 0.0, None],
    "odometer_km": [1.0],
}
CODES = st.sampled_from(
    [(), (), (), ("0/0",), ("110/0",), ("110/0", "100/1"), ("P0217",), ("110/3",)]
)


@st.composite
def rows(draw: st.DrawFn) -> list[Row]:
    """A drive: stretches in which each signal keeps a value, seldom with a pause between."""
    names = draw(st.sets(st.sampled_from(sorted(VALUES)), min_size=1, max_size=5))
    periods = {name: draw(st.sampled_from([1, 2, 2, 5])) for name in sorted(names)}
    found: list[Row] = []
    at = 0
    for _ in range(draw(st.integers(1, 8))):
        at += draw(st.sampled_from([0, 0, 0, 0, 0, 1, 9, 40, 90]))
        length = draw(st.integers(2, 16))
        for name in sorted(names):
            value = draw(st.sampled_from(VALUES[name]))
            source = draw(st.sampled_from([0, 0, 3])) if name == "red_stop_lamp" else -1
            moments = range(draw(st.integers(0, 1)), length, periods[name])
            found += [Sample(T0 + (at + m) * HALF, name, value, source) for m in moments]
        for _ in range(draw(st.integers(0, 2))):
            moment = T0 + (at + draw(st.integers(0, length))) * HALF
            scope = draw(st.sampled_from(["active", "active", "previous"]))
            found.append(Report(moment, draw(st.sampled_from([0, 7])), draw(CODES), scope))
        at += length
    return found


@st.composite
def arrivals(draw: st.DrawFn, sent: Sequence[Row]) -> list[list[Row]]:
    """The rows delayed by at most the lateness, some twice, cut into uploads anywhere."""
    delay = st.integers(0, LATENESS // HALF)
    copies = [row for row in sent for _ in range(draw(st.sampled_from([1, 1, 2])))]
    order = sorted(((row.at_ns + draw(delay) * HALF, i) for i, row in enumerate(copies)))
    ordered = [copies[i] for _, i in order]
    cuts = sorted(draw(st.sets(st.integers(0, len(ordered)), max_size=20)))
    edges = [0, *cuts, len(ordered)]
    return [ordered[a:b] for a, b in pairwise(edges) if b > a]


BUNDLE = load_bundle(Path(__file__).with_name("made_rules.yml"))


def drive(
    uploads: Sequence[Sequence[Row]],
    silent_s: int,
    restarts: Sequence[bool] = (),
    bundle: Bundle = BUNDLE,
) -> tuple[list[AlertTransition], VehicleRules]:
    """Every upload through the lane, then silence."""
    memory, said, fed = VehicleRules.fresh(), [], []
    for i, part in enumerate(uploads):
        step = advance(bundle, memory, CAR, *upload(part), RECEIVED, LATENESS)
        assert step.late_from_ns is None
        memory, fed = step.rules, [*fed, part]
        said += step.transitions
        if i < len(restarts) and restarts[i]:
            text = json.dumps(memory.to_memory())
            memory = refill(
                bundle, VehicleRules.from_memory(json.loads(text)), CAR, map(upload, fed)
            )
    step = tick(bundle, memory, CAR, RECEIVED + silent_s * S, LATENESS)
    return [*said, *step.transitions], step.rules


def newest(sent: Sequence[Row]) -> int:
    """The newest row rules take note of."""
    return max((r.at_ns for r in sent if isinstance(r, Sample) or r.scope == "active"), default=0)


MANY = settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))


@MANY
@given(draws=st.data())
def test_in_order_equals_the_reference(draws: st.DataObject) -> None:
    sent = sorted(draws.draw(rows()), key=lambda row: row.at_ns)
    if not sent:
        return
    said, _ = drive([sent], silent_s := draws.draw(st.sampled_from([8, 33, 300])))
    frontier = newest(sent) + silent_s * S
    assert kept(said) == alerts(sent, BUNDLE.rules, CAR, frontier)


@MANY
@given(draws=st.data())
def test_arrival_order_repetition_cuts_and_restarts_change_nothing(
    draws: st.DataObject,
) -> None:
    sent = sorted(draws.draw(rows()), key=lambda row: row.at_ns)
    uploads = draws.draw(arrivals(sent))
    if not uploads:
        return
    restarts = draws.draw(st.lists(st.booleans(), max_size=len(uploads)))
    silent_s = draws.draw(st.sampled_from([8, 33, 300]))
    said, _ = drive(uploads, silent_s, restarts)
    frontier = newest(sent) + silent_s * S
    assert kept(said) == alerts(sent, BUNDLE.rules, CAR, frontier)
