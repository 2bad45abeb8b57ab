"""GET /v1/alerts/{id}/evidence, and the same window as a log file."""

from __future__ import annotations

import uuid
from typing import Protocol

from fastapi import APIRouter, Response

from console.problems import documented
from model.evidence import Evidence, LogSuffix

#: Log formats have no registered media type.
MEDIA_TYPE = "application/octet-stream"


class EvidenceDesk(Protocol):
    """Where evidence comes from. Both raise UnknownRowError and DecodeError."""

    def of(self, alert_id: uuid.UUID) -> Evidence:
        """Everything about an alert."""

    def log_file(self, alert_id: uuid.UUID, suffix: LogSuffix) -> bytes:
        """The frames of its window."""


def add(router: APIRouter, desk: EvidenceDesk) -> None:
    """Add the routes."""

    @router.get(
        "/alerts/{alert_id}/evidence",
        tags=["alerts"],
        summary="Why an alert was raised: rule, thresholds, samples, circumstances",
        responses=documented("not-found", "too-large"),
    )
    def get_evidence(alert_id: uuid.UUID) -> Evidence:
        return desk.of(alert_id)

    @router.get(
        "/alerts/{alert_id}/evidence.{suffix}",
        tags=["alerts"],
        summary="The CAN frames around an alert as BLF, ASC or candump log",
        response_class=Response,
        responses={
            200: {"content": {MEDIA_TYPE: {}}, "description": "The log file."},
            **documented("not-found", "too-large", "gone"),
        },
    )
    def get_evidence_log(alert_id: uuid.UUID, suffix: LogSuffix) -> Response:
        name = f"alert-{alert_id}.{suffix}"
        return Response(
            desk.log_file(alert_id, suffix),
            media_type=MEDIA_TYPE,
            headers={"Content-Disposition": f'attachment; filename="{name}"'},
        )
