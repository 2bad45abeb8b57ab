"""Master records are created, changed, left alone or refused; nothing in between."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from model.master_files import Row, row_of
from model.record import Record
from model.vehicle import Consent
from store import masters
from store.database import Connection
from store.master_import import Change, Importer
from store.master_kinds import KINDS

NOW = datetime(2025, 3, 1, 4, tzinfo=UTC)
VIN = "LRDCALL0000000001"
STATION = {
    "station_id": "hz-1",
    "name": "杭州一站",
    "latitude_deg": 30.27,
    "longitude_deg": 120.15,
    "zone": "city",
}
UNIT = {
    "unit_id": "u1",
    "station_id": "hz-1",
    "name": "一号车",
    "capabilities": ["tow", "hv"],
    "latitude_deg": 30.28,
    "longitude_deg": 120.16,
}
PERSON = {
    "person_id": "li.wei",
    "station_id": "hz-1",
    "role": "technician",
    "certificates": [{"kind": "high_voltage", "valid_from": "2025-01-01"}],
}


def take(
    conn: Connection, kind: str, *rows: dict[str, Any], now: datetime = NOW, replace: bool = False
) -> tuple[list[Change], list[str]]:
    found: list[Row[Record]] = [row_of(i, r, KINDS[kind].model) for i, r in enumerate(rows, 1)]
    importer = Importer(conn, KINDS[kind], now, replace=replace)
    changes, faults = importer.take(found)
    return changes, [str(f) for f in faults]


def outcomes(conn: Connection, kind: str, *rows: dict[str, Any], **more: Any) -> list[str]:
    changes, faults = take(conn, kind, *rows, **more)
    assert faults == []
    return [c.outcome for c in changes]


@pytest.fixture
def network(conn: Connection) -> Connection:
    """One station with a person and a unit."""
    assert outcomes(conn, "station", STATION) == ["created"]
    assert outcomes(conn, "person", PERSON) == ["created"]
    assert outcomes(conn, "unit", UNIT) == ["created"]
    return conn


ROWS: dict[str, dict[str, Any]] = {
    "region": {"region_id": "east", "name": "华东"},
    "station": {**STATION, "hours": "Mo-Fr 08:00-18:00", "skills": ["engine", "body"]},
    "person": PERSON,
    "certificate": {"person_id": "li.wei", "kind": "rescue", "valid_from": "2025-02-01"},
    "unit": {**UNIT, "crew": ["li.wei"], "tow_t": 3.5},
    "duty": {"unit_id": "u1", "from_at": "2025-03-01T08:00:00+08:00", "source": "roster"},
    "vehicle": {"vin": VIN, "profile": "demo_car", "plate": "浙A1", "warranty_start": "2024-02-29"},
    "part": {"part_no": "P/1".replace("/", "-"), "warehouse": "上海", "quantity": 2, "eta_h": 6},
    "score": {"station_id": "hz-1", "day": "2025-03-01", "source": "phone", "score": 88.3},
}


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_again_changes_nothing(network: Connection, kind: str) -> None:
    take(network, kind, ROWS[kind])
    assert outcomes(network, kind, ROWS[kind]) == ["unchanged"]


def test_a_change_says_what_was_and_what_is(network: Connection) -> None:
    (change,), _ = take(network, "station", {**STATION, "bays": 4, "skills": ["engine"]})
    assert change.fields == (("bays", 0, 4), ("skills", [], ["engine"]))
    assert masters.stations(network)[0].bays == 4


def test_a_field_left_out_stays_unless_the_record_is_replaced(network: Connection) -> None:
    outcomes(network, "station", {**STATION, "bays": 4, "hours": "24/7"})
    assert outcomes(network, "station", STATION) == ["unchanged"]
    (change,), _ = take(network, "station", STATION, replace=True)
    assert {name for name, _, _ in change.fields} == {"bays", "hours"}


def test_what_is_not_there_is_named_and_the_rest_is_written(network: Connection) -> None:
    other = {**UNIT, "unit_id": "u2", "crew": ["li.wei", "nobody"]}
    changes, faults = take(network, "unit", {**UNIT, "station_id": "none"}, other, UNIT)
    assert faults == [
        "1: station_id: no such station: none",
        "2: crew: no such person: nobody",
        "3: unit_id: the same record is in line 1",
    ]
    assert changes == []


def test_regions_of_one_file_may_name_each_other(conn: Connection) -> None:
    rows = [
        {"region_id": "hq", "name": "总部", "level": "headquarters"},
        {"region_id": "east", "name": "华东", "parent_id": "hq"},
    ]
    assert outcomes(conn, "region", *reversed(rows)) == ["created", "created"]
    assert [r.parent_id for r in masters.regions(conn)] == ["hq", None]


def test_certificates_left_out_stay_and_given_ones_replace(network: Connection) -> None:
    bare = {k: v for k, v in PERSON.items() if k != "certificates"}
    assert outcomes(network, "person", {**bare, "skill_level": 3}) == ["changed"]
    (person,) = masters.persons(network, "hz-1")
    assert person.skill_level == 3
    assert [c.kind for c in person.certificates or ()] == ["high_voltage"]
    assert outcomes(network, "person", {**PERSON, "certificates": []}) == ["changed"]
    assert masters.persons(network)[0].certificates == ()


def test_somebody_moves_to_a_region(network: Connection) -> None:
    outcomes(network, "region", {"region_id": "east", "name": "华东"})
    moved = {"person_id": "li.wei", "role": "engineer", "region_id": "east"}
    assert outcomes(network, "person", moved) == ["changed"]
    (person,) = masters.persons(network)
    assert (person.station_id, person.region_id) == (None, "east")


def test_an_import_neither_signs_a_unit_on_nor_moves_one_that_reports(network: Connection) -> None:
    masters.set_duty(network, "u1", True)
    network.execute("update rescue_unit set latitude_deg = 31, position_at = %s", [NOW])
    assert outcomes(network, "unit", {**UNIT, "on_duty": False}) == ["unchanged"]
    older = {**UNIT, "position_at": (NOW - timedelta(minutes=1)).isoformat()}
    assert outcomes(network, "unit", older) == ["unchanged"]
    newer = {**UNIT, "position_at": (NOW + timedelta(minutes=1)).isoformat()}
    assert outcomes(network, "unit", newer) == ["changed"]
    (unit,) = masters.units(network)
    assert (unit.unit.latitude_deg, unit.unit.on_duty) == (30.28, True)


def test_an_older_stock_report_is_dropped(network: Connection) -> None:
    part = {"part_no": "1", "warehouse": "w", "quantity": 5, "reported_at": NOW.isoformat()}
    outcomes(network, "part", part)
    late = {**part, "quantity": 9, "reported_at": (NOW - timedelta(hours=1)).isoformat()}
    assert outcomes(network, "part", late) == ["unchanged"]
    told_now = {"part_no": "1", "warehouse": "w", "quantity": 0}
    assert outcomes(network, "part", told_now, now=NOW + timedelta(hours=1)) == ["changed"]
    row = network.execute("select quantity, reported_at from part_stock").fetchone()
    assert row == (0.0, NOW + timedelta(hours=1))


def test_a_vehicle_keeps_its_key_and_binds_its_gateway(network: Connection) -> None:
    row = {"vin": VIN, "profile": "demo_car", "consents": ["call"], "preferred_station": "hz-1"}
    assert outcomes(network, "vehicle", row) == ["created"]
    first = masters.vehicles(network, [VIN])[VIN]
    assert first.vehicle.consents == {Consent.CALL}
    masters.create_gateway(network, "gw", [])
    assert outcomes(network, "vehicle", {**row, "gateway_id": "gw"}) == ["changed"]
    assert outcomes(network, "vehicle", {**row, "gateway_id": "gw"}) == ["unchanged"]
    assert outcomes(network, "vehicle", row) == ["unchanged"]
    bound = network.execute("select gateway_id, vin from gateway_vehicle").fetchall()
    assert bound == [("gw", VIN)]
    assert masters.vehicles(network, [VIN])[VIN].vehicle_id == first.vehicle_id


def test_an_unchanged_vehicle_is_not_loaded_again(network: Connection) -> None:
    row = {"vin": VIN, "profile": "demo_car"}
    outcomes(network, "vehicle", row)
    query = "select changed_at from vehicle"
    before = network.execute(query).fetchone()
    outcomes(network, "vehicle", row)
    assert network.execute(query).fetchone() == before


def test_a_vehicle_that_cannot_be_decoded_is_refused(conn: Connection) -> None:
    row: Row[Record] = row_of(1, {"vin": VIN, "profile": "x"}, KINDS["vehicle"].model)
    importer = Importer(conn, KINDS["vehicle"], NOW, lambda v: ("profile", f"no {v.profile}"))
    changes, faults = importer.take([row])
    assert (changes, [str(f) for f in faults]) == ([], ["1: profile: no x"])


def test_a_vehicle_from_before_has_the_service_consents(conn: Connection) -> None:
    """0004 wrote them down for those registered earlier; the model has the same default."""
    conn.execute(
        "insert into vehicle (vin, partition, profile, attrs) values (%s, 0, 'demo_car', '{}')",
        [VIN],
    )
    assert masters.vehicle(conn, VIN).consents == {"call", "position", "reminder"}
    row = conn.execute("select plate, model_year, consents from vehicle_master").fetchone()
    assert row == ("", 0, [])


def test_two_importers_at_once_take_turns(network: Connection, rival: Connection) -> None:
    """The later one compares with what the earlier one has written."""
    network.commit()
    rival.execute("set lock_timeout = '200ms'")
    outcomes(network, "station", {**STATION, "bays": 4})
    with pytest.raises(Exception, match="lock timeout"):
        take(rival, "station", {**STATION, "bays": 4})
    rival.rollback()
    network.commit()
    assert outcomes(rival, "station", {**STATION, "bays": 4}) == ["unchanged"]
