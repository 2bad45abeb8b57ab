"""Opening hours of a week, in the station's local time.

Source: the part of OpenStreetMap's opening_hours syntax that a station needs.

    Mo-Fr 08:00-12:00,13:00-18:00; Sa 09:00-17:00        days, then spans; rules joined by ";"
    24/7

No holidays, and nothing across midnight: write the two parts. Nothing at all means not known, and
counts as always open.
"""

from __future__ import annotations

import re
from typing import Annotated, Self
from zoneinfo import ZoneInfo

from pydantic import BeforeValidator, Field, StringConstraints, model_validator

from model.record import Record

DAYS = ("Mo", "Tu", "We", "Th", "Fr", "Sa", "Su")
_RULE = re.compile(r"^(?P<days>[A-Za-z,\- ]+?)\s+(?P<spans>[\d:,\- ]+)$")
#: HH:MM; 24:00 is the end of the day. Texts of this shape are in the order of time.
TimeOfDay = Annotated[str, StringConstraints(pattern=r"^(?:(?:[01]\d|2[0-3]):[0-5]\d|24:00)$")]


class OpenSpan(Record):
    """Open from one minute of a weekday to another one of the same day."""

    weekday: int = Field(ge=1, le=7, description="1 = Monday")
    opens: TimeOfDay
    closes: TimeOfDay

    @model_validator(mode="after")
    def _forward(self) -> Self:
        if self.opens >= self.closes:
            raise ValueError(f"closes {self.closes} is not after opens {self.opens}")
        return self


def parse_hours(text: str) -> tuple[OpenSpan, ...]:
    """The spans of a text, in order. Raises ValueError with what is wrong."""
    if text.strip() == "24/7":
        return tuple(OpenSpan(weekday=d, opens="00:00", closes="24:00") for d in range(1, 8))
    spans: set[OpenSpan] = set()
    for part in filter(None, (rule.strip() for rule in text.split(";"))):
        rule = _RULE.match(part)
        if rule is None:
            raise ValueError(f"not like Mo-Fr 08:00-18:00: {part[:40]!r}")
        for weekday in _weekdays(rule["days"]):
            for span in rule["spans"].split(","):
                opens, _, closes = (word.strip() for word in span.partition("-"))
                spans.add(OpenSpan(weekday=weekday, opens=opens, closes=closes))
    return tuple(sorted(spans, key=lambda s: (s.weekday, s.opens, s.closes)))


def _given(value: object) -> object:
    return parse_hours(value) if isinstance(value, str) else value


#: A field that takes the text or the list of spans.
Hours = Annotated[
    tuple[OpenSpan, ...],
    BeforeValidator(_given, json_schema_input_type=str | tuple[OpenSpan, ...]),
]


def zone_name(name: str) -> str:
    """The name of a time zone that exists. Raises ValueError."""
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ValueError(f"no such time zone: {name[:40]!r}") from None
    return name


def _weekdays(text: str) -> list[int]:
    found: list[int] = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        low, high = _weekday(first), _weekday(last or first)
        found += range(low, high + 1) if low <= high else [*range(low, 8), *range(1, high + 1)]
    return found


def _weekday(text: str) -> int:
    name = text.strip().capitalize()
    if name not in DAYS:
        raise ValueError(f"not a weekday: {name[:10]!r}, use {' '.join(DAYS)}")
    return DAYS.index(name) + 1
