"""Complaints with the promises of four brands, and incidents, over the API."""

from __future__ import annotations

from typing import Any

import pytest
from httpx import Client, Response

from model.clock import FakeClock

BY = {"actor": "li.wei"}
OPENED = "2025-03-01T08:00:00Z"


def ok(answer: Response) -> dict[str, Any]:
    assert answer.status_code == 200, answer.text
    return answer.json()


def tell(client: Client, vin: str, reference: str = "C-1", **more: object) -> dict[str, Any]:
    body = {"actor": "crm", "vin": vin, "opened_at": OPENED} | more
    return ok(client.put(f"/v1/complaints/by-reference/{reference}", json=body))


def dues(complaint: dict[str, Any]) -> dict[str, str]:
    return {c["kind"].removeprefix("complaint_"): c["due_at"] for c in complaint["clocks"]}


@pytest.mark.parametrize(
    ("profile", "grade", "due"),
    [
        # respond, sort out or solve, close: domain.md 6.6
        ("geely", "ordinary", {"respond": "01T10:00", "close": "04T08:00"}),
        ("saic", "ordinary", {"respond": "02T08:00", "solution": "03T08:00"}),
        ("changan", "ordinary", {"respond": "02T08:00", "close": "04T08:00"}),
        ("changan", "major", {"respond": "02T08:00", "close": "06T08:00"}),
        (
            "volvo_dealer",
            "ordinary",
            {"respond": "01T08:30", "solution": "01T09:00", "close": "03T08:00"},
        ),
    ],
)
def test_each_brand_promises_what_it_promises(
    client: Client, fleet: Any, profile: str, grade: str, due: dict[str, str]
) -> None:
    found = dues(tell(client, fleet.vins[0], profile=profile, grade=grade))
    assert {kind: found[kind] for kind in due} == {k: f"2025-03-{v}:00Z" for k, v in due.items()}


def test_waiting_for_the_customer_needs_evidence_and_stops_the_close(
    client: Client, fleet: Any, clock: FakeClock
) -> None:
    url = f"/v1/complaints/{tell(client, fleet.vins[0])['complaint_id']}"
    ok(client.post(f"{url}/answer", json=BY))
    refused = client.post(f"{url}/wait_for_customer", json=BY)
    assert refused.json()["detail"] == (
        "complaint in state answered cannot wait_for_customer: a reason is needed"
    )
    clock.advance(86_400)
    waiting = ok(client.post(f"{url}/wait_for_customer", json=BY | {"reason": "mail of 1 March"}))
    assert [(c["kind"], c["paused"]) for c in waiting["clocks"] if c["stopped_at"] is None] == [
        ("complaint_close", True)
    ]
    clock.advance(5 * 86_400)
    going = ok(client.post(f"{url}/plan", json=BY))
    close = next(c for c in going["clocks"] if c["kind"] == "complaint_close")
    assert (close["paused"], close["due_at"]) == (False, "2025-03-09T08:00:00Z")


def test_only_the_brands_proof_closes(client: Client, fleet: Any) -> None:
    url = f"/v1/complaints/{tell(client, fleet.vins[0], profile='changan')['complaint_id']}"
    for step in ("answer", "plan", "solve"):
        ok(client.post(f"{url}/{step}", json=BY))
    refused = client.post(f"{url}/confirm", json=BY | {"proof": "customer"})
    assert refused.json()["detail"].endswith("the brand takes only callback as proof")
    done = ok(client.post(f"{url}/confirm", json=BY | {"proof": "callback"}))
    assert (done["state"], done["proof"]) == ("confirmed", "callback")
    assert all(c["met"] for c in done["clocks"])


def test_levels_rise_to_the_general_manager(client: Client, fleet: Any) -> None:
    url = f"/v1/complaints/{tell(client, fleet.vins[0], profile='saic')['complaint_id']}"
    why = BY | {"reason": "not content"}
    levels = [ok(client.post(f"{url}/escalate", json=why))["level"] for _ in range(2)]
    assert levels == [2, 3]
    assert client.post(f"{url}/escalate", json=why).json()["detail"].endswith("nobody is above")


def test_the_crm_tells_as_often_as_it_likes(client: Client, fleet: Any, clock: FakeClock) -> None:
    vin = fleet.vins[0]
    clock.advance(3600)
    first = tell(client, vin, profile="geely")
    assert (first["state"], first["owner"]) == ("new", "hq")
    reply = "2025-03-01T08:20:00Z"
    replied = tell(client, vin, profile="geely", first_reply_at=reply)
    assert replied == tell(client, vin, profile="geely", first_reply_at=reply)
    assert (replied["state"], replied["first_reply_at"]) == ("answered", reply)
    told = {"profile": "geely", "first_reply_at": reply, "closed_at": "2025-03-01T08:50:00Z"}
    solved = tell(client, vin, **told)
    assert solved["state"] == "solved"
    over = tell(client, vin, **told, proof="three_zeros")
    assert (over["state"], over["complaint_id"]) == ("confirmed", first["complaint_id"])
    assert client.get("/v1/complaints").json()["items"] == []


def test_an_incident_is_reported_planned_and_answered(
    client: Client, fleet: Any, clock: FakeClock
) -> None:
    body = BY | {"vin": fleet.vins[0], "report": "smoke seen"}
    headers = {"Idempotency-Key": "i1"}
    first = ok(client.post("/v1/incidents", json=body, headers=headers))
    assert ok(client.post("/v1/incidents", json=body, headers=headers)) == first
    assert {c["kind"]: c["due_at"] for c in first["clocks"]} == {
        "incident_report": "2025-03-01T09:00:00Z",
        "incident_plan": "2025-03-01T12:00:00Z",
        "incident_answer": "2025-03-02T08:00:00Z",
    }
    url = f"/v1/incidents/{first['incident_id']}"
    assert client.post(f"{url}/plan", json=BY | {"text": "p"}).status_code == 409
    assert client.post(f"{url}/report", json=BY).json()["detail"].endswith("the report is empty")
    clock.advance(3600)
    ok(client.post(f"{url}/report", json=BY | {"text": "smoke under the bonnet"}))
    clock.advance(4 * 3600)
    ok(client.post(f"{url}/plan", json=BY | {"text": "inspect all of the batch"}))
    ok(client.post(f"{url}/answer", json=BY | {"text": "recall from May on"}))
    done = ok(client.post(f"{url}/close", json=BY))
    assert {c["kind"]: c["met"] for c in done["clocks"]} == {
        "incident_report": True,
        "incident_plan": False,
        "incident_answer": True,
    }
    assert [a["step"] for a in done["audit"]] == ["opened", "report", "plan", "answer", "close"]
