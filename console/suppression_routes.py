"""/v1/silences …, /v1/vehicles/{vin}/modes …, POST /v1/alerts/{id}/dismiss and …/snooze."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Query

from console import alert_steps
from console.bodies import AlertDetail, StepBody
from console.parameters import IdempotencyKey, VinPath, act
from console.problems import documented, field_problem
from console.reads import Reads
from console.suppression_bodies import DismissBody, ModeBody, SilenceBody, SnoozeBody
from model.alerts import NAMESPACE
from model.clock import utc
from model.suppression import Silence, VehicleMode
from store import masters
from store import suppression as rows
from store.database import transaction

#: Longer than that is a rule to be changed, or a vehicle to be taken out (our own).
LONGEST = timedelta(days=400)
PastDays = Annotated[int, Query(ge=0, le=365, description="Also those that ended so recently.")]


def add(router: APIRouter, reads: Reads) -> None:
    """Add the routes."""
    _add_alerts(router, reads)
    _add_silences(router, reads)
    _add_modes(router, reads)


def _add_alerts(router: APIRouter, reads: Reads) -> None:
    @router.post(
        "/alerts/{alert_id}/dismiss",
        tags=["alerts"],
        summary="Nothing follows from the alert; the code says why",
        responses=documented("not-found", "state", "key-reused"),
    )
    def dismiss_alert(
        alert_id: uuid.UUID, body: DismissBody, key: IdempotencyKey = None
    ) -> AlertDetail:
        taken = act(reads.clock, body.actor, body.reason, key)
        alert_steps.dismiss(reads.pool, alert_id, body.code, taken)
        return reads.alert(alert_id)

    @router.post(
        "/alerts/{alert_id}/snooze",
        tags=["alerts"],
        summary="Put a mild alert off, once",
        responses=documented("not-found", "state", "key-reused"),
    )
    def snooze_alert(
        alert_id: uuid.UUID, body: SnoozeBody, key: IdempotencyKey = None
    ) -> AlertDetail:
        taken = act(reads.clock, body.actor, body.reason, key)
        alert_steps.snooze(reads.pool, alert_id, body.until, taken)
        return reads.alert(alert_id)


def _add_silences(router: APIRouter, reads: Reads) -> None:
    @router.get("/silences", tags=["alerts"], summary="Silences in force or to come")
    def list_silences(past_days: PastDays = 0) -> list[Silence]:
        since = utc(reads.clock.now_ns()) - timedelta(days=past_days)
        with transaction(reads.pool) as conn:
            return rows.silences(conn, since)

    @router.post(
        "/silences",
        tags=["alerts"],
        summary="Let nobody hear of alerts that match; they are stored and shown all the same",
        status_code=201,
        responses=documented("key-reused"),
    )
    def create_silence(body: SilenceBody, key: IdempotencyKey = None) -> Silence:
        taken = act(reads.clock, body.actor, body.reason, key)
        row = Silence(
            silence_id=_key("silence", key),
            matchers=body.matchers,
            starts_at=body.starts_at or taken.now,
            ends_at=body.ends_at,
            emergencies=body.emergencies,
            actor=body.actor,
            reason=body.reason,
            created_at=taken.now,
        )
        _check(row.starts_at, row.ends_at, taken.now)
        alert_steps.hush(reads.pool, row, taken)
        with transaction(reads.pool) as conn:
            return rows.silence(conn, row.silence_id)

    @router.post(
        "/silences/{silence_id}/end",
        tags=["alerts"],
        summary="End a silence now",
        responses=documented("not-found", "state", "key-reused"),
    )
    def end_silence(silence_id: uuid.UUID, body: StepBody, key: IdempotencyKey = None) -> Silence:
        alert_steps.unhush(reads.pool, silence_id, act(reads.clock, body.actor, body.reason, key))
        with transaction(reads.pool) as conn:
            return rows.silence(conn, silence_id)


def _add_modes(router: APIRouter, reads: Reads) -> None:
    @router.get("/modes", tags=["vehicles"], summary="Vehicles not on the road as usual")
    def list_modes() -> list[VehicleMode]:
        with transaction(reads.pool) as conn:
            return rows.modes(conn, utc(reads.clock.now_ns()))

    @router.get(
        "/vehicles/{vin}/modes",
        tags=["vehicles"],
        summary="A vehicle's modes, in force or to come",
        responses=documented("not-found"),
    )
    def list_vehicle_modes(vin: VinPath, past_days: PastDays = 0) -> list[VehicleMode]:
        return _modes(reads, vin, timedelta(days=past_days))

    @router.post(
        "/vehicles/{vin}/modes",
        tags=["vehicles"],
        summary="The vehicle is in a workshop, on a transporter, being flashed, or shows a demo",
        status_code=201,
        responses=documented("not-found", "key-reused"),
    )
    def enter_mode(vin: VinPath, body: ModeBody, key: IdempotencyKey = None) -> list[VehicleMode]:
        taken = act(reads.clock, body.actor, body.reason, key)
        row = VehicleMode(
            mode_id=_key("mode", key),
            vin=vin,
            mode=body.mode,
            starts_at=body.starts_at or taken.now,
            ends_at=body.ends_at,
            actor=body.actor,
            reason=body.reason,
            created_at=taken.now,
        )
        _check(row.starts_at, row.ends_at, taken.now)
        alert_steps.enter(reads.pool, row, taken)
        return _modes(reads, vin, timedelta())

    @router.post(
        "/vehicles/{vin}/modes/end",
        tags=["vehicles"],
        summary="The vehicle is on the road as usual again",
        responses=documented("not-found", "state", "key-reused"),
    )
    def leave_mode(vin: VinPath, body: StepBody, key: IdempotencyKey = None) -> list[VehicleMode]:
        alert_steps.leave(reads.pool, vin, act(reads.clock, body.actor, body.reason, key))
        return _modes(reads, vin, timedelta())


def _modes(reads: Reads, vin: str, past: timedelta) -> list[VehicleMode]:
    with transaction(reads.pool) as conn:
        masters.vehicle(conn, vin)
        return rows.modes(conn, utc(reads.clock.now_ns()) - past, vin=vin)


def _key(noun: str, key: str | None) -> uuid.UUID:
    """The same request sent twice under one Idempotency-Key is one."""
    return uuid.uuid4() if key is None else uuid.uuid5(NAMESPACE, f"{noun}|{key}")


def _check(starts_at: datetime, ends_at: datetime, now: datetime) -> None:
    if not max(starts_at, now) < ends_at <= now + LONGEST:
        raise field_problem("body.ends_at", "lies before the start, in the past or too far ahead")
