"""The promises and parameters of a rescue service, read from dispatch/profiles.toml."""

from __future__ import annotations

import tomllib
from datetime import timedelta
from functools import cache
from importlib.resources import files
from typing import Annotated

from pydantic import Field

from model.vehicle import Record, Zone

Positive = Annotated[float, Field(gt=0)]


class Need(Record):
    """Capabilities a crew must have for these powertrains; none named means all."""

    capabilities: frozenset[str]
    powertrains: tuple[str, ...] = ()

    def fits(self, powertrain: str) -> bool:
        """Whether this line applies to the vehicle."""
        return not self.powertrains or powertrain in self.powertrains


class DeliveryTerms(Record):
    """Back-off of a message to the outside, and when it is given up."""

    first_delay_s: Positive
    longest_delay_s: Positive
    attempts: Annotated[int, Field(ge=1)]


class Terms(Record):
    """One brand's profile."""

    max_age_s: Positive
    offer_s: Positive
    warn_percent: tuple[Annotated[int, Field(gt=0)], ...]
    road_factor: Annotated[float, Field(ge=1)]
    speed_kmh: Positive
    zone_without_station: Zone
    promise_min: dict[Zone, Positive]
    need: tuple[Need, ...]
    delivery: DeliveryTerms

    def promise(self, zone: Zone) -> timedelta:
        """Time from the request to the crew at the vehicle."""
        return timedelta(minutes=self.promise_min[zone])

    def needed(self, powertrain: str) -> frozenset[str]:
        """Everything a crew must be able to do for this vehicle."""
        fitting = [line.capabilities for line in self.need if line.fits(powertrain)]
        return frozenset[str]().union(*fitting)


@cache
def load_terms(brand: str = "default") -> Terms:
    """The brand's profile, or `default`. Raises ValidationError when the file is wrong."""
    text = files("dispatch").joinpath("profiles.toml").read_text("utf-8")
    profiles = tomllib.loads(text)
    return Terms.model_validate(profiles.get(brand, profiles["default"]))
