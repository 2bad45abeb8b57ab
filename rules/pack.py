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
      inhibit_by: [{rule: network.*, equal: [vin]}]    # hushes while such an alert stands
      overrides: [{battery_chemistry: LFP, params: {warn: 65}}]
      text: {zh: {title, driver, technician, action}, en: {...}}
      source: where each threshold comes from, or "our own"
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from model.severity import Severity
from model.suppression import Inhibitor
from model.vehicle import Record, Vehicle
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
Latch = Literal["none", "ack", "work_order"]


class OutOf(Record):
    """`3 in 10m`, `4 of 5`: at least so many of what follows."""

    least: int
    of: str


def _out_of(value: object, word: str) -> object:
    found = re.fullmatch(rf"(\d+) {word} (\S+)", value) if isinstance(value, str) else None
    if not found:
        raise ValueError(f"write {'3 in 10m' if word == 'in' else '2 of 3'}")
    least, of = int(found[1]), found[2]
    if least < 1 or (word == "of" and (not of.isdigit() or least > int(of))):
        raise ValueError(f"{value}: from 1 up to all of them")
    return OutOf(least=least, of=of)


InTime = Annotated[OutOf, BeforeValidator(lambda value: _out_of(value, "in"))]
OfAll = Annotated[OutOf, BeforeValidator(lambda value: _out_of(value, "of"))]


class Level(Record):
    """One severity of a rule."""

    severity: Severity
    condition: str
    hold_ns: DurationNs = Field(default=0, alias="for")
    for_count: InTime | None = None
    for_samples: OfAll | None = None
    for_cycles: OfAll | None = None
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
    region: tuple[str, ...] = ()
    use: tuple[str, ...] = ()
    model_years: tuple[int, int] | None = None  # from, to


class Override(Record):
    """Other parameters for some vehicles; the row with the most matching fields wins."""

    powertrain: Powertrain | None = None
    brand: str | None = None
    model: str | None = None
    model_year: int | None = None
    model_years: tuple[int, int] | None = None  # from, to
    battery_chemistry: str | None = None
    region: str | None = None
    use: str | None = None
    profile: str | None = None
    params: dict[str, float]

    def matches(self, vehicle: Vehicle) -> bool:
        """Whether the row is for this vehicle."""
        wanted = self.matchers()
        years = wanted.pop("model_years", None)
        if years is not None and not years[0] <= vehicle.model_year <= years[1]:
            return False
        return all(getattr(vehicle, name) == value for name, value in wanted.items())

    def apart(self, other: Override) -> bool:
        """Whether no vehicle can match both."""
        ours, theirs = self.matchers(), other.matchers()
        mine, its = self.years(), other.years()
        return (
            mine[1] < its[0]
            or its[1] < mine[0]
            or any(
                ours[k] != theirs[k]
                for k in ours.keys() & theirs.keys() - {"model_year", "model_years"}
            )
        )

    def years(self) -> tuple[int, int]:
        """First and last model year it is for."""
        if self.model_year is not None:
            return self.model_year, self.model_year
        return self.model_years or (0, 9999)

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
    latch: Latch = "none"
    inhibit_by: tuple[Inhibitor, ...] = ()
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
            shared = a.params.keys() & b.params.keys()
            if shared and len(a.matchers()) == len(b.matchers()) and not a.apart(b):
                faults.append(f"two overrides tie for {', '.join(sorted(shared))}")
    return faults
