"""When a repair is proven: 7 days and 200 km without the fault, monitors complete where told."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatch.verification import RepairFacts, Verdict, judge
from dispatch.work_terms import load_work_terms

START = datetime(2025, 3, 1, 8, 0, tzinfo=UTC)
TERMS = load_work_terms().verify
DAY = timedelta(days=1)


def facts(**more: object) -> RepairFacts:
    proven: dict[str, object] = {
        "handed_over_at": START,
        "handed_over_km": 1000.0,
        "heard_at": START + 7 * DAY,
        "odometer_km": 1200.0,
    }
    return RepairFacts.model_validate(proven | more)


def test_a_week_and_two_hundred_km_prove_a_repair() -> None:
    assert judge(facts(), TERMS).verdict is Verdict.PASSED
    assert judge(facts(monitors_complete=True), TERMS).verdict is Verdict.PASSED


@pytest.mark.parametrize(
    ("missing", "why"),
    [
        ({"heard_at": None}, "nothing heard since the hand-over"),
        ({"heard_at": START - DAY}, "nothing heard since the hand-over"),
        ({"heard_at": START + 6.99 * DAY}, "less than 7 days"),
        ({"odometer_km": 1199.9}, "less than 200 km"),
        ({"odometer_km": None}, "the distance is not known"),
        ({"handed_over_km": None}, "the distance is not known"),
        ({"monitors_complete": False}, "the monitors are not complete"),
        ({"heard_at": START + DAY, "fault_open": True}, "less than 7 days"),
    ],
)
def test_what_is_not_shown_is_waited_for(missing: dict[str, object], why: str) -> None:
    found = judge(facts(**missing), TERMS)
    assert (found.verdict, found.en) == (Verdict.WAITING, why)


def test_a_fault_that_returns_or_stays_fails() -> None:
    found = judge(facts(heard_at=START + DAY, returned_at=START + DAY), TERMS)
    assert (found.verdict, found.en) == (Verdict.FAILED, "the fault came back")
    found = judge(facts(fault_open=True), TERMS)
    assert (found.verdict, found.en) == (Verdict.FAILED, "the fault is still there")


moments = st.none() | st.integers(-20, 40).map(lambda d: START + d * DAY)


@given(
    moments,
    moments,
    st.none() | st.floats(0, 5000),
    st.booleans(),
    st.sampled_from([None, True, False]),
)
def test_a_fault_that_is_there_never_passes(
    heard_at: datetime | None,
    returned_at: datetime | None,
    odometer_km: float | None,
    fault_open: bool,
    monitors: bool | None,
) -> None:
    given_facts = facts(
        heard_at=heard_at,
        returned_at=returned_at,
        odometer_km=odometer_km,
        fault_open=fault_open,
        monitors_complete=monitors,
    )
    verdict = judge(given_facts, TERMS).verdict
    if fault_open or returned_at is not None:
        assert verdict is not Verdict.PASSED
    if verdict is Verdict.PASSED:
        assert heard_at is not None and heard_at - START >= 7 * DAY
        assert odometer_km is not None and odometer_km >= 1200
