"""Refusals as RFC 9457 problem details.

Source: RFC 9457; the kinds are listed in docs/gateway-protocol.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from http import HTTPStatus

import orjson
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from model.errors import RoadcallError

MEDIA_TYPE = "application/problem+json"
#: kind: (status, title). The kind is the stable part of the `type` URN.
KINDS: dict[str, tuple[int, str]] = {
    "vin": (400, "the path does not hold a VIN"),
    "idempotency-key": (400, "the Idempotency-Key is not usable"),
    "content-coding": (400, "the body is not what Content-Encoding says"),
    "bad-request": (400, "the request is not understood"),
    "token": (401, "a valid gateway token is needed"),
    "vehicle-not-bound": (403, "this gateway may not send for this vehicle"),
    "not-found": (404, "there is nothing here"),
    "method": (405, "this method is not for this address"),
    "body-timeout": (408, "the body did not arrive in time"),
    "too-large": (413, "the upload passes a limit"),
    "media-type": (415, "the media type is not one of ours"),
    "content-encoding": (415, "the content encoding is not one of ours"),
    "frames": (422, "the frames break the rules of their format"),
    "slow-down": (429, "too many uploads at once"),
    "internal": (500, "our own fault"),
    "unavailable": (503, "the upload cannot be made durable right now"),
}
_OF_STATUS = {404: "not-found", 405: "method"}


@dataclass(frozen=True, slots=True)
class FieldFault:
    """What is wrong with which part of the request."""

    field: str
    reason: str


class RefusalError(RoadcallError):
    """An upload that is not taken. `kind` is a key of KINDS."""

    def __init__(
        self,
        kind: str,
        detail: str,
        errors: Sequence[FieldFault] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.kind, self.detail, self.errors = kind, detail, tuple(errors)
        self.headers = dict(headers or {})
        self.status = KINDS[kind][0]


def refuse_field(kind: str, field: str, reason: str, **headers: str) -> RefusalError:
    """A refusal about one field; header names with _ for -."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return RefusalError(kind, f"{field}: {reason}", [FieldFault(field, reason)], named)


def answer(refusal: RefusalError) -> Response:
    """The problem+json response of a refusal."""
    status, title = KINDS[refusal.kind]
    body = {
        "type": f"urn:roadcall:problem:{refusal.kind}",
        "title": title,
        "status": status,
        "detail": refusal.detail,
        "errors": [asdict(e) for e in refusal.errors],
    }
    return Response(orjson.dumps(body), status, refusal.headers, MEDIA_TYPE)


async def answer_http_exception(request: Request, error: Exception) -> Response:
    """What the router itself refuses (unknown address, wrong method); or a neighbour's route."""
    assert isinstance(error, HTTPException)
    if kind := _OF_STATUS.get(error.status_code):
        return answer(RefusalError(kind, str(error.detail), headers=error.headers))
    title = HTTPStatus(error.status_code).phrase
    body = {"type": "about:blank", "title": title, "status": error.status_code}
    text = orjson.dumps({**body, "detail": str(error.detail), "errors": []})
    return Response(text, error.status_code, error.headers, MEDIA_TYPE)


async def answer_unexpected(request: Request, error: Exception) -> Response:
    """A bug of ours: nothing of it is told to the outside."""
    return answer(RefusalError("internal", "nothing of it is known here; try the same again later"))
