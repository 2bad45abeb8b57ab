"""What people hear about cases, work orders and incidents."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime

from dispatch import work_messages
from dispatch.repair_plan import draft
from model.complaint import Incident, IncidentCause
from model.diagnosis_case import DiagnosisCase
from model.repair_plan import RepairPlan
from model.severity import Severity
from model.vehicle import Vehicle
from model.work_order import OrderSource, WorkOrder

NOW = datetime(2025, 3, 1, 8, 0, tzinfo=UTC)
KEY = uuid.UUID(int=5)
CAR = Vehicle(vin="LRDCALL0000000001", profile="demo_car", plate="浙A1", brand="Geely", model="EC7")
CASE = DiagnosisCase(
    case_id=KEY, vin=CAR.vin, alert_id=KEY, fault_key="r", rule_id="ice.coolant.overtemp",
    severity=Severity.STOP, owner="eng.east", level=2, repeat_no=2, station_id="hz",
    opened_at=NOW, changed_at=NOW, version=3,
)  # fmt: skip


def test_each_message_is_read_in_both_languages_and_named_once() -> None:
    body, used = draft(CASE.rule_id, (), {})
    plan = RepairPlan(
        case_id=KEY, version=2, body=body, templates=used, author="chief", created_at=NOW
    )
    order = WorkOrder(
        work_order_id=KEY, vin=CAR.vin, source=OrderSource.ALERT, owner="hz", repeat_no=2,
        opened_at=NOW, changed_at=NOW, version=9,
    )  # fmt: skip
    incident = Incident(
        incident_id=KEY, vin=CAR.vin, cause=IncidentCause.REPEAT, rule_id=CASE.rule_id,
        severity=Severity.STOP, owner="hq", opened_at=NOW, changed_at=NOW,
    )  # fmt: skip
    told = [
        work_messages.escalated(CASE, CAR, "no plan in time"),
        work_messages.repeated(CASE, CAR),
        work_messages.planned(CASE, CAR, plan),
        work_messages.reopened(order, CAR, "the fault came back"),
        work_messages.opened_incident(incident, CAR),
    ]
    assert [record.key for record in told] == [
        f"diagnosis/{KEY}/escalated/3",
        f"diagnosis/{KEY}/repeat/2",
        f"diagnosis/{KEY}/plan/2",
        f"work_order/{KEY}/reopened/9",
        f"incident/{KEY}/opened",
    ]
    for record in told:
        assert "浙A1" in record.body["zh"] and "浙A1" in record.body["en"]
        assert CAR.vin not in record.body["zh"] + record.body["en"] + record.key
        assert record.body["to"]
    assert told[0].body["en"] == (
        "Diagnosis raised to level 2: 浙A1 (Geely EC7), ice.coolant.overtemp; no plan in time."
        " eng.east is asked to help."
    )
    assert told[0].body["evidence"] == f"/v1/alerts/{KEY}/evidence"
    assert "节温器" in told[2].body["zh"] and "Thermostat" in told[2].body["en"]
