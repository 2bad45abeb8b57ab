"""The frames route in the OpenAPI document."""

from __future__ import annotations

from typing import Any

from ingest.problems import KINDS, MEDIA_TYPE
from ingest.upload import MEDIA_TYPES

_PROBLEM = {
    "type": "object",
    "properties": {
        "type": {"type": "string", "format": "uri"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"field": {"type": "string"}, "reason": {"type": "string"}},
            },
        },
    },
}
_ACCEPTED = {
    "type": "object",
    "properties": {
        "batch_id": {"type": "string"},
        "frames": {"type": "integer"},
        "parts": {"type": "integer"},
    },
}
_LATER = {"Retry-After": {"schema": {"type": "integer"}, "description": "seconds"}}
_NOT_HERE = {"not-found", "method", "bad-request"}


def _header(name: str, description: str, **schema: object) -> dict[str, Any]:
    return {
        "name": name,
        "in": "header",
        "required": False,
        "description": description,
        "schema": {"type": "string", **schema},
    }


def _problems() -> dict[str, Any]:
    """One answer a status; its description lists the kinds."""
    kinds: dict[int, list[str]] = {}
    for kind, (status, title) in KINDS.items():
        if kind not in _NOT_HERE:
            kinds.setdefault(status, []).append(f"{kind}: {title}")
    return {
        str(status): {
            "description": "; ".join(titles),
            "content": {MEDIA_TYPE: {"schema": _PROBLEM}},
            **({"headers": _LATER} if status in {429, 503} else {}),
        }
        for status, titles in sorted(kinds.items())
    }


#: OpenAPI path item, written by hand: the body is not JSON.
FRAMES_PATH: dict[str, Any] = {
    "post": {
        "summary": "Send one batch of frames of one vehicle",
        "operationId": "send_frames",
        "security": [{"gateway": []}],
        "parameters": [
            {
                "name": "vin",
                "in": "path",
                "required": True,
                "schema": {"type": "string", "pattern": "^[A-HJ-NPR-Z0-9]{17}$"},
            },
            _header("Date", "The gateway's clock when it sends what it hears now (RFC 9110)."),
            _header(
                "Idempotency-Key",
                "The batch id. The same key on every try of the same batch.",
                maxLength=128,
            ),
            _header("Content-Encoding", "Of the body", enum=["identity", "gzip", "zstd"]),
        ],
        "requestBody": {
            "required": True,
            "content": {
                media_type: {"schema": {"type": "string", "format": "binary"}}
                for media_type in MEDIA_TYPES
            },
        },
        "responses": {
            "202": {
                "description": "The log has the batch durably",
                "content": {"application/json": {"schema": _ACCEPTED}},
            },
            **_problems(),
        },
    }
}
