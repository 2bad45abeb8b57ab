"""Work orders: /v1/work-orders …; dealer systems tell states with POST …/updates."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Annotated, Literal

from fastapi import APIRouter, Query

from console import work_openings, work_steps
from console.bodies import Page
from console.diagnosis_routes import StationQuery
from console.parameters import Cursor, IdempotencyKey, Limit, VinQuery, act
from console.problems import documented
from console.reads import Reads
from console.step_routes import PROBLEMS, add_steps
from console.work_bodies import (
    OrderMoveBody,
    OrderOpenBody,
    OrderUpdateBody,
    WorkOrderBody,
    WorkOrderDetail,
    order_facts,
)
from console.work_reads import WorkReads
from dispatch.work_order import OrderStep

TAG = "work orders"
Which = Annotated[
    Literal["open", "all"], Query(description="`open`: not closed, declined or cancelled.")
]

#: Steps people take, and what they mean. Requesting opens the order; recurring is the stream's.
MEANING = {
    OrderStep.BOOK: "A date is agreed (appointment_at)",
    OrderStep.DECLINE: "The customer does not want the visit, or not the repair as quoted",
    OrderStep.MISS: "The car did not come",
    OrderStep.CANCEL: "Nobody need do it",
    OrderStep.CHECK_IN: "The car is at the station",
    OrderStep.DIAGNOSE: "Diagnosis begins",
    OrderStep.QUOTE: "The customer is told work and price",
    OrderStep.APPROVE: "The customer agrees (promised_at)",
    OrderStep.START_REPAIR: "The repair begins; a case's plan must be approved",
    OrderStep.WAIT_FOR_PARTS: "Parts are missing (parts); urgent ones start the 24 h clock",
    OrderStep.PARTS_ARRIVED: "The parts are here",
    OrderStep.REPORT_PROGRESS: "The waiting customer hears how far it is",
    OrderStep.FIND_EXTRA: "More work was found (extra_item)",
    OrderStep.TELL_EXTRA: "The customer knows of it",
    OrderStep.CHECK_QUALITY: "The repair is done and is checked",
    OrderStep.FAIL_QUALITY: "The check has found something",
    OrderStep.PASS_QUALITY: "The car is ready",
    OrderStep.HAND_OVER: "The customer has the car again (confirmed_cause, odometer_km)",
    OrderStep.VISIT: "The return visit was made",
    OrderStep.VERIFY: "The stream is watched for the fault",
    OrderStep.FAIL_VERIFICATION: "The repair has not held",
    OrderStep.CLOSE_UNVERIFIED: "Closed by a person without proof of the stream",
}


def add(router: APIRouter, reads: Reads, work: WorkReads) -> None:
    """Add the routes."""

    @router.get("/work-orders", tags=[TAG], summary="List work orders, newest first")
    def list_work_orders(
        state: Which = "open",
        vin: VinQuery = None,
        station_id: StationQuery = None,
        cursor: Cursor = None,
        limit: Limit = 50,
    ) -> Page[WorkOrderBody]:
        return work.orders(
            open_only=state == "open", vin=vin, station_id=station_id, cursor=cursor, limit=limit
        )

    @router.get("/work-orders/queue", tags=[TAG], summary="Orders in hand, priority lane first")
    def work_order_queue(
        station_id: StationQuery = None, limit: Limit = 100
    ) -> list[WorkOrderBody]:
        return work.queue(station_id, limit)

    @router.get(
        "/work-orders/{work_order_id}",
        tags=[TAG],
        summary="One order with its plan, promises, and every step with its time",
        responses=documented("not-found"),
    )
    def get_work_order(work_order_id: uuid.UUID) -> WorkOrderDetail:
        return work.order(work_order_id)

    _add_steps(router, reads, work)


def _add_steps(router: APIRouter, reads: Reads, work: WorkReads) -> None:
    @router.post(
        "/work-orders",
        tags=[TAG],
        summary="Request a visit without a diagnosis case",
        responses=documented(*PROBLEMS),
    )
    def open_work_order(body: OrderOpenBody, key: IdempotencyKey = None) -> WorkOrderDetail:
        taken = act(reads.clock, body.actor, body.reason, key)
        facts = order_facts(body, "vin", "source")
        order = work_openings.order_of_vehicle(reads.pool, body.vin, body.source, taken, facts)
        return work.order(order.work_order_id)

    @router.post(
        "/work-orders/{work_order_id}/updates",
        tags=[TAG],
        summary="A dealer system tells the state of an order and what it knows",
        responses=documented(*PROBLEMS),
    )
    def update_work_order(
        work_order_id: uuid.UUID, body: OrderUpdateBody, key: IdempotencyKey = None
    ) -> WorkOrderDetail:
        taken = act(reads.clock, body.actor, body.reason, key)
        facts = order_facts(body, "state")
        work_steps.tell_order(reads.pool, work_order_id, body.state, taken, facts)
        return work.order(work_order_id)

    add_steps(
        router,
        "/work-orders/{work_order_id}",
        "work_order",
        TAG,
        MEANING,
        lambda step: _mover(reads, work, step),
    )


def _mover(reads: Reads, work: WorkReads, step: OrderStep) -> Callable[..., WorkOrderDetail]:
    """The endpoint of one step."""

    def take_step(
        work_order_id: uuid.UUID, body: OrderMoveBody, key: IdempotencyKey = None
    ) -> WorkOrderDetail:
        taken = act(reads.clock, body.actor, body.reason, key)
        work_steps.move_order(reads.pool, work_order_id, step, taken, order_facts(body))
        return work.order(work_order_id)

    return take_step
