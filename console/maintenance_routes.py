"""GET /v1/due-items, POST …/maintenance/{kind}/done|answer, meters, use, campaigns."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Query

from console import maintenance_steps as steps
from console.bodies import DoneBody, DueBody, Page, Text
from console.maintenance_bodies import (
    AnswerBody,
    CampaignBody,
    CampaignState,
    CareBody,
    MeterReading,
    OdometerBody,
    TargetsBody,
    UseBody,
)
from console.parameters import Cursor, IdempotencyKey, Key, Limit, VinPath, act
from console.problems import documented, field_problem
from console.reads import Reads
from model.clock import utc
from model.errors import TransitionError
from model.maintenance import DueState, Selector
from store import campaigns
from store import maintenance_vehicles as care_rows
from store.campaigns import Campaign
from store.database import Pool, transaction

SHOWN = 200
DECLARED = frozenset({"taxi", "police", "delivery", "towing", "dust", "rough_road"})

States = Annotated[
    list[DueState] | None,
    Query(alias="state", description="Repeat for several. Default: everything but `ok`."),
]
Station = Annotated[
    str | None,
    Query(max_length=80, pattern=r"^[^\x00]*$", description="Only cars that prefer this station."),
]


def add(router: APIRouter, reads: Reads) -> None:
    """Add the routes."""
    _add_items(router, reads)
    _add_vehicle(router, reads)
    _add_campaigns(router, reads)


def _add_items(router: APIRouter, reads: Reads) -> None:
    @router.get("/due-items", tags=["maintenance"], summary="Services that are due, by VIN")
    def list_due_items(
        state: States = None,
        station_id: Station = None,
        cursor: Cursor = None,
        limit: Limit = 50,
    ) -> Page[DueBody]:
        states = state or [s for s in DueState if s is not DueState.OK]
        return reads.due_items(states=states, cursor=cursor, limit=limit, station_id=station_id)

    @router.post(
        "/vehicles/{vin}/maintenance/{kind}/done",
        tags=["maintenance"],
        summary="A service was done; the next one counts from here",
        responses=documented("not-found", "state", "key-reused"),
    )
    def maintenance_done(
        vin: VinPath, kind: Key, body: DoneBody, key: IdempotencyKey = None
    ) -> DueBody:
        steps.done(
            reads.pool,
            vin,
            kind,
            act(reads.clock, body.actor, body.reason, key),
            done_at=body.done_at,
            odometer_km=body.odometer_km,
            engine_h=body.engine_h,
        )
        return reads.due_item(vin, kind)

    @router.post(
        "/vehicles/{vin}/maintenance/{kind}/answer",
        tags=["maintenance"],
        summary="What the owner says to a reminder: yes, no, postpone",
        responses=documented("not-found", "state", "key-reused"),
    )
    def maintenance_answer(
        vin: VinPath, kind: Key, body: AnswerBody, key: IdempotencyKey = None
    ) -> DueBody:
        taken = act(reads.clock, body.actor, body.reason, key)
        steps.answer(
            reads.pool, vin, kind, body.answer, taken, until=body.until, station_id=body.station_id
        )
        return reads.due_item(vin, kind)


def _add_vehicle(router: APIRouter, reads: Reads) -> None:
    @router.get(
        "/vehicles/{vin}/maintenance",
        tags=["maintenance"],
        summary="Meter and use of one vehicle, with the meter's history",
        responses=documented("not-found"),
    )
    def get_care(vin: VinPath) -> CareBody:
        return _care(reads.pool, vin)

    @router.put(
        "/vehicles/{vin}/odometer",
        tags=["maintenance"],
        summary="A person read the meter; corrects jumps and replaced instruments",
        responses=documented("not-found", "state", "key-reused"),
    )
    def put_odometer(vin: VinPath, body: OdometerBody, key: IdempotencyKey = None) -> CareBody:
        taken = act(reads.clock, body.actor, body.reason, key)
        steps.set_odometer(reads.pool, vin, taken, body.odometer_km, body.read_at)
        return _care(reads.pool, vin)

    @router.put(
        "/vehicles/{vin}/use",
        tags=["maintenance"],
        summary="Declare use that no signal says: taxi, towing, dust …",
        responses=documented("not-found", "key-reused"),
    )
    def put_use(vin: VinPath, body: UseBody, key: IdempotencyKey = None) -> CareBody:
        unknown = sorted(set(body.declared) - DECLARED)
        if unknown:
            raise field_problem("body.declared", f"not one of {', '.join(sorted(DECLARED))}")
        taken = act(reads.clock, body.actor, body.reason, key)
        steps.declare_use(reads.pool, vin, taken, body.declared)
        return _care(reads.pool, vin)


def _add_campaigns(router: APIRouter, reads: Reads) -> None:
    @router.get("/campaigns", tags=["maintenance"], summary="Campaigns with answers, newest first")
    def list_campaigns() -> list[CampaignState]:
        with transaction(reads.pool) as conn:
            return [_campaign(row) for row in campaigns.page(conn)]

    @router.post(
        "/campaigns",
        tags=["maintenance"],
        summary="Start a campaign; its targets are asked with the next reminders",
        status_code=201,
        responses=documented("state"),
    )
    def create_campaign(body: CampaignBody) -> CampaignState:
        if body.ends_at <= body.starts_at:
            raise field_problem("body.ends_at", "must be later than starts_at")
        with transaction(reads.pool) as conn:
            if not campaigns.create(
                conn, **body.model_dump(exclude={"selector"}), selector=body.selector
            ):
                raise TransitionError(noun="campaign", state="known", step="create")
            return _campaign(campaigns.find(conn, body.campaign_id))

    @router.post(
        "/campaigns/targets", tags=["maintenance"], summary="Whom a selector means now; asks nobody"
    )
    def preview(selector: Selector) -> TargetsBody:
        with transaction(reads.pool) as conn:
            vins = campaigns.select(conn, selector, utc(reads.clock.now_ns()))
        return TargetsBody(vehicles=len(vins), vins=vins[:SHOWN])

    @router.get(
        "/campaigns/{campaign_id}",
        tags=["maintenance"],
        summary="One campaign with the answers so far",
        responses=documented("not-found"),
    )
    def get_campaign(campaign_id: Key) -> CampaignState:
        with transaction(reads.pool) as conn:
            return _campaign(campaigns.find(conn, campaign_id))


def _care(pool: Pool, vin: str) -> CareBody:
    with transaction(pool) as conn:
        care = care_rows.find(conn, vin)
        kept = [MeterReading.model_validate(asdict(r)) for r in care_rows.readings(conn, vin)]
    return CareBody.model_validate({**asdict(care), "readings": kept})


def _campaign(row: Campaign) -> CampaignState:
    title = Text(zh=row.zh, en=row.en)
    return CampaignState.model_validate({**asdict(row), "selector": row.selector, "title": title})
