"""The kinds of master records: how each is found, compared and written."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from psycopg.types.json import Jsonb

from model.masters import (
    Certificate,
    CertificateSpan,
    Duty,
    PartStock,
    Person,
    Region,
    SurveyScore,
    VehicleRecord,
)
from model.record import Record
from model.vehicle import RescueUnit, Station
from store import masters
from store.database import Connection
from store.upserts import find, upsert

Keys = tuple[str, ...]
Rows = Sequence[Record]


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind. `references` names, by field, the table and column that must hold its value."""

    name: str
    model: type[Record]
    table: str
    keys: Keys
    references: Mapping[str, tuple[str, str]]
    read: Callable[[Connection, Kind, Rows], list[Record]]
    write: Callable[[Connection, Kind, Rows], None]
    settle: Callable[[Record | None, Record, datetime], Record]
    #: Fields of which a record has one: giving one takes the others away.
    exclusive: Keys = ()
    #: Fields that never stay as they were.
    told_anew: Keys = ()

    def key_of(self, record: Record) -> tuple[str, ...]:
        """What tells records of this kind apart."""
        return tuple(str(getattr(record, name)) for name in self.keys)


def _read(conn: Connection, kind: Kind, wanted: Rows) -> list[Record]:
    return list(find(conn, kind.table, kind.keys, _json(wanted), kind.model))


def _write(conn: Connection, kind: Kind, rows: Rows) -> None:
    upsert(conn, kind.table, kind.keys, _json(rows))


def _json(rows: Rows) -> list[dict[str, object]]:
    return [r.model_dump(mode="json") for r in rows]


def _as_given(_old: Record | None, new: Record, _now: datetime) -> Record:
    return new


def _settle_unit(old: Record | None, new: Record, _now: datetime) -> Record:
    assert isinstance(new, RescueUnit)
    return masters.settled_unit(old, new) if isinstance(old, RescueUnit) else new


def _settle_part(old: Record | None, new: Record, now: datetime) -> Record:
    """What was reported earlier than what we have is dropped."""
    assert isinstance(new, PartStock)
    told_at = new.reported_at or now
    if isinstance(old, PartStock) and old.reported_at and told_at < old.reported_at:
        return old
    return new.model_copy(update={"reported_at": told_at})


def _settle_person(old: Record | None, new: Record, _now: datetime) -> Record:
    """Certificates left out stay as they are; their order means nothing."""
    assert isinstance(new, Person)
    known = old.certificates if isinstance(old, Person) else ()
    given = known if new.certificates is None else new.certificates
    ordered = sorted(given or (), key=lambda c: (c.kind, c.valid_from))
    return new.model_copy(update={"certificates": tuple(ordered)})


def _read_persons(conn: Connection, kind: Kind, wanted: Rows) -> list[Record]:
    found = {p.person_id: p for p in find(conn, "person", kind.keys, _json(wanted), Person)}
    rows = conn.execute(
        "select person_id, kind, valid_from, valid_to from certificate where person_id = any(%s)"
        " order by person_id, kind, valid_from",
        [list(found)],
    )
    spans: dict[str, list[CertificateSpan]] = {}
    for person_id, *span in rows:
        fields = dict(zip(("kind", "valid_from", "valid_to"), span, strict=True))
        spans.setdefault(str(person_id), []).append(CertificateSpan.model_validate(fields))
    return [
        p.model_copy(update={"certificates": tuple(spans.get(p.person_id, ()))})
        for p in found.values()
    ]


def _write_persons(conn: Connection, kind: Kind, rows: Rows) -> None:
    upsert(conn, "person", kind.keys, [r.model_dump(mode="json", exclude=_SPANS) for r in rows])
    people = [r for r in rows if isinstance(r, Person)]
    spans = [
        {"person_id": p.person_id, **c.model_dump(mode="json")}
        for p in people
        for c in p.certificates or ()
    ]
    conn.execute(
        "delete from certificate where person_id = any(%s)", [[p.person_id for p in people]]
    )
    upsert(conn, "certificate", ("person_id", "kind", "valid_from"), spans)


_SPANS = {"certificates"}


def _read_vehicles(conn: Connection, kind: Kind, wanted: Rows) -> list[Record]:
    asked = {r.vin: r for r in wanted if isinstance(r, VehicleRecord)}
    bound = conn.execute(
        "select v.vin, g.gateway_id from vehicle v left join gateway_vehicle g on g.vin = v.vin"
        " and g.gateway_id = (%(gateways)s::jsonb) ->> v.vin where v.vin = any(%(vins)s)"
        " order by v.vin for update of v",
        {
            "gateways": Jsonb({vin: r.gateway_id for vin, r in asked.items()}),
            "vins": list(asked),
        },
    ).fetchall()
    known = masters.vehicles(conn, [str(vin) for vin, _ in bound])
    return [
        VehicleRecord.model_construct(
            **dict(known[str(vin)].vehicle), gateway_id=str(gateway_id or "")
        )
        for vin, gateway_id in bound
    ]


def _write_vehicles(conn: Connection, _kind: Kind, rows: Rows) -> None:
    records = [r for r in rows if isinstance(r, VehicleRecord)]
    masters.upsert_vehicles(conn, [masters.vehicle_in(r) for r in records])
    bound = [r for r in records if r.gateway_id]
    conn.execute(
        "insert into gateway_vehicle (gateway_id, vin) select * from unnest(%s::text[], %s::text[])"
        " on conflict do nothing",
        [[r.gateway_id for r in bound], [r.vin for r in bound]],
    )


_STATION, _REGION = ("station", "station_id"), ("region", "region_id")
_PERSON, _UNIT = ("person", "person_id"), ("rescue_unit", "unit_id")


def _kind(
    name: str,
    model: type[Record],
    table: str,
    keys: Keys,
    read: Callable[[Connection, Kind, Rows], list[Record]] = _read,
    write: Callable[[Connection, Kind, Rows], None] = _write,
    settle: Callable[[Record | None, Record, datetime], Record] = _as_given,
    exclusive: Keys = (),
    told_anew: Keys = (),
    **references: tuple[str, str],
) -> tuple[str, Kind]:
    kind = Kind(name, model, table, keys, references, read, write, settle, exclusive, told_anew)
    return name, kind


#: In an order in which a fresh installation can be filled.
KINDS: dict[str, Kind] = dict(
    [
        _kind("region", Region, "region", ("region_id",), parent_id=_REGION),
        _kind("station", Station, "station", ("station_id",), region_id=_REGION),
        _kind(
            "person",
            Person,
            "person",
            ("person_id",),
            _read_persons,
            _write_persons,
            _settle_person,
            ("station_id", "region_id"),
            station_id=_STATION,
            region_id=_REGION,
        ),
        _kind(
            "certificate",
            Certificate,
            "certificate",
            ("person_id", "kind", "valid_from"),
            person_id=_PERSON,
        ),
        _kind(
            "unit",
            RescueUnit,
            "rescue_unit",
            ("unit_id",),
            settle=_settle_unit,
            station_id=_STATION,
            crew=_PERSON,
        ),
        _kind("duty", Duty, "duty", ("duty_id",), person_id=_PERSON, unit_id=_UNIT),
        _kind(
            "vehicle",
            VehicleRecord,
            "vehicle",
            ("vin",),
            _read_vehicles,
            _write_vehicles,
            preferred_station=_STATION,
            gateway_id=("gateway", "gateway_id"),
        ),
        _kind(
            "part",
            PartStock,
            "part_stock",
            ("part_no", "warehouse"),
            settle=_settle_part,
            told_anew=("reported_at",),
        ),
        _kind(
            "score",
            SurveyScore,
            "survey_score",
            ("station_id", "day", "source"),
            station_id=_STATION,
        ),
    ]
)
