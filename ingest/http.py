"""The HTTP gateway protocol: POST /v1/vehicles/{vin}/frames, and how the service is.

Source: docs/gateway-protocol.md. 202 is sent only after the log has every record durably.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from time import perf_counter
from typing import Any

import orjson
from fastapi import FastAPI
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from ingest.access import CachedDirectory, GatewayAccess, GatewayDirectory
from ingest.metrics import IngestMetrics
from ingest.openapi import FRAMES_PATH
from ingest.problems import (
    RefusalError,
    answer,
    answer_http_exception,
    answer_unexpected,
    refuse_field,
)
from ingest.readiness import Readiness
from ingest.upload import ENCODINGS, MEDIA_TYPES, Accepted, IngestLimits, Upload, read_upload
from model.clock import NS, Clock, ns_of
from model.errors import LogFullError, LogUnavailableError, StoreUnavailableError
from model.frames import MAX_CLOCK_OFFSET_S
from model.log import FrameLog

__all__ = ["GatewayAccess", "GatewayDirectory", "IngestLimits", "create_app"]

FRAMES_ADDRESS = "/v1/vehicles/{vin}/frames"
_VIN = re.compile(r"[A-HJ-NPR-Z0-9]{17}")
_KEY = re.compile(r"[\x20-\x7e]{1,128}")


class IngestApi(FastAPI):
    """FastAPI with the frames route in its OpenAPI document.

    The route itself is plain Starlette: at one upload a millisecond the machinery shows.
    """

    def openapi(self) -> dict[str, Any]:  # FastAPI's own type
        document = super().openapi()
        document["paths"].setdefault(FRAMES_ADDRESS, FRAMES_PATH)
        schemes = document.setdefault("components", {}).setdefault("securitySchemes", {})
        schemes.setdefault("gateway", {"type": "http", "scheme": "bearer"})
        return document


def create_app(
    log: FrameLog,
    gateways: GatewayDirectory,
    limits: IngestLimits,
    clock: Clock,
    readiness: Callable[[], bool],
    *,
    registry: CollectorRegistry | None = None,
) -> FastAPI:
    """The ingest service, alone or mounted.

    `readiness` asks the database; it may wait and is called in a thread. Without a `registry` the
    app counts in one of its own.
    """
    metrics = IngestMetrics(CollectorRegistry() if registry is None else registry)
    directory = CachedDirectory(
        gateways,
        clock,
        ttl_s=limits.token_ttl_s,
        stale_s=limits.token_stale_s,
        timeout_s=limits.token_timeout_s,
    )
    desk = IngestDesk(log, directory, limits, clock, metrics)
    ready = Readiness(log, readiness, limits.ready_timeout_s)
    # FastAPI's own pages load their scripts from elsewhere; /openapi.json is the contract.
    app = IngestApi(title="Roadcall", version="1", docs_url=None, redoc_url=None)
    app.add_exception_handler(HTTPException, answer_http_exception)
    app.add_exception_handler(Exception, answer_unexpected)
    app.add_route(FRAMES_ADDRESS, desk.receive, methods=["POST"])

    @app.get("/healthz", summary="The process runs")
    async def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/readyz", summary="The log and the database answer")
    async def readyz() -> Response:
        failed = await ready.failed()
        body = {"status": "failed" if failed else "ok", "failed": failed}
        return Response(orjson.dumps(body), 503 if failed else 200, media_type="application/json")

    @app.get("/metrics", summary="Prometheus metrics")
    async def metrics_text() -> Response:
        return Response(
            generate_latest(metrics.registry), headers={"Content-Type": CONTENT_TYPE_LATEST}
        )

    return app


class IngestDesk:
    """Takes uploads. Holds the bounds on what is in flight."""

    def __init__(
        self,
        log: FrameLog,
        directory: CachedDirectory,
        limits: IngestLimits,
        clock: Clock,
        metrics: IngestMetrics,
    ) -> None:
        self._log, self._directory, self._limits = log, directory, limits
        self._clock, self._metrics = clock, metrics
        self._in_flight = self._buffered = 0

    async def receive(self, request: Request) -> Response:
        """202 after the log has it; else a problem."""
        self._in_flight += 1
        self._metrics.in_flight.inc()
        try:
            accepted = await self._take(request)
        except RefusalError as refusal:
            self._metrics.refusals.labels(str(refusal.status)).inc()
            return answer(refusal)
        finally:
            self._in_flight -= 1
            self._metrics.in_flight.dec()
        self._metrics.uploads.inc()
        self._metrics.frames.inc(accepted.frames)
        body = {
            "batch_id": accepted.batch_id,
            "frames": accepted.frames,
            "parts": len(accepted.records),
        }
        return Response(orjson.dumps(body), 202, media_type="application/json")

    async def _take(self, request: Request) -> Accepted:
        if self._in_flight > self._limits.max_in_flight:
            raise self._slow_down("uploads in flight")
        gateway_id = await self._authorise(request)
        media_type, encoding, batch_id = _read_headers(request)
        held: list[bytes] = []
        try:
            async with asyncio.timeout(self._limits.body_timeout_s):
                await self._read_body(request, held)
            body = b"".join(held)
            self._metrics.received.inc(len(body))
            received_ns = self._clock.now_ns()
            upload = Upload(
                vin=request.path_params["vin"],
                gateway_id=gateway_id,
                batch_id=batch_id,
                received_ns=received_ns,
                media_type=media_type,
                encoding=encoding,
                body=body,
                clock_offset_s=clock_offset_s(request.headers.get("date", ""), received_ns),
            )
            accepted = await self._read(upload)
            await self._append(accepted)
        except TimeoutError:
            raise RefusalError("body-timeout", "send smaller batches") from None
        except ClientDisconnect:
            raise RefusalError("bad-request", "the body ended early") from None
        finally:
            self._buffered -= sum(map(len, held))
        return accepted

    async def _authorise(self, request: Request) -> str:
        """The gateway's id. Raises RefusalError 400, 401, 403, 503."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise refuse_field(
                "token", "Authorization", "Bearer token missing", WWW_Authenticate="Bearer"
            )
        vin = request.path_params["vin"]
        if not _VIN.fullmatch(vin):
            raise refuse_field("vin", "vin", "17 characters, digits and capitals without I, O, Q")
        try:
            access = await self._directory.find(token.strip())
        except StoreUnavailableError:
            raise self._unavailable("gateways cannot be looked up") from None
        if access is None:
            raise refuse_field(
                "token",
                "Authorization",
                "token unknown or revoked",
                WWW_Authenticate='Bearer error="invalid_token"',
            )
        if not access.allowed(vin):
            raise refuse_field("vehicle-not-bound", "vin", "not bound to this gateway")
        return access.gateway_id

    async def _read_body(self, request: Request, held: list[bytes]) -> None:
        """Fill `held`, never past the limit. Raises RefusalError 413, 429."""
        limit, size = self._limits.max_body_bytes, 0
        declared = request.headers.get("content-length", "0")
        if declared.isdigit() and int(declared) > limit:
            raise refuse_field("too-large", "body", f"limit {limit} bytes, got {declared}")
        async for chunk in request.stream():
            size += len(chunk)
            if size > limit:
                raise refuse_field("too-large", "body", f"limit {limit} bytes")
            if self._buffered + len(chunk) > self._limits.max_buffered_bytes:
                raise self._slow_down("body bytes held")
            held.append(chunk)
            self._buffered += len(chunk)

    async def _read(self, upload: Upload) -> Accepted:
        """Small plain bodies here, others in a thread."""
        size = len(upload.body)
        if upload.encoding and upload.media_type != MEDIA_TYPES[0]:
            size = self._limits.inline_bytes  # text inflates twentyfold
        if size < self._limits.inline_bytes:
            return read_upload(upload, self._limits)
        return await asyncio.to_thread(read_upload, upload, self._limits)

    async def _append(self, accepted: Accepted) -> None:
        """Return when durable. Raises RefusalError 429, 503."""
        started = perf_counter()
        try:
            async with asyncio.timeout(self._limits.append_timeout_s):
                await self._log.append(accepted.records)
        except LogFullError:
            raise self._slow_down("log is full") from None
        except (LogUnavailableError, TimeoutError):
            raise self._unavailable("the log did not confirm") from None
        self._metrics.append_s.observe(perf_counter() - started)

    def _slow_down(self, what: str) -> RefusalError:
        return RefusalError(
            "slow-down", f"{what}; send the same batch again later", headers=self._later()
        )

    def _unavailable(self, what: str) -> RefusalError:
        return RefusalError(
            "unavailable", f"{what}; send the same batch again", headers=self._later()
        )

    def _later(self) -> dict[str, str]:
        return {"Retry-After": str(self._limits.retry_after_s)}


def clock_offset_s(date: str, received_ns: int) -> int | None:
    """How far a gateway's `Date` (RFC 9110, 6.6.1) is ahead of our clock; None = it says none.

    >>> clock_offset_s("Sun, 06 Nov 1994 08:49:37 GMT", 784_111_777_000_000_000)
    0
    """
    try:
        sent = parsedate_to_datetime(date)
        offset_s = round((ns_of(sent) - received_ns) / NS)
    except (TypeError, ValueError, OverflowError):
        return None
    return max(-MAX_CLOCK_OFFSET_S, min(offset_s, MAX_CLOCK_OFFSET_S))


def _read_headers(request: Request) -> tuple[str, str, str]:
    """Media type, content encoding and batch id. Raises RefusalError 400, 415."""
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type not in MEDIA_TYPES:
        accepted = ", ".join(MEDIA_TYPES)
        raise refuse_field("media-type", "Content-Type", f"one of {accepted}", Accept=accepted)
    given = request.headers.get("content-encoding", "").strip().lower()
    if given not in ENCODINGS:
        raise refuse_field(
            "content-encoding",
            "Content-Encoding",
            "one of identity, gzip, zstd",
            Accept_Encoding="identity, gzip, zstd",
        )
    key = request.headers.get("idempotency-key")
    if key is not None and not _KEY.fullmatch(key):
        raise refuse_field("idempotency-key", "Idempotency-Key", "1 to 128 printable characters")
    return media_type, ENCODINGS[given], key or ""
