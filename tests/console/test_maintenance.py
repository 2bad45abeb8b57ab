"""Answers, meters, use and campaigns over the API."""

from __future__ import annotations

from typing import Any

from httpx import Client


def test_the_owners_answers(client: Client, fleet: Any) -> None:
    vin = fleet.vins[0]
    fleet.service(vin)
    url = f"/v1/vehicles/{vin}/maintenance/engine_oil/answer"
    body = {"actor": "li.wei", "answer": "yes", "until": "2025-03-05T01:00:00Z"}
    booked = client.post(url, json=body | {"station_id": "hz-1"})
    assert booked.status_code == 200
    assert (booked.json()["handling"], booked.json()["station_id"]) == ("booked", "hz-1")
    past = client.post(url, json=body | {"until": "2025-02-05T01:00:00Z"})
    assert (past.status_code, past.json()["detail"]) == (
        409, "maintenance item in state ok cannot yes: the date has passed",
    )  # fmt: skip
    early = client.post(url, json={"actor": "li.wei", "answer": "postpone"})
    assert early.status_code == 409
    opened = client.post(url, json={"actor": "li.wei", "answer": "reopen"})
    assert (opened.json()["handling"], opened.json()["handling_until"]) == ("open", None)
    assert client.post(url, json={"actor": "li.wei", "answer": "perhaps"}).status_code == 422


def test_done_without_an_odometer_is_flagged(client: Client, fleet: Any) -> None:
    vin = fleet.vins[0]
    fleet.service(vin)
    body = {"actor": "li.wei", "done_at": "2025-03-01T07:00:00Z"}
    done = client.post(f"/v1/vehicles/{vin}/maintenance/engine_oil/done", json=body)
    assert (done.status_code, done.json()["flagged"]) == (200, "done_without_odometer")
    assert done.json()["base_odometer_km"] == 10_000


def test_a_meter_read_by_a_person(client: Client, fleet: Any) -> None:
    vin = fleet.vins[0]
    body = {"actor": "li.wei", "odometer_km": 52_000, "read_at": "2025-03-01T07:30:00Z"}
    put = client.put(f"/v1/vehicles/{vin}/odometer", json=body)
    assert put.status_code == 200
    care = client.get(f"/v1/vehicles/{vin}/maintenance").json()
    assert (care["odometer_km"], care["odometer_source"]) == (52_000, "person")
    assert [r["verdict"] for r in care["readings"]] == ["set"]
    late = client.put(
        f"/v1/vehicles/{vin}/odometer", json=body | {"read_at": "2025-03-02T00:00:00Z"}
    )
    assert late.status_code == 409


def test_declared_use(client: Client, fleet: Any) -> None:
    url = f"/v1/vehicles/{fleet.vins[0]}/use"
    put = client.put(url, json={"actor": "li.wei", "declared": ["towing", "dust"]})
    assert put.json()["use_declared"] == ["dust", "towing"]
    wrong = client.put(url, json={"actor": "li.wei", "declared": ["flying"]})
    assert [e["field"] for e in wrong.json()["errors"]] == ["body.declared"]


def test_a_campaign_is_previewed_started_and_followed(client: Client, fleet: Any) -> None:
    body = {
        "campaign_id": "spring",
        "zh": "春季检查",
        "en": "Spring check",
        "selector": {"brands": ["geely"]},
        "starts_at": "2025-03-01T00:00:00Z",
        "ends_at": "2025-04-01T00:00:00Z",
        "actor": "li.wei",
    }
    seen = client.post("/v1/campaigns/targets", json=body["selector"]).json()
    assert seen == {"vehicles": 0, "vins": []}, "nobody has agreed to campaigns"
    made = client.post("/v1/campaigns", json=body)
    assert (made.status_code, made.json()["targets"]) == (201, 0)
    assert client.post("/v1/campaigns", json=body).status_code == 409
    turned = client.post("/v1/campaigns", json=body | {"ends_at": "2025-02-01T00:00:00Z"})
    assert turned.status_code == 422
    listed = client.get("/v1/campaigns").json()
    assert [c["title"]["en"] for c in listed] == ["Spring check"]
    assert client.get("/v1/campaigns/spring").json()["selector"]["brands"] == ["geely"]
    assert client.get("/v1/campaigns/none").status_code == 404


def test_due_items_of_a_station(client: Client, fleet: Any) -> None:
    fleet.service(fleet.vins[0])
    query = {"state": "ok", "station_id": "hz-9"}
    assert client.get("/v1/due-items", params=query).json()["items"] == []
