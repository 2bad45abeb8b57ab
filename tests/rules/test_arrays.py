"""Functions of cell arrays: hand arithmetic, and the same whatever the order and the cuts."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.alerts import AlertTransition
from model.signals import Quality, SignalBatch, SignalTable
from model.vehicle import Vehicle
from rules.arrays import Derived, derive
from rules.bundle import bundle_of
from rules.expression import ExpressionError, Scope, parse_condition
from rules.lane import VehicleRules, advance, refill, tick
from rules.pack import Rule
from tests.rules.build import T0, S
from tests.rules.kept import kept

TEXT = {"title": "x", "driver": "x", "technician": "x", "action": "x"}
CELLS = 4
TABLE = SignalTable(
    "made", tuple(f"cell_voltage_v[{n}]" for n in range(1, CELLS + 1)), ("V",) * CELLS
)
CAR = Vehicle(vin="LRC00000000000001", profile="made")
#: (moment, element, value or None)
Reading = tuple[int, int, float | None]


def rule(condition: str, max_gap: str = "30s") -> Rule:
    level = {"severity": 3, "condition": condition}
    row = {"id": "a.b", "domain": ["X"], "version": 1, "kind": "fault", "levels": [level]}
    text = {"zh": TEXT, "en": TEXT}
    return Rule.model_validate(row | {"max_gap": max_gap, "source": "made", "text": text})


def batch(readings: list[Reading]) -> SignalBatch:
    runs = [[r for r in readings if r[1] == n] for n in range(1, CELLS + 1)]
    flat = [r for run in runs for r in run]
    return SignalBatch(
        table=TABLE,
        run_signal=np.arange(CELLS, dtype=np.uint16),
        run_source=np.full(CELLS, -1, np.int16),
        run_start=np.cumsum([0, *map(len, runs)]).astype(np.int64),
        observed_ns=np.array([r[0] for r in flat], np.int64),
        value=np.array([0.0 if r[2] is None else r[2] for r in flat]),
        quality=np.array(
            [Quality.INVALID if r[2] is None else Quality.GOOD for r in flat], np.uint8
        ),
        frame_status=np.zeros(0, np.uint8),
    )


@pytest.mark.parametrize(
    ("function", "value"),
    [
        ("spread", 0.5),
        ("lowest", 3.1),
        ("highest", 3.6),
        ("median", 3.25),
        ("total", 13.2),
        ("argmin", 1.0),
        ("argmax", 3.0),
    ],
)
def test_each_function(function: str, value: float) -> None:
    cells = [3.1, 3.2, 3.6, 3.3]
    at = np.array([T0 + 3 * S])
    runs = [(n, at, np.array([v])) for n, v in enumerate(cells, 1)]
    times, values = derive(Derived("cell_voltage_v", function), runs, CELLS)
    assert times.tolist() == [T0 + 5 * S]  # from the end of the stretch on
    assert values == pytest.approx([value])


def test_the_last_sample_counts_and_one_missing_cell_makes_it_unknown() -> None:
    runs = [
        (1, np.array([T0, T0 + S, T0 + 6 * S]), np.array([1.0, 3.0, 3.0])),
        (2, np.array([T0, T0 + 6 * S]), np.array([3.25, np.nan])),
    ]
    times, values = derive(Derived("cell_voltage_v", "spread"), runs, 2)
    assert times.tolist() == [T0 + 5 * S, T0 + 10 * S]
    assert values[0] == 0.25
    assert np.isnan(values[1])


@pytest.mark.parametrize(
    "text",
    [
        "cell_voltage_v > 3",
        "spread(pack_voltage_v) > 3",
        "argmax(cell_voltage_v) > 3 * lowest(cell_voltage_v)",
        "absent(cell_voltage_v, 60s)",
        "adjacent(argmax(cell_voltage_v)) ",
    ],
)
def test_refused(text: str) -> None:
    with pytest.raises(ExpressionError):
        parse_condition(text, Scope({}, {}))


def drive(
    rules: list[Rule], uploads: list[list[Reading]], *, restart: bool = False
) -> list[AlertTransition]:
    bundle, memory, said = bundle_of("made", rules), VehicleRules.fresh(), []
    for i, part in enumerate(uploads):
        step = advance(bundle, memory, CAR, batch(part), [], T0 + 900 * S, 8 * S)
        assert step.late_from_ns is None
        memory, said = step.rules, [*said, *step.transitions]
        if restart:
            fed = [(batch(part), []) for part in uploads[: i + 1]]
            memory = refill(bundle, VehicleRules.from_memory(memory.to_memory()), CAR, fed)
    end = tick(bundle, memory, CAR, T0 + 908 * S, 8 * S)
    return [*said, *end.transitions]


def test_neighbours_that_lie_apart_fire() -> None:
    condition = (
        "spread(cell_voltage_v) > 0.3 and adjacent(argmax(cell_voltage_v), argmin(cell_voltage_v))"
    )
    near: list[Reading] = [(T0, 1, 3.3), (T0, 2, 3.7), (T0, 3, 3.2), (T0, 4, 3.3)]
    far: list[Reading] = [(T0, 1, 3.7), (T0, 2, 3.3), (T0, 3, 3.2), (T0, 4, 3.3)]
    later: list[Reading] = [(T0 + 9 * S, n, 3.3) for n in range(1, 5)]
    (alert,) = kept(drive([rule(condition)], [near, later])).values()
    assert alert["started"] == T0 + 5 * S
    assert kept(drive([rule(condition)], [far, later])) == {}


VALUES = st.sampled_from([3.0, 3.25, 3.5, 3.75, None])


@settings(max_examples=60, deadline=None)
@given(
    values=st.lists(st.tuples(VALUES, VALUES, VALUES, VALUES), min_size=8, max_size=40),
    cuts=st.sets(st.integers(1, 150), max_size=12),
    swaps=st.randoms(use_true_random=False),
    restart=st.booleans(),
)
def test_order_and_cuts_change_nothing(
    values: list[tuple[float | None, ...]], cuts: set[int], swaps: object, restart: bool
) -> None:
    rules = [
        rule("spread(cell_voltage_v) >= 0.5", "12s"),
        rule("avg(spread(cell_voltage_v), 20s) > 0.4").model_copy(update={"id": "a.c"}),
    ]
    sent: list[Reading] = [
        (T0 + second * 2 * S + cell * S // 4, cell + 1, value)
        for second, row in enumerate(values)
        for cell, value in enumerate(row)
    ]
    delayed = sorted(sent, key=lambda r: r[0] + swaps.randrange(8) * S)  # type: ignore[attr-defined]
    edges = [0, *sorted(c for c in cuts if c < len(sent)), len(sent)]
    uploads = [delayed[a:b] for a, b in pairwise(edges)]
    assert kept(drive(rules, uploads, restart=restart)) == kept(drive(rules, [sent]))
