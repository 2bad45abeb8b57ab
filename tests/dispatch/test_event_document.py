"""The published AsyncAPI document is made of the models, and hangs together."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator, Draft202012Validator

from dispatch.event_document import document, example
from dispatch.events import EVENTS

ROOT = Path(__file__).resolve().parents[2]
FILE = ROOT / "docs" / "reference" / "asyncapi.yaml"
#: What an AsyncAPI 3.0 schema object is made of, and what we say it is.
DIALECTS = (Draft7Validator, Draft202012Validator)


def refs(node: object) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for value in node.values():
            yield from refs(value)
    elif isinstance(node, list):
        for value in node:
            yield from refs(value)


def test_the_published_document_is_ours() -> None:
    """Stale? `roadcall events asyncapi --write docs/reference/asyncapi.yaml`."""
    assert yaml.safe_load(FILE.read_text("utf-8")) == document()


def test_every_reference_leads_somewhere() -> None:
    whole = document()
    for ref in set(refs(whole)):
        place: object = whole
        for part in ref.removeprefix("#/").split("/"):
            assert isinstance(place, dict)
            assert part in place, ref
            place = place[part]


def test_every_event_is_on_both_channels() -> None:
    channels = document()["channels"]
    assert isinstance(channels, dict)
    names = {kind.replace(".", "_") for kind in EVENTS}
    assert {name: set(body["messages"]) for name, body in channels.items()} == {
        "kafka": names,
        "webhook": names,
    }


def payload_schema(kind: str) -> dict[str, Any]:
    whole: Any = document()
    message = whole["components"]["messages"][kind.replace(".", "_")]
    return message["payload"] | {"components": whole["components"]}


def faults(validator: Any, schema: dict[str, Any], said: object) -> list[str]:
    made = validator(schema, format_checker=validator.FORMAT_CHECKER)
    return [fault.message for fault in made.iter_errors(said)]


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("kind", EVENTS)
def test_every_example_is_what_its_schema_says(kind: str, dialect: Any) -> None:
    schema, said = payload_schema(kind), example(kind)
    dialect.check_schema(schema)
    assert faults(dialect, schema, said) == []
    assert said["type"] == f"roadcall.{kind}.v1"
    # The schema is not one that takes anything.
    facts: Any = said["data"]
    for field in facts:
        short = {name: value for name, value in facts.items() if name != field}
        assert faults(dialect, schema, said | {"data": short}), field
    assert faults(dialect, schema, said | {"data": facts | {"owner_name": "王"}})
    assert faults(dialect, schema, said | {"type": "roadcall.other.v1"})
    assert faults(dialect, schema, {k: v for k, v in said.items() if k != "id"})


@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_component_is_a_schema(dialect: Any) -> None:
    whole: Any = document()
    for schema in whole["components"]["schemas"].values():
        dialect.check_schema(schema)


def test_every_event_that_a_trigger_writes_is_described() -> None:
    """And every one described is written by a trigger."""
    written: set[str] = set()
    for path in (ROOT / "store" / "migrations").glob("*.sql"):
        text = path.read_text("utf-8")
        written |= set(re.findall(r"tell_event\('([a-z_]+\.[a-z_]+)'", text))
        for noun in re.findall(r"tell_event\('([a-z_]+)\.' \|\| kind", text):
            body = text[: text.index(f"tell_event('{noun}.' || kind")].rpartition(
                "create function"
            )[2]
            kinds = re.search(r"kind(?: text)? := case(.*?)end;", body, re.DOTALL)
            assert kinds is not None
            said = re.findall(r"(?:then|else) '([a-z_]+)'", kinds[1])
            said += [s for s in ("cleared", "retracted") if "then a.state" in kinds[1]]
            written |= {f"{noun}.{word}" for word in said}
    assert written == set(EVENTS)
