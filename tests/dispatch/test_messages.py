"""What people read: both languages, every fact in its place, keys that name no vehicle."""

from __future__ import annotations

import re
import string
import uuid
from datetime import UTC, datetime
from pathlib import Path

import orjson
import pytest

from dispatch import messages
from dispatch.messages import DueService, Fault, Service
from dispatch.terms import load_terms
from model.effects import OutboxRecord
from model.maintenance import DueAssessment, DueState
from model.rescue import CaseState, RescueCase
from model.severity import Severity
from model.vehicle import RescueUnit, Vehicle, Zone

NOW = datetime(2025, 3, 1, 8, 0, tzinfo=UTC)
VIN = "LRDCALL0000000001"
CAR = Vehicle(vin=VIN, profile="demo_car", plate="浙A12345", brand="Geely", model="EC7")
FAULT = Fault(rule_id="ice.coolant.overtemp", zh="冷却液过热", en="coolant overheating")
UNIT = RescueUnit(unit_id="u1", station_id="hz", name="一队", latitude_deg=30, longitude_deg=120)
CASE = RescueCase(
    case_id=uuid.UUID(int=1),
    alert_id=uuid.UUID(int=2),
    vin=VIN,
    severity=Severity.STOP,
    state=CaseState.OFFERED,
    latitude_deg=30.123456,
    longitude_deg=120.5,
    zone=Zone.CITY,
    requested_at=NOW,
    unit_id="u1",
    offered_at=NOW,
    version=2,
)
OIL = Service(kind="oil_service", zh="机油保养", en="oil service")
TERMS = load_terms()
CASE_ID = "00000000-0000-0000-0000-000000000001"


def due(state: DueState, km: float | None, days: float | None) -> DueService:
    found = DueAssessment(
        state=state, remaining_km=km, remaining_days=days, due_at=NOW, reason="km"
    )
    return DueService(service=OIL, found=found)


def reminder(number: int, *found: DueService, to_owner: bool = True) -> OutboxRecord:
    return messages.reminder(41, CAR, found, number=number, to_owner=to_owner)


SOON = due(DueState.DUE_SOON, 400, 12)
EVERY = {
    f"case/{CASE_ID}/confirm": messages.confirm(CASE, CAR, FAULT, promise_s=1800),
    f"case/{CASE_ID}/offer/2": messages.offer(CASE, CAR, FAULT, UNIT, eta_s=754, terms=TERMS),
    f"case/{CASE_ID}/withdrawn/2": messages.withdrawn(CASE, CAR, "u1"),
    f"case/{CASE_ID}/no_unit/2": messages.no_unit(CASE, CAR, FAULT),
    "maintenance/41/1": reminder(1, SOON),
    "maintenance/41/2": reminder(2, due(DueState.DUE, -10, 5)),
    "maintenance/41/3": reminder(3, SOON, due(DueState.OVERDUE, -1200, None)),
    "maintenance/41/4": reminder(4, SOON, to_owner=False),
    "undelivered/7": messages.undelivered("x", "7", channel="c", attempts=3, error="http 500"),
    "trial/s/1": messages.trial("s", "c", 1),
}


@pytest.mark.parametrize("key", EVERY)
def test_keys_are_stable_and_name_no_vehicle(key: str) -> None:
    record = EVERY[key]
    assert record.key == key
    assert VIN not in record.key
    assert orjson.loads(orjson.dumps(record.body)) == record.body


def test_every_kind_is_said_and_documented() -> None:
    said = {record.kind for record in EVERY.values()}
    assert said == set(messages.texts())
    page = (Path(__file__).parents[2] / "docs" / "webhooks.md").read_text("utf-8")
    first_column = " ".join(re.findall(r"^\| (`.*?) \|", page, re.MULTILINE))
    for kind in said:
        short = "." + kind.split(".", 1)[1]
        assert f"`{kind}`" in first_column or f"`{short}`" in first_column


@pytest.mark.parametrize("kind", messages.texts())
def test_both_languages_tell_the_same_facts(kind: str) -> None:
    template = messages.texts()[kind]
    assert set(template) == {"zh", "en"}
    assert re.search("[\u4e00-\u9fff]", template["zh"])
    assert not re.search("[\u4e00-\u9fff]", template["en"])
    fields = {
        language: {
            re.sub("_(zh|en)$", "", name)
            for _, name, _, _ in string.Formatter().parse(template[language])
            if name
        }
        for language in ("zh", "en")
    }
    assert fields["zh"] == fields["en"]


def test_an_offer_in_words() -> None:
    body = EVERY[f"case/{CASE_ID}/offer/2"].body
    assert body["en"] == (
        "Rescue offered: 浙A12345 (Geely EC7), coolant overheating, at 30.12346, 120.50000, "
        "about 13 min away. Please accept or decline within 90 s."
    )
    assert body["zh"] == (
        "救援任务：浙A12345（Geely EC7）冷却液过热，位置 30.12346, 120.50000，"
        "预计 13 分钟可到。请在 90 秒内接单或拒单。"
    )
    assert body["unit_id"] == "u1"


def test_a_reminder_in_words() -> None:
    assert EVERY["maintenance/41/1"].body["en"] == (
        "Maintenance reminder for 浙A12345: oil service due soon, 400 km left, 12 days left, "
        "date 2025-03-01. Please answer: book, later or no."
    )
    worst = EVERY["maintenance/41/3"]
    assert worst.kind == "maintenance.overdue"
    assert worst.body["zh"] == (
        "保养逾期提醒：浙A12345：机油保养已逾期，已超 1200 公里，日期 2025-03-01；"
        "机油保养即将到期，还剩 400 公里，还剩 12 天，日期 2025-03-01。"
        "请尽快进站。回复预约、稍后或不需要。"
    )
    assert [i["state"] for i in worst.body["items"]] == ["overdue", "due_soon"]


def test_without_consent_the_station_alone_is_told() -> None:
    told = EVERY["maintenance/41/4"]
    assert (told.kind, told.body["to"]) == ("maintenance.worklist", "station")
    assert EVERY["maintenance/41/1"].body["to"] == "owner"
