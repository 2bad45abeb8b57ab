"""Key figures and loads in words; names, targets and limits are data (console/kpis.toml)."""

from __future__ import annotations

import tomllib
from datetime import date, datetime
from functools import cache
from importlib.resources import files

from console.bodies import Text
from console.kpi_bodies import KpiBody, LoadBody, LoadLevel
from model.record import Record
from store import figures
from store.database import Pool, transaction
from store.figures import Figure, StationLoad


class FigureText(Record):
    """What is said about one figure."""

    zh: str
    en: str
    unit: str
    target: float | None = None
    at_most: bool = False  # the target is an upper limit
    source: str = ""


class LoadLimits(Record):
    """Loads from which a station is warned, and from which it must act."""

    warn: float
    rectify: float

    def level(self, load: float | None) -> LoadLevel:
        """Where a load stands."""
        if load is None:
            return "unknown"
        return "rectify" if load >= self.rectify else "warn" if load >= self.warn else "ok"


class LineText(Record):
    """One line of the daily report."""

    section: str
    zh: str
    en: str


class KpiTexts(Record):
    """The whole file."""

    load: LoadLimits
    figure: dict[str, FigureText]
    section: dict[str, Text]
    line: dict[str, LineText]


@cache
def kpi_texts() -> KpiTexts:
    """The file, read once. Raises ValidationError when it is wrong."""
    text = files("console").joinpath("kpis.toml").read_text("utf-8")
    return KpiTexts.model_validate(tomllib.loads(text))


def key_figures(pool: Pool, first: date, last: date, station_id: str | None) -> list[KpiBody]:
    """Every figure over these days, both included."""
    with transaction(pool) as conn:
        return [_body(f) for f in figures.key_figures(conn, first, last, station_id)]


def station_loads(pool: Pool, now: datetime) -> list[LoadBody]:
    """Every active station, the fullest first."""
    with transaction(pool) as conn:
        return [load_body(row) for row in figures.station_loads(conn, now)]


def load_body(row: StationLoad) -> LoadBody:
    """A load with its level."""
    return LoadBody(**row.model_dump(), level=kpi_texts().load.level(row.load))


def _body(figure: Figure) -> KpiBody:
    text = kpi_texts().figure[figure.key]
    scale = 100 if text.unit == "%" else 1
    value = None if figure.value is None else round(figure.value * scale, 2)
    reached = None
    if value is not None and text.target is not None:
        reached = value <= text.target if text.at_most else value >= text.target
    return KpiBody(
        key=figure.key,
        title=Text(zh=text.zh, en=text.en),
        unit=text.unit,
        value=value,
        part=figure.part,
        whole=figure.whole,
        target=text.target,
        target_source=text.source,
        reached=reached,
    )
