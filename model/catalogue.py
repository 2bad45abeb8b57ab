"""The signal catalogue: one name, unit and range for one physical quantity.

Data: model/signals.toml, one table per signal.
"""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files

from model.vehicle import Record


class CatalogueSignal(Record):
    """One line of the catalogue."""

    name: str
    unit: str
    minimum: float | None = None
    maximum: float | None = None
    vss: str = ""
    on_change: bool = False
    en: str
    zh: str


@cache
def catalogue() -> dict[str, CatalogueSignal]:
    """All signals by name. Raises pydantic's ValidationError when the file is wrong."""
    text = files("model").joinpath("signals.toml").read_text("utf-8")
    return {n: CatalogueSignal(name=n, **row) for n, row in tomllib.loads(text).items()}
