"""A year of road rescues, made up from a seed: where cars break down and how crews behave.

The scale is that of a brand with 1 000 stations and 500 rescue cars; the year is compressed into
`days`, so that many cases run at once. Behaviour is drawn per case and crew from the seed, never
from the order in which a dispatcher asks.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from model.vehicle import RescueUnit, Station, Vehicle, Zone
from simulators.masters import check_digit, trained_crew

STATIONS, UNITS, RESCUES, VEHICLES = 1000, 500, 8156, 2000
#: Where the stations lie: centres of traffic in a box of 20 x 20 degrees.
CENTRES, SOUTH_DEG, WEST_DEG, BOX_DEG = 40, 22.0, 102.0, 18.0
ZONES = ((0.45, Zone.CITY), (0.80, Zone.COUNTY), (1.01, Zone.PROVINCE))
#: How far from its station a car breaks down, in degrees.
SPREAD_DEG = {Zone.CITY: 0.03, Zone.COUNTY: 0.10, Zone.PROVINCE: 0.35}


@dataclass(frozen=True, slots=True)
class Breakdown:
    """One car that needs help."""

    number: int
    at: datetime
    vin: str
    place: tuple[float, float]
    #: alert | driver | call_centre
    source: str
    severity: int
    thermal: bool
    #: When somebody confirms it, when the driver gives up waiting (never for most).
    confirm_s: float
    cancel_s: float | None
    #: When somebody acknowledges its alert at the desk (never for most).
    acknowledge_s: float | None


@dataclass(frozen=True, slots=True)
class Answer:
    """What a crew does with an offer. `says` is accept, decline or silent."""

    says: str
    after_s: float
    #: How long the way takes against the estimate; 1 = as estimated.
    slowness: float
    #: Its position feed is dead on this trip.
    lost: bool
    forgets_button: bool
    #: fix, tow or gone.
    outcome: str
    work_s: float


class RescueYear:
    """Everything that is drawn from one seed."""

    def __init__(
        self, seed: int, start: datetime, *, rescues: int = RESCUES, days: float = 6.0
    ) -> None:
        self._seed, self._start = seed, start
        self._rescues, self._days = rescues, days
        chance = random.Random(f"{seed}/places")  # noqa: S311 - a simulation
        centres = [(chance.uniform(0, BOX_DEG), chance.uniform(0, BOX_DEG)) for _ in range(CENTRES)]
        self.stations = tuple(self._station(chance, n, centres) for n in range(STATIONS))
        self.units = tuple(self._unit(chance, n) for n in range(UNITS))
        self.crews = tuple(p for unit in self.units for p in trained_crew(unit))
        self.vehicles = tuple(_vehicle(n) for n in range(VEHICLES))

    def breakdowns(self) -> Iterator[Breakdown]:
        """In the order of time; nights are quieter than days."""
        chance = random.Random(f"{self._seed}/breakdowns")  # noqa: S311
        desk = random.Random(f"{self._seed}/desk")  # noqa: S311
        moments = sorted(self._moment(chance) for _ in range(self._rescues))
        for number, at in enumerate(moments):
            station = self.stations[chance.randrange(STATIONS)]
            spread = SPREAD_DEG[station.zone]
            place = (
                station.latitude_deg + chance.gauss(0, spread),
                station.longitude_deg + chance.gauss(0, spread),
            )
            source = chance.choices(("alert", "driver", "call_centre"), (2, 3, 5))[0]
            thermal = chance.random() < 0.004
            asleep_s = desk.uniform(180, 900) if desk.random() < 0.1 else 0.0
            yield Breakdown(
                number=number,
                at=at,
                vin=self.vehicles[number % VEHICLES].vin,
                place=place,
                source=source,
                severity=4 if thermal or chance.random() < 0.05 else 3,
                thermal=thermal,
                confirm_s=max(chance.uniform(10, 170), asleep_s),
                cancel_s=chance.uniform(30, 2400) if chance.random() < 0.04 else None,
                acknowledge_s=desk.uniform(5, 400) if desk.random() < 0.4 else None,
            )

    def answer(self, case: int, unit_id: str) -> Answer:
        """How this crew treats this case, whenever it is asked."""
        chance = random.Random(f"{self._seed}/{case}/{unit_id}")  # noqa: S311
        return Answer(
            says=chance.choices(("accept", "decline", "silent"), (80, 12, 8))[0],
            after_s=chance.uniform(5, 75),
            slowness=chance.lognormvariate(-0.1, 0.25) * (2.5 if chance.random() < 0.05 else 1),
            lost=chance.random() < 0.1,
            forgets_button=chance.random() < 0.1,
            outcome=chance.choices(("fix", "tow", "gone"), (60, 38, 2))[0],
            work_s=chance.uniform(900, 3600),
        )

    def _moment(self, chance: random.Random) -> datetime:
        while True:
            share = chance.random() * self._days
            if chance.random() < 0.6 - 0.4 * math.cos(2 * math.pi * share):
                return self._start + timedelta(days=share)

    def _station(
        self, chance: random.Random, number: int, centres: list[tuple[float, float]]
    ) -> Station:
        north, east = centres[number % CENTRES]
        zone = next(zone for share, zone in ZONES if chance.random() < share)
        far = {Zone.CITY: 0.15, Zone.COUNTY: 0.5, Zone.PROVINCE: 1.0}[zone]
        return Station(
            station_id=f"st{number:04}",
            name=f"{number} 站",
            latitude_deg=SOUTH_DEG + north + chance.uniform(-far, far),
            longitude_deg=WEST_DEG + east + chance.uniform(-far, far),
            zone=zone,
            stars=chance.randint(1, 5),
        )

    def _unit(self, chance: random.Random, number: int) -> RescueUnit:
        home = self.stations[number * 2 % STATIONS]
        skills = {"tow", "hv"} if chance.random() < 0.4 else {"tow"}
        return RescueUnit(
            unit_id=f"ru{number:03}",
            station_id=home.station_id,
            name=f"{number} 号救援车",
            capabilities=frozenset(skills),
            crew=frozenset({f"ru{number:03}-p"}),
            on_duty=True,
            latitude_deg=home.latitude_deg,
            longitude_deg=home.longitude_deg,
            provider="" if chance.random() < 0.7 else "outside",
        )


def _vehicle(number: int) -> Vehicle:
    open_vin = f"LR9CA1B20SY{number:06d}"
    electric = number % 5 == 0
    return Vehicle(
        vin=open_vin[:8] + check_digit(open_vin) + open_vin[9:],
        profile="demo_ev" if electric else "demo_car",
        plate=f"浙B{number:05}",
        brand="Roadcall",
        powertrain="electric" if electric else "combustion",
    )
