"""Words and figures: complete in both languages, and read as people read them."""

from __future__ import annotations

import re
import string
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import console
from console.figures import age, countdown, number, quantity, used_percent, warning
from console.plan_panel import CASE_BUTTONS, QUICK
from console.text import LANGUAGES, Speech, load_texts, preferred
from dispatch.rescue import TABLE
from model.alerts import AlertState, Handling
from model.diagnosis_case import DiagnosisState
from model.maintenance import DueState
from model.rescue import CaseState
from model.severity import Severity
from model.vehicle import Zone
from model.work_order import WorkOrderState

EN, ZH = Speech("en"), Speech("zh")
NOON = datetime(2025, 3, 1, 12, tzinfo=UTC)


def test_every_text_is_there_in_both_languages_with_the_same_gaps() -> None:
    for key, text in load_texts().items():
        assert set(text) == set(LANGUAGES), key
        gaps = [{g for _, g, _, _ in string.Formatter().parse(t) if g} for t in text.values()]
        assert gaps[0] == gaps[1], key
        assert all(t.strip() for t in text.values()), key


def test_every_closed_set_has_its_words() -> None:
    keys = load_texts().keys()
    assert keys >= {f"severity_{int(s)}" for s in Severity}
    assert keys >= {f"alert_{s}" for s in AlertState} | {f"handling_{h}" for h in Handling}
    assert keys >= {f"case_{s}" for s in CaseState} | {f"zone_{z}" for z in Zone}
    assert keys >= {f"due_{s}" for s in DueState}
    by_hand = {"confirm", "accept", "decline", "arrive", "clear", "cancel"}
    assert keys >= {f"step_{s}" for _, s in TABLE if s in by_hand}


def test_every_text_asked_for_exists() -> None:
    folder = Path(console.__file__).parent
    for path in folder.glob("*.py"):
        for key in re.findall(r'speech\("([a-z_]+)"', path.read_text("utf-8")):
            assert key in load_texts(), f"{path.name}: {key}"


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (754, "12:34"),
        (3723, "1:02:03"),
        (0.4, "00:00"),
        (-1, "−00:01"),
        (-3661, "−1:01:01"),
    ],
)
def test_countdown(seconds: float, shown: str) -> None:
    assert countdown(timedelta(seconds=seconds)) == shown


@pytest.mark.parametrize(
    ("ago", "en", "zh"),
    [
        (timedelta(seconds=-5), "just now", "刚刚"),
        (timedelta(seconds=59), "just now", "刚刚"),
        (timedelta(minutes=3), "3 min ago", "3 分钟前"),
        (timedelta(hours=47), "47 h ago", "47 小时前"),
        (timedelta(days=3), "3 d ago", "3 天前"),
    ],
)
def test_age(ago: timedelta, en: str, zh: str) -> None:
    assert (age(EN, NOON - ago, NOON), age(ZH, NOON - ago, NOON)) == (en, zh)


@pytest.mark.parametrize(
    ("name", "unit", "value", "shown"),
    [
        ("engine_coolant_temp_c", "degC", 119.4, ("119", "°C")),
        ("odometer_km", "km", 15230.44, ("15\u202f230.4", "km")),
        ("latitude_deg", "deg", 30.274123, ("30.27412", "°")),
        ("cell_voltage_min_v", "V", 3.2114, ("3.211", "V")),
        ("ignition_on", "", 1.0, ("On", "")),
        ("gear", "", 4.0, ("4", "")),
        ("Dash.Foo", "", -0.001, ("0.00", "")),
        ("speed_kmh", "km/h", float("nan"), ("–", "")),
    ],
)
def test_quantity(name: str, unit: str, value: float, shown: tuple[str, str]) -> None:
    assert quantity(EN, name, unit, value) == shown


def test_a_clock_has_four_stages() -> None:
    due = NOON + timedelta(minutes=30)
    moments = [0, 14.9, 15, 23.9, 24, 29.9, 30, 99]
    stages = [warning(used_percent(NOON, due, NOON + timedelta(minutes=m))) for m in moments]
    assert stages == ["calm", "calm", "half", "half", "near", "near", "late", "late"]


def test_numbers_are_grouped_and_never_minus_zero() -> None:
    assert (number(1234567.0, 0), number(-0.01, 1)) == ("1\u202f234\u202f567", "0.0")


@pytest.mark.parametrize(
    ("accepted", "language"),
    [("zh-CN,zh;q=0.9,en;q=0.8", "zh"), ("de-DE,en;q=0.7", "en"), ("", "zh"), ("fr", "zh")],
)
def test_the_browsers_language_is_taken(accepted: str, language: str) -> None:
    assert preferred(accepted) == language


def test_every_state_and_step_of_diagnosis_and_work_orders_has_its_words() -> None:
    keys = load_texts().keys()
    assert keys >= {f"diagnosis_{s}" for s in DiagnosisState}
    assert keys >= {f"order_{s}" for s in WorkOrderState}
    assert keys >= {f"diagnosis_step_{s}" for s in CASE_BUTTONS}
    assert keys >= {f"order_step_{s}" for s in QUICK}
