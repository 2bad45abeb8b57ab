"""What leaves for people about clocks, second crews and dangers; see dispatch.messages.

A message to a person who stands beside a burning battery says how far to stay away and whom to
call, in every message of that case.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from zoneinfo import ZoneInfo

from dispatch import messages
from dispatch.clocks import remaining
from dispatch.messages import Fault
from dispatch.rescue_choice import Choice
from dispatch.templates import load_texts
from dispatch.terms import Terms
from model.effects import OutboxRecord
from model.promises import Fact, Firing
from model.rescue import RescueCase
from model.vehicle import RescueUnit, Vehicle

#: Times in texts; machines read the facts, which are UTC.
LOCAL = ZoneInfo("Asia/Shanghai")


def texts() -> dict[str, dict[str, str]]:
    """Templates by kind of message."""
    return load_texts("rescue_messages.toml")


def offer(
    case: RescueCase, vehicle: Vehicle, fault: Fault, choice: Choice, terms: Terms, now: datetime
) -> OutboxRecord:
    """To a crew that is asked: the only one, or one of many in a broadcast."""
    unit = _unit(choice)
    standing = case.model_copy(update={"unit_id": unit.unit_id, "offered_at": now})
    made = messages.offer(standing, vehicle, fault, unit, eta_s=choice.eta_s, terms=terms)
    key = f"{made.key}/{unit.unit_id}" if case.asked else made.key
    body = made.body | _about(choice, now) | {"broadcast": bool(case.asked)}
    return _safe(OutboxRecord(key, made.kind, body), case, terms)


def second(
    case: RescueCase, vehicle: Vehicle, fault: Fault, choice: Choice, terms: Terms, now: datetime
) -> OutboxRecord:
    """To the crew that is asked beside the one that will be late."""
    unit = _unit(choice)
    standing = case.model_copy(update={"unit_id": unit.unit_id, "offered_at": now})
    facts = messages.offer(standing, vehicle, fault, unit, eta_s=choice.eta_s, terms=terms).body
    key = f"case/{case.case_id}/second/{case.version}"
    return _safe(_message("rescue.second", key, facts | _about(choice, now)), case, terms)


def late(case: RescueCase, vehicle: Vehicle, *, asked: bool, eta_at: datetime) -> OutboxRecord:
    """To the customer: the crew will be late, and what is done about it."""
    facts: dict[str, Fact] = {
        "case_id": str(case.case_id),
        "vin": vehicle.vin,
        "plate": vehicle.plate or vehicle.vin,
        "eta_at": eta_at.isoformat(),
        "eta_local": f"{eta_at.astimezone(LOCAL):%H:%M}",
        "second_zh": "加派另一辆救援车" if asked else "无其他更近的救援车",
        "second_en": "another crew was asked too" if asked else "no other crew is closer",
    }
    return _message("rescue.late", f"case/{case.case_id}/late/{case.version}", facts)


def safety(case: RescueCase, vehicle: Vehicle, terms: Terms) -> OutboxRecord:
    """To station, call centre and driver at once: a battery burns or is about to."""
    facts: dict[str, Fact] = {
        "case_id": str(case.case_id),
        "vin": vehicle.vin,
        "plate": vehicle.plate or vehicle.vin,
        "station_id": case.owner,
        "latitude_deg": case.latitude_deg,
        "longitude_deg": case.longitude_deg,
        **_safety(terms),
    }
    return _message("rescue.safety", f"case/{case.case_id}/safety", facts)


def clock_warning(firing: Firing, extra: Mapping[str, Fact]) -> OutboxRecord:
    """To everybody the clock's profile names: so much of a promise is used up."""
    clock = firing.clock
    left_min = remaining(clock.due_at, firing.at).total_seconds() / 60
    missed = firing.percent >= 100
    facts: dict[str, Fact] = {
        "clock": clock.kind,
        "promise_zh": clock.promise.zh,
        "promise_en": clock.promise.en,
        "brand": clock.promise.brand,
        "noun": clock.noun,
        "noun_id": clock.noun_id,
        "plate": clock.noun_id,
        "to": ",".join(firing.to),
        "percent": firing.percent,
        "due_at": clock.due_at.isoformat(),
        "left_min": round(left_min, 1),
        "over_min": round(max(0.0, -left_min), 1),
        **clock.facts,
        **extra,
    }
    kind = f"clock.{clock.kind}.missed" if missed else f"clock.{clock.kind}"
    return _message(kind, firing.key, facts, "clock.missed" if missed else "clock.warning")


def _unit(choice: Choice) -> RescueUnit:
    unit = choice.unit
    return RescueUnit(
        unit_id=unit.unit_id,
        station_id=unit.station_id,
        name=unit.name,
        capabilities=unit.capabilities,
        on_duty=True,
        latitude_deg=unit.latitude_deg,
        longitude_deg=unit.longitude_deg,
    )


def _about(choice: Choice, now: datetime) -> dict[str, Fact]:
    seen = choice.unit.position_at
    age_s = None if seen is None else round((now - seen).total_seconds())
    return {"keeps_promise": choice.keeps_promise, "position_age_s": age_s}


def _safe(record: OutboxRecord, case: RescueCase, terms: Terms) -> OutboxRecord:
    """The message with the danger said in it."""
    if not case.thermal:
        return record
    said = {lang: f"{record.body[lang]} {terms.thermal.text(lang)}" for lang in ("zh", "en")}
    return OutboxRecord(record.key, record.kind, {**record.body, **_safety(terms), **said})


def _safety(terms: Terms) -> dict[str, Fact]:
    return {
        "thermal": True,
        "fire_service": terms.thermal.fire_service,
        "distance_m": terms.thermal.distance_m,
        "safety_zh": terms.thermal.text("zh"),
        "safety_en": terms.thermal.text("en"),
    }


def _message(
    kind: str, key: str, facts: Mapping[str, Fact], template: str | None = None
) -> OutboxRecord:
    words = texts()[template or kind]
    said = {language: words[language].format_map(dict(facts)) for language in ("zh", "en")}
    return OutboxRecord(key=key, kind=kind, body={**facts, **said})
