"""One story over the API: an alert, its case, an approved plan, the visit; and who is refused."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import pytest
from httpx import Client, Response

from model.alerts import AlertState
from model.clock import FakeClock
from model.severity import Severity
from store.database import Pool, transaction

BY = {"actor": "li.wei"}
PERSONS = """
insert into region (region_id, name, level) values ('hq', '总部', 'headquarters');
insert into region (region_id, name, parent_id) values ('east', '华东', 'hq');
update station set region_id = 'east' where station_id = 'hz-1';
update vehicle set attrs = attrs || '{"preferred_station": "hz-1"}';
insert into person (person_id, station_id, region_id, role, skill_level, skills) values
    ('chief', 'hz-1', null, 'technician', 3, '{engine}'),
    ('novice', 'hz-1', null, 'technician', 1, '{}'),
    ('lapsed', 'hz-1', null, 'technician', 4, '{}'),
    ('eng.east', null, 'east', 'engineer', 3, '{engine}'),
    ('eng.hq', null, 'hq', 'engineer', 4, '{engine, battery}'),
    ('pro.engine', null, 'hq', 'expert', 4, '{engine}'),
    ('pro.battery', null, 'hq', 'expert', 4, '{battery}');
insert into certificate (person_id, kind, valid_from, valid_to) values
    ('chief', 'plan_approval', '2024-01-01', null),
    ('novice', 'plan_approval', '2024-01-01', null),
    ('lapsed', 'plan_approval', '2020-01-01', '2025-02-28');
"""

Open = Callable[..., dict[str, Any]]


@pytest.fixture
def people(pool: Pool) -> None:
    """Who works at the station and above it."""
    with transaction(pool) as conn:
        conn.execute(PERSONS)


@pytest.fixture
def case(client: Client, fleet: Any, people: None) -> dict[str, Any]:
    """The case of an overheating engine."""
    alert = fleet.alert(fleet.step())
    return ok(client.post(f"/v1/alerts/{alert}/diagnosis", json=BY))


def ok(answer: Response) -> dict[str, Any]:
    assert answer.status_code == 200, answer.text
    return answer.json()


def refused(answer: Response, detail: str) -> None:
    assert (answer.status_code, answer.headers["content-type"]) == (
        409,
        "application/problem+json",
    ), answer.text
    assert answer.json()["detail"] == detail


def test_a_case_begins_with_a_plan_from_its_template(client: Client, case: dict[str, Any]) -> None:
    assert (case["state"], case["level"], case["repeat_no"]) == ("open", 1, 1)
    assert case["title"] == {"zh": "冷却液温度过高", "en": "Coolant overheating"}
    assert case["evidence_url"] == f"/v1/alerts/{case['alert_id']}/evidence"
    plan = case["plan"]
    assert (plan["version"], plan["approved_by"]) == (1, None)
    assert plan["templates"] == ["engine.overheat"]
    first = plan["body"]["hypotheses"][0]
    assert (first["en"], first["evidence"]) == (
        "Coolant low or leaking",
        {"engine_coolant_temp_c": 119.0},
    )
    assert [(c["kind"], c["due_at"]) for c in case["clocks"]] == [("plan", "2025-03-02T08:00:00Z")]
    again = ok(client.post(f"/v1/alerts/{case['alert_id']}/diagnosis", json=BY))
    assert (again["case_id"], again["version"]) == (case["case_id"], 0)


def test_only_a_certified_person_approves(client: Client, case: dict[str, Any]) -> None:
    url = f"/v1/diagnosis-cases/{case['case_id']}"

    def approve(who: str, version: int = 1) -> Response:
        return client.post(f"{url}/plan/{version}/approve", json={"actor": who})

    said = "repair plan in state version 1 cannot approve: "
    refused(approve("stranger"), said + "the approver is not on the roster")
    refused(approve("lapsed"), said + "no valid certificate: plan_approval")
    refused(approve("novice"), said + "skill level 2 is needed, the approver has 1")
    refused(approve("chief"), "diagnosis case in state open cannot plan")
    assert ok(client.get(url))["plan"]["approved_by"] is None  # nothing was half done
    refused(
        client.post(f"{url}/triage", json=BY),
        "diagnosis case in state open cannot triage: say whether the car may be driven",
    )
    ok(client.post(f"{url}/triage", json=BY | {"drivable": False}))
    planned = ok(approve("chief"))
    assert (planned["state"], planned["plan"]["approved_by"]) == ("planned", "chief")
    assert [(c["kind"], c["met"]) for c in planned["clocks"]] == [("plan", True)]
    refused(approve("chief"), said + "it is approved already")
    assert approve("chief", 9).status_code == 404


def test_a_plan_is_edited_in_versions(client: Client, case: dict[str, Any], pool: Pool) -> None:
    url = f"/v1/diagnosis-cases/{case['case_id']}/plan"
    with transaction(pool) as conn:
        conn.execute(
            "insert into part_stock values ('T1', 'east', 4, 6, now()),"
            " ('T1', 'west', 2, 30, now())"
        )
    body = case["plan"]["body"]
    body["parts"] = [{"zh": "节温器", "en": "Thermostat", "part_no": "T1"}]
    edit = {"actor": "chief", "base_version": 1, "body": body}
    for _ in range(2):
        second = ok(client.put(url, json=edit, headers={"Idempotency-Key": "e1"}))
        assert (second["version"], second["author"]) == (2, "chief")
    part = second["body"]["parts"][0]
    assert (part["in_stock"], part["eta_h"]) == (6, 6)
    refused(
        client.put(url, json=edit),
        "repair plan in state version 2 cannot edit: it was made from version 1",
    )
    third = ok(client.post(f"{url}/draft", json=BY | {"codes": ["P0AA6"]}))
    assert (third["version"], third["body"]["high_voltage"]) == (3, True)
    versions = client.get(f"{url}s").json()
    assert [v["version"] for v in versions] == [1, 2, 3]
    assert versions[0]["body"] == case["plan"]["body"] | {"parts": versions[0]["body"]["parts"]}
    ok(client.post(f"/v1/diagnosis-cases/{case['case_id']}/triage", json=BY | {"drivable": True}))
    refused(
        client.post(f"{url}/3/approve", json={"actor": "chief"}),
        "repair plan in state version 3 cannot approve: no valid certificate: high_voltage",
    )
    refused(
        client.post(f"{url}/2/approve", json={"actor": "chief"}),
        "repair plan in state version 2 cannot approve: version 3 is newer",
    )


def test_help_comes_from_the_roster(client: Client, case: dict[str, Any]) -> None:
    url = f"/v1/diagnosis-cases/{case['case_id']}"
    refused(
        client.post(f"{url}/escalate", json=BY),
        "diagnosis case in state open cannot escalate: a reason is needed",
    )
    helped = ok(client.post(f"{url}/escalate", json=BY | {"reason": "no idea"}))
    assert (helped["state"], helped["level"], helped["owner"]) == ("escalated_l2", 2, "eng.east")
    expert = ok(client.post(f"{url}/call_expert", json=BY | {"reason": "nor she"}))
    assert (expert["state"], expert["level"], expert["owner"]) == ("escalated_l3", 3, "pro.engine")
    refused(
        client.post(f"{url}/escalate", json=BY | {"reason": "down"}),
        "diagnosis case in state escalated_l3 cannot escalate",
    )
    solved = ok(client.post(f"{url}/solve_remotely", json=BY | {"reason": "cap was open"}))
    assert (solved["state"], solved["closed_at"]) == ("remote_solved", "2025-03-01T08:00:00Z")
    assert client.get("/v1/diagnosis-cases").json()["items"] == []
    everything = client.get("/v1/diagnosis-cases", params={"state": "all"}).json()["items"]
    assert [c["case_id"] for c in everything] == [case["case_id"]]
    assert ok(client.get(f"/v1/alerts/{case['alert_id']}"))["handling"] == "resolved"


def test_the_same_fault_again_goes_up_by_itself(
    client: Client, fleet: Any, case: dict[str, Any], clock: FakeClock
) -> None:
    def solve(one: dict[str, Any]) -> None:
        url = f"/v1/diagnosis-cases/{one['case_id']}/solve_remotely"
        ok(client.post(url, json=BY | {"reason": "cap"}))

    def again(at_s: float) -> dict[str, Any]:
        fleet.alert(fleet.step(at_s=at_s, started_s=at_s))
        alert = fleet.alert(fleet.step(at_s=at_s + 1, started_s=at_s, state=AlertState.FIRING))
        clock.advance(at_s)
        return ok(client.post(f"/v1/alerts/{alert}/diagnosis", json=BY))

    solve(case)
    second = again(86_400)
    assert (second["repeat_no"], second["repeat_of"]) == (2, case["case_id"])
    assert (second["state"], second["level"], second["owner"]) == ("escalated_l2", 2, "eng.east")
    solve(second)
    third = again(3 * 86_400)
    assert (third["repeat_no"], third["level"], third["state"]) == (3, 3, "incident")
    assert third["owner"] == "pro.engine"
    incident = client.get("/v1/incidents").json()["items"][0]
    assert (incident["cause"], incident["case_id"]) == ("repeat", third["case_id"])
    told = sorted(kind for kind in kinds(fleet.pool) if not kind.startswith("rescue"))
    assert told == [
        "case.escalated", "case.escalated", "case.repeated", "case.repeated", "incident.opened",
    ]  # fmt: skip


def kinds(pool: Pool) -> list[str]:
    with transaction(pool) as conn:
        return [str(kind) for (kind,) in conn.execute("select kind from outbox")]


def test_another_instance_is_another_fault(client: Client, fleet: Any, people: None) -> None:
    ids = set()
    for severity, rule in ((Severity.STOP, "a.rule"), (Severity.STOP, "b.rule")):
        alert = fleet.alert(fleet.step(rule=rule, severity=severity))
        ids.add(ok(client.post(f"/v1/alerts/{alert}/diagnosis", json=BY))["case_id"])
    assert len(ids) == 2


def test_history_only_grows(client: Client, case: dict[str, Any], pool: Pool) -> None:
    from psycopg import errors

    with pytest.raises(errors.RaiseException), transaction(pool) as conn:
        conn.execute("delete from audit")
    with pytest.raises(errors.RaiseException), transaction(pool) as conn:
        conn.execute("update audit set actor = 'somebody else'")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/diagnosis-cases/{id}"),
        ("GET", "/v1/diagnosis-cases/{id}/plans"),
        ("GET", "/v1/work-orders/{id}"),
        ("GET", "/v1/complaints/{id}"),
        ("GET", "/v1/incidents/{id}"),
        ("POST", "/v1/diagnosis-cases/{id}/triage"),
        ("POST", "/v1/diagnosis-cases/{id}/work-order"),
        ("POST", "/v1/diagnosis-cases/{id}/plan/draft"),
        ("POST", "/v1/work-orders/{id}/check_in"),
        ("POST", "/v1/complaints/{id}/answer"),
        ("POST", "/v1/incidents/{id}/report"),
        ("POST", "/v1/alerts/{id}/diagnosis"),
    ],
)
def test_what_is_not_there_is_404(client: Client, method: str, path: str) -> None:
    answer = client.request(method, path.format(id=uuid.UUID(int=1)), json=BY)
    assert (answer.status_code, answer.json()["type"]) == (404, "urn:roadcall:problem:not-found")
