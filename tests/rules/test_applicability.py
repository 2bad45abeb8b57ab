"""Rules that cannot say anything about a vehicle are counted as such."""

from __future__ import annotations

import pytest

from model.vehicle import Vehicle
from rules.applicability import Reason, Standing, reason, standings, tally
from rules.bundle import bundle_of
from rules.pack import Rule
from rules.words import reason_in_words

TEXT = {"title": "x", "driver": "x", "technician": "x", "action": "x"}
CAR = Vehicle(vin="LRC00000000000001", profile="made")


def rule(condition: str, **more: object) -> Rule:
    row: dict[str, object] = {"id": "a.b", "domain": ["X"], "version": 1, "kind": "fault"}
    row |= {"levels": [{"severity": 3, "condition": condition}], "source": "made"}
    return Rule.model_validate(row | {"text": {"zh": TEXT, "en": TEXT}} | more)


@pytest.mark.parametrize(
    ("condition", "standing"),
    [
        ("speed_kmh > 300", Standing.APPLICABLE),
        ("motor_temp_c > 175", Standing.SIGNAL_MISSING),
        ("speed_kmh > 300 and motor_temp_c > 175", Standing.SIGNAL_MISSING),
        ("speed_kmh > 300 or motor_temp_c > 175", Standing.APPLICABLE),
        ('motor_temp_c > 175 or dtc("P0217")', Standing.APPLICABLE),
        ("avg(motor_temp_c, 60s) > 175", Standing.SIGNAL_MISSING),
        ("share_above(speed_kmh, 100, trip) > 0.5", Standing.APPLICABLE),
        ("spread(cell_voltage_v) > 0.5", Standing.APPLICABLE),
        ("spread(cell_temp_c) > 5", Standing.SIGNAL_MISSING),
        ('km_since("oil") > 5', Standing.SIGNAL_MISSING),
        ("absent(any, 90s)", Standing.APPLICABLE),
        ("absent(motor_temp_c, 90s)", Standing.SIGNAL_MISSING),
    ],
)
def test_by_the_signals_of_the_profile(condition: str, standing: Standing) -> None:
    bundle = bundle_of("made", [rule(condition, max_gap="2m")])
    names = ["speed_kmh", "ignition_on", "cell_voltage_v[1]", "cell_voltage_v[2]"]
    assert standings(bundle, CAR, names) == {"a.b": standing}


def test_by_what_it_is_for_and_in_numbers() -> None:
    made = rule("speed_kmh > 300", applies_to={"region": ["north"], "model_years": [2015, 2019]})
    bundle = bundle_of("made", [made])
    regions = [("north", 2015), ("north", 2014), ("south", 2015)]
    cars = [CAR.model_copy(update={"region": r, "model_year": y}) for r, y in regions]
    counted = tally(standings(bundle, car, ["speed_kmh"]) for car in cars)
    assert counted == {("a.b", Standing.APPLICABLE): 1, ("a.b", Standing.NOT_APPLICABLE): 2}


@pytest.mark.parametrize(
    ("condition", "found", "en", "zh"),
    [
        (
            "speed_kmh > 300",
            Reason(Standing.APPLICABLE, {}, ()),
            "It applies to this vehicle.",
            "适用于本车。",
        ),
        (
            "speed_kmh > 300 or over(session) and spread(cell_temp_c) > 5",
            Reason(Standing.APPLICABLE, {}, ("cell_temp_c", "charging")),
            "It applies to this vehicle, though its profile has no cell_temp_c, charging.",
            "适用于本车，但车型配置缺少信号：cell_temp_c, charging。",
        ),
        (
            "speed_kmh > 300 and motor_temp_c > 175",
            Reason(Standing.SIGNAL_MISSING, {}, ("motor_temp_c",)),
            "It can say nothing about this vehicle: its profile has no motor_temp_c.",
            "对本车无法判断：车型配置缺少信号 motor_temp_c。",
        ),
    ],
)  # fmt: skip
def test_why_a_rule_applies(condition: str, found: Reason, en: str, zh: str) -> None:
    made = rule(condition)
    bundle = bundle_of("made", [made])
    assert reason(bundle, made, CAR, ["speed_kmh", "ignition_on"]) == found
    assert (reason_in_words(found, "en"), reason_in_words(found, "zh")) == (en, zh)


def test_why_a_rule_does_not_apply() -> None:
    made = rule("speed_kmh > 300", applies_to={"region": ["north"], "model_years": [2015, 2019]})
    bundle = bundle_of("made", [made])
    car = CAR.model_copy(update={"region": "south", "model_year": 2014})
    found = reason(bundle, made, car, ["speed_kmh"])
    assert found.standing is Standing.NOT_APPLICABLE
    assert reason_in_words(found, "en") == (
        "It does not apply to this vehicle: it is not for region south, model_year 2014."
    )
