"""Master data over the API: put, import, gaps, figures, report."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from httpx import Client

from console.api import create_api
from console.config import ConsoleConfig
from model.clock import FakeClock
from store.database import Pool

EXAMPLES = Path(__file__).resolve().parents[2] / "docs" / "reference" / "contracts"


def example(name: str, **changes: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((EXAMPLES / f"{name}.example.json").read_text("utf-8"))
    return {**found, **changes}


def put(client: Client, path: str, body: dict[str, Any]) -> dict[str, Any]:
    answer = client.put(path, json=body)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


#: The published examples in an order in which each finds what it names.
PUTS: list[tuple[str, dict[str, Any]]] = [
    ("/v1/regions/east", {"region_id": "east", "name": "华东"}),
    ("/v1/stations/hz-1", example("station")),
    ("/v1/persons/li.wei", example("person")),
    ("/v1/units/hz-1-a", example("rescue_unit")),
    ("/v1/duties/att-2025-03-01-0042", example("duty")),
    ("/v1/vehicles/LRDCALLDEM0000001", example("vehicle", gateway_id="")),
    ("/v1/parts/1016050123/shanghai", example("part_availability")),
    ("/v1/scores/hz-1/phone_survey/2025-03-01", example("survey_score")),
]


@pytest.fixture
def filled(client: Client) -> Client:
    for path, body in PUTS:
        put(client, path, body)
    return client


def test_every_example_is_taken_and_repeating_it_changes_nothing(filled: Client) -> None:
    for path, body in PUTS:
        assert put(filled, path, body)["outcome"] == "unchanged", path


def test_put_replaces(filled: Client) -> None:
    bare = {k: v for k, v in example("station").items() if k not in ("bays", "hours")}
    change = put(filled, "/v1/stations/hz-1", bare)
    assert (change["outcome"], sorted(change["fields"])) == ("changed", ["bays", "hours"])
    stations = {s["station_id"]: s for s in filled.get("/v1/stations").json()}
    assert (stations["hz-1"]["bays"], stations["hz-1"]["hours"]) == (0, [])


@pytest.mark.parametrize(
    ("path", "body", "field", "reason"),
    [
        ("/v1/stations/other", example("station"), "body.station_id", "differs from the path"),
        (
            "/v1/stations/hz-1",
            example("station", region_id="nowhere"),
            "body.region_id",
            "no such region: nowhere",
        ),
        ("/v1/stations/hz-1", example("station", bays=-1), "body.bays", "greater than or equal"),
        ("/v1/stations/hz-1", example("station", hours="open"), "body.hours", "not like mo-fr"),
        ("/v1/stations/hz-1", example("station", colour="red"), "body.colour", "not permitted"),
        ("/v1/units/hz-1-a", example("rescue_unit", crew=["x"]), "body.crew", "no such person: x"),
        ("/v1/persons/li.wei", example("person", skill_level=5), "body.skill_level", "less than"),
        ("/v1/duties/d", {"duty_id": "d", "from_at": "2025-03-01T00:00:00Z"}, "body", "one of"),
        (
            "/v1/vehicles/LRDCALLDEM0000001",
            example("vehicle", gateway_id="none"),
            "body.gateway_id",
            "no such gateway: none",
        ),
        (
            "/v1/vehicles/LRDCALLDEM0000001",
            example("vehicle", powertrain="steam", gateway_id=""),
            "body.powertrain",
            "match pattern",
        ),
        ("/v1/scores/hz-1/x/tomorrow", example("survey_score"), "path.day", "valid date"),
    ],
)
def test_a_wrong_field_is_named(
    filled: Client, path: str, body: dict[str, Any], field: str, reason: str
) -> None:
    answer = filled.put(path, json=body)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["type"] == "urn:roadcall:problem:fields"
    assert field in {e["field"] for e in problem["errors"]}
    assert reason in problem["detail"]


def test_a_vehicle_without_profile_is_refused(pool: Pool, clock: FakeClock, served: Any) -> None:
    app = FastAPI()
    config = ConsoleConfig(vehicle_fault=lambda v: ("profile", f"no {v.profile}"))
    app.include_router(create_api(pool, clock, config))
    body = {"vin": "LRDCALLDEM0000009", "profile": "x"}
    with served(app) as address, Client(base_url=address, trust_env=False) as client:
        answer = client.put("/v1/vehicles/LRDCALLDEM0000009", json=body)
    assert [e["field"] for e in answer.json()["errors"]] == ["body.profile"]


ROWS = [
    {"station_id": "a", "name": "甲", "latitude_deg": 30, "longitude_deg": 120, "zone": "city"},
    {"station_id": "b", "name": "乙", "latitude_deg": 99, "longitude_deg": 120, "zone": "city"},
]


def test_an_import_is_all_or_nothing(client: Client) -> None:
    answer = client.post("/v1/imports/station", json=ROWS).json()
    assert (answer["written"], answer["created"]) == (False, 1)
    assert [(f["line"], f["field"]) for f in answer["faults"]] == [(2, "latitude_deg")]
    assert "a" not in {s["station_id"] for s in client.get("/v1/stations").json()}

    dry = client.post("/v1/imports/station?dry_run=true", json=ROWS[:1]).json()
    assert (dry["written"], dry["created"], dry["faults"]) == (False, 1, [])
    assert "a" not in {s["station_id"] for s in client.get("/v1/stations").json()}

    kept = client.post("/v1/imports/station?skip_faulty=true", json=ROWS).json()
    assert (kept["written"], kept["created"]) == (True, 1)
    assert "a" in {s["station_id"] for s in client.get("/v1/stations").json()}
    again = client.post("/v1/imports/station", json=ROWS[:1]).json()
    assert (again["written"], again["unchanged"], again["changes"]) == (True, 1, [])


def test_gaps_in_duty_and_ending_certificates(filled: Client, fleet: Any) -> None:
    # It is Saturday 16:00 in Hangzhou: li.wei is there till closing; Sunday 9-17 nobody is.
    answer = filled.get("/v1/duty-gaps?hours=30&station=hz-1").json()
    (gap,) = answer["gaps"]
    assert (gap["from_at"], gap["to_at"]) == ("2025-03-02T01:00:00Z", "2025-03-02T09:00:00Z")
    assert gap["station"] == {"zh": "杭州一站", "en": "Hangzhou 1"}
    assert answer["ending_certificates"] == []
    far = filled.get("/v1/duty-gaps?days=1100&certificate=high_voltage").json()
    (ending,) = far["ending_certificates"]
    assert (ending["person_id"], ending["valid_to"]) == ("li.wei", "2027-12-31")
    unit = {"unit_id": "x", "station_id": "hz-1", "name": "车", "capabilities": ["hv"]}
    place = {"latitude_deg": 30, "longitude_deg": 120}
    filled.put("/v1/units/x", json=unit | place)
    (unproven,) = filled.get("/v1/duty-gaps?station=hz-1").json()["unproven_units"]
    missing = {"crew_named": False, "missing": ["high_voltage"]}
    assert unproven == {"unit_id": "x", "station_id": "hz-1"} | missing


def test_persons_come_with_certificates(filled: Client) -> None:
    (person,) = filled.get("/v1/persons?station=hz-1").json()
    assert [c["kind"] for c in person["certificates"]] == ["high_voltage", "plan_approval"]
    assert filled.get("/v1/persons?station=none").json() == []
    assert [r["region_id"] for r in filled.get("/v1/regions").json()] == ["east"]


def test_a_part_is_found_where_it_is_quickest(filled: Client) -> None:
    rows = [
        {"part_no": "1016050123", "warehouse": w, "quantity": q, "eta_h": h}
        for w, q, h in (("beijing", 0, 1), ("chengdu", 5, None), ("guangzhou", 2, 4))
    ]
    assert filled.post("/v1/imports/part", json=rows).json()["created"] == 3
    found = filled.get("/v1/parts/1016050123").json()
    assert [p["warehouse"] for p in found] == ["guangzhou", "shanghai", "chengdu", "beijing"]
    assert filled.get("/v1/parts/none").json() == []


def test_figures_load_and_report(filled: Client) -> None:
    kpis = {k["key"]: k for k in filled.get("/v1/kpis").json()}
    assert kpis["timeliness"]["value"] is None
    assert (kpis["timeliness"]["target"], kpis["timeliness"]["reached"]) == (98.5, None)
    assert kpis["duty_cover"]["title"]["en"] == "open hours with a certified person on duty"
    # On Saturday 2025-03-01 hz-1 is open 9-17 and li.wei there 7:55-18:05.
    day = filled.get("/v1/kpis?from=2025-03-01&to=2025-03-01&station=hz-1").json()
    assert {k["key"]: k["value"] for k in day}["duty_cover"] == 100.0
    (load,) = [row for row in filled.get("/v1/station-load").json() if row["station_id"] == "hz-1"]
    # The fixture's vehicles prefer no station; the example's does.
    assert (load["customers"], load["load"], load["level"]) == (1, 0.0, "ok")
    report = filled.get("/v1/stations/hz-1/report?day=2025-03-01").json()
    lines = {line["key"]: line["value"] for s in report["sections"] for line in s["lines"]}
    assert (lines["alerts"], lines["duty_cover"], lines["score.phone_survey"]) == (0, 100, 88.3)
    assert filled.get("/v1/stations/hz-1/report").json()["day"] == "2025-02-28"
    assert filled.get("/v1/stations/none/report").status_code == 404


@pytest.mark.parametrize(
    "period", ["from=2025-03-02&to=2025-03-01", "from=2020-01-01&to=2025-01-01"]
)
def test_a_period_goes_forward_and_is_bounded(client: Client, period: str) -> None:
    answer = client.get(f"/v1/kpis?{period}")
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "query.from")


def audit_lines(pool: Pool) -> list[Any]:
    query = "select noun_id, step, actor, detail from audit where noun = 'master' order by audit_id"
    with pool.connection() as conn:
        return conn.execute(query).fetchall()


def test_every_change_leaves_its_line(filled: Client, pool: Pool) -> None:
    assert [line[0] for line in audit_lines(pool)][:2] == ["region/east", "station/hz-1"]
    assert len(audit_lines(pool)) == len(PUTS)
    put(filled, *PUTS[0])  # changes nothing
    put(filled, "/v1/regions/east", {"region_id": "east", "name": "东部"})
    changed = ("region/east", "changed", "operator", {"fields": ["name"]})
    assert audit_lines(pool)[len(PUTS) :] == [changed]


def test_an_import_leaves_one_line(client: Client, pool: Pool) -> None:
    client.post("/v1/imports/station", json=ROWS)  # refused
    client.post("/v1/imports/station?dry_run=true", json=ROWS[:1])
    assert audit_lines(pool) == []
    client.post("/v1/imports/station?skip_faulty=true", json=ROWS)
    [(noun_id, step, _, detail)] = audit_lines(pool)
    assert (noun_id, step, detail["created"]) == ("station", "import", 1)
    assert len(detail["sha256"]) == 64 and detail["faults"] > 0
