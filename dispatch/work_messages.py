"""What people hear about cases, work orders and incidents; texts in dispatch/work_messages.toml.

Keys are stable and name no vehicle: the same occasion gives the same key, however often it is
written. `to` names the roles that shall read it.
"""

from __future__ import annotations

from dispatch.templates import load_texts
from model.complaint import Incident
from model.diagnosis_case import DiagnosisCase
from model.effects import OutboxRecord
from model.repair_plan import RepairPlan
from model.vehicle import Vehicle
from model.work_order import WorkOrder


def escalated(case: DiagnosisCase, vehicle: Vehicle, reason: str) -> OutboxRecord:
    """To whoever helps now."""
    facts = _facts(case, vehicle) | {"reason": reason, "to": ["region" if case.level < 3 else "hq"]}
    return _message("case.escalated", f"diagnosis/{case.case_id}/escalated/{case.version}", facts)


def repeated(case: DiagnosisCase, vehicle: Vehicle) -> OutboxRecord:
    """To headquarters at once: a repair has not held. It depends on nobody's goodwill."""
    key = f"diagnosis/{case.case_id}/repeat/{case.repeat_no}"
    return _message("case.repeated", key, _facts(case, vehicle) | {"to": ["hq", "region"]})


def planned(case: DiagnosisCase, vehicle: Vehicle, plan: RepairPlan) -> OutboxRecord:
    """To the workshop, before the car arrives: what to have ready."""
    body = plan.body
    parts = "，".join(p.zh for p in body.parts), ", ".join(p.en for p in body.parts)
    facts = _facts(case, vehicle) | {
        "to": ["station"],
        "plan_version": plan.version,
        "labour_min": body.labour_min or 0,
        "min_skill_level": body.min_skill_level,
        "high_voltage": body.high_voltage,
        "parts_zh": parts[0] or "无",
        "parts_en": parts[1] or "none",
    }
    return _message("plan.approved", f"diagnosis/{case.case_id}/plan/{plan.version}", facts)


def reopened(order: WorkOrder, vehicle: Vehicle, reason: str) -> OutboxRecord:
    """To the station: the car comes back, first in the queue."""
    facts: dict[str, object] = {
        "to": ["station"],
        "work_order_id": str(order.work_order_id),
        "station_id": order.station_id,
        "vin": order.vin,
        "plate": vehicle.plate or order.vin,
        "repeat_no": order.repeat_no,
        "reason": reason,
    }
    key = f"work_order/{order.work_order_id}/reopened/{order.version}"
    return _message("work_order.reopened", key, facts)


def opened_incident(incident: Incident, vehicle: Vehicle) -> OutboxRecord:
    """To headquarters: it must be reported, planned and answered in time."""
    facts: dict[str, object] = {
        "to": ["hq", "region"],
        "incident_id": str(incident.incident_id),
        "station_id": incident.station_id,
        "vin": incident.vin,
        "plate": vehicle.plate or incident.vin,
        "cause": incident.cause,
        "rule_id": incident.rule_id,
        "severity": int(incident.severity),
    }
    return _message("incident.opened", f"incident/{incident.incident_id}/opened", facts)


def _facts(case: DiagnosisCase, vehicle: Vehicle) -> dict[str, object]:
    return {
        "case_id": str(case.case_id),
        "alert_id": str(case.alert_id),
        "evidence": f"/v1/alerts/{case.alert_id}/evidence",
        "vin": case.vin,
        "plate": vehicle.plate or case.vin,
        "model": f"{vehicle.brand} {vehicle.model}".strip() or vehicle.profile,
        "rule_id": case.rule_id,
        "severity": int(case.severity),
        "level": case.level,
        "repeat_no": case.repeat_no,
        "owner": case.owner,
        "station_id": case.station_id,
    }


def _message(kind: str, key: str, facts: dict[str, object]) -> OutboxRecord:
    text = {
        language: load_texts("work_messages.toml")[kind][language].format_map(facts)
        for language in ("zh", "en")
    }
    return OutboxRecord(key=key, kind=kind, body={**facts, **text})
