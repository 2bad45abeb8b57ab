"""Service programmes: which kinds of service a model has, and how each is counted. Data, checked.

Source: domain rules 5.4 (M01-M21). Files: rules/packs/maintenance.toml and the operator's own.

    [NAME]        extends = "OTHER", without = ["kind"],
                  applies_to = {brand, model, powertrain, use, year_from, year_to}
    [NAME.KIND]   one service: `ProgrammeItem`

The programme of a vehicle is the one whose `applies_to` fits and says most; two that say as much
and can fit one vehicle are an error of the files. One without `applies_to` is taken by name only.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from model.errors import RoadcallError
from model.vehicle import Record, Vehicle


class ProgrammeError(RoadcallError):
    """The programme files contradict each other."""


class Interval(Record):
    """Distance, time and engine hours of one service; any may be missing."""

    km: float | None = Field(default=None, gt=0)
    days: float | None = Field(default=None, gt=0)
    hours: float | None = Field(default=None, gt=0)


class OwnFigures(Record):
    """Signals in which the car itself says what remains; they go before our counters."""

    km: str | None = None
    days: str | None = None
    flag: str | None = None
    soon_km: float = 1000.0
    soon_days: float = 14.0


class Condition(Record):
    """Signals that wear from `fresh` to `due`; the most worn counts."""

    signals: tuple[str, ...] = Field(min_length=1)
    fresh: float
    due: float
    soon_days: float = 14.0
    soon_share: float = 0.10

    @model_validator(mode="after")
    def _moves(self) -> Condition:
        if self.fresh == self.due:
            raise ValueError("fresh and due are the same")
        return self


class AlertCount(Record):
    """Due when one of these rules has fired so often since the last service."""

    rules: tuple[str, ...] = Field(min_length=1)
    times: int = Field(ge=1)
    days: float = Field(gt=0)


class ProgrammeItem(Record):
    """One kind of service: the first one may differ from the rest."""

    kind: str
    repeat: Interval = Interval()
    first: Interval | None = None
    soon_km: float | None = None
    soon_days: float | None = None
    soon_h: float | None = None
    grace_km: float | None = None
    grace_days: float | None = None
    own: OwnFigures | None = None
    condition: Condition | None = None
    alerts: AlertCount | None = None
    #: Whether severe use shortens the interval.
    severe: bool = False
    #: Where counting starts without a record.
    base: Literal["enrolled", "warranty"] = "enrolled"
    rules: tuple[str, ...] = ()
    zh: str
    en: str
    source: str

    @model_validator(mode="after")
    def _counts_something(self) -> ProgrammeItem:
        counted = (self.repeat.km, self.repeat.days, self.repeat.hours)
        if not any((*counted, self.own, self.condition, self.alerts)):
            raise ValueError("counts nothing")
        return self


class AppliesTo(Record):
    """Every field given must fit."""

    brand: str | None = None
    model: str | None = None
    powertrain: str | None = None
    use: str | None = None
    year_from: int | None = None
    year_to: int | None = None

    def fits(self, vehicle: Vehicle) -> bool:
        """Whether the vehicle is meant."""
        wanted = self.model_dump(include={"brand", "model", "powertrain", "use"}, exclude_none=True)
        same = all(w.lower() == str(getattr(vehicle, f)).lower() for f, w in wanted.items())
        if self.year_from is None and self.year_to is None:
            return same
        return same and (self.year_from or 1) <= vehicle.model_year <= (self.year_to or 9999)

    def weight(self) -> tuple[bool, bool, int]:
        """How much it says: a model more than a brand, a brand more than all other fields."""
        said = len(self.model_dump(exclude_none=True))
        return self.model is not None, self.brand is not None, said


class Programme(Record):
    """All services of some vehicles."""

    name: str
    applies_to: AppliesTo | None = None
    items: tuple[ProgrammeItem, ...]

    def row(self, kind: str) -> ProgrammeItem | None:
        """The service of this kind."""
        return next((row for row in self.items if row.kind == kind), None)


Tables = dict[str, dict[str, object]]


@cache
def programmes(*paths: Path) -> dict[str, Programme]:
    """Built-in programmes and those of more files, by name.

    Raises pydantic's ValidationError for a wrong row and ProgrammeError for a contradiction.
    """
    texts = [files("rules.packs").joinpath("maintenance.toml").read_text("utf-8")]
    texts += [path.read_text("utf-8") for path in paths]
    tables: Tables = {}
    for text in texts:
        for name, table in tomllib.loads(text).items():
            if name in tables:
                raise ProgrammeError(f"programme {name} is defined twice")
            tables[name] = table
    found = {name: _programme(name, tables) for name in tables}
    _refuse_ties(found.values())
    return found


def programme_of(
    vehicle: Vehicle, known: Mapping[str, Programme], chosen: str | None = None
) -> Programme | None:
    """The programme somebody chose for the vehicle, else the most specific one that fits."""
    if chosen is not None and chosen in known:
        return known[chosen]
    fitting = [
        (row.applies_to.weight(), row)
        for row in known.values()
        if row.applies_to is not None and row.applies_to.fits(vehicle)
    ]
    return max(fitting, key=lambda pair: pair[0])[1] if fitting else None


def _programme(name: str, tables: Tables) -> Programme:
    applies_to = tables[name].get("applies_to")
    return Programme(
        name=name,
        applies_to=None if applies_to is None else AppliesTo.model_validate(applies_to),
        items=tuple(_rows(name, tables, ()).values()),
    )


def _rows(name: str, tables: Tables, seen: tuple[str, ...]) -> dict[str, ProgrammeItem]:
    """The programme's own services over those of the one it extends."""
    if name in seen or name not in tables:
        raise ProgrammeError(f"programme {(*seen, name)[0]} extends {name}: unknown or in a circle")
    table = dict(tables[name])
    parent, without = table.pop("extends", None), table.pop("without", [])
    table.pop("applies_to", None)
    rows = _rows(str(parent), tables, (*seen, name)) if parent else {}
    assert isinstance(without, list)
    for kind in without:
        if rows.pop(kind, None) is None:
            raise ProgrammeError(f"programme {name} leaves out {kind}, which it does not have")
    for kind, row in table.items():
        assert isinstance(row, dict)
        rows[kind] = ProgrammeItem.model_validate({"kind": kind, **row})
    return rows


def _refuse_ties(known: Iterable[Programme]) -> None:
    """Two that say equally much must differ in a field both give."""
    bound = [row for row in known if row.applies_to is not None]
    for n, one in enumerate(bound):
        for other in bound[n + 1 :]:
            a, b = one.applies_to, other.applies_to
            assert a is not None and b is not None
            if a.weight() == b.weight() and not _apart(a, b):
                raise ProgrammeError(
                    f"programmes {one.name} and {other.name} fit the same vehicles equally well"
                )


def _apart(a: AppliesTo, b: AppliesTo) -> bool:
    """Whether no vehicle can fit both."""
    fields = ("brand", "model", "powertrain", "use")
    differ = any(
        (x := getattr(a, f)) and (y := getattr(b, f)) and x.lower() != y.lower() for f in fields
    )
    low = max(a.year_from or 0, b.year_from or 0)
    return differ or low > min(a.year_to or 9999, b.year_to or 9999)
