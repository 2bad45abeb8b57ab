"""Fault episodes over the API, and what people say of codes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from httpx import Client

from console.text import load_texts
from model.clock import NS, FakeClock
from model.codes import CodeProtocol, CodeReport, CodeScope, Dtc, FreezeFrame
from model.episodes import EpisodeState
from roadcall import episodes
from roadcall.dispatcher_episodes import EpisodeTurn
from rules.sightings import facts_of
from store import code_facts, masters
from store.database import Pool, transaction

NOON_NS = 1_740_816_000 * NS
HOUR_NS = 3600 * NS


def report(at_ns: int, codes: Sequence[Dtc], scope: str = CodeScope.CONFIRMED) -> CodeReport:
    """A report `at_ns` after noon."""
    ecu, protocol = codes[0].ecu, codes[0].protocol
    return CodeReport(NOON_NS + at_ns, 0, ecu, protocol, scope, tuple(codes))


def oil(fmi: int = 1) -> Dtc:
    return Dtc(CodeProtocol.J1939, 0, f"100/{fmi}")


def heat() -> Dtc:
    frame = FreezeFrame(1, ((0x0C, b"\x1a\xf8"),))
    return Dtc(CodeProtocol.UDS, 0x7E8, "P0217", 0x44, status=0x2F, freeze_frames=(frame,))


@pytest.fixture
def tell(pool: Pool) -> Any:
    """A function that stores reports of a vehicle and folds its episodes."""

    def told(vin: str, *reports: CodeReport) -> None:
        found = facts_of(reports)
        with transaction(pool) as conn:
            vehicle_id = masters.vehicles(conn, [vin])[vin].vehicle_id
            code_facts.lock(conn, [vehicle_id])
            changed = code_facts.write(
                conn, {vehicle_id: found.sightings}, {vehicle_id: found.heard}, {}, {}
            )
            episodes.fold(conn, changed.faults, {vehicle_id: vin})

    return told


def test_one_vehicle(client: Client, fleet: Any, tell: Any) -> None:
    vin = fleet.vins[0]
    tell(vin, report(0, [heat()]), report(NS, [heat()], CodeScope.FREEZE_FRAME))
    (got,) = client.get(f"/v1/vehicles/{vin}/episodes").json()["items"]
    assert got["code"] == "P0217-44"
    assert (got["state"], got["severity"], got["count"], got["repeat"]) == ("active", 3, 1, 0)
    assert got["started_at"] == "2025-03-01T08:00:00Z"
    assert got["ended_at"] is None
    assert got["system"] == "cooling"
    assert "冷却" in got["title"]["zh"] or "过热" in got["title"]["zh"]
    assert got["action"]["en"]
    assert got["freeze_frames"] == [
        {"number": 1, "values": [{"identifier": 12, "content": "1af8"}]}
    ]
    detail = client.get(f"/v1/vehicles/{vin}").json()
    assert [e["episode_id"] for e in detail["episodes"]] == [got["episode_id"]]
    assert client.get(f"/v1/vehicles/{fleet.vins[1]}/episodes").json()["items"] == []
    assert client.get("/v1/vehicles/LRDCALLDEM9999999/episodes").status_code == 404


def test_open_ones_worst_first_in_pages(client: Client, fleet: Any, tell: Any) -> None:
    for i, fmi in enumerate((15, 1, 18)):
        tell(fleet.vins[i], report(i * NS, [oil(fmi)], CodeScope.ACTIVE))
    tell(fleet.vins[3], report(0, [oil(1)], CodeScope.ACTIVE))
    found, asked = [], {"limit": "1"}
    while asked:
        page = client.get("/v1/episodes", params=asked).json()
        found += [(e["severity"], e["vin"]) for e in page["items"]]
        cursor = page["next_cursor"]
        asked = {"limit": "1", "cursor": cursor} if cursor else {}
    v = fleet.vins
    assert found == [(3, v[1]), (3, v[3]), (2, v[2]), (1, v[0])]
    assert client.get("/v1/episodes", params={"cursor": "WzEsMl0"}).status_code == 422


def test_an_override_holds_for_open_episodes(client: Client, fleet: Any, tell: Any) -> None:
    vin = fleet.vins[0]
    tell(vin, report(0, [oil(15)], CodeScope.ACTIVE))

    def put(**fields: object) -> int:
        return client.put("/v1/code-overrides", json={"actor": "li.wei", **fields}).status_code

    assert put(code="SPN 100", verdict="ignore") == 200
    assert client.get("/v1/episodes").json()["items"] == []
    (ignored,) = client.get("/v1/episodes", params={"ignored": True}).json()["items"]
    assert ignored["verdict"] == "ignore"
    assert client.get(f"/v1/vehicles/{vin}").json()["episodes"] == []
    assert put(code="100/15", verdict="critical", zh="机油压力", en="Oil") == 200
    (critical,) = client.get("/v1/episodes").json()["items"]
    assert (critical["severity"], critical["title"]["en"]) == (3, "Oil")
    assert [o["code"] for o in client.get("/v1/code-overrides").json()] == ["100", "100/15"]
    for code in ("100", "100/15"):
        assert client.delete("/v1/code-overrides", params={"code": code}).status_code == 204
    assert client.delete("/v1/code-overrides", params={"code": "100"}).status_code == 404
    (plain,) = client.get("/v1/episodes").json()["items"]
    assert (plain["severity"], plain["verdict"]) == (1, None)
    assert put(code="nonsense", verdict="ignore") == 422
    assert put(code="100") == 422


def test_without_news_for_a_week_it_is_unknown(
    client: Client, clock: FakeClock, fleet: Any, tell: Any
) -> None:
    tell(fleet.vins[0], report(0, [oil()], CodeScope.ACTIVE))
    clock.advance(7 * 86_400)
    assert [e["state"] for e in client.get("/v1/episodes").json()["items"]] == ["active"]
    clock.advance(1)
    assert [e["state"] for e in client.get("/v1/episodes").json()["items"]] == ["unknown"]


def test_a_person_clears_and_the_dispatcher_follows(
    client: Client, pool: Pool, clock: FakeClock, fleet: Any, tell: Any
) -> None:
    vin = fleet.vins[0]
    tell(vin, report(0, [oil()], CodeScope.ACTIVE))
    clock.advance(2 * 3600)
    path, body = f"/v1/vehicles/{vin}/codes-cleared", {"actor": "li.wei", "reason": "order 7"}
    late = client.post(path, json={**body, "at": "2025-03-01T10:00:01Z"})
    assert late.status_code == 422
    assert client.post(path, json={**body, "at": "2025-03-01T09:00:00Z"}).status_code == 202
    turn = EpisodeTurn(pool)
    assert (turn(), turn()) == (1, 0)
    (got,) = client.get(f"/v1/vehicles/{vin}/episodes").json()["items"]
    assert (got["state"], got["ended_at"]) == ("cleared", "2025-03-01T09:00:00Z")
    assert client.get("/v1/episodes").json()["items"] == []
    tell(vin, report(2 * HOUR_NS, [oil()], CodeScope.ACTIVE))
    (back,) = client.get("/v1/episodes").json()["items"]
    assert (back["state"], back["repeat"], back["count"]) == ("recurred", 1, 2)
    unknown = client.post("/v1/vehicles/LRDCALLDEM9999999/codes-cleared", json=body)
    assert unknown.status_code == 404


def test_states_have_words() -> None:
    assert load_texts().keys() >= {f"episode_{state}" for state in EpisodeState}


def test_old_facts_go_but_not_those_of_an_open_episode(pool: Pool, fleet: Any, tell: Any) -> None:
    open_, ended = fleet.vins[:2]
    tell(open_, report(0, [oil()], CodeScope.ACTIVE))
    gone = Dtc(CodeProtocol.UDS, 0x7E8, "P0217", 0x44, status=0x50)
    tell(ended, report(0, [heat()]), report(HOUR_NS, [gone], CodeScope.SUPPORTED))
    with transaction(pool) as conn:
        assert code_facts.prune(conn, NOON_NS) == 0
        # Two sightings and the day of the list.
        assert code_facts.prune(conn, NOON_NS + 2 * 24 * HOUR_NS) == 3
        assert code_facts.prune(conn, NOON_NS + 2 * 24 * HOUR_NS) == 0
