"""What leaves for people: one pure function per message, texts in dispatch/messages.toml.

A message carries its facts, for machines, and a text in Chinese and English made of them. Keys are
stable and name no vehicle: the same occasion gives the same key, however often it is written.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from dispatch.templates import load_texts
from dispatch.terms import Terms
from model.effects import OutboxRecord
from model.maintenance import DueAssessment, DueState
from model.rescue import CALL_CENTRE, RescueCase
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


class DueService(Record):
    """A service and how it stands."""

    service: Service
    found: DueAssessment


def texts() -> dict[str, dict[str, str]]:
    """Templates by kind of message. Raises TemplateError."""
    return load_texts("messages.toml")


def confirm(case: RescueCase, vehicle: Vehicle, fault: Fault, *, promise_s: float) -> OutboxRecord:
    """To the station: a person decides whether a crew goes out."""
    facts = _facts(case, vehicle, fault) | {"promise_min": promise_s / 60}
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


def reminder(
    vehicle_id: int,
    vehicle: Vehicle,
    due: Sequence[DueService],
    *,
    number: int,
    to_owner: bool,
) -> OutboxRecord:
    """To the owner, or to the station alone where the owner wants no reminders: what is due.

    All services of one vehicle in one message; `number` counts the vehicle's reminders.
    """
    assert due and all(d.found.state is not DueState.OK for d in due), "nothing to remind of"
    ranked = sorted(due, key=lambda d: (-_URGENCY.index(d.found.state), d.service.kind))
    worst = ranked[0].found.state
    facts: dict[str, Fact] = {
        "vin": vehicle.vin,
        "plate": vehicle.plate or vehicle.vin,
        "station_id": vehicle.preferred_station or None,
        "owner_ref": vehicle.owner_ref or None,
        "state": worst,
        "to": "owner" if to_owner else "station",
    }
    kind = f"maintenance.{worst}" if to_owner else "maintenance.worklist"
    words = {
        "items_zh": "；".join(_due_words(d, "zh") for d in ranked),
        "items_en": "; ".join(_due_words(d, "en") for d in ranked),
    }
    made = _message(kind, f"maintenance/{vehicle_id}/{number}", facts, **words)
    items = [_due_facts(d) for d in ranked]
    return OutboxRecord(made.key, made.kind, {**made.body, "items": items})


def undelivered(kind: str, key: str, *, channel: str, attempts: int, error: str) -> OutboxRecord:
    """To the operators: a message of this kind was given up on a channel."""
    facts: dict[str, Fact] = {
        "about": kind,
        "channel": channel,
        "attempts": attempts,
        "error": error,
    }
    return _message("notice.undelivered", f"undelivered/{key}", facts)


def trial(subscription_id: str, channel: str, number: int) -> OutboxRecord:
    """To one channel: whether it works."""
    facts: dict[str, Fact] = {"channel": channel}
    return _message("notice.test", f"trial/{subscription_id}/{number}", facts)


_URGENCY = list(DueState)


def _due_facts(due: DueService) -> dict[str, Fact]:
    found = due.found
    return {
        "service": due.service.kind,
        "service_zh": due.service.zh,
        "service_en": due.service.en,
        "state": found.state,
        "reason": found.reason,
        "remaining_km": found.remaining_km,
        "remaining_days": found.remaining_days,
        "remaining_h": found.remaining_h,
        "due_at": found.due_at.isoformat() if found.due_at else None,
    }


def _due_words(due: DueService, language: str) -> str:
    """One service: its state, what is left or how far it is passed, the forecast date."""
    words, found = load_texts("maintenance_words.toml"), due.found
    name = due.service.zh if language == "zh" else due.service.en
    said = [words[found.state][language].format(service=name)]
    counters = {"km": found.remaining_km, "days": found.remaining_days, "h": found.remaining_h}
    for unit, left in counters.items():
        if left is not None:
            side = "left" if left >= 0 else "over"
            said.append(words[f"{side}_{unit}"][language].format(amount=abs(left)))
    if found.due_at is not None:
        said.append(words["date"][language].format(date=f"{found.due_at:%Y-%m-%d}"))
    return ("，" if language == "zh" else ", ").join(said)


def _facts(case: RescueCase, vehicle: Vehicle, fault: Fault) -> dict[str, Fact]:
    return {
        "case_id": str(case.case_id),
        "station_id": None if case.owner == CALL_CENTRE else case.owner,
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
