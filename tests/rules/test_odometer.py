"""Meters that jump, go back and are replaced: by hand, and for any readings at all."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from model.maintenance import Odometer
from rules.odometer import Verdict, follow, set_total
from rules.usage import usage_terms

TERMS = usage_terms().odometer
START = datetime(2025, 1, 1, tzinfo=UTC)


def fold(*readings: tuple[float, float]) -> tuple[Odometer | None, list[Verdict]]:
    """Readings of (minutes after the start, km)."""
    meter, verdicts = None, []
    for minutes, km in readings:
        meter, verdict = follow(meter, km, START + timedelta(minutes=minutes), TERMS)
        verdicts.append(verdict)
    return meter, verdicts


def test_driving_is_good_and_the_same_moment_is_old() -> None:
    meter, verdicts = fold((0, 1_000), (30, 1_040), (30, 1_041), (29, 1_039))
    assert verdicts == [Verdict.GOOD, Verdict.GOOD, Verdict.OLD, Verdict.OLD]
    assert meter is not None and meter.total_km == 1_040


def test_four_km_in_30_s_are_within_reach_and_more_is_a_jump() -> None:
    """D03; 250 km/h x 0.5 min = 2.08 km on top."""
    assert fold((0, 1_000), (0.5, 1_006))[1][-1] is Verdict.GOOD
    meter, verdicts = fold((0, 1_000), (0.5, 1_007))
    assert verdicts[-1] is Verdict.JUMP
    assert meter is not None and meter.total_km == 1_000, "frozen"


def test_one_wrong_reading_changes_nothing() -> None:
    meter, verdicts = fold((0, 50_000), (1, 0), (2, 50_001))
    assert verdicts == [Verdict.GOOD, Verdict.ROLLBACK, Verdict.GOOD]
    assert meter is not None and (meter.total_km, meter.suspect_km) == (50_001, None)


def test_a_replaced_meter_goes_on_from_where_the_old_one_stood() -> None:
    meter, verdicts = fold((0, 58_000), (5, 10), (10, 12), (15, 14), (75, 60))
    assert verdicts[1:4] == [Verdict.ROLLBACK, Verdict.ROLLBACK, Verdict.REPLACED]
    assert meter is not None
    assert (meter.offset_km, meter.total_km) == (57_986, 58_046)


def test_a_set_total_may_go_back() -> None:
    meter, _ = fold((0, 58_000))
    later = set_total(meter, 52_000, START + timedelta(minutes=1))
    after, _ = follow(later, 58_010, START + timedelta(hours=1), TERMS)
    assert (later.total_km, after.total_km) == (52_000, 52_010)


@given(st.lists(st.tuples(st.integers(-5, 600), st.floats(0, 1e6)), max_size=60))
def test_the_total_never_goes_back_and_never_leaps(readings: list[tuple[int, float]]) -> None:
    meter, minutes = None, 0
    for step, km in readings:
        minutes += step
        before = meter
        meter, verdict = follow(before, km, START + timedelta(minutes=minutes), TERMS)
        if before is None:
            continue
        gained = meter.total_km - before.total_km
        hours = max(0.0, (meter.at - before.at).total_seconds() / 3600)
        assert -1e-6 <= gained <= TERMS.jump_km + TERMS.max_kmh * hours + 1e-6
        assert verdict is not Verdict.REPLACED or abs(gained) < 1e-6
