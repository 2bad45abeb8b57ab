"""Master data of the demo: stations, rescue units, vehicles with valid VINs.

Source of the VIN: ISO 3779 (characters), 49 CFR 565.15 and GB 16735 (check digit, position 9,
and model year code, position 10). `LR9` is a maker code of the kind given to small makers; the
vehicles do not exist.
"""

from __future__ import annotations

import tomllib
from datetime import date
from importlib.resources import files

import numpy as np

from model.masters import CertificateSpan, Person
from model.vehicle import RescueUnit, Station, Vehicle
from simulators.motion import METRES_PER_DEGREE

_VALUES = {c: int(c) for c in "0123456789"} | dict(
    zip("ABCDEFGHJKLMNPRSTUVWXYZ", [*range(1, 9), 1, 2, 3, 4, 5, 7, 9, *range(2, 10)], strict=True)
)
TRAINED_ON = date(2024, 1, 1)
_WEIGHTS = (8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2)
#: (descriptor in the VIN, model, placard in kPa)
_MODELS = {
    "demo_car": ("CA1B2", "Demo Car", 240.0),
    "demo_truck": ("TK3D4", "Demo Truck", 830.0),
    "demo_ev": ("EV5F6", "Demo EV", 250.0),
}


def check_digit(vin: str) -> str:
    """The right character for position 9 of a 17-character VIN."""
    total = sum(_VALUES[c] * w for c, w in zip(vin, _WEIGHTS, strict=True))
    return "0123456789X"[total % 11]


def demo_vin(profile: str, index: int) -> str:
    """The VIN of the fleet's vehicle number `index`; the same in every run."""
    open_vin = f"LR9{_MODELS[profile][0]}0SR{index + 1:06d}"
    return open_vin[:8] + check_digit(open_vin) + open_vin[9:]


def demo_vehicle(profile: str, index: int, station: Station) -> Vehicle:
    """Master data of the fleet's vehicle number `index`. Every other EV has an LFP pack."""
    electric = profile == "demo_ev"
    _, model, placard = _MODELS[profile]
    return Vehicle(
        vin=demo_vin(profile, index),
        profile=profile,
        plate=f"浙A{'D' if electric else ''}{index + 10001}",
        brand="Roadcall",
        model=model,
        model_year=2025,
        powertrain="electric" if electric else "combustion",
        battery_chemistry=("NCM", "LFP")[index // 4 % 2] if electric else "",
        cells_in_series=96 if electric else 0,
        tire_placard_kpa=placard,
        preferred_station=station.station_id,
    )


def stations() -> tuple[Station, ...]:
    """The six stations of the demo."""
    return tuple(Station(**row) for row in _table()["station"])


def rescue_units() -> tuple[RescueUnit, ...]:
    """The eight rescue units of the demo, all on duty, near their stations."""
    by_id = {s.station_id: s for s in stations()}
    units = []
    for row in _table()["unit"]:
        east, north = row.pop("offset_m")
        home = by_id[row["station_id"]]
        metres_east = METRES_PER_DEGREE * float(np.cos(np.radians(home.latitude_deg)))
        units.append(
            RescueUnit(
                **row,
                crew=frozenset({row["unit_id"] + "-P1"}),
                on_duty=True,
                latitude_deg=round(home.latitude_deg + north / METRES_PER_DEGREE, 6),
                longitude_deg=round(home.longitude_deg + east / metres_east, 6),
            )
        )
    return tuple(units)


def trained_crew(unit: RescueUnit) -> tuple[Person, ...]:
    """Who rides a unit; where it is for high voltage they are certified."""
    spans = [CertificateSpan(kind="high_voltage", valid_from=TRAINED_ON)]
    certificates = tuple(spans if "hv" in unit.capabilities else ())
    return tuple(
        Person(person_id=p, station_id=unit.station_id, role="crew", certificates=certificates)
        for p in sorted(unit.crew)
    )


def _table() -> dict[str, list[dict]]:  # type: ignore[type-arg]
    return tomllib.loads(files("simulators").joinpath("demo.toml").read_text("utf-8"))
