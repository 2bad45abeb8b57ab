"""What a station is told once a day: yesterday in figures, gaps of duty, ending certificates. Pure.

Keys name the station and the day, so a day is told once. Persons are named by their ids.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime, time, timedelta
from functools import cache
from typing import Annotated

from pydantic import Field

from dispatch.templates import load_texts
from model.effects import OutboxRecord
from model.record import Record
from model.terms_files import read_terms


class StationDayTerms(Record):
    """When, and how far ahead it is looked."""

    report_at: time
    gap_hours: Annotated[int, Field(ge=1)]
    certificate_days: Annotated[int, Field(ge=1)]
    name_at_most: Annotated[int, Field(ge=1)]


@cache
def station_day_terms() -> StationDayTerms:
    """Raises ValidationError when the file is wrong."""
    return StationDayTerms.model_validate(read_terms("station_day.toml"))


class ToldStation(Record):
    """Who is told, and how it is called."""

    station_id: str
    zh: str
    en: str


def report(station: ToldStation, today: date, counts: Mapping[str, int]) -> OutboxRecord:
    """The figures of yesterday."""
    yesterday = (today - timedelta(days=1)).isoformat()
    return _message("station.report", station, today, {"day": yesterday, **counts})


def duty_gap(
    station: ToldStation, today: date, gaps: Sequence[tuple[datetime, datetime]]
) -> OutboxRecord:
    """Stretches by the station's clock when nobody certified is there."""
    terms = station_day_terms()
    said = [f"{start:%m-%d %H:%M}–{end:%m-%d %H:%M}" for start, end in gaps]
    facts = {"hours": terms.gap_hours, "count": len(gaps), **_named("gaps", said)}
    return _message("station.duty_gap", station, today, facts)


def certificates(
    station: ToldStation, today: date, ending: Sequence[tuple[str, str, date]]
) -> OutboxRecord:
    """(person, kind of certificate, last day)."""
    terms = station_day_terms()
    said = [f"{person} {kind} {last:%Y-%m-%d}" for person, kind, last in ending]
    facts = {"days": terms.certificate_days, "count": len(ending), **_named("ending", said)}
    return _message("station.certificate", station, today, facts)


def _named(name: str, said: Sequence[str]) -> dict[str, str]:
    shown = said[: station_day_terms().name_at_most]
    more = ["…"] if len(said) > len(shown) else []
    return {f"{name}_zh": "；".join([*shown, *more]), f"{name}_en": "; ".join([*shown, *more])}


def _message(
    kind: str, station: ToldStation, today: date, facts: Mapping[str, object]
) -> OutboxRecord:
    whole = {**facts, "station_zh": station.zh, "station_en": station.en}
    template = load_texts("station_messages.toml")[kind]
    text = {language: template[language].format_map(whole) for language in ("zh", "en")}
    key = f"{kind.replace('.', '/')}/{station.station_id}/{today.isoformat()}"
    return OutboxRecord(key, kind, {"station_id": station.station_id, **facts, **text})
