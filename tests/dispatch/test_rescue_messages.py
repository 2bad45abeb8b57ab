"""What people read about clocks and rescues: both languages, stable keys, danger in every one."""

from __future__ import annotations

import re
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson
import pytest

from dispatch import rescue_messages
from dispatch.clocks import promise
from dispatch.messages import Fault
from dispatch.rescue_choice import Choice
from dispatch.terms import load_terms
from model import promises
from model.effects import OutboxRecord
from model.promises import Firing
from model.rescue import Candidate, CaseState, RescueCase
from model.severity import Severity
from model.vehicle import Vehicle, Zone

NOW = datetime(2025, 3, 1, 8, 0, tzinfo=UTC)
VIN = "LRDCALL0000000001"
CAR = Vehicle(vin=VIN, profile="demo_ev", plate="浙AD12345", powertrain="electric")
FAULT = Fault(rule_id="nev.thermal_event", zh="热事件", en="thermal event")
TERMS = load_terms()
NUMBER = "00000000-0000-0000-0000-000000000001"
CASE = RescueCase(
    case_id=uuid.UUID(int=1),
    alert_id=None,
    vin=VIN,
    severity=Severity.STOP,
    state=CaseState.OFFERED,
    latitude_deg=30.0,
    longitude_deg=120.0,
    zone=Zone.CITY,
    requested_at=NOW,
    owner="hz",
    version=2,
)
UNIT = Candidate("u1", "hz", "一队", frozenset({"tow"}), 30.1, 120.0, position_at=NOW)
CHOICE = Choice(UNIT, 754.0, keeps_promise=True)


def warning(percent: int, minutes: float) -> OutboxRecord:
    clock = promises.started(
        promise("arrival", "", "city"), "rescue_case", NUMBER, NOW, facts={"plate": CAR.plate}
    )
    firing = Firing(
        clock=clock, percent=percent, to=("station", "region"), at=NOW + timedelta(minutes=minutes)
    )
    return rescue_messages.clock_warning(firing, {"state": "accepted"})


def messages_of(case: RescueCase) -> list[OutboxRecord]:
    asked = case.model_copy(update={"asked": ("u1", "u2")})
    return [
        rescue_messages.offer(case, CAR, FAULT, CHOICE, TERMS, NOW),
        rescue_messages.offer(asked, CAR, FAULT, CHOICE, TERMS, NOW),
        rescue_messages.second(case, CAR, FAULT, CHOICE, TERMS, NOW),
    ]


EVERY = [
    *messages_of(CASE),
    rescue_messages.late(CASE, CAR, asked=False, eta_at=NOW),
    rescue_messages.safety(CASE, CAR, TERMS),
    warning(80, 24),
    warning(100, 31),
]


def test_keys_are_stable_and_name_no_vehicle() -> None:
    keys = [record.key for record in EVERY]
    assert keys[:5] == [
        f"case/{NUMBER}/offer/2",
        f"case/{NUMBER}/offer/2/u1",
        f"case/{NUMBER}/second/2",
        f"case/{NUMBER}/late/2",
        f"case/{NUMBER}/safety",
    ]
    assert len(set(keys)) == len(keys) and not any(VIN in key for key in keys)
    assert keys[5] == warning(80, 25).key
    for record in EVERY:
        assert orjson.loads(orjson.dumps(record.body)) == record.body


@pytest.mark.parametrize("record", EVERY, ids=lambda r: r.kind)
def test_both_languages_are_said_and_documented(record: OutboxRecord) -> None:
    assert re.search("[\u4e00-\u9fff]", record.body["zh"])
    assert "{" not in record.body["en"] + record.body["zh"]
    page = (Path(__file__).parents[2] / "docs" / "webhooks.md").read_text("utf-8")
    assert f"`{record.kind.replace('arrival', '<kind>')}`" in page


def test_a_clock_in_words() -> None:
    soon, over = warning(80, 24), warning(100, 31)
    assert (soon.kind, over.kind) == ("clock.arrival", "clock.arrival.missed")
    assert soon.body["en"] == "80% of the promise is used (arrival): 浙AD12345, 6 min left."
    assert over.body["zh"] == "时限“到达现场”已过：浙AD12345，超 1 分钟。"
    assert (soon.body["to"], soon.body["state"]) == ("station,region", "accepted")


def test_everybody_near_a_burning_battery_is_warned() -> None:
    burning = messages_of(CASE.model_copy(update={"thermal": True}))
    for record in (*burning, EVERY[4]):
        assert "119" in record.body["zh"] and "119" in record.body["en"]
        assert "stay 50 m away" in record.body["en"]
        assert record.body["fire_service"] == "119"
    assert "119" not in EVERY[0].body["en"]


def test_a_late_customer_hears_when_help_comes() -> None:
    assert EVERY[3].body["en"] == (
        "We are sorry: the crew for 浙AD12345 may be late, expected at 16:00; "
        "no other crew is closer."
    )
