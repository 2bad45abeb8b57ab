"""Opening hours as people write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.hours import DAYS, OpenSpan, parse_hours, zone_name


def spans(text: str) -> list[tuple[int, str, str]]:
    return [(s.weekday, s.opens, s.closes) for s in parse_hours(text)]


def test_days_and_spans() -> None:
    assert spans("Mo-We 08:00-12:00,13:00-18:00; Sa 09:00-17:00") == [
        (1, "08:00", "12:00"),
        (1, "13:00", "18:00"),
        (2, "08:00", "12:00"),
        (2, "13:00", "18:00"),
        (3, "08:00", "12:00"),
        (3, "13:00", "18:00"),
        (6, "09:00", "17:00"),
    ]


def test_around_the_week_and_around_the_clock() -> None:
    assert [s.weekday for s in parse_hours("Sa-Mo 10:00-11:00")] == [1, 6, 7]
    assert spans("24/7") == [(d, "00:00", "24:00") for d in range(1, 8)]
    assert parse_hours("") == ()
    assert spans("su, mo 00:00-24:00") == [(1, "00:00", "24:00"), (7, "00:00", "24:00")]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("open", "not like Mo-Fr"),
        ("Mo", "not like Mo-Fr"),
        ("Xx 08:00-18:00", "not a weekday"),
        ("Mo 18:00-08:00", "closes 08:00 is not after opens 18:00"),
        ("Mo 08:00-25:00", "should match pattern"),
        ("Mo 8:00-9:00", "should match pattern"),
    ],
)
def test_what_is_wrong_is_said(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        parse_hours(text)


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        found = parse_hours(text)
    except ValueError:
        return
    assert all(1 <= s.weekday <= 7 and s.opens < s.closes for s in found)


minutes = st.integers(0, 24 * 60).map(lambda m: f"{m // 60:02}:{m % 60:02}")


@given(st.sets(st.tuples(st.integers(1, 7), minutes, minutes).filter(lambda t: t[1] < t[2])))
def test_what_was_written_is_read(wanted: set[tuple[int, str, str]]) -> None:
    text = "; ".join(f"{DAYS[d - 1]} {a}-{b}" for d, a, b in wanted)
    assert {(s.weekday, s.opens, s.closes) for s in parse_hours(text)} == wanted


@given(st.text(max_size=30))
def test_a_time_zone_exists_or_not(name: str) -> None:
    try:
        assert zone_name(name) == name
    except ValueError as error:
        assert "no such time zone" in str(error)


def test_a_span_is_no_mere_text() -> None:
    assert zone_name("Asia/Urumqi") == "Asia/Urumqi"
    with pytest.raises(ValueError, match="not after"):
        OpenSpan(weekday=1, opens="08:00", closes="08:00")
