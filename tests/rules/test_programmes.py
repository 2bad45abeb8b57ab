"""Service programmes: the built-in ones, and what is refused."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from pydantic import ValidationError

from model.catalogue import find_signal
from model.vehicle import Vehicle
from rules.bundle import builtin_packs, load_bundle
from rules.maintenance import items_for
from rules.programmes import ProgrammeError, programme_of, programmes

CAR = Vehicle(vin="LRC00000000000001", profile="made")


def test_every_row_has_words_and_a_source_and_names_known_signals_and_rules() -> None:
    rules = {rule.id for rule in load_bundle(*builtin_packs()).rules}
    for programme in programmes().values():
        for row in programme.items:
            assert row.source and row.zh and row.en
            names = list(row.condition.signals) if row.condition else []
            names += [n for n in (row.own.km, row.own.days, row.own.flag) if n] if row.own else []
            assert all(find_signal(name) for name in names), row.kind
            assert set(row.alerts.rules if row.alerts else ()) <= rules


def test_every_built_in_maintenance_rule_that_is_an_interval_is_there() -> None:
    """M01-M15, M18, M19, M21. M16 is a campaign, M17 usage.toml, M20 belongs to repairs."""
    told = {rule for p in programmes().values() for row in p.items for rule in row.rules}
    assert told == {f"M{n:02}" for n in (*range(1, 16), 18, 19, 21)}


@pytest.mark.parametrize(
    ("facts", "name"),
    [
        ({}, "combustion"),
        ({"powertrain": "hybrid"}, "hybrid"),
        ({"powertrain": "electric", "brand": "Jeep"}, "electric"),
        ({"brand": "JEEP"}, "jeep"),
        ({"powertrain": "steam"}, None),
    ],
)
def test_the_most_specific_programme_that_fits(facts: dict[str, str], name: str | None) -> None:
    found = programme_of(CAR.model_copy(update=facts), programmes())
    assert (found.name if found else None) == name


def test_a_person_may_choose() -> None:
    found = programme_of(CAR, programmes(), "stationary")
    assert found is not None and found.row("service").repeat.hours == 250  # type: ignore[union-attr]
    assert found.row("engine_oil") is not None


def test_the_warranty_counts_from_its_start() -> None:
    programme = programmes()["combustion"]
    now = datetime(2025, 6, 1, 12, tzinfo=UTC)
    assert "warranty_end" not in {i.kind for i in items_for(CAR, programme, now)}
    sold = CAR.model_copy(update={"warranty_start": date(2024, 2, 29)})
    (item,) = [i for i in items_for(sold, programme, now) if i.kind == "warranty_end"]
    assert item.base_at == datetime(2024, 2, 29, tzinfo=UTC)
    assert (item.base_odometer_km, item.soon_km, item.soon_days) == (0, 2_000, 60)


SERVICE = '[{0}.service]\nrepeat = {{ km = 1 }}\nzh = "保养"\nen = "service"\nsource = "made"\n'


@pytest.mark.parametrize(
    ("text", "error", "why"),
    [
        (SERVICE.format("combustion"), ProgrammeError, "combustion is defined twice"),
        ('[a]\nextends = "b"\n', ProgrammeError, "a extends b: unknown or in a circle"),
        ('[a]\nextends = "b"\n[b]\nextends = "a"\n', ProgrammeError, "in a circle"),
        ('[a]\nwithout = ["x"]\n', ProgrammeError, "leaves out x"),
        ('[a]\napplies_to = { brand = "Jeep", use = "private" }\n', ProgrammeError,
         "jeep and a fit the same vehicles"),
        ('[a]\napplies_to = { colour = "red" }\n', ValidationError, "colour"),
        (SERVICE.format("a").replace("km = 1", "km = 0"), ValidationError, "greater than 0"),
        (SERVICE.format("a").replace("km = 1", ""), ValidationError, "counts nothing"),
    ],
)  # fmt: skip
def test_a_wrong_file_is_refused(
    tmp_path: Path, text: str, error: type[Exception], why: str
) -> None:
    path = tmp_path / "own.toml"
    path.write_text(text, "utf-8")
    with pytest.raises(error, match=why):
        programmes(path)


def test_a_model_row_goes_before_its_brand(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_text(
        '[brand]\napplies_to = { brand = "G" }\n' + SERVICE.format("brand")
        + '[model]\nextends = "brand"\napplies_to = { model = "E", year_from = 2020 }\n',
        "utf-8",
    )  # fmt: skip
    known = programmes(path)
    car = CAR.model_copy(update={"brand": "G", "model": "E", "model_year": 2021})
    assert programme_of(car, known).name == "model"  # type: ignore[union-attr]
    older = car.model_copy(update={"model_year": 2019})
    assert programme_of(older, known).name == "brand"  # type: ignore[union-attr]
