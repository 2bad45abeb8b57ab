"""Who could go: duty, certificates, area and load as the tables say; nobody engaged twice."""

from __future__ import annotations

import threading
import uuid
from collections import Counter
from datetime import UTC, date, datetime, timedelta

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from model.vehicle import RescueUnit, Station, Zone
from store import masters, offers, rescue_stations, rescue_units
from store.database import Connection, connect
from store.rescue_units import Position

NOW = datetime(2025, 3, 1, 8, 0, tzinfo=UTC)
PLACE = (30.0, 120.0)


def station(station_id: str, latitude: float = 30.0, **more: object) -> Station:
    facts = {"station_id": station_id, "name": "站", "latitude_deg": latitude}
    return Station.model_validate(facts | {"longitude_deg": 120, "zone": Zone.CITY} | more)


def unit(unit_id: str, latitude: float = 30.1, **more: object) -> RescueUnit:
    facts = {"unit_id": unit_id, "station_id": "s", "name": "车", "on_duty": True}
    facts |= {"capabilities": frozenset({"tow"}), "latitude_deg": latitude, "longitude_deg": 120.0}
    return RescueUnit.model_validate(facts | more)


def furnish(conn: Connection, *units: RescueUnit, **of_station: object) -> None:
    masters.upsert_stations(conn, [station("s", **of_station)])
    masters.upsert_units(conn, units)


def found(conn: Connection, **more: object) -> list[str]:
    got = rescue_units.candidates(conn, PLACE, 150.0, NOW, **more)  # type: ignore[arg-type]
    return [candidate.unit_id for candidate in got]


def test_the_nearest_able_units_on_duty_come_first(conn: Connection) -> None:
    tools = frozenset({"tow", "hv"})
    furnish(
        conn,
        unit("far", 30.5),
        unit("near", 30.05),
        unit("off", 30.0, on_duty=False),
        unit("away", 32.0),
        unit("hv", 30.2, capabilities=tools),
    )
    assert found(conn) == ["near", "hv", "far"]
    assert found(conn, capabilities=frozenset({"hv"})) == ["hv"]
    assert found(conn, without=["near"]) == ["hv", "far"]
    assert found(conn, limit=1) == ["near"]
    conn.execute(
        "insert into duty (duty_id, unit_id, from_at, to_at) values ('d1', 'off', %s, %s)",
        [NOW - timedelta(hours=1), NOW + timedelta(hours=1)],
    )
    assert found(conn)[0] == "off"
    assert rescue_units.engage(conn, "off", uuid.uuid4(), NOW)
    assert found(conn) == ["near", "hv", "far"]
    # "off" is on the road for the same station
    assert {c.load for c in rescue_units.candidates(conn, PLACE, 150.0, NOW)} == {1}


def test_certificates_are_those_valid_today_of_the_named_crew(conn: Connection) -> None:
    furnish(conn, unit("named", crew=frozenset({"p1", "p2", "p3"})), unit("nameless"))
    for person, active in (("p1", True), ("p2", True), ("p3", False)):
        conn.execute(
            "insert into person (person_id, station_id, role, active) values (%s, 's', 'crew', %s)",
            [person, active],
        )
    today = NOW.date()
    for person, kind, last in (
        ("p1", "high_voltage", today),
        ("p2", "rescue", None),
        ("p2", "plan_approval", today - timedelta(days=1)),
        ("p3", "technician", None),  # has left
    ):
        conn.execute(
            "insert into certificate values (%s, %s, %s, %s)",
            [person, kind, date(2024, 1, 1), last],
        )
    assert found(conn) == ["named", "nameless"]
    for proved in ({"high_voltage"}, {"rescue"}, {"high_voltage", "rescue"}):
        (named,) = rescue_units.candidates(conn, PLACE, 150.0, NOW, certificates=frozenset(proved))
        assert (named.unit_id, named.certificates) == ("named", proved)
    for missing in ("plan_approval", "technician"):
        assert found(conn, certificates=frozenset({"high_voltage", missing})) == []
    # 1 March is over at 16:00 UTC where the station is
    late = NOW.replace(hour=16)
    wanted = frozenset({"high_voltage"})
    assert rescue_units.candidates(conn, PLACE, 150.0, late, certificates=wanted) == []


def test_an_area_reaches_beyond_the_radius(conn: Connection) -> None:
    ring = [[119, 29], [121, 29], [121, 33], [119, 33]]
    furnish(conn, unit("away", 32.5), coverage=ring, stars=4)
    (away,) = rescue_units.candidates(conn, PLACE, 150.0, NOW)
    assert away.coverage is not None and away.coverage.contains(*PLACE)
    assert away.stars == 4


def test_stations_around_a_place(conn: Connection) -> None:
    many = [station(f"s{n:02}", 30 + n / 100) for n in range(30)]
    ring = [[119, 25], [121, 25], [121, 31], [119, 31]]
    wide = station("wide", 26.0, coverage=ring)
    shut = station("shut", active=False)
    masters.upsert_stations(conn, [*many, wide, shut])
    got = [s.station_id for s in rescue_stations.around(conn, PLACE)]
    assert sorted(got) == [*(f"s{n:02}" for n in range(20)), "wide"]


def test_a_position_is_kept_with_its_time(conn: Connection) -> None:
    furnish(conn, unit("u"))
    assert rescue_units.find(conn, "u").position is None  # nobody has said when
    place = Position(30.2, 120.1, NOW, 12.0)
    rescue_units.move(conn, "u", place, near_since=NOW)
    placed = rescue_units.lock(conn, "u")
    assert (placed.position, placed.near_since, placed.case_id) == (place, NOW, None)


def test_offers_are_answered_once(conn: Connection, fleet: dict[str, int]) -> None:
    furnish(conn, unit("a"), unit("b"))
    case = uuid.uuid4()
    conn.execute(
        "insert into rescue_case (case_id, vehicle_id, severity, state, latitude_deg,"
        " longitude_deg, zone, requested_at) values (%s, %s, 3, 'broadcast', 30, 120, 'city', %s)",
        [case, next(iter(fleet.values())), NOW],
    )
    offers.add(conn, case, 2, "broadcast", [("a", 300.0), ("b", 600.0)], NOW)
    assert offers.answer(conn, case, "b", "accepted", NOW) == 600.0
    assert offers.answer(conn, case, "b", "declined", NOW) is None
    assert offers.withdraw(conn, case, NOW) == ["a"]
    scores = {row["unit_id"]: row for row in rescue_units.scorecard(conn)}
    assert (scores["b"]["offered"], scores["b"]["acceptance"]) == (1, 1.0)
    assert (scores["a"]["offered"], scores["a"]["acceptance"]) == (1, None)


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(wishes=st.lists(st.lists(st.integers(0, 3), min_size=1, max_size=4), min_size=2, max_size=6))
def test_however_cases_reach_for_units_nobody_gets_one_that_is_taken(
    dsn: str, wishes: list[list[int]]
) -> None:
    """Each case is a session of its own and reaches for units in its own order."""
    with connect(dsn) as conn:
        furnish(conn, *(unit(f"u{n}") for n in range(4)))
        conn.execute("update rescue_unit set case_id = null")
        conn.commit()
    start, won = threading.Barrier(len(wishes)), list[tuple[str, int]]()

    def reach(case: int, wanted: list[int]) -> None:
        with connect(dsn) as mine:
            start.wait()
            for number in wanted:
                if rescue_units.engage(mine, f"u{number}", uuid.UUID(int=case), NOW):
                    won.append((f"u{number}", case))
                    break
            mine.commit()

    crowd = [threading.Thread(target=reach, args=pair) for pair in enumerate(wishes, 1)]
    for thread in crowd:
        thread.start()
    for thread in crowd:
        thread.join()
    assert max(Counter(unit_id for unit_id, _ in won).values(), default=0) <= 1
    assert max(Counter(case for _, case in won).values(), default=0) <= 1
    with connect(dsn) as conn:
        rows = conn.execute("select unit_id, case_id from rescue_unit where case_id is not null")
        assert {(str(u), uuid.UUID(str(c)).int) for u, c in rows} == set(won)


def test_a_unit_told_again_keeps_its_newest_position(conn: Connection) -> None:
    furnish(conn, unit("u", 30.2, position_at=NOW))
    masters.upsert_units(conn, [unit("u", 30.9), unit("new", 30.9)])
    stored = {u.unit.unit_id: u.unit.latitude_deg for u in masters.units(conn)}
    assert stored == {"u": 30.2, "new": 30.9}
    later = NOW + timedelta(minutes=1)
    masters.upsert_units(conn, [unit("u", 30.5, position_at=later)])
    assert {u.unit.latitude_deg for u in masters.units(conn)} == {30.5, 30.9}
