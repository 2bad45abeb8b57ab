"""What leaves for people: one pure function per message, texts in dispatch/messages.toml.

A message carries its facts, for machines, and a text in Chinese and English made of them. Keys are
stable and name no vehicle: the same occasion gives the same key, however often it is written.
"""

from __future__ import annotations

import tomllib
from datetime import datetime
from functools import cache
from importlib.resources import files
from typing import TypeAlias

from dispatch.clocks import remaining
from dispatch.terms import Terms
from model.effects import OutboxRecord
from model.maintenance import DueAssessment, DueState
from model.rescue import RescueCase
from model.vehicle import Record, RescueUnit, Vehicle

Fact: TypeAlias = str | int | float | None


class Fault(Record):
    """What is wrong with the car, in words."""

    rule_id: str
    zh: str
    en: str


class Service(Record):
    """A kind of maintenance, in words."""

    kind: str
    zh: str
    en: str


@cache
def texts() -> dict[str, dict[str, str]]:
    """Templates by kind of message."""
    return tomllib.loads(files("dispatch").joinpath("messages.toml").read_text("utf-8"))


def confirm(case: RescueCase, vehicle: Vehicle, fault: Fault, terms: Terms) -> OutboxRecord:
    """To the station: a person decides whether a crew goes out."""
    facts = _facts(case, vehicle, fault) | {"promise_min": terms.promise_min[case.zone]}
    return _message("rescue.confirm", f"case/{case.case_id}/confirm", facts)


def offer(
    case: RescueCase,
    vehicle: Vehicle,
    fault: Fault,
    unit: RescueUnit,
    *,
    eta_s: float,
    terms: Terms,
) -> OutboxRecord:
    """To the crew the case was just offered to."""
    assert case.unit_id == unit.unit_id and case.offered_at is not None
    facts = _facts(case, vehicle, fault) | {
        "unit_id": unit.unit_id,
        "station_id": unit.station_id,
        "offered_at": case.offered_at.isoformat(),
        "answer_s": terms.offer_s,
        "eta_min": round(eta_s / 60, 1),
    }
    return _message("rescue.offer", f"case/{case.case_id}/offer/{case.version}", facts)


def withdrawn(case: RescueCase, vehicle: Vehicle, unit_id: str) -> OutboxRecord:
    """To a crew that need not go; `case` is the case after the step that let it go."""
    facts: dict[str, Fact] = {"case_id": str(case.case_id), "unit_id": unit_id}
    facts |= {"vin": vehicle.vin, "plate": vehicle.plate or vehicle.vin}
    return _message("rescue.withdrawn", f"case/{case.case_id}/withdrawn/{case.version}", facts)


def no_unit(case: RescueCase, vehicle: Vehicle, fault: Fault) -> OutboxRecord:
    """To the call centre: every crew is busy, unable or has declined."""
    key = f"case/{case.case_id}/no_unit/{case.version}"
    return _message("rescue.no_unit", key, _facts(case, vehicle, fault))


def arrival_warning(
    case: RescueCase, vehicle: Vehicle, *, percent: int, due_at: datetime, now: datetime
) -> OutboxRecord:
    """To the station and the crew: so much of the promise is used up."""
    left_min = remaining(due_at, now).total_seconds() / 60
    facts: dict[str, Fact] = {
        "case_id": str(case.case_id),
        "unit_id": case.unit_id,
        "vin": vehicle.vin,
        "plate": vehicle.plate or vehicle.vin,
        "state": case.state,
        "percent": percent,
        "due_at": due_at.isoformat(),
        "left_min": round(left_min, 1),
    }
    kind = "clock.arrival" if left_min > 0 else "clock.arrival.missed"
    return _message(kind, f"case/{case.case_id}/arrival/{percent}", facts)


def reminder(
    vehicle_id: int,
    vehicle: Vehicle,
    service: Service,
    found: DueAssessment,
    *,
    cycle: int,
) -> OutboxRecord:
    """To the owner's station: a service came closer, in this cycle for the first time."""
    assert found.state is not DueState.OK, "nothing to remind of"
    rest = _rest(found)
    facts: dict[str, Fact] = {
        "vin": vehicle.vin,
        "plate": vehicle.plate or vehicle.vin,
        "station_id": vehicle.preferred_station or None,
        "service": service.kind,
        "service_zh": service.zh,
        "service_en": service.en,
        "state": found.state,
        "reason": found.reason,
        "remaining_km": found.remaining_km,
        "remaining_days": found.remaining_days,
        "due_at": found.due_at.isoformat() if found.due_at else None,
    }
    key = f"maintenance/{vehicle_id}/{service.kind}/{cycle}/{found.state}"
    return _message(
        f"maintenance.{found.state}", key, facts, rest_zh=rest["zh"], rest_en=rest["en"]
    )


def _rest(found: DueAssessment) -> dict[str, str]:
    """What is left, or how far it is passed, and the forecast date."""
    zh, en = "", ""
    if found.remaining_km is not None:
        past, km = found.remaining_km < 0, abs(found.remaining_km)
        zh += f"，{'已超' if past else '还剩'} {km:.0f} 公里"
        en += f", {km:.0f} km {'over' if past else 'left'}"
    if found.remaining_days is not None:
        past, days = found.remaining_days < 0, abs(found.remaining_days)
        zh += f"，{'已超' if past else '还剩'} {days:.0f} 天"
        en += f", {days:.0f} days {'over' if past else 'left'}"
    if found.due_at is not None:
        zh += f"，日期 {found.due_at:%Y-%m-%d}"
        en += f", date {found.due_at:%Y-%m-%d}"
    return {"zh": zh, "en": en}


def _facts(case: RescueCase, vehicle: Vehicle, fault: Fault) -> dict[str, Fact]:
    return {
        "case_id": str(case.case_id),
        "vin": vehicle.vin,
        "plate": vehicle.plate or vehicle.vin,
        "model": f"{vehicle.brand} {vehicle.model}".strip() or vehicle.profile,
        "powertrain": vehicle.powertrain,
        "severity": int(case.severity),
        "rule_id": fault.rule_id,
        "fault_zh": fault.zh,
        "fault_en": fault.en,
        "zone": case.zone,
        "latitude_deg": case.latitude_deg,
        "longitude_deg": case.longitude_deg,
        "place": f"{case.latitude_deg:.5f}, {case.longitude_deg:.5f}",
    }


def _message(kind: str, key: str, facts: dict[str, Fact], **words: str) -> OutboxRecord:
    template = texts()[kind]
    shown = {**facts, **words}
    text = {language: template[language].format_map(shown) for language in ("zh", "en")}
    return OutboxRecord(key=key, kind=kind, body={**facts, **text})
