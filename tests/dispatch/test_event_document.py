"""The published AsyncAPI document is made of the models, and hangs together."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import yaml

from dispatch.event_document import document
from dispatch.events import EVENTS

FILE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "asyncapi.yaml"


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
