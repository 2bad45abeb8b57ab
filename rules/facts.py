"""What a rule may read of a vehicle's service history. Fed from the database at load and refresh.

Every fact has its moment in event time and counts from then on, so that a run over the past sees
what was known then. Facts are not part of the rules' memory.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Done:
    """A maintenance item was done. Counters None = not known."""

    item: str
    at_ns: int
    odometer_km: float | None = None
    engine_hours_h: float | None = None


@dataclass(frozen=True, slots=True)
class Closed:
    """Somebody has seen an alert (`ack`), or its work order was closed (`work_order`).

    `instance` "" = every part the rule is about.
    """

    rule_id: str
    at_ns: int
    kind: Literal["ack", "work_order"] = "work_order"
    instance: str = ""
    odometer_km: float | None = None


@dataclass(frozen=True, slots=True)
class VehicleFacts:
    """Everything known, in any order."""

    done: tuple[Done, ...] = ()
    closed: tuple[Closed, ...] = ()


NO_FACTS = VehicleFacts()
