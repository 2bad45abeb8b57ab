"""Who is on duty, and where nobody certified is. All times of Beijing; Monday 2025-03-03."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from model.hours import parse_hours
from model.masters import CertificateSpan, Duty, Person
from model.record import Record
from model.vehicle import RescueUnit, Station, Zone
from store import duty, masters
from store.database import Connection
from store.master_import import nothing_wrong, put

BEIJING = timezone(timedelta(hours=8))


def at(day: int, hour: float, month: int = 3) -> datetime:
    return datetime(2025, month, day, tzinfo=BEIJING) + timedelta(hours=hour)


def write(conn: Connection, kind: str, record: Record) -> None:
    change, faults = put(conn, kind, record, at(1, 0), nothing_wrong, actor="test")
    assert (change is not None, faults) == (True, [])


def station(conn: Connection, hours: str, station_id: str = "hz") -> None:
    row = Station(
        station_id=station_id,
        name="杭州",
        latitude_deg=30,
        longitude_deg=120,
        zone=Zone.CITY,
        hours=parse_hours(hours),
    )
    masters.upsert_stations(conn, [row])


def person(conn: Connection, person_id: str, *certificates: tuple[str, str, str | None]) -> None:
    spans = tuple(
        CertificateSpan.model_validate({"kind": k, "valid_from": a, "valid_to": b})
        for k, a, b in certificates
    )
    row = Person(person_id=person_id, station_id="hz", role="technician", certificates=spans)
    write(conn, "person", row)


def on_duty(conn: Connection, person_id: str, start: datetime, end: datetime | None) -> None:
    write(conn, "duty", Duty(person_id=person_id, from_at=start, to_at=end))


def gaps(
    conn: Connection, start: datetime, end: datetime, *kinds: str
) -> list[tuple[datetime, datetime]]:
    return [(g.from_at, g.to_at) for g in duty.gaps(conn, start, end, kinds)]


@pytest.fixture
def staffed(conn: Connection) -> Connection:
    """Open 8-12 and 13-18 on weekdays; li.wei there 8-15 on Monday, wang 14-18 without paper."""
    station(conn, "Mo-Fr 08:00-12:00,13:00-18:00")
    person(conn, "li.wei", ("technician", "2024-01-01", "2025-03-03"))
    person(conn, "wang")
    on_duty(conn, "li.wei", at(3, 8), at(3, 15))
    on_duty(conn, "wang", at(3, 14), at(3, 18))
    return conn


def test_only_certified_people_in_open_hours_count(staffed: Connection) -> None:
    assert gaps(staffed, at(3, 0), at(4, 0)) == [(at(3, 15), at(3, 18))]
    # 9 open hours, 6 of them covered: 8-12 and 13-15.
    assert duty.cover(staffed, "hz", at(3, 0), at(4, 0)) == (9 * 3600, 6 * 3600)


def test_a_certificate_counts_on_its_last_day_and_not_on_the_next(staffed: Connection) -> None:
    on_duty(staffed, "li.wei", at(4, 8), at(4, 18))
    tuesday = [(at(4, 8), at(4, 12)), (at(4, 13), at(4, 18))]
    assert gaps(staffed, at(4, 0), at(5, 0)) == tuesday


def test_the_kind_may_be_asked_for(staffed: Connection) -> None:
    assert gaps(staffed, at(3, 9), at(3, 14), "technician") == []
    found = gaps(staffed, at(3, 9), at(3, 14), "high_voltage", "plan_approval")
    assert found == [(at(3, 9), at(3, 12)), (at(3, 13), at(3, 14))]


def test_closed_days_have_no_gaps(staffed: Connection) -> None:
    assert gaps(staffed, at(8, 0), at(10, 0)) == []  # Saturday and Sunday


def test_without_hours_it_is_always_open(conn: Connection) -> None:
    station(conn, "")
    assert gaps(conn, at(8, 3), at(8, 4)) == [(at(8, 3), at(8, 4))]


def test_a_closed_down_station_is_left_out(staffed: Connection) -> None:
    staffed.execute("update station set active = false")
    assert gaps(staffed, at(3, 0), at(4, 0)) == []


def test_somebody_who_forgot_to_sign_off_counts_for_sixteen_hours(conn: Connection) -> None:
    station(conn, "24/7")
    person(conn, "li.wei", ("technician", "2024-01-01", None))
    on_duty(conn, "li.wei", at(3, 8), None)
    assert gaps(conn, at(3, 8), at(4, 8)) == [(at(4, 0), at(4, 8))]


def test_one_station_only(staffed: Connection) -> None:
    station(staffed, "24/7", "other")
    every = {g.station_id for g in duty.gaps(staffed, at(3, 15), at(3, 16))}
    one = {g.station_id for g in duty.gaps(staffed, at(3, 15), at(3, 16), station_id="hz")}
    assert (every, one) == ({"hz", "other"}, {"hz"})


def test_certificates_end_and_some_are_renewed(conn: Connection) -> None:
    station(conn, "24/7")
    person(conn, "a", ("technician", "2024-01-01", "2025-03-31"))
    person(
        conn,
        "b",
        ("technician", "2024-01-01", "2025-03-10"),
        ("technician", "2025-03-11", "2026-03-10"),
        ("high_voltage", "2024-01-01", "2025-03-10"),
    )
    person(conn, "c", ("technician", "2024-01-01", "2025-04-01"))
    person(conn, "d", ("technician", "2024-01-01", None), ("rescue", "2024-01-01", "2025-02-28"))
    found = duty.ending_certificates(conn, at(1, 12), 30)
    assert [(c.person_id, c.kind, f"{c.valid_to}") for c in found] == [
        ("b", "high_voltage", "2025-03-10"),
        ("a", "technician", "2025-03-31"),
    ]
    assert [c.person_id for c in duty.ending_certificates(conn, at(1, 12), 30, ["technician"])] == [
        "a"
    ]
    assert duty.ending_certificates(conn, at(1, 12), 8) == []


def test_a_unit_proves_what_it_can_by_a_named_crew(conn: Connection) -> None:
    station(conn, "24/7")
    person(conn, "wang", ("high_voltage", "2024-01-01", "2025-03-03"))
    for unit_id, skills, crew in (
        ("proves", {"tow", "hv"}, {"wang"}),
        ("nameless", {"tow", "hv"}, set()),
        ("tows", {"tow"}, set()),
    ):
        row = RescueUnit(
            unit_id=unit_id, station_id="hz", name="车", capabilities=frozenset(skills),
            crew=frozenset(crew), latitude_deg=30, longitude_deg=120,
        )  # fmt: skip
        masters.upsert_units(conn, [row])

    def unproven(moment: datetime) -> list[tuple[str, bool, list[str]]]:
        found = duty.unproven_units(conn, moment, ["hv"], ["high_voltage"], "hz")
        return [(u.unit_id, u.crew_named, u.missing) for u in found]

    assert unproven(at(3, 23)) == [("nameless", False, ["high_voltage"])]
    assert unproven(at(4, 1)) == [
        ("nameless", False, ["high_voltage"]),
        ("proves", True, ["high_voltage"]),
    ]
