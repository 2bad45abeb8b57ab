"""A bundle on trial, beside the one in force: the same samples, its own memory, told to nobody.

It starts with nothing and looks from the vehicle's next upload on. Samples later than the lateness
are judged by a run over history, as those of the bundle in force are, back to where it began.
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
    #: Its oldest sample: history is not looked at before it.
    begun_ns: int = 0
    #: The oldest sample of the last step that came too late for it.
    late_from_ns: int | None = None

    def after(self, step: Step) -> Shadow:
        """As it stands after one more step."""
        said = tuple(replace(t, bundle_hash=self.bundle_hash) for t in step.transitions)
        begun_ns = self.begun_ns or min((c.oldest_ns for c in step.rules.chunks), default=0)
        return Shadow(self.bundle_hash, step.rules, said, begun_ns, step.late_from_ns)

    def to_memory(self) -> dict[str, Any]:  # JSON has no closed type
        """JSON-able."""
        row = {"bundle": self.bundle_hash, "rules": self.rules.to_memory()}
        return {**row, "begun_ns": self.begun_ns}

    @classmethod
    def from_memory(cls, row: dict[str, Any] | None) -> Shadow | None:
        """Undo `to_memory`."""
        if not row:
            return None
        rules = VehicleRules.from_memory(row["rules"])
        return cls(row["bundle"], rules, begun_ns=row.get("begun_ns", rules.watermark_ns))


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
    return shadow.after(run(bundle, shadow.rules))
