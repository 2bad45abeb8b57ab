"""/v1/rule-bundles and the evidence routes, over a real socket, with the real desk behind them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from console.api import create_api
from console.config import ConsoleConfig
from model.clock import FakeClock
from roadcall import wiring
from roadcall.evidence import EvidenceReader
from roadcall.rule_desk import RuleDesk
from roadcall.rule_library import Library
from roadcall.settings import Settings
from store import shadow_alerts
from store.database import Pool, transaction

PACK = """
- id: made.moving
  domain: [X1]
  version: 1
  kind: fault
  levels: [{severity: 2, condition: speed_kmh > 20, for: 15s}]
  text:
    zh: {title: 行驶, driver: a, technician: a, action: a}
    en: {title: moving, driver: a, technician: a, action: a}
  source: made up
"""
TESTS = """
- test: it fires
  rules: [made.moving]
  series: {speed_kmh: "99x80"}
  expect: [{at: 70s, state: STATE}]
"""


@pytest.fixture
def rules(pool: Pool, clock: FakeClock, served: Any, tmp_path: Path) -> Iterator[httpx.Client]:
    settings = Settings(home=tmp_path)
    library = Library(settings)
    reader = EvidenceReader(pool, library, wiring.decoder_source(settings))
    config = ConsoleConfig(evidence=reader, rules=RuleDesk(pool, settings))
    app = FastAPI()
    app.include_router(create_api(pool, clock, config))
    with served(app) as address, httpx.Client(base_url=address, trust_env=False) as client:
        yield client


def body(pack: str = PACK, state: str = "firing", **more: object) -> dict[str, object]:
    tests = {"made.yaml": TESTS.replace("STATE", state)}
    return {"packs": {"made.yaml": pack}, "tests": tests, "actor": "li.wei", **more}


def test_a_bundle_on_trial_then_active(rules: httpx.Client, pool: Pool, fleet: Any) -> None:
    made = rules.post("/v1/rule-bundles", json=body(version="2.0.0"))
    assert made.status_code == 201, made.text
    row = made.json()
    assert (row["state"], row["version"], row["actor"]) == ("shadow", "2.0.0", "li.wei")
    path = f"/v1/rule-bundles/{row['hash']}"
    content = rules.get(path).json()["content"]
    assert content["packs"]["made.yaml"] == PACK and "engine.yaml" in content["packs"]
    with transaction(pool) as conn:
        said = [replace(fleet.step(at_s=n), bundle_hash=row["hash"]) for n in range(3)]
        shadow_alerts.write(conn, said)
    first = rules.get(f"{path}/shadow-alerts", params={"limit": 2}).json()
    assert [a["rule_id"] for a in first["items"]] == ["ice.coolant.overtemp"] * 2
    rest = rules.get(f"{path}/shadow-alerts", params={"cursor": first["next_cursor"]}).json()
    assert len(rest["items"]) == 1 and rest["next_cursor"] is None
    assert rules.get("/v1/alerts").json()["items"] == []
    assert rules.put(f"{path}/state", json={"state": "active"}).json()["state"] == "active"
    assert [r["state"] for r in rules.get("/v1/rule-bundles").json()] == ["active"]


def test_a_bad_bundle_names_every_fault(rules: httpx.Client) -> None:
    broken = PACK.replace("kind: fault", "kind: odd").replace("version: 1", "version: 0")
    refused = rules.post("/v1/rule-bundles", json=body(broken))
    assert refused.status_code == 422
    assert {e["reason"].split(": ", 2)[0] for e in refused.json()["errors"]} == {"made.yaml:2"}
    assert len(refused.json()["errors"]) == 2
    failed = rules.post("/v1/rule-bundles", json=body(state="idle"))
    assert failed.status_code == 422
    reasons = [e["reason"] for e in failed.json()["errors"]]
    assert reasons == ["made.yaml:2: it fires: at 70s: firing, expected idle"]
    assert rules.get("/v1/rule-bundles").json() == []
    assert rules.get("/v1/rule-bundles/0123456789abcdef").status_code == 404


def test_evidence_of_an_alert_without_frames(rules: httpx.Client, fleet: Any) -> None:
    alert_id = fleet.alert(fleet.step())
    found = rules.get(f"/v1/alerts/{alert_id}/evidence").json()
    assert (found["rule"], found["frames"], found["signals"]) == ("ice.coolant.overtemp@1", 0, [])
    gone = rules.get(f"/v1/alerts/{alert_id}/evidence.blf")
    assert gone.status_code == 410
    assert gone.headers["content-type"] == "application/problem+json"
    unknown = "00000000-0000-0000-0000-000000000000"
    assert rules.get(f"/v1/alerts/{unknown}/evidence").status_code == 404
