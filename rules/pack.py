"""What a rule pack file may say. YAML in, checked records out.

Source: our own format, specified here. One file = a list of rules:

    - id: ice.coolant.overtemp        # readable, never reused
      domain: [E01, E02]              # ids of the domain list
      version: 1                      # raise it when a condition changes
      kind: fault                     # fault | data_quality
      applies_to: {powertrain: [combustion, hybrid]}
      for_each: {wheel: [fl, fr]}     # one instance a name; or {source: red_stop_lamp}
      when: engine_speed_rpm > 400    # gate: false resets pending, holds firing
      levels: [{severity: 2, condition: ..., for: 5s, emit: on_watermark}]
      clear: {condition: ..., for: 60s}        # default: no level holds, for 60s
      stale_after: 5m                 # nothing known for this long: shown as stale, not cleared
      max_gap: 30s                    # a sample is believed this long
      params: {warn: 110}
      overrides: [{battery_chemistry: LFP, params: {warn: 65}}]
      text: {zh: {title, driver, technician, action}, en: {...}}
      source: where each threshold comes from, or "our own"
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from model.severity import Severity
from model.vehicle import Record
from rules.expression import ExpressionError, parse_duration


def _duration_ns(value: object) -> int:
    if not isinstance(value, str):
        raise ValueError("a duration has a unit, such as 10s")
    try:
        return parse_duration(value)
    except ExpressionError as error:
        raise ValueError(str(error)) from error


DurationNs = Annotated[int, BeforeValidator(_duration_ns)]
Powertrain = Literal["combustion", "hybrid", "electric"]


class Level(Record):
    """One severity of a rule."""

    severity: Severity
    condition: str
    hold_ns: DurationNs = Field(default=0, alias="for")
    emit: Literal["on_arrival", "on_watermark"] | None = None

    @property
    def early(self) -> bool:
        """Whether people hear of it before the lateness bound has passed."""
        return self.emit == "on_arrival" if self.emit else self.severity >= Severity.STOP


class Clear(Record):
    """When a firing alert is over."""

    condition: str
    hold_ns: DurationNs = Field(default=60 * 10**9, alias="for")


class AppliesTo(Record):
    """Vehicles a rule is for; an empty list means all."""

    powertrain: tuple[Powertrain, ...] = ()
    brand: tuple[str, ...] = ()
    model: tuple[str, ...] = ()
    battery_chemistry: tuple[str, ...] = ()
    profile: tuple[str, ...] = ()


class Override(Record):
    """Other parameters for some vehicles; the row with the most matching fields wins."""

    powertrain: Powertrain | None = None
    brand: str | None = None
    model: str | None = None
    model_year: int | None = None
    battery_chemistry: str | None = None
    params: dict[str, float]

    def matchers(self) -> dict[str, Any]:  # values are compared with a Vehicle's, whatever they are
        """The fields a vehicle must have."""
        return self.model_dump(exclude={"params"}, exclude_none=True)


class Text(Record):
    """What people read."""

    title: str = Field(min_length=1)
    driver: str = Field(min_length=1)
    technician: str = Field(min_length=1)
    action: str = Field(min_length=1)


class Texts(Record):
    """Both languages, always."""

    zh: Text
    en: Text


class Rule(Record):
    """One rule as written."""

    id: str = Field(pattern=r"^[a-z0-9_]+(\.[a-z0-9_]+)+$")
    domain: tuple[str, ...] = Field(min_length=1)
    version: int = Field(ge=1)
    kind: Literal["fault", "data_quality"]
    applies_to: AppliesTo = AppliesTo()
    for_each: dict[str, tuple[str, ...] | str] = Field(default_factory=dict, max_length=1)
    when: str | None = None
    levels: tuple[Level, ...] = Field(min_length=1, max_length=8)
    clear: Clear | None = None
    stale_after: DurationNs = 5 * 60 * 10**9
    max_gap: DurationNs = 30 * 10**9
    params: dict[str, float] = Field(default_factory=dict)
    overrides: tuple[Override, ...] = ()
    text: Texts
    source: str = Field(min_length=1)

    def conditions(self) -> list[str]:
        """Every condition text of the rule."""
        clear = [self.clear.condition] if self.clear else []
        gate = [self.when] if self.when else []
        return gate + [level.condition for level in self.levels] + clear


def override_faults(rule: Rule) -> list[str]:
    """Overrides that name unknown parameters, or of which two could win at once."""
    faults = []
    for row in rule.overrides:
        unknown = sorted(row.params.keys() - rule.params.keys())
        if unknown:
            faults.append(f"override of unknown parameter {', '.join(unknown)}")
        if not row.matchers():
            faults.append("override without a field to match")
    for i, a in enumerate(rule.overrides):
        for b in rule.overrides[i + 1 :]:
            ours, theirs = a.matchers(), b.matchers()
            shared = a.params.keys() & b.params.keys()
            apart = any(ours[k] != theirs[k] for k in ours.keys() & theirs.keys())
            if shared and len(ours) == len(theirs) and not apart:
                faults.append(f"two overrides tie for {', '.join(sorted(shared))}")
    return faults
