"""A pack with a fault is refused, and every fault is named with its file and rule."""

from __future__ import annotations

from pathlib import Path

import pytest

from model.catalogue import catalogue
from model.vehicle import Vehicle
from rules.bundle import BundleError, load_bundle
from rules.expression import ExpressionError, Scope, parse_condition

TEXT = """
  source: made up
  text:
    zh: {title: a, driver: a, technician: a, action: a}
    en: {title: a, driver: a, technician: a, action: a}
"""


def pack(tmp_path: Path, *heads: str) -> Path:
    path = tmp_path / "made.yaml"
    path.write_text("".join(f"- {head.strip()}{TEXT}" for head in heads))
    return path


def rule(name: str, more: str = "", level: str = "speed_kmh > 300") -> str:
    lines = [f"id: {name}", "  domain: [X1]", "  version: 1", "  kind: fault"]
    lines.append(f'  levels: [{{severity: 2, condition: "{level}", for: 5s}}]')
    return "\n".join([*lines, *([f"  {more}"] if more else [])])


def faults(*paths: Path) -> str:
    with pytest.raises(BundleError) as refused:
        load_bundle(*paths)
    assert len(refused.value.faults) == str(refused.value).count("\n")
    return str(refused.value)


def test_the_built_in_bundle_holds_the_twelve() -> None:
    bundle = load_bundle()
    covered = {domain for rule in bundle.rules for domain in rule.domain}
    wanted = ["E01", "E02", "E04", "E08", "E10", "E11", "E15", "E21", "N05", "N08", "N11", "D01"]
    assert covered >= set(wanted)
    assert len(bundle.hash) == 16
    assert bundle.hash == load_bundle().hash


def test_every_fault_is_named_at_once(tmp_path: Path) -> None:
    path = pack(
        tmp_path,
        rule("a.unknown", level="sped_kmh > 1"),
        rule("a.units", level="engine_coolant_temp_c > engine_speed_rpm"),
        rule("a.unused", "params: {warn: 1}"),
        rule("a.hold", "max_gap: 5"),
        rule("a.extra", "colour: red"),
        rule("a.fine"),
        rule("a.fine"),
    )
    text = faults(path)
    assert "made.yaml:1: a.unknown: unknown name sped_kmh" in text
    assert "a.units: degC meets rpm" in text
    assert "a.unused: parameter warn is never used" in text
    assert "a.hold: max_gap: Value error, a duration has a unit" in text
    assert "a.extra: colour: Extra inputs are not permitted" in text
    assert "a.fine: this id is taken" in text


@pytest.mark.parametrize(
    ("more", "level", "reason"),
    [
        ("overrides: [{brand: A, params: {x: 1}}]", "speed_kmh > 1", "unknown parameter x"),
        (
            "params: {x: 1}\n  overrides: [{brand: A, params: {x: 1}}, {model: B, params: {x: 2}}]",
            "speed_kmh > x",
            "two overrides tie for x",
        ),
        ("params: {speed_kmh: 1}", "speed_kmh > 1", "has the name of something else"),
        ("for_each: {wheel: [fl]}", "speed_kmh > 1", "for_each wheel is a list"),
        ("for_each: {source: nothing}", "mil_lamp", "for_each source names one signal"),
        ("", "absent(any, 90s)", "a rule with absent() has no for"),
    ],
)
def test_refused_beyond_the_schema(tmp_path: Path, more: str, level: str, reason: str) -> None:
    assert reason in faults(pack(tmp_path, rule("a.b", more, level)))


def test_files_that_are_no_packs(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("a: [")
    (tmp_path / "b.yaml").write_text("a: 1")
    text = faults(tmp_path / "a.yaml", tmp_path / "b.yaml")
    assert "a.yaml: not YAML" in text
    assert "b.yaml: a pack is a list of rules" in text


def test_an_override_wins_by_matching_fields(tmp_path: Path) -> None:
    more = (
        "params: {x: 1}\n  overrides:\n    - {brand: A, params: {x: 2}}\n"
        "    - {brand: A, model: B, params: {x: 3}}"
    )
    bundle = load_bundle(pack(tmp_path, rule("a.b", more, "speed_kmh > x")))

    def threshold(brand: str, model: str) -> float:
        car = Vehicle(vin="0" * 17, profile="p", brand=brand, model=model)
        return bundle.plan(car).instances[0].thresholds["x"]

    assert [threshold("Z", "B"), threshold("A", "C"), threshold("A", "B")] == [1, 2, 3]


def test_rules_for_other_cars_are_counted_as_not_applicable() -> None:
    bundle = load_bundle()
    electric = bundle.plan(Vehicle(vin="0" * 17, profile="p", powertrain="electric"))
    assert "ice.coolant.overtemp" in electric.not_applicable
    assert "ev.insulation.low" in bundle.plan(Vehicle(vin="0" * 17, profile="p")).not_applicable


GOOD = [
    "400 < engine_speed_rpm <= 900",
    "insulation_kohm * 1000 / pack_voltage_v <= 100",
    "cell_voltage_max_v - cell_voltage_min_v > 0.5",
    "max(battery_temp_max_c, motor_temp_c, 0) > -5",
    "abs(pack_current_a) > 3 and not mil_lamp",
    "count(battery_voltage_v < 11, 10m) > 2",
    "spn(110) or spn(100, fmi=[0, 1]) or dtc('P0217', 'P1217') or any_dtc()",
    "tire_pressure_fl_kpa < 0.5 * tire_placard_kpa",
    "absent(speed_kmh, 2m)",
]
BAD = [
    "speed_kmh",
    "1 < 2",
    "speed_kmh = 3",
    "speed_kmh in [1, 2]",
    "speed_kmh > 'fast'",
    "speed_kmh > True",
    "engine_coolant_temp_c + engine_speed_rpm > 3",
    "engine_speed_rpm / speed_kmh > engine_speed_rpm",
    "(lambda: 1)() > 0",
    "__import__('os').system('true') == 0",
    "speed_kmh.real > 1",
    "spn(-1)",
    "spn(110, fmi=32)",
    "dtc('P21')",
    "absent(speed_kmh, 120)",
    "absent(any, 5s)",
    "count(speed_kmh > 1, 1d) < 3",
    "count(speed_kmh > 1, 1d) >= 0",
    "count(any_dtc(), 1d) >= 2",
    "speed_kmh if mil_lamp else 3 > 1",
    "",
]


@pytest.mark.parametrize("text", GOOD)
def test_what_can_be_said(text: str) -> None:
    parse_condition(text, Scope({}, {"tire_placard_kpa": (240.0, "kPa")}))


@pytest.mark.parametrize("text", BAD)
def test_what_cannot_be_said(text: str) -> None:
    with pytest.raises(ExpressionError):
        parse_condition(text, Scope({}, {}))


def test_people_read_both_languages_in_every_rule() -> None:
    for built_in in load_bundle().rules:
        chinese = "".join(built_in.text.zh.model_dump().values())
        english = "".join(built_in.text.en.model_dump().values())
        assert any("\u4e00" <= letter <= "\u9fff" for letter in chinese), built_in.id
        assert english.isascii(), built_in.id


def test_rules_ask_only_for_catalogue_signals() -> None:
    from rules.arrays import derived_signals
    from rules.expression import universe

    functions = {derived.name for derived in derived_signals()}
    assert set(universe()) == {"any", *catalogue(), *functions}
