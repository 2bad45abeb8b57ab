"""Help asked for by people, unit positions, and what they prove, over the API."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from httpx import Client

from console.case_steps import apply, take
from console.steps import Act
from dispatch.rescue import Step
from model.clock import FakeClock, utc
from store import cases, masters, offers
from store.database import transaction

CAR = "LRDCALLDEM0000001"
ASK = {"vin": CAR, "actor": "li.wei", "latitude_deg": 30.2741, "longitude_deg": 120.1551}
UNIT = "hz-1-a"


def test_the_call_centre_asks_once_however_often_it_sends(client: Client) -> None:
    body = ASK | {"note": "爆胎", "needed": ["tow"]}
    for _ in range(2):
        made = client.post("/v1/cases", json=body, headers={"Idempotency-Key": "call-7"})
        assert made.status_code == 201
    case = made.json()
    assert (case["state"], case["source"], case["owner"]) == ("confirmed", "call_centre", "hz-1")
    assert (case["alert_id"], case["zone"], case["note"]) == (None, "city", "爆胎")
    assert case["title"] == {"zh": "爆胎", "en": "爆胎"}
    assert [a["step"] for a in case["audit"]] == ["ask"]
    assert len(client.get("/v1/cases").json()["items"]) == 1
    other = client.post("/v1/cases", json=body)
    assert other.json()["case_id"] != case["case_id"]


def test_a_driver_is_called_back_first_but_not_when_the_battery_burns(client: Client) -> None:
    asked = client.post("/v1/cases", json=ASK | {"source": "driver"}).json()
    assert (asked["state"], asked["severity"]) == ("requested", 3)
    assert asked["title"]["en"] == "Help was asked for"
    burning = client.post("/v1/cases", json=ASK | {"source": "driver", "thermal": True}).json()
    assert (burning["state"], burning["severity"], burning["thermal"]) == ("confirmed", 4, True)


def test_without_a_place_the_cars_own_fix_counts(client: Client, fleet: Any) -> None:
    body = {"vin": CAR, "actor": "li.wei"}
    lost = client.post("/v1/cases", json=body)
    assert lost.status_code == 404
    assert lost.json()["detail"] == "no such position of the vehicle: say where it is"
    fleet.drive(CAR, {"latitude_deg": ([0.0], [30.3]), "longitude_deg": ([0.0], [120.2])})
    found = client.post("/v1/cases", json=body).json()
    assert (found["latitude_deg"], found["longitude_deg"]) == (30.3, 120.2)
    assert client.post("/v1/cases", json=body | {"vin": "LRDCALL0000000099"}).status_code == 404


def test_a_person_says_where_the_car_really_is(client: Client) -> None:
    case = client.post("/v1/cases", json=ASK | {"source": "driver"}).json()
    url = f"/v1/cases/{case['case_id']}"
    place = {"actor": "li.wei", "latitude_deg": 30.5, "longitude_deg": 120.5}
    moved = client.post(f"{url}/locate", json=place).json()
    assert (moved["state"], moved["latitude_deg"]) == ("geocoded", 30.5)
    assert client.post(f"{url}/confirm", json={"actor": "li.wei"}).json()["state"] == "confirmed"
    refused = client.post(f"{url}/locate", json=place)
    assert refused.json()["detail"] == "rescue case in state confirmed cannot locate"
    killed = client.post(f"{url}/kill", json={"actor": "li.wei", "reason": "starts again"}).json()
    assert killed["state"] == "killed"


@pytest.fixture
def under_way(client: Client, fleet: Any, clock: FakeClock) -> Any:
    """A case whose crew has accepted, 20 min away by its own word."""
    case = client.post("/v1/cases", json=ASK).json()
    now = utc(clock.now_ns())
    with transaction(fleet.pool) as conn:
        row = cases.lock(conn, case["case_id"])
        assert masters.engage_unit(conn, UNIT, row.case_id)
        offered = apply(conn, row, Step.OFFER, Act("system", now), UNIT)
        offers.add(conn, row.case_id, offered.version, "offer", [(UNIT, 1200.0)], now)
    take(fleet.pool, row.case_id, Step.ACCEPT, Act("crew", now), UNIT)
    return row.case_id


def feed(client: Client, latitude: float, longitude: float = 120.1551, **more: object) -> bool:
    body = {"latitude_deg": latitude, "longitude_deg": longitude} | more
    answer = client.post(f"/v1/units/{UNIT}/positions", json=body)
    assert answer.status_code == 200
    return bool(answer.json()["taken"])


def test_the_eta_follows_the_position(client: Client, clock: FakeClock, under_way: Any) -> None:
    def case() -> Any:
        return client.get(f"/v1/cases/{under_way}").json()

    noon = utc(clock.now_ns())
    assert datetime.fromisoformat(case()["promised_at"]) == noon + timedelta(minutes=20)
    clock.advance(60)
    assert feed(client, 30.3741)
    # 0.1 degrees of a meridian are 11.1195 km; times 1.4 at 40 km/h: 1401.06 s
    eta = datetime.fromisoformat(case()["eta_at"]) - noon
    assert eta.total_seconds() == pytest.approx(60 + 11.1195 * 1.4 / 40 * 3600, abs=1)
    assert not feed(client, 30.3, observed_at="2025-03-01T08:00:30Z")  # late news
    assert datetime.fromisoformat(case()["promised_at"]) == noon + timedelta(minutes=20)
    assert client.post(
        "/v1/units/nobody/positions", json={"latitude_deg": 1, "longitude_deg": 1}
    ).status_code == 404  # fmt: skip


def test_standing_beside_the_car_proves_the_arrival(
    client: Client, clock: FakeClock, under_way: Any
) -> None:
    for seconds, latitude, speed, state in (
        (0, 30.2741, 30.0, "accepted"),  # drives past
        (10, 30.2741, 0.0, "accepted"),  # stands
        (50, 30.2742, 0.0, "accepted"),  # for 40 s
        (30, 30.2742, 2.0, "on_scene"),  # for 70 s
    ):
        clock.advance(seconds)
        feed(client, latitude, speed_kmh=speed)
        case = client.get(f"/v1/cases/{under_way}").json()
        assert case["state"] == state
    assert case["proven_at"] == case["arrived_at"] == "2025-03-01T08:01:30Z"
    assert case["arrived_m"] < 150
    assert ("arrive", "system") in [(a["step"], a["actor"]) for a in case["audit"]]


def test_the_button_far_away_is_kept_as_it_is(
    client: Client, clock: FakeClock, under_way: Any
) -> None:
    feed(client, 30.2841, speed_kmh=40.0)
    clock.advance(60)
    by = {"actor": "crew", "unit_id": UNIT}
    case = client.post(f"/v1/cases/{under_way}/arrive", json=by).json()
    assert (case["proven_at"], round(case["arrived_m"], -1)) == (None, 1110)
    for _ in range(2):
        clock.advance(61)
        feed(client, 30.2741, speed_kmh=0.0)
    case = client.get(f"/v1/cases/{under_way}").json()
    assert (case["arrived_at"], case["proven_at"]) == (
        "2025-03-01T08:01:00Z",
        "2025-03-01T08:03:02Z",
    )
    for step in ("tow", "deliver", "clear"):
        case = client.post(f"/v1/cases/{under_way}/{step}", json=by).json()
    assert case["state"] == "cleared"
    (score,) = client.get("/v1/rescue-scores").json()
    assert (score["offered"], score["accepted"], score["acceptance"]) == (1, 1, 1.0)
    assert (score["arrived"], score["within_eta"], score["proven"]) == (1, 1.0, 1.0)
