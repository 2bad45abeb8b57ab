"""The published schemas are those of the code, and each example is read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from console.contracts import CONTRACTS, schema_of
from model.hours import parse_hours
from model.vehicle import Station

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "reference" / "contracts"


def example(name: str) -> dict[str, object]:
    found = json.loads((FOLDER / f"{name}.example.json").read_text("utf-8"))
    assert isinstance(found, dict)
    return found


def test_the_folder_holds_a_schema_and_an_example_of_each_and_nothing_else() -> None:
    files = {path.name for path in FOLDER.glob("*.json")}
    assert files == {f"{n}{end}" for n in CONTRACTS for end in (".json", ".example.json")}


@pytest.mark.parametrize("name", CONTRACTS)
def test_the_published_schema_is_ours(name: str) -> None:
    """Stale? `roadcall masters schema --write docs/reference/contracts`."""
    assert json.loads((FOLDER / f"{name}.json").read_text("utf-8")) == schema_of(name)


@pytest.mark.parametrize("name", CONTRACTS)
def test_an_example_names_known_fields_and_is_read(name: str) -> None:
    given = example(name)
    assert set(given) <= set(schema_of(name)["properties"])  # type: ignore[call-overload]
    record = CONTRACTS[name].model_validate(given)
    again = CONTRACTS[name].model_validate_json(record.model_dump_json())
    assert again == record


@pytest.mark.parametrize("name", CONTRACTS)
def test_an_unknown_field_is_refused(name: str) -> None:
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        CONTRACTS[name].model_validate({**example(name), "phone_of_owner": "139"})


def test_hours_may_be_text_or_spans() -> None:
    station = Station.model_validate(example("station"))
    assert station.hours == parse_hours("Mo-Fr 08:00-18:00; Sa-Su 09:00-17:00")


@pytest.mark.parametrize("moment", ["2025-03-02T16:20:00", "yesterday", ""])
def test_a_moment_without_zone_is_refused(moment: str) -> None:
    with pytest.raises(ValidationError, match="at"):
        CONTRACTS["work_order_update"].model_validate(
            {**example("work_order_update"), "at": moment}
        )
