"""Signal values as the API says them: newest values and charts."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from console.bodies import Chart, Text, ValueBody
from console.text import signal_title
from model.catalogue import catalogue, split_element
from store import readings
from store.database import Connection
from store.readings import NewestState, Step

#: Four hours by the second, ten days by the minute.
CHART_POINTS = 14_400


def value_bodies(state: NewestState) -> list[ValueBody]:
    """The newest values: the catalogue's in its order, then the vehicle's own by name."""
    place = {name: i for i, name in enumerate(catalogue())}

    def order(name: str) -> tuple[int, int, str]:
        quantity, number = split_element(name) or (name, 0)
        return place.get(quantity, len(place)), number, name

    ordered = sorted(state.values, key=lambda value: order(value.name))
    return [
        ValueBody(
            name=row.name,
            title=Text.model_validate(signal_title(row.name)),
            unit=row.unit,
            value=row.value,
            observed_at=row.observed_at,
        )
        for row in ordered
    ]


def read_chart(
    conn: Connection, vin: str, name: str, start: datetime, end: datetime, *, step_s: int
) -> Chart:
    """A chart with every step from start to end. Raises UnknownRowError."""
    by_minute = step_s == 60
    unit, found = readings.chart(conn, vin, name, start, end, by_minute=by_minute)
    first = start.replace(microsecond=0, second=0 if by_minute else start.second)
    steps = _every(found, first, end, step_s)
    values = [step.value if step else None for step in steps]
    lows = [step.minimum if step else None for step in steps]
    highs = [step.maximum if step else None for step in steps]
    return Chart(
        vin=vin,
        name=name,
        title=Text.model_validate(signal_title(name)),
        unit=unit,
        step_s=step_s,
        start=first,
        value=values,
        minimum=lows if by_minute else None,
        maximum=highs if by_minute else None,
    )


def _every(found: Sequence[Step], first: datetime, end: datetime, step_s: int) -> list[Step | None]:
    """One place for each step, None where nothing was sampled."""
    width = timedelta(seconds=step_s)
    by_place = {round((step.moment - first) / width): step for step in found}
    return [by_place.get(i) for i in range(-((first - end) // width))]
