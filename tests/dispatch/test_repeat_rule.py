"""The same fault again after a repair: within 30 days or 1 500 km (domain.md 6.4)."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta

import pytest

from dispatch.diagnosis_case import is_repeat, wanted_level
from dispatch.work_terms import load_work_terms
from model.diagnosis_case import DiagnosisCase, DiagnosisState, fault_key
from model.severity import Severity

CLOSED = datetime(2025, 3, 1, 8, 0, tzinfo=UTC)
TERMS = load_work_terms().repeat


def case(**more: object) -> DiagnosisCase:
    facts: dict[str, object] = {
        "case_id": uuid.UUID(int=1),
        "vin": "LRDCALL0000000001",
        "alert_id": uuid.UUID(int=2),
        "fault_key": "r",
        "rule_id": "r",
        "severity": Severity.STOP,
        "state": DiagnosisState.DONE,
        "owner": "hz",
        "opened_at": CLOSED,
        "changed_at": CLOSED,
        "closed_at": CLOSED,
        "closed_odometer_km": 10_000.0,
    }
    return DiagnosisCase.model_validate(facts | more)


@pytest.mark.parametrize(
    ("days", "odometer_km", "repeat"),
    [
        (30, 99_000, True),
        (30.01, 11_500, True),
        (30.01, 11_500.1, False),
        (30.01, None, False),
        (30, None, True),
        (-1, 10_000, False),
        (31, 9_000, False),  # another odometer: the distance says nothing
    ],
)
def test_days_or_distance(days: float, odometer_km: float | None, repeat: bool) -> None:
    at = CLOSED + timedelta(days=days)
    assert is_repeat(case(), at, odometer_km, TERMS) is repeat


def test_an_open_case_has_not_been_repaired() -> None:
    assert not is_repeat(case(closed_at=None), CLOSED, 1.0, TERMS)


@pytest.mark.parametrize(
    ("repeat_no", "severity", "level"), [(1, 3, 1), (1, 4, 2), (2, 2, 2), (3, 2, 3), (4, 4, 3)]
)
def test_who_helps(repeat_no: int, severity: int, level: int) -> None:
    fresh = case(repeat_no=repeat_no, severity=Severity(severity))
    assert wanted_level(fresh, TERMS)[0] == level


def test_identity_holds_the_instance() -> None:
    assert fault_key("tyre.pressure_low", "fl") == "tyre.pressure_low#fl"
    assert fault_key("ice.coolant.overtemp", "") == "ice.coolant.overtemp"
