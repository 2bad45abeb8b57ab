"""A bundle on trial, beside the one in force: the same samples, its own memory, told to nobody.

It starts with nothing and looks from the vehicle's next upload on. Samples later than the lateness
are left out: a trial has no history lane.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from model.alerts import AlertTransition
from rules.bundle import Bundle
from rules.facts import VehicleFacts
from rules.lane import Step, VehicleRules


@dataclass(frozen=True, slots=True, eq=False)
class Shadow:
    """What a bundle on trial remembers of one vehicle, and what it said in its last step."""

    bundle_hash: str
    rules: VehicleRules
    said: tuple[AlertTransition, ...] = ()

    def to_memory(self) -> dict[str, Any]:  # JSON has no closed type
        """JSON-able."""
        return {"bundle": self.bundle_hash, "rules": self.rules.to_memory()}

    @classmethod
    def from_memory(cls, row: dict[str, Any] | None) -> Shadow | None:
        """Undo `to_memory`."""
        return cls(row["bundle"], VehicleRules.from_memory(row["rules"])) if row else None


def follow(
    bundle: Bundle | None,
    shadow: Shadow | None,
    run: Callable[[Bundle, VehicleRules], Step],
    facts: VehicleFacts,
) -> Shadow | None:
    """The trial after one more step; another bundle begins anew, none forgets."""
    if bundle is None:
        return None
    if shadow is None or shadow.bundle_hash != bundle.hash:
        shadow = Shadow(bundle.hash, VehicleRules(facts=facts))
    step = run(bundle, shadow.rules)
    said = tuple(replace(t, bundle_hash=bundle.hash) for t in step.transitions)
    return Shadow(bundle.hash, step.rules, said)
