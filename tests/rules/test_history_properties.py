"""Uploads in any order at all: the history lane ends at the same alerts, and never dispatches."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from model.alerts import AlertTransition
from rules.lane import VehicleRules, advance, history_start, rebuild, tick
from tests.rules.build import Row, S, upload
from tests.rules.kept import kept, stored_alerts
from tests.rules.reference import alerts
from tests.rules.test_lane_properties import BUNDLE, CAR, LATENESS, RECEIVED, newest, rows


@st.composite
def pieces(draw: st.DrawFn, sent: list[Row]) -> list[list[Row]]:
    """The drive cut into pieces that arrive in any order."""
    order = draw(st.permutations(range(min(6, len(sent)))))
    size = -(-len(sent) // max(1, len(order)))
    return [part for i in order if (part := sent[i * size : (i + 1) * size])]


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(draws=st.data())
def test_any_order_ends_at_the_same_alerts(draws: st.DataObject) -> None:
    sent = sorted(draws.draw(rows()), key=lambda row: row.at_ns)
    memory, said, fed = VehicleRules.fresh(), list[AlertTransition](), list[list[Row]]()
    for part in draws.draw(pieces(sent)):
        fed.append(part)
        step = advance(BUNDLE, memory, CAR, *upload(part), RECEIVED, LATENESS)
        memory, said = step.rules, [*said, *step.transitions]
        if step.late_from_ns is None:
            continue
        stored = stored_alerts(kept(said))
        start = history_start(BUNDLE, CAR, step.late_from_ns, stored)
        step = rebuild(BUNDLE, memory, CAR, map(upload, fed), start, stored)
        memory, said = step.rules, [*said, *step.transitions]
        for t in step.transitions:
            assert t.history or t.at_ns >= memory.watermark_ns
    end = tick(BUNDLE, memory, CAR, RECEIVED + 8 * S, LATENESS)
    frontier = newest(sent) + 8 * S
    assert kept([*said, *end.transitions]) == alerts(sent, BUNDLE.rules, CAR, frontier)
