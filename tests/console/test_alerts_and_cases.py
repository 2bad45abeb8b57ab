"""Alerts, cases, stations and units over the API."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from httpx import Client

from model.alerts import AlertState
from model.clock import FakeClock
from model.severity import Severity

BY = {"actor": "li.wei"}


def test_alerts_come_newest_first_in_pages(client: Client, fleet: Any) -> None:
    ids = [str(fleet.alert(fleet.step(vin, i))) for i, vin in enumerate(fleet.vins[:5])]
    seen, cursor = [], None
    while True:
        params = {"limit": 2} | ({"cursor": cursor} if cursor else {})
        page = client.get("/v1/alerts", params=params).json()
        seen += [a["alert_id"] for a in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert seen == ids[::-1]


def test_alerts_are_filtered(client: Client, fleet: Any) -> None:
    mild = fleet.alert(fleet.step(fleet.vins[0], 0, severity=Severity.REMIND))
    grave = fleet.alert(fleet.step(fleet.vins[1], 1))
    over = fleet.step(fleet.vins[2], 9, started_s=2, state=AlertState.CLEARED)
    fleet.alert(fleet.step(fleet.vins[2], 2))
    fleet.alert(over)

    def ids(**params: str | int) -> set[str]:
        return {a["alert_id"] for a in client.get("/v1/alerts", params=params).json()["items"]}

    assert ids() == {str(mild), str(grave)}
    assert ids(state="all") == {str(mild), str(grave), str(over.alert_id)}
    assert ids(severity_min=3) == {str(grave)}
    assert ids(vin=fleet.vins[0]) == {str(mild)}


def test_an_alert_is_acknowledged_once(client: Client, fleet: Any) -> None:
    alert = fleet.alert(fleet.step())
    url = f"/v1/alerts/{alert}"
    first = client.get(url).json()
    assert first["title"] == {"zh": "冷却液温度过高", "en": "Coolant overheating"}
    assert (first["severity"], first["state"], first["handling"]) == (3, "firing", "new")
    assert (first["evidence"], first["thresholds"]) == (
        {"engine_coolant_temp_c": 119.0},
        {"stop": 118.0},
    )
    assert first["fired_at"] == "2025-03-01T08:00:00Z"
    assert (first["case_id"], first["audit"]) == (None, [])
    for _ in range(2):
        seen = client.post(f"{url}/acknowledge", json=BY, headers={"Idempotency-Key": "k1"})
        assert (seen.status_code, seen.json()["handling"]) == (200, "acknowledged")
    assert [(a["step"], a["actor"]) for a in seen.json()["audit"]] == [("acknowledge", "li.wei")]
    again = client.post(f"{url}/acknowledge", json=BY)
    assert again.status_code == 409
    assert again.headers["content-type"] == "application/problem+json"
    assert again.json()["type"] == "urn:roadcall:problem:state"


def test_a_rule_the_bundle_lost_is_shown_by_its_id(client: Client, fleet: Any) -> None:
    alert = fleet.alert(fleet.step(rule="gone.rule"))
    assert client.get(f"/v1/alerts/{alert}").json()["title"] == {
        "zh": "gone.rule",
        "en": "gone.rule",
    }


def test_a_case_goes_its_way(client: Client, fleet: Any, clock: FakeClock) -> None:
    case = fleet.case(fleet.step())
    url = f"/v1/cases/{case}"
    clock.advance(15 * 60)
    start = client.get(url).json()
    assert (start["state"], start["zone"], start["unit_id"]) == ("requested", "city", None)
    arrival = start["arrival"]
    assert (arrival["started_at"], arrival["due_at"]) == (
        "2025-03-01T08:00:00Z",
        "2025-03-01T08:30:00Z",
    )
    assert (arrival["used_percent"], arrival["stopped_at"]) == (50.0, None)
    refused = client.post(f"{url}/arrive", json=BY)
    assert refused.status_code == 409
    assert refused.json()["detail"] == "rescue case in state requested cannot arrive"
    confirmed = client.post(f"{url}/confirm", json=BY | {"reason": "driver called"})
    assert confirmed.json()["state"] == "confirmed"
    offer(fleet, case)
    assert client.post(f"{url}/accept", json=BY | {"unit_id": "other"}).status_code == 409
    accepted = client.post(f"{url}/accept", json=BY | {"unit_id": "hz-1-a"}).json()
    assert (accepted["state"], accepted["unit"]["name"]) == ("accepted", "杭州 1 号车")
    clock.advance(60)
    assert client.post(f"{url}/arrive", json=BY).json()["arrival"]["stopped_at"] == (
        "2025-03-01T08:16:00Z"
    )
    done = client.post(f"{url}/clear", json=BY).json()
    assert [(a["step"], a["reason"]) for a in done["audit"]] == [
        ("confirm", "driver called"),
        ("accept", ""),
        ("arrive", ""),
        ("clear", ""),
    ]
    assert client.get("/v1/cases").json()["items"] == []
    assert [c["case_id"] for c in client.get("/v1/cases", params={"state": "all"}).json()["items"]]


def offer(fleet: Any, case_id: uuid.UUID) -> None:
    """What the dispatcher does next; tested with it."""
    from dispatch.rescue import Step, step
    from store import cases, masters
    from store.database import transaction

    with transaction(fleet.pool) as conn:
        case = cases.lock(conn, case_id)
        offered = step(case, Step.OFFER, actor="system", now=fleet.noon, unit_id="hz-1-a")
        cases.save(conn, offered)
        assert masters.engage_unit(conn, "hz-1-a", case_id)


def test_decline_and_cancel(client: Client, fleet: Any) -> None:
    case = fleet.case(fleet.step(severity=Severity.EMERGENCY))
    offer(fleet, case)
    declined = client.post(f"/v1/cases/{case}/decline", json=BY | {"reason": "flat tyre"}).json()
    assert (declined["state"], declined["declined_by"]) == ("confirmed", ["hz-1-a"])
    assert client.get("/v1/units").json()[0]["case_id"] is None
    assert client.post(f"/v1/cases/{case}/cancel", json=BY).json()["state"] == "cancelled"


def test_a_key_belongs_to_one_step(client: Client, fleet: Any) -> None:
    case = fleet.case(fleet.step())
    key = {"Idempotency-Key": "one"}
    for _ in range(2):
        answer = client.post(f"/v1/cases/{case}/confirm", json=BY, headers=key)
        assert (answer.status_code, answer.json()["state"]) == (200, "confirmed")
    assert len(answer.json()["audit"]) == 1
    other = client.post(f"/v1/cases/{case}/cancel", json=BY, headers=key)
    assert (other.status_code, other.json()["type"]) == (409, "urn:roadcall:problem:key-reused")


def test_cases_are_paged(client: Client, fleet: Any) -> None:
    ids = [str(fleet.case(fleet.step(vin, i))) for i, vin in enumerate(fleet.vins[:3])]
    first = client.get("/v1/cases", params={"limit": 2}).json()
    rest = client.get("/v1/cases", params={"limit": 2, "cursor": first["next_cursor"]}).json()
    assert [c["case_id"] for c in first["items"] + rest["items"]] == ids[::-1]
    assert [
        c["vin"] for c in client.get("/v1/cases", params={"vin": fleet.vins[1]}).json()["items"]
    ]


def test_stations_and_units(client: Client, fleet: Any) -> None:
    assert [s["name_en"] for s in client.get("/v1/stations").json()] == ["Hangzhou 1"]
    url = "/v1/units/hz-1-a"
    place = {"latitude_deg": 30.5, "longitude_deg": 120.5}
    assert client.put(f"{url}/position", json=place).status_code == 204
    assert client.put(f"{url}/duty", json={"on_duty": False}).status_code == 204
    unit = client.get("/v1/units").json()[0]
    assert (unit["latitude_deg"], unit["longitude_deg"], unit["on_duty"]) == (30.5, 120.5, False)
    wrong = client.put(f"{url}/position", json={"latitude_deg": 91, "longitude_deg": 0})
    assert [e["field"] for e in wrong.json()["errors"]] == ["body.latitude_deg"]
    assert client.put("/v1/units/none/duty", json={"on_duty": True}).status_code == 404


@pytest.mark.parametrize("noun", ["alerts", "cases"])
def test_what_is_not_there_is_not_found(client: Client, noun: str) -> None:
    answer = client.get(f"/v1/{noun}/{uuid.uuid4()}")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    verb = "acknowledge" if noun == "alerts" else "confirm"
    assert client.post(f"/v1/{noun}/{uuid.uuid4()}/{verb}", json=BY).status_code == 404
