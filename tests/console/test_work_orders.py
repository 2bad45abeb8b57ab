"""A visit over the API: step by step, told by a dealer system, and its promises."""

from __future__ import annotations

from typing import Any

import pytest
from httpx import Client, Response

from model.clock import FakeClock
from store.database import Pool, transaction

BY = {"actor": "li.wei"}
CHIEF = """
insert into person (person_id, station_id, role, skill_level) values
    ('chief', 'hz-1', 'technician', 3);
insert into certificate (person_id, kind, valid_from) values
    ('chief', 'plan_approval', '2024-01-01')
"""


def ok(answer: Response) -> dict[str, Any]:
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.fixture
def order(client: Client, fleet: Any, pool: Pool) -> dict[str, Any]:
    """The visit of an overheating car whose plan is approved."""
    with transaction(pool) as conn:
        conn.execute(CHIEF)
    alert = fleet.alert(fleet.step())
    case = ok(client.post(f"/v1/alerts/{alert}/diagnosis", json=BY))["case_id"]
    ok(client.post(f"/v1/diagnosis-cases/{case}/triage", json=BY | {"drivable": False}))
    ok(client.post(f"/v1/diagnosis-cases/{case}/plan/1/approve", json={"actor": "chief"}))
    return ok(client.post(f"/v1/diagnosis-cases/{case}/work-order", json=BY))


def take(client: Client, order: dict[str, Any], step: str, **facts: object) -> dict[str, Any]:
    return ok(client.post(f"/v1/work-orders/{order['work_order_id']}/{step}", json=BY | facts))


def test_from_request_to_verified(client: Client, order: dict[str, Any], clock: FakeClock) -> None:
    def case_state() -> str:
        return ok(client.get(f"/v1/diagnosis-cases/{order['case_id']}"))["state"]

    assert (order["state"], order["priority_lane"], order["owner"]) == ("requested", True, "hq")
    assert order["plan"]["approved_by"] == "chief"  # before the car arrives
    take(client, order, "book", appointment_at="2025-03-01T17:00:00+08:00")
    assert case_state() == "awaiting_vehicle"
    clock.advance(3600)
    take(client, order, "check_in")
    assert case_state() == "at_station"
    for step in ("diagnose", "quote"):
        take(client, order, step)
    promised = take(client, order, "approve", promised_at="2025-03-01T14:00:00Z")
    ready = next(c for c in promised["clocks"] if c["kind"] == "promised_ready")
    assert (ready["started_at"], ready["due_at"]) == (
        "2025-03-01T09:00:00Z",
        "2025-03-01T14:00:00Z",
    )
    take(client, order, "start_repair")
    clock.advance(6 * 3600)
    take(client, order, "check_quality")
    late = take(client, order, "pass_quality")
    assert late["overrun"] is True
    assert next(c for c in late["clocks"] if c["kind"] == "promised_ready")["met"] is False
    take(client, order, "hand_over", confirmed_cause="thermostat", odometer_km=15_000)
    take(client, order, "visit")
    take(client, order, "verify")
    assert case_state() == "at_station"
    done = take(client, order, "close_unverified", reason="customer moved away")
    assert (done["state"], done["verified_at"]) == ("closed", None)
    assert case_state() == "done"
    assert {c["kind"] for c in done["clocks"] if c["stopped_at"] is None} == set()
    said = [(a["step"], a["actor"], a["reason"]) for a in done["audit"]]
    assert said[0] == ("request", "li.wei", "")
    assert said[-1] == ("close_unverified", "li.wei", "customer moved away")
    assert len(said) == 13


def test_repair_days_do_not_count_while_the_owner_is_waited_for(
    client: Client, order: dict[str, Any], clock: FakeClock
) -> None:
    def repair_days(answer: dict[str, Any]) -> dict[str, Any]:
        [found] = [c for c in answer["clocks"] if c["kind"] == "repair_days"]
        return found

    here = repair_days(take(client, order, "check_in"))
    assert (here["started_at"], here["due_at"]) == ("2025-03-01T08:00:00Z", "2025-03-31T08:00:00Z")
    for step in ("diagnose", "quote"):
        take(client, order, step)
    clock.advance(2 * 86_400)  # the owner thinks it over
    approved = take(client, order, "approve", promised_at="2025-03-04T08:00:00Z")
    assert repair_days(approved)["due_at"] == "2025-04-02T08:00:00Z"
    for step in ("start_repair", "check_quality", "pass_quality"):
        take(client, order, step)
    clock.advance(40 * 86_400)  # nobody fetches the car
    gone = take(client, order, "hand_over", confirmed_cause="thermostat", odometer_km=15_000)
    assert repair_days(gone)["met"] is True


def test_parts_progress_and_extra_items(
    client: Client, order: dict[str, Any], clock: FakeClock
) -> None:
    def running() -> dict[str, str]:
        now = ok(client.get(f"/v1/work-orders/{order['work_order_id']}"))
        return {c["kind"]: c["due_at"] for c in now["clocks"] if c["stopped_at"] is None}

    take(client, order, "check_in")
    for step in ("diagnose", "quote"):
        take(client, order, step)
    take(client, order, "approve", promised_at="2025-03-03T08:00:00Z")
    take(client, order, "start_repair")
    assert running()["progress"] == "2025-03-01T08:30:00Z"
    clock.advance(600)
    take(client, order, "report_progress")
    assert running()["progress"] == "2025-03-01T08:40:00Z"
    take(client, order, "find_extra", extra_item="brake pads worn")
    assert running()["extra_item"] == "2025-03-01T08:25:00Z"
    take(client, order, "tell_extra")
    assert "extra_item" not in running()
    take(client, order, "find_extra", extra_item="wiper")  # its second round
    assert running()["extra_item"] == "2025-03-01T08:25:00Z"
    take(client, order, "tell_extra")
    take(client, order, "wait_for_parts", parts=[{"part_no": "T1", "urgent": True}])
    assert running()["parts"] == "2025-03-02T08:10:00Z"
    arrived = take(client, order, "parts_arrived")
    assert "parts" not in running()
    assert [i["text"] for i in arrived["extra_items"]] == ["brake pads worn", "wiper"]


def test_ordinary_parts_promise_nothing(client: Client, order: dict[str, Any]) -> None:
    take(client, order, "check_in")
    for step in ("diagnose", "quote"):
        take(client, order, step)
    take(client, order, "approve", promised_at="2025-03-03T08:00:00Z")
    waiting = take(client, order, "wait_for_parts", parts=[{"part_no": "T1"}])
    assert "parts" not in {c["kind"] for c in waiting["clocks"]}


def test_an_impossible_step_changes_nothing(client: Client, order: dict[str, Any]) -> None:
    url = f"/v1/work-orders/{order['work_order_id']}"
    answer = client.post(f"{url}/hand_over", json=BY)
    assert (answer.status_code, answer.headers["content-type"]) == (
        409,
        "application/problem+json",
    )
    assert answer.json()["type"] == "urn:roadcall:problem:state"
    assert answer.json()["detail"].startswith("work order in state requested cannot hand_over")
    assert ok(client.get(url)) == order | {"clocks": ok(client.get(url))["clocks"]}


def test_a_repair_waits_for_the_plan_of_its_case(client: Client, fleet: Any, pool: Pool) -> None:
    alert = fleet.alert(fleet.step())
    case = ok(client.post(f"/v1/alerts/{alert}/diagnosis", json=BY))["case_id"]
    order = ok(client.post(f"/v1/diagnosis-cases/{case}/work-order", json=BY))
    for step in ("check_in", "diagnose", "quote"):
        take(client, order, step)
    take(client, order, "approve", promised_at="2025-03-03T08:00:00Z")
    url = f"/v1/work-orders/{order['work_order_id']}/start_repair"
    refused = client.post(url, json=BY)
    assert refused.json()["detail"] == (
        "work order in state approved cannot start_repair: the repair plan is not approved"
    )


def test_a_dealer_system_tells_states(client: Client, order: dict[str, Any]) -> None:
    url = f"/v1/work-orders/{order['work_order_id']}/updates"
    dms = {"actor": "dms"}
    told = dms | {"state": "booked", "appointment_at": "2025-03-01T17:00:00+08:00"}
    for _ in range(2):
        booked = ok(client.post(url, json=told, headers={"Idempotency-Key": "u1"}))
        assert (booked["state"], booked["version"]) == ("booked", 1)
    answer = client.post(url, json=dms | {"state": "ready"})
    assert answer.json()["detail"] == "work order in state booked cannot become ready"
    here = ok(client.post(url, json=dms | {"state": "checked_in", "odometer_km": 15_000}))
    assert (here["state"], here["odometer_km"]) == ("checked_in", 15_000)
    same = ok(client.post(url, json=dms | {"state": "checked_in"}))
    assert same["version"] == here["version"]
    late = dms | {"state": "diagnosing", "at": "2025-02-28T00:00:00Z"}
    assert client.post(url, json=late).json()["detail"].endswith("a later step is known already")


def test_the_queue_puts_the_priority_lane_first(
    client: Client, order: dict[str, Any], fleet: Any
) -> None:
    def open_order(source: str) -> str:
        body = BY | {"vin": fleet.vins[1], "source": source, "station_id": "hz-1"}
        headers = {"Idempotency-Key": source}
        first = ok(client.post("/v1/work-orders", json=body, headers=headers))
        assert ok(client.post("/v1/work-orders", json=body, headers=headers)) == first
        return first["work_order_id"]

    ordinary, complaint = open_order("maintenance"), open_order("complaint")
    queue = [o["work_order_id"] for o in client.get("/v1/work-orders/queue").json()]
    assert set(queue[:2]) == {order["work_order_id"], complaint}
    assert queue[2] == ordinary
    here = client.get("/v1/work-orders/queue", params={"station_id": "hz-1"}).json()
    assert [o["work_order_id"] for o in here] == [complaint, ordinary]


def test_unknown_stations_and_wrong_fields_are_refused(
    client: Client, order: dict[str, Any]
) -> None:
    url = f"/v1/work-orders/{order['work_order_id']}/check_in"
    assert client.post(url, json=BY | {"station_id": "nowhere"}).status_code == 404
    for wrong in (
        {"odometer_km": -1},
        {"items": ["\0"]},
        {"parts": [{"part_no": ""}]},
        {"promised_at": "2025-03-01T08:00:00"},
        {"sudo": True},
        {"complaint": "x" * 4001},
    ):
        assert client.post(url, json=BY | wrong).status_code == 422, wrong
