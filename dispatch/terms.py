"""The parameters of a rescue service, read from dispatch/profiles.toml.

Its promises with a deadline are dispatch/clocks.toml.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from functools import cache
from typing import Annotated

from pydantic import Field

from model.terms_files import read_terms
from model.vehicle import Record, Zone

Positive = Annotated[float, Field(gt=0)]


class Need(Record):
    """What a crew must have for these powertrains; none named means all."""

    capabilities: frozenset[str] = frozenset()
    #: Held by somebody in the crew; a crew that is not named proves none.
    certificates: frozenset[str] = frozenset()
    powertrains: tuple[str, ...] = ()

    def fits(self, powertrain: str) -> bool:
        """Whether this line applies to the vehicle."""
        return not self.powertrains or powertrain in self.powertrains


class DeliveryTerms(Record):
    """Back-off of a message to the outside, and when it is given up."""

    first_delay_s: Positive
    longest_delay_s: Positive
    attempts: Annotated[int, Field(ge=1)]


class ArrivalTerms(Record):
    """When a crew's position proves that it is there."""

    radius_m: Positive
    below_kmh: Positive
    for_s: Annotated[float, Field(ge=0)]


class ThermalTerms(Record):
    """A traction battery that burns or is about to."""

    #: Patterns of rule ids, e.g. *thermal*.
    rules: tuple[str, ...]
    capabilities: frozenset[str]
    certificates: frozenset[str]
    distance_m: Positive
    fire_service: str
    zh: str
    en: str

    def is_told_by(self, rule_id: str) -> bool:
        """Whether an alert of this rule is a thermal event."""
        return any(fnmatchcase(rule_id, pattern) for pattern in self.rules)

    def text(self, language: str) -> str:
        """What everybody near the car must know."""
        template = self.zh if language == "zh" else self.en
        return template.format(distance_m=self.distance_m, fire_service=self.fire_service)


class Terms(Record):
    """One brand's profile."""

    max_age_s: Positive
    auto_confirm_s: Annotated[float, Field(ge=0)]
    offer_s: Positive
    broadcast_after_refusals: Annotated[int, Field(ge=1)]
    broadcast_after_s: Positive
    give_up_after_s: Positive
    radius_km: Positive
    broadcast_at_most: Annotated[int, Field(ge=1)]
    offer_late: bool
    second_crews: Annotated[int, Field(ge=0)]
    second_at_percent: Annotated[float, Field(gt=0, le=100)]
    road_factor: Annotated[float, Field(ge=1)]
    speed_kmh: Positive
    eta_step_s: Positive
    zone_without_station: Zone
    need: tuple[Need, ...]
    arrival: ArrivalTerms
    thermal: ThermalTerms
    delivery: DeliveryTerms

    def needed(self, powertrain: str) -> frozenset[str]:
        """Everything a crew must be able to do for this vehicle."""
        fitting = [line.capabilities for line in self.need if line.fits(powertrain)]
        return frozenset[str]().union(*fitting)

    def certificates(self, powertrain: str) -> frozenset[str]:
        """Every certificate a crew must prove for this vehicle."""
        fitting = [line.certificates for line in self.need if line.fits(powertrain)]
        return frozenset[str]().union(*fitting)

    def trained(self) -> tuple[list[str], list[str]]:
        """Capabilities that want a certificate, and these certificates."""
        lines: list[Need | ThermalTerms] = [line for line in self.need if line.certificates]
        lines.append(self.thermal)
        capabilities = frozenset[str]().union(*(line.capabilities for line in lines))
        certificates = frozenset[str]().union(*(line.certificates for line in lines))
        return sorted(capabilities), sorted(certificates)


@cache
def load_terms(brand: str = "default") -> Terms:
    """The brand's profile; what it does not say is as in `default`.

    Raises ValidationError when the file is wrong.
    """
    profiles = read_terms("profiles.toml")
    return Terms.model_validate({**profiles["default"], **profiles.get(brand, {})})
