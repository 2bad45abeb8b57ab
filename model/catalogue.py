"""The signal catalogue: one name, unit and range for one physical quantity.

Data: model/signals.toml, one line a signal.

Arrays. A quantity that a vehicle has many of (cell voltages, probe temperatures) is one entry with
`elements` > 0, the most any vehicle may have. It stands in `catalogue()` under its own name
(`cell_voltage_v`), which no sample ever carries. Samples carry the elements, numbered from 1 as
GB/T 32960 counts cells: `cell_voltage_v[1]`, `cell_voltage_v[2]`. An element is a signal like any
other: one name in a `SignalTable`, runs of its own in a `SignalBatch`, a number of its own in the
store. How many there are is the profile's matter: it binds 1..n without a gap, and
`SignalTable.elements("cell_voltage_v")` gives their places in the table in that order. Element
names are not keys of `catalogue()`; `find_signal` knows both.
"""

from __future__ import annotations

import re
import tomllib
from functools import cache, lru_cache
from importlib.resources import files

from model.record import Record

#: Names come from profiles, and from whoever asks the API.
NAMES_KEPT = 8192
_ELEMENT = re.compile(r"([a-z0-9_]+)\[([1-9][0-9]{0,4})\]")


class CatalogueSignal(Record):
    """One line of the catalogue."""

    name: str
    unit: str
    minimum: float
    maximum: float
    vss: str = ""
    on_change: bool = False
    #: Of an array, the most values a vehicle may have; 0 = one value.
    elements: int = 0
    en: str
    zh: str


@cache
def catalogue() -> dict[str, CatalogueSignal]:
    """All signals by name. Raises pydantic's ValidationError when the file is wrong."""
    text = files("model").joinpath("signals.toml").read_text("utf-8")
    found = {}
    for name, row in tomllib.loads(text).items():
        low, high = row.pop("range")
        found[name] = CatalogueSignal(name=name, minimum=low, maximum=high, **row)
    return found


def element_name(array: str, number: int) -> str:
    """The name samples of one element carry; `number` counts from 1."""
    return f"{array}[{number}]"


def split_element(name: str) -> tuple[str, int] | None:
    """Array and number of an element's name; None for any other name."""
    found = _ELEMENT.fullmatch(name)
    return (found[1], int(found[2])) if found else None


@lru_cache(NAMES_KEPT)
def find_signal(name: str) -> CatalogueSignal | None:
    """The line for a name that samples carry; an element's is its array's.

    None for a name outside the catalogue, an array without a number, and a number it cannot have.
    """
    parts = split_element(name)
    if parts is None:
        signal = catalogue().get(name)
        return None if signal is None or signal.elements else signal
    signal = catalogue().get(parts[0])
    return signal if signal is not None and parts[1] <= signal.elements else None
