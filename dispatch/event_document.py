"""docs/reference/asyncapi.yaml, made of the models in dispatch.events.

Source: AsyncAPI 3.0.0; CloudEvents 1.0.2. Write it with `roadcall events asyncapi`.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from importlib.resources import files

import orjson
import yaml
from pydantic.json_schema import models_json_schema

from dispatch.events import CONTENT_TYPE, EVENTS, PREFIX, CloudEvent, bytes_of, type_of
from model.effects import OutboxRecord
from model.record import Record

REFS = "#/components/schemas/{model}"
ABOUT = (
    "What other systems hear of, at least once, as CloudEvents 1.0 in structured mode. `id` is the"
    " same on every try: drop what you have seen. `sequence` orders the events of one vehicle; on"
    " Kafka the key is the VIN. A hushed alert is told when it is heard after all. No position,"
    " name or free text is in an event; ask the API for the subject."
)


def document() -> dict[str, object]:
    """The whole document."""
    names = {kind: kind.replace(".", "_") for kind in EVENTS}
    return {
        "asyncapi": "3.0.0",
        "info": {"title": "Roadcall events", "version": "1.0.0", "description": ABOUT},
        "defaultContentType": CONTENT_TYPE,
        "channels": {
            "kafka": {
                "address": "roadcall.events",
                "title": "Kafka topic, while the log is Kafka (ROADCALL_EVENT_TOPIC)",
                "messages": _messages(names, "#/components/messages/{}"),
                "bindings": {"kafka": {"topic": "roadcall.events", "bindingVersion": "0.5.0"}},
            },
            "webhook": {
                "address": None,
                "title": "A webhook: a subscription for `integration`, or ROADCALL_WEBHOOK_EVENTS",
                "description": "Signed as docs/webhooks.md says.",
                "messages": _messages(names, "#/components/messages/{}"),
            },
        },
        "operations": {
            f"send_{channel}": {
                "action": "send",
                "channel": {"$ref": f"#/channels/{channel}"},
                "bindings": bindings,
            }
            for channel, bindings in (
                ("kafka", {}),
                ("webhook", {"http": {"method": "POST", "bindingVersion": "0.3.0"}}),
            )
        },
        "components": {
            "messages": {name: _message(kind) for kind, name in names.items()},
            "schemas": _schemas(),
        },
    }


def text() -> str:
    """The document as YAML."""
    return yaml.safe_dump(document(), sort_keys=False, allow_unicode=True, width=100)


def _messages(names: dict[str, str], ref: str) -> dict[str, object]:
    return {name: {"$ref": ref.format(name)} for name in names.values()}


def example(kind: str) -> dict[str, object]:
    """An event of this kind as it leaves, made of dispatch/event_examples.toml."""
    table = tomllib.loads(files("dispatch").joinpath("event_examples.toml").read_text("utf-8"))
    facts = _facts(table, kind)
    model, _ = EVENTS[kind]
    noun, vin = kind.partition(".")[0], facts["vin"]
    noun_id = facts.get(f"{noun}_id") or facts.get("case_id") or f"1/{facts['service']}"
    subject = f"{noun}/{noun_id}"
    body = {"subject": subject, "source": "/roadcall", "vin": vin, "sequence": 4711}
    body |= {"time": "2026-03-02T01:20:16.254Z", "data": dict.fromkeys(model.model_fields) | facts}
    made: dict[str, object] = orjson.loads(
        bytes_of(OutboxRecord(f"event/{subject}/4711", PREFIX + kind, body))
    )
    return made


def _facts(table: Mapping[str, dict[str, object]], kind: str) -> dict[str, object]:
    """`like` names an example that says the rest."""
    row = dict(table[kind])
    base = row.pop("like", None)
    return _facts(table, str(base)) | row if base else row


def _message(kind: str) -> dict[str, object]:
    model, when = EVENTS[kind]
    return {
        "name": type_of(kind),
        "summary": when,
        "contentType": CONTENT_TYPE,
        "bindings": {
            "kafka": {"key": {"type": "string", "description": "VIN"}, "bindingVersion": "0.5.0"}
        },
        "payload": {
            "allOf": [
                {"$ref": REFS.format(model="CloudEvent")},
                {
                    "type": "object",
                    "properties": {
                        "type": {"const": type_of(kind)},
                        "data": {"$ref": REFS.format(model=model.__name__)},
                    },
                },
            ]
        },
        "examples": [{"name": kind, "payload": example(kind)}],
    }


def _schemas() -> dict[str, object]:
    models: list[type[Record]] = [CloudEvent, *dict.fromkeys(m for m, _ in EVENTS.values())]
    _, found = models_json_schema([(m, "serialization") for m in models], ref_template=REFS)
    schemas: dict[str, object] = dict(found["$defs"])
    envelope = schemas["CloudEvent"]
    assert isinstance(envelope, dict)
    # Each message says what its data is.
    envelope["additionalProperties"] = True
    envelope["required"] = sorted({"specversion", "datacontenttype", *envelope["required"]})
    return dict(sorted(schemas.items()))
