"""Reminders from stored items: cadence, one a day, merged, quiet hours; enrolment; the meter."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from typing import Any

import pytest

from console import maintenance_steps as steps
from model.effects import LastValues, VehicleSnapshot
from model.errors import TransitionError
from model.maintenance import Answer, DueState, ItemHandling, MaintenanceItem, Selector
from model.vehicle import Consent, Vehicle
from roadcall.dispatcher import Dispatcher
from rules.programmes import programmes
from store import campaigns, maintenance, masters, vehicle_state
from store import maintenance_vehicles as care_rows
from store.database import open_pool, transaction

World = Any  # tests/roadcall/dispatcher/conftest.py

VIN = "LRDCALL0000000001"
DAY_S = 86_400


@pytest.fixture(autouse=True)
def noon(world: World) -> None:
    """Noon in the station's zone, UTC+8: nobody sleeps. The car has no programme yet."""
    world.rows("update maintenance_vehicle set enrolled = true returning 1")
    at = world.now()
    world.clock.advance((4 * 3600 - (at.hour * 3600 + at.minute * 60 + at.second)) % DAY_S)


def item(world: World, **facts: object) -> None:
    with transaction(world.pool) as conn:
        given = {"vin": VIN, "kind": "engine_oil", "base_at": world.now()} | facts
        maintenance.upsert(conn, [MaintenanceItem.model_validate(given)])


def hear(world: World, **values: float) -> None:
    """What the pipeline writes when the car says something."""
    with transaction(world.pool) as conn:
        numbers = {}
        for name in values:
            conn.execute(
                "insert into signal (name, unit) values (%s, '') on conflict do nothing", [name]
            )
            row = conn.execute("select signal_id from signal where name = %s", [name]).fetchone()
            numbers[name] = int(row[0])
        vehicle_id = masters.vehicles(conn, [VIN])[VIN].vehicle_id
        now_ns = world.clock.now_ns()
        last = LastValues({name: (value, now_ns) for name, value in values.items()})
        snapshot = VehicleSnapshot(vehicle_id, now_ns, now_ns, last, {})
        vehicle_state.upsert(conn, [(snapshot, "demo_car")], numbers)


def said(world: World, days: float = 1.0) -> list[tuple[str, list[tuple[str, float | None]]]]:
    """Kinds of the reminders that come after so many days, and what they name."""
    world.clock.advance(days * DAY_S)
    return [
        (r.kind, [(i["service"], i["remaining_km"]) for i in r.body["items"]])
        for r in world.drain()
        if r.kind.startswith("maintenance.")
    ]


def enrol(world: World) -> None:
    world.rows("update maintenance_vehicle set enrolled = false returning 1")
    world.drain()


def stored(world: World, kind: str = "engine_oil") -> Any:
    with transaction(world.pool) as conn:
        return next(i for i in maintenance.of_vehicle(conn, VIN) if i.item.kind == kind)


def care(world: World) -> Any:
    with transaction(world.pool) as conn:
        return care_rows.find(conn, VIN)


def test_each_state_reminds_and_a_done_record_starts_anew(world: World) -> None:
    item(world, interval_km=10_000, soon_km=1_000, base_odometer_km=50_000)
    assert said(world) == []  # nobody knows the odometer yet
    hear(world, odometer_km=58_999)
    assert said(world) == []
    hear(world, odometer_km=59_000)
    assert said(world) == [("maintenance.due_soon", [("engine_oil", 1_000)])]
    hear(world, odometer_km=60_000)
    assert said(world) == [("maintenance.due", [("engine_oil", 0)])]
    hear(world, odometer_km=61_000)
    assert said(world) == [("maintenance.overdue", [("engine_oil", -1_000)])]
    hear(world, odometer_km=61_500)
    assert said(world) == []

    at = world.now()
    steps.done(world.pool, VIN, "engine_oil", world.act(), done_at=at, odometer_km=61_500)
    assert said(world) == []
    assert (stored(world).cycle, stored(world).remaining_km) == (1, 10_000)
    hear(world, odometer_km=70_600)
    assert said(world) == [("maintenance.due_soon", [("engine_oil", 900)])]
    assert world.rows("select step, actor from audit where noun = 'maintenance_item' order by 1")
    assert world.rows("select cycle, odometer_km from maintenance_done") == [(1, 61_500.0)]
    assert [row[0] for row in world.rows("select number from maintenance_reminder order by 1")] == [
        1, 2, 3, 4,
    ]  # fmt: skip


def test_the_cadence_is_at_once_after_7_and_14_days_then_monthly(world: World) -> None:
    item(world, interval_km=10_000, soon_km=1_000, base_odometer_km=50_000)
    hear(world, odometer_km=59_500)
    days = [day for day in range(1, 80) if said(world)]
    first = days[0]
    assert [day - first for day in days] == [0, 7, 14, 44, 74]


def test_several_items_come_in_one_message_and_at_most_one_a_day(world: World) -> None:
    for number in range(3):
        item(world, kind=f"s{number}", interval_km=10_000, base_odometer_km=0)
    hear(world, odometer_km=9_900)
    ((kind, named),) = said(world, 0.001)
    assert kind == "maintenance.due_soon"
    assert named == [("s0", 100), ("s1", 100), ("s2", 100)]
    assert said(world, 0.1) == []
    hear(world, odometer_km=10_001)
    assert said(world, 0.5) == []
    assert len(said(world, 0.45)) == 1


def test_in_quiet_hours_it_is_written_for_the_morning_and_unsaid_when_done(world: World) -> None:
    item(world, interval_km=10_000, base_odometer_km=0)
    item(world, kind="air_filter", interval_km=10_000, base_odometer_km=0)
    world.clock.advance(10 * 3600)  # 22:00
    hear(world, odometer_km=9_900)
    assert said(world, 0.001) == []
    ((planned,),) = world.rows("select next_attempt_at from outbox where kind like 'maint%'")
    assert (planned - world.now()).total_seconds() == pytest.approx(10 * 3600, abs=120)
    at = world.now()
    steps.done(world.pool, VIN, "engine_oil", world.act(), done_at=at, odometer_km=9_900)
    assert said(world, 1 / 24) == []
    assert said(world, 10 / 24) == [("maintenance.due_soon", [("air_filter", 100)])]


def test_a_service_comes_due_by_date_without_any_driving(world: World) -> None:
    item(world, interval_days=60, soon_days=14)
    assert said(world) == []
    assert said(world, 46) == [("maintenance.due_soon", [("engine_oil", None)])]
    assert said(world, 14) == [("maintenance.due", [("engine_oil", None)])]


def test_the_reminder_names_service_date_and_both_languages(world: World) -> None:
    start = world.now()
    item(world, interval_km=12_000, soon_km=800, base_odometer_km=0)
    world.clock.advance(60 * DAY_S)
    hear(world, odometer_km=11_500)  # 191.7 km a day: 500 km are left for 2.6 days
    (reminder,) = [r for r in world.drain() if r.kind.startswith("maintenance.")]
    due_at = start + timedelta(days=60 + 500 / (11_500 / 60))
    assert reminder.body["en"] == (
        "Maintenance reminder for 浙A12345: Engine oil and filter due soon, 500 km left, "
        f"date {due_at:%Y-%m-%d}. Please answer: book, later or no."
    )
    assert "机油与机滤即将到期，还剩 500 公里" in reminder.body["zh"]


def test_the_three_answers_of_an_owner(world: World) -> None:
    for kind in ("a", "b", "c"):
        item(world, kind=kind, interval_km=10_000, base_odometer_km=0)
    hear(world, odometer_km=9_900)
    assert len(said(world)) == 1
    steps.answer(world.pool, VIN, "a", Answer.NO, world.act())
    steps.answer(world.pool, VIN, "b", Answer.POSTPONE, world.act())
    steps.answer(world.pool, VIN, "c", Answer.YES, world.act(), station_id="hz")
    assert stored(world, "c").handling is ItemHandling.BOOKED
    days = {day: names for day in range(1, 20) if (names := said(world))}
    # Put off for 14 days; the booking of 14 days and 3 more passed without a service.
    assert days == {
        14: [("maintenance.due_soon", [("b", 100)])],
        17: [("maintenance.due_soon", [("c", 100)])],
    }


def test_an_item_is_not_put_off_for_ever(world: World) -> None:
    item(world, interval_km=10_000, base_odometer_km=0)
    with pytest.raises(TransitionError, match="nothing is due"):
        steps.answer(world.pool, VIN, "engine_oil", Answer.POSTPONE, world.act())
    hear(world, odometer_km=9_900)
    said(world)
    far = world.now() + timedelta(days=61)
    with pytest.raises(TransitionError, match="longer than 60 days"):
        steps.answer(world.pool, VIN, "engine_oil", Answer.POSTPONE, world.act(), until=far)
    for _ in range(2):
        steps.answer(world.pool, VIN, "engine_oil", Answer.POSTPONE, world.act())
    with pytest.raises(TransitionError, match="put off 2 times already"):
        steps.answer(world.pool, VIN, "engine_oil", Answer.POSTPONE, world.act())


def consent(world: World, *consents: Consent) -> None:
    with transaction(world.pool) as conn:
        vehicle = masters.vehicle(conn, VIN)
        masters.upsert_vehicles(
            conn, [vehicle.model_copy(update={"consents": frozenset(consents)})]
        )


def test_without_consent_only_the_station_hears_of_it(world: World) -> None:
    consent(world)
    item(world, interval_km=10_000, base_odometer_km=0)
    hear(world, odometer_km=9_900)
    world.clock.advance(60)
    (told,) = [r for r in world.drain() if r.kind.startswith("maintenance.")]
    assert (told.kind, told.body["to"]) == ("maintenance.worklist", "station")


def test_a_vehicle_gets_the_programme_that_fits_it_once(world: World) -> None:
    enrol(world)
    with transaction(world.pool) as conn:
        kinds = [i.item.kind for i in maintenance.of_vehicle(conn, VIN)]
        masters.upsert_vehicles(conn, [masters.vehicle(conn, VIN)])
    expected = {r.kind for r in programmes()["combustion"].items} - {"warranty_end"}
    assert set(kinds) == expected
    world.clock.advance(61)
    world.drain()
    with transaction(world.pool) as conn:
        assert len(maintenance.of_vehicle(conn, VIN)) == len(expected)
        started = masters.vehicle(conn, VIN).model_copy(update={"warranty_start": date(2025, 1, 1)})
        masters.upsert_vehicles(conn, [started])
    world.drain()
    assert stored(world, "warranty_end").item.base_at.date() == started.warranty_start


def test_the_first_interval_gives_way_to_the_repeat_one(world: World) -> None:
    """rules/packs/maintenance.toml: first after 5 000 km or 91 days, then 5 000 km or 183 days."""
    enrol(world)
    assert stored(world, "service").item.interval_days == 91
    world.clock.advance(DAY_S)
    at = world.now()
    steps.done(world.pool, VIN, "service", world.act(), done_at=at, odometer_km=4_000)
    world.drain()
    assert stored(world, "service").item.interval_days == 183
    assert stored(world, "service").remaining_days == pytest.approx(183)


def test_the_cars_own_figures_decide(world: World) -> None:
    enrol(world)
    hear(world, odometer_km=100, distance_to_service_km=-5.0)
    world.clock.advance(61)
    world.drain()
    found = stored(world, "service")
    assert (found.item.state, found.reason, found.remaining_km) == (DueState.DUE, "own", -5)
    at = world.now()
    world.clock.advance(61)
    steps.done(world.pool, VIN, "service", world.act(), done_at=at, odometer_km=100)
    world.drain()
    # The figure is older than the service: the car has not been heard since.
    assert stored(world, "service").reason != "own"


def test_a_replaced_meter_goes_on_counting(world: World) -> None:
    item(world, interval_km=10_000, base_odometer_km=50_000)
    hear(world, odometer_km=58_000)
    said(world, 0.001)
    for raw in (3, 5, 8, 11):
        world.clock.advance(600)
        hear(world, odometer_km=raw)
        world.drain()
    assert care(world).odometer_km == pytest.approx(58_003)
    assert care(world).offset_km == pytest.approx(57_992)
    verdicts = [row[0] for row in world.rows(
        "select verdict from odometer_reading order by observed_at")]  # fmt: skip
    assert verdicts == ["good", "rollback", "rollback", "replaced"]


def test_a_person_corrects_the_meter(world: World) -> None:
    item(world, interval_km=10_000, base_odometer_km=50_000)
    hear(world, odometer_km=1_000)
    said(world, 0.001)
    act = world.act(key="o1")
    for _ in range(2):
        steps.set_odometer(world.pool, VIN, act, 59_000.0, world.now())
    world.drain()
    assert stored(world).remaining_km == pytest.approx(1_000)
    world.clock.advance(3600)
    hear(world, odometer_km=1_040)
    world.drain()
    assert care(world).odometer_km == pytest.approx(59_040)


def test_declared_use_halves_the_interval(world: World) -> None:
    enrol(world)
    hear(world, odometer_km=100)
    steps.declare_use(world.pool, VIN, world.act(), ["taxi"])
    world.drain()
    assert care(world).use_reasons == ["declared:taxi"]
    assert stored(world).remaining_km == pytest.approx(6_000)
    steps.declare_use(world.pool, VIN, world.act(), [])
    world.drain()
    assert stored(world).remaining_km == pytest.approx(12_000)


def test_done_without_an_odometer_stays_and_is_flagged(world: World) -> None:
    item(world, interval_km=10_000, base_odometer_km=0)
    now = world.now()
    steps.done(world.pool, VIN, "engine_oil", world.act(), done_at=now, odometer_km=None)
    assert (stored(world).cycle, stored(world).flagged) == (0, "done_without_odometer")
    steps.done(world.pool, VIN, "engine_oil", world.act(), done_at=now, odometer_km=9_000)
    assert (stored(world).cycle, stored(world).flagged) == (1, None)


def test_done_twice_under_one_key_is_done_once(world: World) -> None:
    item(world, interval_km=10_000, base_odometer_km=0)
    act = world.act(key="d1")
    for _ in range(2):
        steps.done(world.pool, VIN, "engine_oil", act, done_at=world.now(), odometer_km=9_000)
    assert stored(world).cycle == 1
    assert stored(world).item.base_odometer_km == 9_000


def test_a_service_is_not_done_in_the_future_or_before_the_last(world: World) -> None:
    item(world, interval_km=10_000, base_odometer_km=0)
    for seconds in (3600, -3600):
        at = world.now() + timedelta(seconds=seconds)
        with pytest.raises(TransitionError, match="the date is in the future or before the last"):
            steps.done(world.pool, VIN, "engine_oil", world.act(), done_at=at, odometer_km=1)
    assert stored(world).cycle == 0


def test_a_campaign_asks_whom_its_selector_means_and_counts_the_answers(world: World) -> None:
    more = [
        Vehicle(
            vin=f"LRDCALL000000010{n}",
            profile="demo_car",
            region="zj" if n < 3 else "gd",
            consents=frozenset({Consent.CAMPAIGN, Consent.REMINDER} if n else {Consent.REMINDER}),
        )
        for n in range(4)
    ]
    now = world.now()
    with transaction(world.pool) as conn:
        masters.upsert_vehicles(conn, more)
        selector = Selector(regions=("zj",))
        assert campaigns.select(conn, selector, now) == [more[1].vin, more[2].vin]
        campaigns.create(
            conn, campaign_id="winter", zh="冬季检查", en="Winter check", selector=selector,
            starts_at=now, ends_at=now + timedelta(days=30), actor="li.wei",
        )  # fmt: skip
    told = [r for r in world.drain() if r.kind.startswith("maintenance.")]
    assert sorted(r.body["vin"] for r in told) == [more[1].vin, more[2].vin]
    assert "Winter check" in told[0].body["en"] and "冬季检查" in told[0].body["zh"]
    steps.answer(world.pool, more[1].vin, "campaign.winter", Answer.NO, world.act())
    at = world.now()
    steps.done(
        world.pool, more[2].vin, "campaign.winter", world.act(), done_at=at, odometer_km=None
    )
    with transaction(world.pool) as conn:
        found = campaigns.find(conn, "winter")
    assert (found.targets, found.no, found.done) == (2, 1, 1)
    world.clock.advance(31 * DAY_S)
    assert [r for r in world.drain() if "winter" in str(r.body).lower()] == []


def test_many_dispatchers_remind_once(world: World, dsn: str) -> None:
    for number in range(30):
        item(world, kind=f"service_{number}", interval_km=10_000, base_odometer_km=0)
    hear(world, odometer_km=9_900)
    pools = [open_pool(dsn, 4) for _ in range(3)]
    crowd = [Dispatcher(pool, [world.receiver], world.clock) for pool in pools]
    with ThreadPoolExecutor(3) as people:
        list(people.map(lambda d: d.drain(), crowd))
    for dispatcher, pool in zip(crowd, pools, strict=True):
        dispatcher.close()
        pool.close()
    (told,) = world.receiver.take()
    assert len(told.body["items"]) == 30
    assert world.rows("select count(*) from audit") == [(30,)]


def test_trips_make_use_severe(world: World) -> None:
    """Twelve drives of 5 km in 10 minutes: all shorter than 8 km."""
    with transaction(world.pool) as conn:
        for name in ("speed_kmh", "engine_speed_rpm"):
            conn.execute("insert into signal (name, unit) values (%s, '')", [name])
        vehicle_id = masters.vehicles(conn, [VIN])[VIN].vehicle_id
        start = world.now() - timedelta(days=2)
        conn.execute(
            "insert into signal_segment select %s, n.signal_id, -1, %s + trip * interval '2 h'"
            " + m * interval '1 min', 1000, 60, 0, v, v, v, v, v * 60, '{}'"
            " from generate_series(0, 11) trip, generate_series(0, 9) m, signal n,"
            " lateral (select case n.name when 'speed_kmh' then 30.0 else 1500 end as v) x"
            " where n.name in ('speed_kmh', 'engine_speed_rpm')",
            [vehicle_id, start],
        )
    world.drain()
    trips = world.rows("select count(*), min(distance_km), max(distance_km) from trip")
    assert trips == [(12, pytest.approx(5.0), pytest.approx(5.0))]
    assert (care(world).use_factor, care(world).use_reasons) == (0.5, ["short_trips"])
    world.clock.advance(3600)
    world.drain()
    assert world.rows("select count(*) from trip") == [(12,)]
