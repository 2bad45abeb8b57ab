"""What other systems tell us: one record each, with its JSON schema (domain.md 1.3).

CRM: vehicle, complaint. HR and attendance: person, duty. Network: station, rescue_unit. Parts:
part_availability. DMS: work_order_update. Surveys: survey_score.
"""

from __future__ import annotations

from pydantic import BaseModel

from console.work_bodies import ComplaintTold, OrderUpdateBody
from model.masters import Duty, PartStock, Person, SurveyScore, VehicleRecord
from model.vehicle import RescueUnit, Station

#: By the name of its file in docs/reference/contracts.
CONTRACTS: dict[str, type[BaseModel]] = {
    "vehicle": VehicleRecord,
    "station": Station,
    "person": Person,
    "duty": Duty,
    "rescue_unit": RescueUnit,
    "part_availability": PartStock,
    "work_order_update": OrderUpdateBody,
    "complaint": ComplaintTold,
    "survey_score": SurveyScore,
}


def schema_of(name: str) -> dict[str, object]:
    """The JSON schema (draft 2020-12) of a contract."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:roadcall:contract:{name}",
        **CONTRACTS[name].model_json_schema(),
    }
