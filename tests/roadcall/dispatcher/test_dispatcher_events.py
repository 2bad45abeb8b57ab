"""Whatever changes leaves as an event, once a sink is there; read back from a real receiver."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from console import steps, work_openings, work_steps
from dispatch.event_document import document
from dispatch.events import CONTENT_TYPE, EVENTS, CloudEvent, bytes_of, cloud_event, type_of
from dispatch.work_order import OrderFacts, OrderStep
from model.alerts import AlertState
from model.complaint import Complaint, ComplaintState, Incident, IncidentCause
from model.effects import OutboxRecord
from model.maintenance import ItemHandling, MaintenanceItem
from model.severity import Severity
from model.subscription import Channel, Subscription
from store import alerts, complaints, event_sinks, maintenance, subscriptions
from store.database import transaction
from tests.receiver import Receiver, receiving
from tests.roadcall.dispatcher.conftest import VIN, World, transition

DOCUMENT: Any = document()
SCHEMAS: dict[str, dict[str, Any]] = {
    kind: DOCUMENT["components"]["messages"][kind.replace(".", "_")]["payload"]
    | {"components": DOCUMENT["components"]}
    for kind in EVENTS
}


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as made:
        yield made


def subscribe(world: World, url: str) -> None:
    with transaction(world.pool) as conn:
        subscriptions.upsert(
            conn,
            Subscription(
                subscription_id=uuid.uuid4(),
                name="crm",
                audience="integration",
                channel=Channel.WEBHOOK,
                address=url,
                secret="s",
            ),
        )


def listen(world: World) -> None:
    with transaction(world.pool) as conn:
        event_sinks.register(conn, {"webhook"}, "/here")


def events(world: World) -> list[CloudEvent]:
    """Every event written so far, in the order of writing; each is what AsyncAPI says it is."""
    rows = world.rows(
        "select key, kind, body from outbox where kind like 'event.%' order by outbox_id"
    )
    records = [OutboxRecord(*row) for row in rows]  # type: ignore[arg-type]
    for record in records:
        check(json.loads(bytes_of(record)))
    return [cloud_event(record) for record in records]


def check(said: dict[str, Any]) -> None:
    """An event as it leaves, against its published schema."""
    kind = said["type"].removeprefix("roadcall.").removesuffix(".v1")
    validator = Draft202012Validator(
        SCHEMAS[kind], format_checker=Draft202012Validator.FORMAT_CHECKER
    )
    assert [fault.message for fault in validator.iter_errors(said)] == [], kind


def said(world: World, noun: str) -> list[tuple[str, object]]:
    """Kind and state of each event of a noun."""
    return [
        (e.type.removeprefix("roadcall.").removesuffix(".v1"), e.facts.get("state"))
        for e in events(world)
        if e.type.startswith(f"roadcall.{noun}")
    ]


def test_nobody_listens_nothing_is_written(world: World) -> None:
    world.alert()
    world.drain()
    assert events(world) == []


def test_a_subscriber_gets_cloud_events_in_structured_mode(
    world: World, receiver: Receiver
) -> None:
    subscribe(world, receiver.url)
    case = world.alert()
    world.drain()
    found = [(h, json.loads(b)) for h, b in receiver.seen]
    fired = next((h, e) for h, e in found if e["type"] == "roadcall.alert.fired.v1")
    assert fired[0]["Content-Type"] == CONTENT_TYPE
    assert fired[0]["X-Roadcall-Id"] == fired[1]["id"]
    assert fired[1]["specversion"] == "1.0"
    assert (fired[1]["subject"], fired[1]["partitionkey"]) == (f"alert/{case.alert_id}", VIN)
    assert fired[1]["data"]["severity"] == 3
    assert len(set(receiver.ids)) == len(receiver.ids)


def test_an_alert_from_fired_to_cleared(world: World) -> None:
    listen(world)
    case = world.alert()
    assert case.alert_id is not None
    steps.acknowledge(world.pool, case.alert_id, world.act())
    now_ns = world.clock.now_ns()
    over = replace(transition(Severity.STOP, now_ns), state=AlertState.CLEARED)
    with transaction(world.pool) as conn:
        alerts.write(conn, [over])
        alerts.write(conn, [over])  # told twice, said once
    assert said(world, "alert") == [
        ("alert.fired", "firing"), ("alert.changed", "firing"), ("alert.cleared", "cleared"),
    ]  # fmt: skip
    numbers = [e.sequence for e in events(world)]
    assert numbers == sorted(numbers)
    assert {e.source for e in events(world)} == {"/here"}


def test_an_alert_that_late_data_takes_back(world: World) -> None:
    listen(world)
    world.alert()
    now_ns = world.clock.now_ns()
    undone = replace(transition(Severity.STOP, now_ns), state=AlertState.RETRACTED)
    with transaction(world.pool) as conn:
        alerts.write(conn, [undone])
    assert said(world, "alert")[-1] == ("alert.retracted", "retracted")


def test_a_hushed_alert_is_told_when_it_is_heard(world: World) -> None:
    listen(world)
    step = transition(Severity.VISIT_SOON, world.clock.now_ns())
    hushed = "update alert set suppressed_by = 'mode:workshop'"
    with transaction(world.pool) as conn:
        alerts.write(conn, [step])
        conn.execute(hushed)  # in the transaction of the alert, as the pipeline does
    assert said(world, "alert") == []
    with transaction(world.pool) as conn:
        conn.execute("update alert set suppressed_by = null")
    assert said(world, "alert") == [("alert.fired", "firing")]
    with transaction(world.pool) as conn:
        conn.execute(hushed)
    last = events(world)[-1]
    assert last.type == "roadcall.alert.changed.v1"
    assert last.facts["suppressed_by"] == "mode:workshop"


def test_a_rescue_and_its_broken_promises(world: World) -> None:
    listen(world)
    case = world.alert(Severity.EMERGENCY)
    world.drain()
    assert [state for _, state in said(world, "rescue")] == ["confirmed", "offered"]
    world.clock.advance(3600)
    world.drain()
    broken = [e for e in events(world) if e.type == "roadcall.clock.breached.v1"]
    arrival = next(e for e in broken if e.facts["kind"] == "arrival")
    assert (arrival.facts["noun_id"], arrival.partitionkey) == (str(case.case_id), VIN)
    assert len({e.facts["clock_id"] for e in broken}) == len(broken)
    assert ("incident.changed", "new") in said(world, "incident")


def test_maintenance_due_and_booked(world: World) -> None:
    listen(world)
    now = world.now()
    item = MaintenanceItem(
        vin=VIN, kind="oil_service", interval_days=10, soon_km=500, soon_days=5,
        base_at=now - timedelta(days=11),
    )  # fmt: skip
    with transaction(world.pool) as conn:
        maintenance.add_missing(conn, [item])
    world.drain()
    assert ("maintenance.due", "due") in said(world, "maintenance") or (
        "maintenance.due", "overdue",
    ) in said(world, "maintenance")  # fmt: skip
    with transaction(world.pool) as conn:
        row = maintenance.lock(conn, VIN, "oil_service")
        until = now + timedelta(days=3)
        maintenance.set_handling(conn, row, ItemHandling.BOOKED, until=until, station_id="hz")
    booked = events(world)[-1]
    assert booked.type == "roadcall.maintenance.booked.v1"
    assert booked.facts["station_id"] == "hz"


def test_complaints_incidents_and_work_orders(world: World) -> None:
    listen(world)
    now = world.now()
    complaint = Complaint(
        complaint_id=uuid.uuid4(), vin=VIN, brand="geely", owner="hz", text="loud and private",
        opened_at=now, changed_at=now,
    )  # fmt: skip
    incident = Incident(
        incident_id=uuid.uuid4(), vin=VIN, cause=IncidentCause.PERSON, severity=Severity.STOP,
        owner="hq", opened_at=now, changed_at=now,
    )  # fmt: skip
    with transaction(world.pool) as conn:
        complaints.COMPLAINTS.insert(conn, complaint)
        complaints.INCIDENTS.insert(conn, incident)
        answered = complaint.model_copy(update={"state": ComplaintState.ANSWERED, "version": 1})
        complaints.COMPLAINTS.save(conn, answered)
    assert said(world, "complaint") == [
        ("complaint.changed", "new"), ("complaint.changed", "answered"),
    ]  # fmt: skip
    assert said(world, "incident") == [("incident.changed", "new")]
    assert "private" not in str(events(world))


def test_a_work_order_reaches_a_subscriber_step_by_step(world: World, receiver: Receiver) -> None:
    subscribe(world, receiver.url)
    alert = world.alert()
    case = work_openings.case_of_alert(world.pool, alert.alert_id, world.act())
    order = work_openings.order_of_case(world.pool, case.case_id, world.act(), OrderFacts())
    work_steps.move_order(
        world.pool, order.work_order_id, OrderStep.CHECK_IN, world.act("desk"), OrderFacts()
    )
    world.drain()
    heard = [json.loads(body) for _, body in receiver.seen]
    for said in heard:
        check(said)
    ours = [said for said in heard if said["type"] == "roadcall.work_order.changed.v1"]
    ours.sort(key=lambda said: said["sequence"])  # several are under way at a time
    steps_taken = [(said["data"]["before"], said["data"]["state"]) for said in ours]
    assert steps_taken[0][0] is None
    assert steps_taken[-1][1] == "checked_in"
    assert [after for _, after in steps_taken[:-1]] == [before for before, _ in steps_taken[1:]]
    facts = ours[-1]["data"]
    assert facts["work_order_id"] == str(order.work_order_id)
    assert (facts["case_id"], facts["vin"]) == (str(case.case_id), VIN)
    assert (facts["source"], facts["repeat_no"]) == ("alert", 1)
    ((station, owner, version),) = world.rows("select station_id, owner, version from work_order")
    assert (facts["station_id"], facts["owner"], facts["version"]) == (station, owner, version)
    assert {said["subject"] for said in ours} == {f"work_order/{order.work_order_id}"}
    assert {said["partitionkey"] for said in ours} == {VIN}
    assert len({said["sequence"] for said in ours}) == len(ours)


def test_every_kind_has_a_type_and_a_sink_that_leaves_ends_the_writing(world: World) -> None:
    assert len({type_of(kind) for kind in EVENTS}) == len(EVENTS)
    listen(world)
    with transaction(world.pool) as conn:
        event_sinks.register(conn, set(), "/here")
    world.alert()
    assert events(world) == []
