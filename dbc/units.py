"""Conversion from the units found in DBC files to the catalogue's units.

Per catalogue unit: spellings (separated by blanks) -> (factor, offset), so that
`catalogue value = DBC value * factor + offset`. Blanks inside a unit are ignored, and so is case
where the exact spelling is not listed.
"""

from __future__ import annotations

_F = 5 / 9

_TABLE: dict[str, dict[str, tuple[float, float]]] = {
    "": {"- 1 bool boolean bit count state enum": (1, 0)},
    "%": {"% percent pct": (1, 0)},
    "km/h": {
        "km/h kmh kph kmph": (1, 0),
        "mph mi/h miles/h": (1.609344, 0),
        "m/s mps": (3.6, 0),
    },
    "km": {"km kilometer": (1, 0), "m meter metre": (0.001, 0), "mi mile miles": (1.609344, 0)},
    "m": {"m meter metre": (1, 0), "km": (1000, 0), "cm": (0.01, 0), "mm": (0.001, 0)},
    "kg": {"kg": (1, 0), "t": (1000, 0), "g": (0.001, 0)},
    "deg": {"deg degree degrees": (1, 0), "rad": (57.29577951308232, 0)},
    "deg/s": {"deg/s degrees/s": (1, 0), "rad/s": (57.29577951308232, 0)},
    "m/s2": {"m/s2 m/s^2 m/s² m/s/s": (1, 0), "g gn": (9.80665, 0)},
    "degC": {
        "degC C celsius gradC": (1, 0),
        "degF F fahrenheit": (_F, -32 * _F),
        "K kelvin": (1, -273.15),
    },
    "rpm": {"rpm 1/min r/min U/min rev/min min-1": (1, 0)},
    "kPa": {
        "kPa": (1, 0),
        "Pa": (0.001, 0),
        "MPa": (1000, 0),
        "bar": (100, 0),
        "mbar hPa": (0.1, 0),
        "psi": (6.894757293168361, 0),
    },
    "h": {"h hr hour hours": (1, 0), "min minutes": (1 / 60, 0), "s sec seconds": (1 / 3600, 0)},
    "min": {"min minutes": (1, 0), "s sec seconds": (1 / 60, 0), "h hr hour hours": (60, 0)},
    "s": {
        "s sec second seconds": (1, 0),
        "ms": (0.001, 0),
        "min minutes": (60, 0),
        "h hr hour hours": (3600, 0),
    },
    "d": {"d day days": (1, 0), "h hr hour hours": (1 / 24, 0), "s sec seconds": (1 / 86400, 0)},
    "L": {"L liter litre": (1, 0), "mL": (0.001, 0), "gal": (3.785411784, 0)},
    "L/h": {"L/h L/hr lph": (1, 0), "gal/h gph": (3.785411784, 0)},
    "km/L": {"km/L": (1, 0)},
    "L/100km": {"L/100km": (1, 0)},
    "g/s": {"g/s": (1, 0), "kg/h": (1 / 3.6, 0)},
    "g/h": {"g/h": (1, 0), "kg/h": (1000, 0)},
    "kg/h": {"kg/h": (1, 0), "g/s": (3.6, 0)},
    "ppm": {"ppm": (1, 0)},
    "dBm": {"dBm": (1, 0)},
    "V": {"V volt volts": (1, 0), "mV": (0.001, 0)},
    "A": {"A amp amps ampere": (1, 0), "mA": (0.001, 0)},
    "kW": {"kW": (1, 0), "W watt": (0.001, 0)},
    "kWh": {"kWh": (1, 0), "Wh": (0.001, 0)},
    "Ah": {"Ah": (1, 0), "mAh": (0.001, 0)},
    "Nm": {"Nm N*m N.m": (1, 0)},
    "kOhm": {
        "kOhm kΩ": (1, 0),
        "Ohm Ω": (0.001, 0),
        "mOhm mΩ": (1e-6, 0),
        "MOhm MΩ": (1000, 0),
    },
}


def _spelled(rows: dict[str, tuple[float, float]]) -> dict[str, tuple[float, float]]:
    return {spelling: pair for group, pair in rows.items() for spelling in group.split()}


CONVERSIONS = {unit: _spelled(rows) for unit, rows in _TABLE.items()}
CONVERSIONS[""][""] = (1, 0)


def conversion(dbc_unit: str, catalogue_unit: str) -> tuple[float, float] | None:
    """(factor, offset) from the DBC's unit to the catalogue's; None when we do not know it."""
    rows = CONVERSIONS.get(catalogue_unit, {catalogue_unit: (1, 0)})
    # The degree sign; with its UTF-8 form read as Windows-1252, as DBC readers do.
    unit = dbc_unit.replace("Â°", "°").replace("°", "deg").replace("º", "deg").replace(" ", "")
    folded = {spelling.casefold(): pair for spelling, pair in rows.items()}
    return rows.get(unit, folded.get(unit.casefold()))
