"""What holds for every route: the token, problems, cursors, the OpenAPI document."""

from __future__ import annotations

import base64
import json
import re
from typing import Any

import pytest
from fastapi import FastAPI
from httpx import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from console.api import create_api
from console.config import ConsoleConfig
from console.cursors import read_cursor, write_cursor
from model.clock import FakeClock
from store.database import Pool, open_pool


def routes(client: Client) -> list[tuple[str, str]]:
    """Every (method, path) of the document, with names filled in."""
    paths = client.get("/openapi.json").json()["paths"]
    return [
        (method, re.sub(r"\{[^}]+\}", "x", path)) for path, item in paths.items() for method in item
    ]


def test_nothing_is_told_without_the_token(client: Client) -> None:
    listed = routes(client)
    assert len(listed) >= 80
    for method, path in listed:
        for headers in ({"Authorization": ""}, {"Authorization": "Bearer wrong"}):
            answer = client.request(method, path, headers=headers)
            assert answer.status_code == 401, path
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.headers["www-authenticate"].startswith("Bearer")
            assert answer.json()["type"] == "urn:roadcall:problem:token"


def test_without_a_token_configured_it_is_open(pool: Pool, served: Any) -> None:
    app = FastAPI()
    app.include_router(create_api(pool, FakeClock(), ConsoleConfig()))
    with served(app) as address, Client(base_url=address, trust_env=False) as client:
        assert client.get("/v1/stations").status_code == 200


def test_every_operation_is_described(client: Client) -> None:
    document = client.get("/openapi.json").json()
    for path, item in document["paths"].items():
        for method, operation in item.items():
            assert operation["summary"] and operation["tags"], path
            for status in ("401", "422", "503"):
                content = operation["responses"][status]["content"]
                assert set(content) == {"application/problem+json"}, (method, path)


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/v1/alerts?severity_min=5", "query.severity_min"),
        ("/v1/alerts?vin=SHORT", "query.vin"),
        ("/v1/alerts?limit=0", "query.limit"),
        ("/v1/alerts?limit=201", "query.limit"),
        ("/v1/alerts?state=closed", "query.state"),
        ("/v1/alerts?cursor=nonsense", "query.cursor"),
        ("/v1/cases?cursor=WyJhIiwiYiJd", "query.cursor"),
        ("/v1/vehicles?cursor=WzFd", "query.cursor"),
        ("/v1/due-items?state=broken", "query.state.0"),
        ("/v1/due-items?cursor=WyIiLCJcdTAwMDAiXQ", "query.cursor"),  # ["","\\u0000"]
        ("/v1/vehicles?search=%00", "query.search"),
        ("/v1/vehicles/SHORT", "path.vin"),
        ("/v1/alerts/not-a-uuid", "path.alert_id"),
    ],
)
def test_a_wrong_field_is_named(client: Client, path: str, field: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 422
    problem = answer.json()
    assert problem["type"] == "urn:roadcall:problem:fields"
    assert [e["field"] for e in problem["errors"]] == [field]
    assert problem["errors"][0]["reason"] in problem["detail"]


@pytest.mark.parametrize(
    "body",
    [{}, {"actor": ""}, {"actor": "x" * 81}, {"actor": "li", "sudo": True}, {"actor": "\0"}, []],
)
def test_a_wrong_body_is_refused(client: Client, fleet: Any, body: Any) -> None:
    case = fleet.case(fleet.step())
    answer = client.post(f"/v1/cases/{case}/confirm", json=body)
    assert (answer.status_code, answer.headers["content-type"]) == (
        422,
        "application/problem+json",
    )


def test_a_broken_json_body_is_refused(client: Client, fleet: Any) -> None:
    case = fleet.case(fleet.step())
    headers = {"content-type": "application/json"}
    answer = client.post(f"/v1/cases/{case}/confirm", content=b'{"actor":', headers=headers)
    assert (answer.status_code, answer.json()["type"]) == (422, "urn:roadcall:problem:fields")


def test_a_lost_database_is_503_with_retry_after(served: Any) -> None:
    nowhere = open_pool("host=/nonexistent dbname=none", 1)
    nowhere.timeout = 0.2
    app = FastAPI()
    app.include_router(create_api(nowhere, FakeClock(), ConsoleConfig()))
    with served(app) as address, Client(base_url=address, trust_env=False) as client:
        answer = client.get("/v1/stations")
    nowhere.close()
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
    assert answer.json()["type"] == "urn:roadcall:problem:unavailable"


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=40))
def test_a_place_survives_the_way_out_and_back(kind: str) -> None:
    place = ("LRDCALLDEM0000001", kind)
    assert read_cursor(write_cursor(place), (str, str)) == place


@given(
    st.one_of(
        st.text(max_size=200),
        st.binary(max_size=120).map(lambda b: base64.urlsafe_b64encode(b).decode()),
        st.recursive(st.none() | st.integers() | st.text(), st.lists, max_leaves=6).map(
            lambda v: base64.urlsafe_b64encode(json.dumps(v).encode()).decode()
        ),
    )
)
@settings(
    max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_any_cursor_is_read_or_refused(client: Client, cursor: str) -> None:
    for path in ("/v1/alerts", "/v1/vehicles", "/v1/due-items"):
        assert client.get(path, params={"cursor": cursor}).status_code in (200, 422)
