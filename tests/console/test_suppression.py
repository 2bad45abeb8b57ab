"""Silences, modes, dismissal and putting off, over HTTP."""

from __future__ import annotations

import uuid
from datetime import timedelta

import httpx
import pytest

from model.clock import FakeClock, utc
from model.severity import Severity
from store import alerts
from store.database import Pool, transaction
from tests.console.conftest import CAR, Fleet

ACTOR = {"actor": "li.wei"}


@pytest.fixture
def alert(pool: Pool) -> str:
    """A mild alert that stands."""
    step = Fleet.step(severity=Severity.VISIT_SOON)
    with transaction(pool) as conn:
        alerts.write(conn, [step])
    return str(step.alert_id)


def later(clock: FakeClock, **span: float) -> str:
    return (utc(clock.now_ns()) + timedelta(**span)).isoformat()


def test_an_alert_is_dismissed_with_a_code(client: httpx.Client, alert: str) -> None:
    path = f"/v1/alerts/{alert}/dismiss"
    assert client.post(path, json=ACTOR).status_code == 422
    assert client.post(path, json=ACTOR | {"code": "bored"}).status_code == 422
    body = ACTOR | {"code": "false_alarm", "reason": "sensor was unplugged"}
    headers = {"Idempotency-Key": "k1"}
    for _ in range(2):
        answer = client.post(path, json=body, headers=headers)
        assert (answer.status_code, answer.json()["handling"]) == (200, "dismissed")
    assert [line["step"] for line in answer.json()["audit"]] == ["dismiss"]
    assert client.post(path, json=body).status_code == 409


def test_an_alert_is_put_off_once(client: httpx.Client, clock: FakeClock, alert: str) -> None:
    path = f"/v1/alerts/{alert}/snooze"
    assert client.post(path, json=ACTOR | {"until": later(clock, days=8)}).status_code == 409
    answer = client.post(path, json=ACTOR | {"until": later(clock, days=2)})
    assert answer.status_code == 200
    assert (answer.json()["handling"], answer.json()["snoozed_until"]) == (
        "acknowledged",
        later(clock, days=2).replace("+00:00", "Z"),
    )
    again = client.post(path, json=ACTOR | {"until": later(clock, days=3)})
    assert (again.status_code, again.json()["type"]) == (409, "urn:roadcall:problem:state")


def test_a_silence_begins_is_listed_and_ends(client: httpx.Client, clock: FakeClock) -> None:
    body = ACTOR | {"reason": "recall", "matchers": {"rule": "codes.*"}}
    body["ends_at"] = later(clock, hours=2)
    headers = {"Idempotency-Key": "s1"}
    made = client.post("/v1/silences", json=body, headers=headers)
    assert made.status_code == 201
    assert client.post("/v1/silences", json=body, headers=headers).json() == made.json()
    assert client.get("/v1/silences").json() == [made.json()]
    path = f"/v1/silences/{made.json()['silence_id']}/end"
    assert client.post(path, json=ACTOR).json()["ends_at"] == made.json()["starts_at"]
    assert client.post(path, json=ACTOR).status_code == 409
    assert client.get("/v1/silences").json() == []
    assert client.post(f"/v1/silences/{uuid.uuid4()}/end", json=ACTOR).status_code == 404


@pytest.mark.parametrize(
    "wrong",
    [
        {"matchers": {}},
        {"matchers": {"severity_max": 2}},
        {"matchers": {"colour": "red"}},
        {"reason": ""},
        {"hours": -1},
        {"hours": 24 * 500},
    ],
)
def test_a_silence_that_makes_no_sense_is_refused(
    client: httpx.Client, clock: FakeClock, wrong: dict[str, object]
) -> None:
    hours = float(str(wrong.pop("hours", 2)))
    body: dict[str, object] = {**ACTOR, "reason": "recall", "matchers": {"rule": "codes.*"}}
    body |= {"ends_at": later(clock, hours=hours)} | wrong
    assert client.post("/v1/silences", json=body).status_code == 422


def test_a_vehicle_enters_and_leaves_a_mode(client: httpx.Client, clock: FakeClock) -> None:
    path = f"/v1/vehicles/{CAR}/modes"
    body = ACTOR | {"mode": "workshop", "ends_at": later(clock, hours=8)}
    (entered,) = client.post(path, json=body).json()
    assert (entered["mode"], entered["vin"]) == ("workshop", CAR)
    assert client.get("/v1/modes").json() == [entered]
    assert client.post(f"{path}/end", json=ACTOR).json() == []
    assert client.post(f"{path}/end", json=ACTOR).status_code == 409
    assert client.get(path, params={"past_days": 1}).json()[0]["mode_id"] == entered["mode_id"]
    stranger = "LRDCALLDEM0009999"
    assert client.get(f"/v1/vehicles/{stranger}/modes").status_code == 404
    assert client.post(f"/v1/vehicles/{stranger}/modes", json=body).status_code == 404
    assert client.post(path, json=body | {"mode": "asleep"}).status_code == 422


def test_a_hushed_alert_is_shown_with_its_reason(
    client: httpx.Client, pool: Pool, alert: str
) -> None:
    with transaction(pool) as conn:
        conn.execute("update alert set suppressed_by = 'mode:workshop'")
    (shown,) = client.get("/v1/alerts").json()["items"]
    assert (shown["alert_id"], shown["suppressed_by"]) == (alert, "mode:workshop")
