"""Every error of the API as RFC 9457 problem+json, in the shape the gateway endpoints use too.

`ProblemRoute` turns what an endpoint raises into a problem, so the router brings its error
behaviour along to whatever application includes it.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Coroutine, Mapping, Sequence

import structlog
from fastapi import HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from pydantic import BaseModel, Field

from console.steps import KeyReusedError
from model.errors import (
    BundleRefusedError,
    DecodeError,
    LimitExceededError,
    StoreUnavailableError,
    TransitionError,
)
from store.database import UnknownRowError

log = structlog.get_logger("roadcall.api")

MEDIA_TYPE = "application/problem+json"
#: Seconds after which asking again makes sense.
RETRY_AFTER_S = 2
#: kind: (status, title). The kind is the stable part of the `type` URN.
KINDS: dict[str, tuple[int, str]] = {
    "token": (401, "the operator's token is needed"),
    "not-found": (404, "there is nothing here"),
    "state": (409, "the state does not allow this step"),
    "key-reused": (409, "the Idempotency-Key belongs to another step"),
    "gone": (410, "what is asked for is not kept any more"),
    "too-large": (413, "there is more of it than one answer holds"),
    "fields": (422, "the request breaks the rules of its fields"),
    "internal": (500, "our own fault"),
    "unavailable": (503, "the database does not answer right now"),
}
_OF_STATUS = {401: "token", 404: "not-found"}


class FieldFault(BaseModel):
    """What is wrong with which part of the request."""

    field: str = Field(examples=["query.severity_min"])
    reason: str = Field(examples=["input should be less than or equal to 4"])


class Problem(BaseModel):
    """RFC 9457 problem details."""

    type: str = Field(examples=["urn:roadcall:problem:state"])
    title: str = Field(examples=["the state does not allow this step"])
    status: int = Field(examples=[409])
    detail: str = Field(examples=["rescue case in state cleared cannot confirm"])
    errors: list[FieldFault] = Field(default_factory=list)


def problem(
    kind: str,
    detail: str,
    errors: Sequence[FieldFault] = (),
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    """The response for one problem; `kind` is a key of KINDS."""
    status, title = KINDS[kind]
    body = Problem(
        type=f"urn:roadcall:problem:{kind}",
        title=title,
        status=status,
        detail=detail,
        errors=list(errors),
    )
    return JSONResponse(body.model_dump(), status, headers, media_type=MEDIA_TYPE)


def documented(*kinds: str) -> dict[int | str, dict[str, object]]:
    """OpenAPI entries for the problems a route may answer."""
    schema = Problem.model_json_schema()
    schema.pop("$defs", None)
    schema["properties"]["errors"] = {"type": "array", "items": FieldFault.model_json_schema()}
    return {
        KINDS[kind][0]: {"description": KINDS[kind][1], "content": {MEDIA_TYPE: {"schema": schema}}}
        for kind in kinds
    }


def field_problem(field: str, reason: str) -> RequestValidationError:
    """A fault found by an endpoint itself, answered like one found by validation."""
    return RequestValidationError([{"loc": tuple(field.split(".")), "msg": reason}])


def _fields(fault: RequestValidationError) -> JSONResponse:
    faults = [
        FieldFault(field=".".join(str(part) for part in e["loc"]), reason=e["msg"].lower())
        for e in fault.errors()
    ]
    return problem("fields", "; ".join(f"{f.field}: {f.reason}" for f in faults), faults)


def _answer(fault: Exception) -> JSONResponse:
    """The problem an exception stands for."""
    match fault:
        case RequestValidationError():
            return _fields(fault)
        case HTTPException() if fault.status_code in _OF_STATUS:
            return problem(_OF_STATUS[fault.status_code], str(fault.detail), (), fault.headers)
        case UnknownRowError():
            return problem("not-found", str(fault))
        case TransitionError():
            return problem("state", str(fault))
        case LimitExceededError():
            return problem("too-large", str(fault))
        case DecodeError():
            return problem("gone", str(fault))
        case BundleRefusedError():
            faults = [FieldFault(field="body", reason=line) for line in fault.faults]
            return problem("fields", f"{len(faults)} faults in the rules", faults)
        case KeyReusedError():
            return problem("key-reused", str(fault))
        case StoreUnavailableError():
            wait = {"Retry-After": str(RETRY_AFTER_S)}
            return problem("unavailable", "the database does not answer", (), wait)
    # The text of an unknown exception may hold a VIN; where it happened does not.
    where = "".join(traceback.format_tb(fault.__traceback__)[-3:])
    log.error("api.failed", error=type(fault).__name__, at=where)
    return problem("internal", "the request could not be answered")


class ProblemRoute(APIRoute):
    """A route whose errors are problems."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[None, None, Response]]:
        """The usual handler inside the translation."""
        handle = super().get_route_handler()

        async def translated(request: Request) -> Response:
            try:
                return await handle(request)
            except Exception as fault:
                return _answer(fault)

        return translated
