"""Table 2.1: how what a vehicle says maps to our severity. Every expectation is written by hand."""

from __future__ import annotations

import pytest

from model.code_severity import of_due_days, of_fmi, of_lamps, of_level, of_uds, severity_table
from model.code_texts import code_book
from model.codes import Lamps, LampState
from model.severity import Severity

OFF, ON, SLOW, FAST = LampState.OFF, LampState.ON, LampState.SLOW_FLASH, LampState.FAST_FLASH
ERROR, ABSENT = LampState.ERROR, LampState.NOT_AVAILABLE


@pytest.mark.parametrize(
    ("lamps", "severity"),
    [
        ((OFF, OFF, OFF, OFF), -1),
        ((OFF, OFF, OFF, ON), 1),
        ((OFF, OFF, ON, OFF), 2),
        ((ON, OFF, OFF, OFF), 2),
        ((SLOW, OFF, OFF, OFF), 3),
        ((FAST, OFF, OFF, OFF), 3),
        ((OFF, ON, OFF, OFF), 3),
        ((ON, ON, ON, ON), 3),
        ((ERROR, ERROR, ABSENT, ABSENT), -1),
    ],
)
def test_lamps(lamps: tuple[LampState, LampState, LampState, LampState], severity: int) -> None:
    assert of_lamps(Lamps(*lamps)) == severity


def test_no_lamps() -> None:
    assert of_lamps(None) is Severity.UNKNOWN


@pytest.mark.parametrize(
    ("byte", "severity"),
    [
        (None, -1),
        (0x00, -1),
        (0x20, 1),  # maintenanceOnly
        (0x40, 2),  # checkAtNextHalt
        (0x80, 3),  # checkImmediately
        (0x02, 2),  # class A
        (0x04, 1),  # B1
        (0x08, 1),  # B2
        (0x10, 0),  # C
        (0x01, -1),  # unclassified
        (0x22, 1),  # the maker's bits before the class
        (0x84, 3),
    ],
)
def test_uds_severity_byte(byte: int | None, severity: int) -> None:
    assert of_uds(byte) == severity


def test_fmi() -> None:
    graded = {0: 3, 1: 3, 14: 0, 15: 1, 16: 2, 17: 1, 18: 2, 31: 0}
    for fmi in range(32):
        assert of_fmi(fmi) == graded.get(fmi, -1)
    assert of_fmi(None) is Severity.UNKNOWN


def test_the_code_book_grades_failure_modes_alike() -> None:
    for fmi, mode in code_book().fmis.items():
        assert of_fmi(fmi) == (Severity.UNKNOWN if mode.severity is None else mode.severity)


def test_levels_of_gbt_32960() -> None:
    assert [of_level(n) for n in (0, 1, 2, 3, 4)] == [0, 1, 2, 3, 4]
    assert [of_level(n) for n in (0xFE, 0xFF, 9)] == [-1, -1, -1]


def test_terms_of_gbt_45688() -> None:
    assert [of_due_days(d) for d in (0, 1, 7, 30)] == [3, 2, 1, 0]


def test_vss_words() -> None:
    assert severity_table()["vss"]["CRITICALLY_LOW"] is Severity.STOP
