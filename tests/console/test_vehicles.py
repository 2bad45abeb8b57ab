"""Vehicles, charts and maintenance over the API."""

from __future__ import annotations

from typing import Any

import pytest
from httpx import Client


def test_vehicles_are_paged_and_searched(client: Client, fleet: Any) -> None:
    first = client.get("/v1/vehicles", params={"limit": 3}).json()
    second = client.get("/v1/vehicles", params={"limit": 3, "cursor": first["next_cursor"]}).json()
    third = client.get("/v1/vehicles", params={"limit": 3, "cursor": second["next_cursor"]}).json()
    pages = [first, second, third]
    assert [row["vin"] for page in pages for row in page["items"]] == fleet.vins
    assert third["next_cursor"] is None
    found = client.get("/v1/vehicles", params={"search": "a12342"}).json()["items"]
    assert [row["plate"] for row in found] == ["浙A12342"]


def test_a_vehicle_comes_with_everything(client: Client, fleet: Any) -> None:
    vin = fleet.vins[0]
    fleet.drive(vin, {"engine_coolant_temp_c": ([0, 1], [90.0, 91.5]), "Dash.Foo": ([0], [3.0])})
    case_id = fleet.case(fleet.step(vin))
    fleet.service(vin)
    got = client.get(f"/v1/vehicles/{vin}").json()
    assert got["vehicle"]["plate"] == "浙A12340"
    assert got["observed_at"] == "2025-03-01T08:00:01Z"
    coolant, foo = got["values"]
    assert coolant == {
        "name": "engine_coolant_temp_c",
        "title": {"zh": "冷却液温度", "en": "Coolant temperature"},
        "unit": "degC",
        "value": 91.5,
        "observed_at": "2025-03-01T08:00:01Z",
    }
    assert (foo["name"], foo["value"]) == ("Dash.Foo", 3.0)
    assert [a["title"]["en"] for a in got["open_alerts"]] == ["Coolant overheating"]
    assert got["case"]["case_id"] == str(case_id)
    assert [d["title"] for d in got["due_items"]] == [{"zh": "机油", "en": "Engine oil"}]


def test_a_vehicle_that_never_spoke(client: Client, fleet: Any) -> None:
    got = client.get(f"/v1/vehicles/{fleet.vins[1]}").json()
    assert got["observed_at"] is None and got["values"] == [] and got["case"] is None


def chart(client: Client, vin: str, **span: str) -> Any:
    return client.get(f"/v1/vehicles/{vin}/signals/speed_kmh", params=span)


def test_a_chart_by_the_second_has_a_place_for_every_second(client: Client, fleet: Any) -> None:
    fleet.drive(fleet.vins[0], {"speed_kmh": ([58.2, 59.1, 59.9, 62.0], [10.0, 20.0, 21.0, 40.0])})
    got = chart(
        client, fleet.vins[0], **{"from": "2025-03-01T08:00:58Z", "to": "2025-03-01T08:01:04Z"},
        step="1s",
    ).json()  # fmt: skip
    assert got["start"] == "2025-03-01T08:00:58Z"
    assert got["value"] == [10.0, 21.0, None, None, 40.0, None]
    assert (got["unit"], got["step_s"], got["minimum"]) == ("km/h", 1, None)


def test_a_chart_by_the_minute_has_mean_and_range(client: Client, fleet: Any) -> None:
    fleet.drive(fleet.vins[0], {"speed_kmh": ([0, 20, 40, 130], [10.0, 20.0, 60.0, 5.0])})
    got = chart(
        client, fleet.vins[0], **{"from": "2025-03-01T08:00:00Z", "to": "2025-03-01T16:04:00+08:00"}
    ).json()  # fmt: skip
    assert got["value"] == [30.0, None, 5.0, None]
    assert got["minimum"] == [10.0, None, 5.0, None]
    assert got["maximum"] == [60.0, None, 5.0, None]


@pytest.mark.parametrize(
    ("span", "field"),
    [
        ({"from": "2025-03-01T08:00:00Z", "to": "2025-03-01T08:00:00Z"}, "query.to"),
        ({"from": "2025-03-01T08:00:00Z", "to": "2026-03-01T08:00:00Z"}, "query.to"),
        ({"from": "2025-03-01T08:00:00", "to": "2025-03-01T08:01:00Z"}, "query.from"),
        ({"from": "2025-03-01T08:00:00Z", "to": "2025-03-01T08:01:00Z", "step": "2s"},
         "query.step"),
        ({"to": "2025-03-01T08:01:00Z"}, "query.from"),
    ],
)  # fmt: skip
def test_a_chart_of_a_wrong_span_is_refused(
    client: Client, fleet: Any, span: dict[str, str], field: str
) -> None:
    answer = chart(client, fleet.vins[0], **span)
    assert answer.status_code == 422
    assert [e["field"] for e in answer.json()["errors"]] == [field]


def test_a_chart_of_an_unknown_signal_is_not_found(client: Client, fleet: Any) -> None:
    span = {"from": "2025-03-01T08:00:00Z", "to": "2025-03-01T08:01:00Z"}
    answer = client.get(f"/v1/vehicles/{fleet.vins[0]}/signals/no_such", params=span)
    assert (answer.status_code, answer.json()["detail"]) == (404, "no such signal")


def test_a_done_service_counts_anew(client: Client, fleet: Any) -> None:
    vin = fleet.vins[0]
    fleet.service(vin)
    listed = client.get("/v1/due-items", params={"state": "ok"}).json()["items"]
    assert [(d["vin"], d["kind"], d["base_odometer_km"]) for d in listed] == [
        (vin, "engine_oil", 10_000)
    ]
    assert client.get("/v1/due-items").json()["items"] == []
    url = f"/v1/vehicles/{vin}/maintenance/engine_oil/done"
    body = {"actor": "li.wei", "done_at": "2025-03-01T07:00:00Z", "odometer_km": 15_230}
    for _ in range(2):
        answer = client.post(url, json=body, headers={"Idempotency-Key": "done-1"})
        assert answer.status_code == 200
        assert answer.json()["base_odometer_km"] == 15_230
        assert answer.json()["base_at"] == "2025-03-01T07:00:00Z"
    late = client.post(url, json=body | {"done_at": "2025-03-02T00:00:00Z"})
    assert late.status_code == 409
    naive = client.post(url, json=body | {"done_at": "2025-03-01T07:00:00"})
    assert [e["field"] for e in naive.json()["errors"]] == ["body.done_at"]
    assert client.post(url.replace("engine_oil", "wipers"), json=body).status_code == 404


def test_due_items_are_paged_by_vin_and_kind(client: Client, fleet: Any) -> None:
    for vin in fleet.vins[:2]:
        for kind in ("air_filter", "engine_oil"):
            fleet.service(vin, kind)
    seen, cursor = [], None
    while True:
        page = client.get(
            "/v1/due-items",
            params={"state": "ok", "limit": 3, **({"cursor": cursor} if cursor else {})},
        ).json()
        seen += [(d["vin"], d["kind"]) for d in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert seen == [(v, k) for v in fleet.vins[:2] for k in ("air_filter", "engine_oil")]
