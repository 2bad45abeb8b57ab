"""Key figures of a small network, each value worked out by hand. Beijing time throughout."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from model.masters import CertificateSpan, Duty, Person, SurveyScore
from model.vehicle import Vehicle
from store import figures, masters, station_day
from store.database import Connection, UnknownRowError
from tests.store.kpi_world import CAR, DAY, OTHER, World, at, key


@pytest.fixture
def world(conn: Connection) -> World:
    return World(conn)


def test_nothing_counted_is_no_value(world: World) -> None:
    found = world.figures()
    assert len(found) == 18
    assert found.pop("duty_cover") == 0.0  # open, and nobody there
    assert set(found.values()) == {None}


def test_timeliness_counts_ended_promises_that_did_not_fall_away(world: World) -> None:
    order = world.order([("request", "requested", at(8))])
    for kind, stop, met in [
        ("plan", at(9), True),
        ("parts", at(10), True),
        ("parts", at(11), False),
        ("progress", at(12), True),
        ("plan", at(12), None),  # void
        ("scene", at(12), False),  # for information only
        ("return_visit", None, None),  # runs
        ("plan", at(1, day=4), False),  # tomorrow, in Beijing
        ("plan", at(25), False),  # the same
        ("complaint_respond", at(23.9), True),
    ]:
        world.clock(kind, "work_order", order, at(8), stop, met)
    found = world.figures()
    assert found["timeliness"] == pytest.approx(4 / 5)
    assert found["parts_in_time"] == pytest.approx(1 / 2)
    assert found["complaint_respond"] == 1.0
    assert found["complaint_close"] is None
    assert world.figures(day=date(2025, 3, 4))["timeliness"] == 0.0
    assert world.figures("sh")["timeliness"] is None
    assert world.figures("hz")["timeliness"] == pytest.approx(4 / 5)


def test_first_response_mean_and_p90(world: World) -> None:
    for minutes in (2, 4, 6, 8, 30):
        alert = world.alert(at(9), vin=OTHER if minutes == 30 else CAR)
        stop = at(9) + timedelta(minutes=minutes)
        world.clock("acknowledge", "alert", alert, at(9), stop, minutes <= 15)
    found = world.figures()
    assert found["response_mean_min"] == pytest.approx(10)
    # Rank 0.9 x (5 - 1) = 3.6: 0.6 of the way from 8 to 30.
    assert found["response_p90_min"] == pytest.approx(21.2)
    assert world.figures("hz")["response_mean_min"] == pytest.approx(5)  # by preferred station
    rows = world.conn.execute(
        "select station_id, alerts, mean_s from kpi_first_response order by 1"
    ).fetchall()
    assert rows == [("hz", 4, 300.0), ("sh", 1, 1800.0)]


def test_arrival_by_zone_and_acceptance_by_unit(world: World) -> None:
    world.rescue("hz-a", at(9), at(9.4), promised=at(9.5), met=True)
    world.rescue("hz-a", at(10), at(10.7), promised=at(10.5), met=False)  # 12 min late: grace
    world.rescue("hz-a", at(11), at(12.0), promised=at(11.5), met=False)
    world.rescue("sh-a", at(12), at(12.9), zone="county", met=True)
    world.rescue("sh-a", at(13), None, zone="county")  # nobody arrived
    found = world.figures()
    assert found["arrival_city"] == pytest.approx(1 / 3)
    assert found["arrival_county"] == 1.0
    assert found["arrival_province"] is None
    assert found["arrival_within_eta"] == pytest.approx(2 / 3)
    assert found["acceptance"] == pytest.approx(3 / 6)
    rows = world.conn.execute(
        "select unit_id, offered, accepted from kpi_acceptance order by 1"
    ).fetchall()
    assert rows == [("hz-a", 3, 3), ("hz-b", 3, 0)]  # sh-a's offers were withdrawn


CLOSED = [
    ("check_in", "checked_in", at(8, 1)),
    ("hand_over", "handed_over", at(17, 1)),
    ("verify", "verifying", at(18, 1)),
    ("pass_verification", "closed", at(12)),
]


def test_first_time_resolution(world: World) -> None:
    first = world.case(world.alert(at(1)))
    world.order(CLOSED, case_id=first, closed_at=at(12), verified_at=at(12))  # good
    again = world.case(world.alert(at(1)))
    world.order(CLOSED, case_id=again, closed_at=at(12))  # comes back after 10 days
    world.case(world.alert(at(1)), repeat_of=again, opened=at(12, 13))
    late = world.case(world.alert(at(1)))
    world.order(CLOSED, case_id=late, closed_at=at(12))  # comes back after 31 days: good
    world.case(world.alert(at(1)), repeat_of=late, opened=at(12) + timedelta(days=31))
    world.order([*CLOSED[:3], ("close_unverified", "closed", at(13))])  # nothing was proven
    world.order(
        [*CLOSED[:3], ("fail_verification", "reopened", at(9)), *CLOSED[3:]]
    )  # needed a second visit
    world.order([*CLOSED, ("recur", "reopened", at(12, 6))])  # was closed once
    world.order([*CLOSED[:3]])  # not closed
    world.order(CLOSED, source="maintenance")  # no problem to solve
    assert world.figures()["first_time_resolution"] == pytest.approx(2 / 6)


def test_plan_ahead_and_times_in_the_workshop(world: World) -> None:
    world.write("person", Person(person_id="li", station_id="hz", role="technician"))
    for approved in (at(7), at(9), None):
        case_id = world.case(world.alert(at(1)))
        world.plan(case_id, approved)
        steps = [
            ("check_in", "checked_in", at(8)),
            ("diagnose", "diagnosing", at(8.5)),
            ("quote", "quoted", at(10)),
            ("pass_quality", "ready", at(14)),
        ]
        world.order(steps, case_id=case_id, checked_in_at=at(8), ready_at=at(14))
    world.order([("check_in", "checked_in", at(8))], checked_in_at=at(8))  # no fault to plan for
    found = world.figures()
    assert found["plan_ahead"] == pytest.approx(1 / 3)
    assert found["dwell_h"] == pytest.approx(6)
    assert found["diagnosing_h"] == pytest.approx(1.5)


def test_alert_precision_by_rule(world: World) -> None:
    world.alert(at(8), handling="resolved")
    world.alert(at(8), handling="dismissed")
    duplicate = world.alert(at(8), handling="dismissed")
    world.conn.execute(
        "insert into audit (noun, noun_id, step, actor, detail)"
        " values ('alert', %s, 'dismiss', 'li', '{\"code\": \"duplicate\"}')",
        [duplicate],
    )
    repaired = world.alert(at(8), rule="other", handling="in_progress")
    world.order(
        [("hand_over", "handed_over", at(12))],
        case_id=world.case(repaired),
        confirmed_cause="pump",
        handed_over_at=at(12),
    )
    world.alert(at(8), rule="other")  # nobody has judged it
    assert world.figures()["alert_precision"] == pytest.approx(2 / 3)
    rows = world.conn.execute(
        "select rule_id, confirmed, dismissed from kpi_alert_precision order by 1"
    ).fetchall()
    assert rows == [("other", 1, 0), ("r", 1, 1)]


def due(world: World, vin: str, kind: str, when: datetime, state: str = "due_soon") -> None:
    world.conn.execute(
        "insert into maintenance_item (vehicle_id, kind, soon_km, soon_days, base_at, state,"
        " due_at) values (%s, %s, 500, 14, %s, %s, %s)",
        [world.ids[vin], kind, at(0), state, when],
    )


def test_station_load_with_predicted_work(world: World) -> None:
    extra = [f"LRDCALL00000001{i:02}" for i in range(4)]
    cars = [Vehicle(vin=v, profile="demo_car", preferred_station="hz") for v in extra]
    world.ids |= masters.upsert_vehicles(world.conn, cars)
    now = at(9)
    world.order([("check_in", "in_repair", at(8))])  # in the workshop
    world.order([("book", "booked", at(8))], vin=extra[0], appointment_at=at(9, 5))
    world.order([("book", "booked", at(8))], vin=extra[0], appointment_at=at(9, 20))  # too far
    world.order([("hand_over", "handed_over", at(8))])  # has left
    due(world, CAR, "oil", at(12))  # is here anyway
    due(world, extra[1], "oil", at(12, 9))
    due(world, extra[1], "filter", at(12, 9))  # the same visit
    due(world, extra[2], "oil", at(12, 11))  # in more than a week
    due(world, extra[3], "oil", at(12, 1), "overdue")
    full, unknown = figures.station_loads(world.conn, now)
    assert (full.station_id, full.in_workshop, full.booked, full.predicted) == ("hz", 1, 1, 2)
    assert (full.load, full.customers, full.customers_per_bay) == (1.0, 5, 1.25)
    assert (unknown.station_id, unknown.bays, unknown.load) == ("sh", 0, None)


def test_reminder_conversion(world: World) -> None:
    for number, (vin, kinds, done) in enumerate([
        (CAR, ["oil"], at(9, 20)),  # a visit
        (CAR, ["filter"], None),
        (OTHER, ["oil"], at(9, 3) + timedelta(days=31)),  # too late
        (OTHER, ["oil", "filter"], None),
    ]):  # fmt: skip
        said = [world.ids[vin], number, key(), kinds, at(9)]
        world.conn.execute("insert into maintenance_reminder values (%s, %s, %s, %s, %s)", said)
        if done:
            world.conn.execute(
                "insert into maintenance_done (vehicle_id, kind, cycle, done_at, actor)"
                " values (%s, %s, %s, %s, 'li')",
                [world.ids[vin], kinds[0], number, done],
            )
    assert world.figures()["reminder_conversion"] == pytest.approx(1 / 4)
    assert world.figures("hz")["reminder_conversion"] == pytest.approx(1 / 2)


def test_duty_cover(world: World) -> None:
    spans = (CertificateSpan(kind="technician", valid_from=date(2024, 1, 1)),)
    person = Person(person_id="li", station_id="hz", role="technician", certificates=spans)
    world.write("person", person)
    world.write("duty", Duty(person_id="li", from_at=at(6), to_at=at(13)))
    assert world.figures("hz")["duty_cover"] == pytest.approx(5 / 10)
    assert world.figures()["duty_cover"] == pytest.approx(5 / 20)


def test_the_day_of_a_station(world: World) -> None:
    world.alert(at(0.5), severity=3)
    world.alert(at(9), handling="resolved")
    world.alert(at(9, 4))  # the day after
    world.alert(at(9), vin=OTHER)  # another station's
    world.rescue("hz-a", at(9), at(9.4), met=True)
    world.rescue("hz-b", at(10), None)
    world.order(
        [("check_in", "checked_in", at(8)), ("hand_over", "handed_over", at(17))],
        checked_in_at=at(8), handed_over_at=at(17), overrun=True,
    )  # fmt: skip
    world.order([("miss", "no_show", at(11))])
    world.order([("book", "booked", at(8, 1))], appointment_at=at(10, 4))
    world.order([("check_in", "waiting_parts", at(8, 2))])
    world.order(CLOSED, closed_at=at(12, 4))  # still open at the end of the day
    world.order(CLOSED, closed_at=at(12))
    due(world, CAR, "oil", at(0), "overdue")
    due(world, CAR, "filter", at(0), "due")
    world.clock("plan", "work_order", world.order([("x", "draft", at(9))]), at(8), at(9), True)
    world.write("score", SurveyScore(station_id="hz", day=DAY, source="phone", score=88.3))
    place = station_day.station_name(world.conn, "hz")
    found = station_day.station_day(world.conn, place, DAY)
    assert (found.alerts, found.alerts_serious, found.alerts_unseen) == (2, 1, 1)
    assert (found.rescues, found.rescues_arrived, found.rescues_on_time) == (2, 1, 1)
    assert (found.check_ins, found.hand_overs, found.overruns, found.no_shows) == (1, 1, 1, 1)
    assert (found.booked_next_day, found.waiting_parts) == (1, 1)
    assert found.open_orders == 6  # all but the one that was closed at noon
    assert (found.overdue, found.due, found.due_soon) == (1, 0, 0)
    assert (found.promises, found.promises_kept) == (2, 2)  # an arrival and a plan
    (score,) = station_day.scores(world.conn, "hz", DAY)
    assert (score.source, score.score) == ("phone", 88.3)
    with pytest.raises(UnknownRowError, match="no such station"):
        station_day.station_name(world.conn, "nowhere")


def test_a_day_begins_at_midnight_there(world: World) -> None:
    start, end = station_day.station_name(world.conn, "hz").bounds(DAY)
    assert start == datetime(2025, 3, 2, 16, tzinfo=UTC)
    assert end - start == timedelta(days=1)
