"""Vehicles, gateways, stations and rescue units."""

from __future__ import annotations

import hashlib
import secrets
import uuid
from collections.abc import Iterable, Sequence
from datetime import datetime

from psycopg.rows import class_row, dict_row

from model.masters import PartStock, Person, Region
from model.vehicle import Record, RescueUnit, Station, Vehicle
from model.wire import partition_of
from store.database import Connection, UnknownRowError
from store.upserts import all_rows, find, upsert

TOKEN_BYTES = 32


class Gateway(Record):
    """A gateway that may push, and for whom."""

    gateway_id: str
    vins: frozenset[str]


class StoredVehicle(Record):
    """A vehicle with its key in the bulk tables."""

    vehicle_id: int
    vehicle: Vehicle


class StoredUnit(Record):
    """A rescue unit and the case it is offered or works on."""

    unit: RescueUnit
    case_id: uuid.UUID | None


def upsert_vehicles(conn: Connection, vehicles: Sequence[Vehicle]) -> dict[str, int]:
    """Create or change vehicles; vehicle_id by VIN."""
    installed = conn.execute("select partitions::int from installation").fetchone()
    assert installed is not None, "migrate first"
    ordered = sorted({v.vin: v for v in vehicles}.values(), key=lambda v: v.vin)
    rows = conn.execute(
        "insert into vehicle (vin, partition, profile, attrs)"
        " select * from unnest(%s::text[], %s::smallint[], %s::text[], %s::jsonb[])"
        " on conflict (vin) do update set profile = excluded.profile, attrs = excluded.attrs,"
        " changed_at = clock_timestamp()"
        " returning vin, vehicle_id",
        [
            [v.vin for v in ordered],
            [partition_of(v.vin, int(str(installed[0]))) for v in ordered],
            [v.profile for v in ordered],
            [v.model_dump_json(exclude={"vin", "profile"}) for v in ordered],
        ],
    )
    return {str(vin): int(str(vehicle_id)) for vin, vehicle_id in rows}


def changed_since(conn: Connection, moment: datetime) -> list[str]:
    """VINs of vehicles registered or changed at or after a moment of the database's clock."""
    rows = conn.execute("select vin from vehicle where changed_at >= %s", [moment])
    return [str(vin) for (vin,) in rows]


def vehicle_of(vin: object, profile: object, attrs: object) -> Vehicle:
    """The record from its three columns."""
    assert isinstance(attrs, dict)
    return Vehicle.model_validate({**attrs, "vin": vin, "profile": profile})


def vehicle_in(record: Vehicle) -> Vehicle:
    """The vehicle inside a record that holds more."""
    return Vehicle.model_construct(**{n: getattr(record, n) for n in Vehicle.model_fields})


def vehicles(conn: Connection, vins: Iterable[str]) -> dict[str, StoredVehicle]:
    """The vehicles that exist, by VIN."""
    rows = conn.execute(
        "select vehicle_id, vin, profile, attrs from vehicle where vin = any(%s)", [list(vins)]
    )
    return {
        str(vin): StoredVehicle(
            vehicle_id=int(str(vehicle_id)), vehicle=vehicle_of(vin, profile, attrs)
        )
        for vehicle_id, vin, profile, attrs in rows
    }


def vehicle(conn: Connection, vin: str) -> Vehicle:
    """One vehicle. Raises UnknownRowError."""
    found = vehicles(conn, [vin])
    if vin not in found:
        raise UnknownRowError("vehicle")
    return found[vin].vehicle


def vehicle_page(
    conn: Connection, *, search: str = "", after: str = "", limit: int = 50
) -> list[Vehicle]:
    """Vehicles in VIN order, from behind `after`; `search` is part of a VIN or plate."""
    rows = conn.execute(
        "select vin, profile, attrs from vehicle where vin > %(after)s"
        " and (%(search)s = '' or strpos(vin, upper(%(search)s)) > 0"
        "      or strpos(upper(attrs ->> 'plate'), upper(%(search)s)) > 0)"
        " order by vin limit %(limit)s",
        {"after": after, "search": search, "limit": limit},
    )
    return [vehicle_of(*row) for row in rows]


def create_gateway(conn: Connection, gateway_id: str, vins: Sequence[str]) -> str:
    """Register a gateway or give it a new token and VIN list; the token is returned only here.

    Raises UnknownRowError when a vehicle does not exist.
    """
    token = secrets.token_urlsafe(TOKEN_BYTES)
    conn.execute(
        "insert into gateway (gateway_id, token_sha256) values (%s, %s)"
        " on conflict (gateway_id) do update"
        " set token_sha256 = excluded.token_sha256, revoked_at = null",
        [gateway_id, _hash(token)],
    )
    bind_gateway(conn, gateway_id, vins)
    return token


def bind_gateway(conn: Connection, gateway_id: str, vins: Sequence[str]) -> None:
    """Replace the VIN list of a gateway. Raises UnknownRowError when a vehicle does not exist."""
    wanted = sorted(set(vins))
    conn.execute("delete from gateway_vehicle where gateway_id = %s", [gateway_id])
    bound = conn.execute(
        "insert into gateway_vehicle (gateway_id, vin)"
        " select %s, vin from vehicle where vin = any(%s)",
        [gateway_id, wanted],
    ).rowcount
    if bound != len(wanted):
        raise UnknownRowError("vehicle")


def revoke_gateway(conn: Connection, gateway_id: str) -> None:
    """The token stops working at once."""
    conn.execute("update gateway set revoked_at = now() where gateway_id = %s", [gateway_id])


def find_gateway(conn: Connection, token_sha256: bytes) -> Gateway | None:
    """The gateway whose token has this hash, unless revoked."""
    row = conn.execute(
        "select g.gateway_id, coalesce(array_agg(v.vin) filter (where v.vin is not null), '{}')"
        " from gateway g left join gateway_vehicle v using (gateway_id)"
        " where g.token_sha256 = %s and g.revoked_at is null group by g.gateway_id",
        [token_sha256],
    ).fetchone()
    return None if row is None else Gateway.model_validate({"gateway_id": row[0], "vins": row[1]})


def upsert_stations(conn: Connection, stations: Sequence[Station]) -> None:
    """Create or change stations."""
    ordered = sorted(stations, key=lambda s: s.station_id)
    upsert(conn, "station", ["station_id"], [s.model_dump(mode="json") for s in ordered])


def stations(conn: Connection) -> list[Station]:
    """All stations."""
    return all_rows(conn, "station", ["station_id"], Station)


def regions(conn: Connection) -> list[Region]:
    """All regions."""
    return all_rows(conn, "region", ["region_id"], Region)


def persons(conn: Connection, station_id: str | None = None) -> list[Person]:
    """Persons of one station, or all, with their certificates."""
    with conn.cursor(row_factory=dict_row) as cur:
        rows = cur.execute(
            "select p.person_id, p.station_id, p.region_id, p.role, p.skill_level, p.skills,"
            " p.languages, p.active, coalesce(jsonb_agg(to_jsonb(c) - 'person_id'"
            "   order by c.kind, c.valid_from) filter (where c.kind is not null), '[]')"
            "   as certificates"
            " from person p left join certificate c using (person_id)"
            " where %(station)s::text is null or p.station_id = %(station)s"
            " group by p.person_id order by p.person_id",
            {"station": station_id},
        ).fetchall()
    return [Person.model_validate(row) for row in rows]


def part_stocks(conn: Connection, part_no: str) -> list[PartStock]:
    """Where a part is, the quickest first; warehouses that have none come last."""
    with conn.cursor(row_factory=class_row(PartStock)) as cur:
        return cur.execute(
            "select * from part_stock where part_no = %s"
            " order by quantity = 0, eta_h nulls last, warehouse",
            [part_no],
        ).fetchall()


def upsert_units(conn: Connection, units: Sequence[RescueUnit]) -> None:
    """Create or change rescue units; what is known of their duty and newest position stays."""
    keys = ["unit_id"]
    ordered = sorted(units, key=lambda u: u.unit_id)
    wanted = [{"unit_id": u.unit_id} for u in ordered]
    old = {u.unit_id: u for u in find(conn, "rescue_unit", keys, wanted, RescueUnit)}
    settled = [settled_unit(old[u.unit_id], u) if u.unit_id in old else u for u in ordered]
    rows = [u.model_dump(mode="json") for u in settled]
    upsert(conn, "rescue_unit", keys, rows, keep="on_duty")


def settled_unit(old: RescueUnit, new: RescueUnit) -> RescueUnit:
    """Duty is changed by signing on; a reported position stays unless a newer one comes."""
    kept: dict[str, object] = {"on_duty": old.on_duty}
    if old.position_at and not (new.position_at and new.position_at > old.position_at):
        kept |= {n: getattr(old, n) for n in ("latitude_deg", "longitude_deg", "position_at")}
    return new.model_copy(update=kept)


def units(conn: Connection) -> list[StoredUnit]:
    """All rescue units and what they are at."""
    found = all_rows(conn, "rescue_unit", ["unit_id"], RescueUnit)
    rows = conn.execute("select unit_id, case_id from rescue_unit where case_id is not null")
    engaged = {str(unit_id): uuid.UUID(str(case_id)) for unit_id, case_id in rows}
    return [StoredUnit(unit=u, case_id=engaged.get(u.unit_id)) for u in found]


def free_units(conn: Connection) -> list[RescueUnit]:
    """Units on duty without a case."""
    return [u.unit for u in units(conn) if u.unit.on_duty and u.case_id is None]


def engage_unit(conn: Connection, unit_id: str, case_id: uuid.UUID) -> bool:
    """Give a free unit on duty to a case; False when another case has it meanwhile.

    The row lock decides between rivals: two cases never get one unit.
    """
    changed = conn.execute(
        "update rescue_unit set case_id = %(case)s where unit_id = %(unit)s and on_duty"
        " and (case_id is null or case_id = %(case)s)",
        {"unit": unit_id, "case": case_id},
    )
    return changed.rowcount == 1


def release_unit(conn: Connection, unit_id: str, case_id: uuid.UUID) -> None:
    """The unit is free again; nothing happens when it already works for another case."""
    conn.execute(
        "update rescue_unit set case_id = null where unit_id = %s and case_id = %s",
        [unit_id, case_id],
    )


def set_duty(conn: Connection, unit_id: str, on_duty: bool) -> None:
    """Sign a unit on or off. Raises UnknownRowError."""
    changed = conn.execute(
        "update rescue_unit set on_duty = %s where unit_id = %s", [on_duty, unit_id]
    )
    if changed.rowcount == 0:
        raise UnknownRowError("rescue unit")


def move_unit(conn: Connection, unit_id: str, latitude_deg: float, longitude_deg: float) -> None:
    """Where a unit is now. Raises UnknownRowError."""
    changed = conn.execute(
        "update rescue_unit set latitude_deg = %s, longitude_deg = %s where unit_id = %s",
        [latitude_deg, longitude_deg, unit_id],
    )
    if changed.rowcount == 0:
        raise UnknownRowError("rescue unit")


def _hash(token: str) -> bytes:
    """A random token of 256 bits needs no salt and no slow hash."""
    return hashlib.sha256(token.encode()).digest()
