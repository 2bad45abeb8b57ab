"""The masters that tests of people's work share."""

from __future__ import annotations

from model.vehicle import RescueUnit


def rescue_unit(unit_id: str = "u1", **more: object) -> RescueUnit:
    """A crew of station hz that is on duty and can tow, at 30° N 120° E; `more` says otherwise."""
    facts: dict[str, object] = {
        "unit_id": unit_id,
        "station_id": "hz",
        "name": f"{unit_id} 队",
        "capabilities": frozenset({"tow"}),
        "on_duty": True,
        "latitude_deg": 30.0,
        "longitude_deg": 120.0,
    }
    return RescueUnit.model_validate(facts | more)
