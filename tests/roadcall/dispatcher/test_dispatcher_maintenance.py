"""Reminders: once for each state of each cycle, by distance and by date."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest

from console import steps
from model.effects import LastValues, VehicleSnapshot
from model.errors import TransitionError
from model.maintenance import MaintenanceItem
from roadcall.dispatcher import Dispatcher
from store import maintenance, masters, vehicle_state
from store.database import open_pool, transaction

World = Any  # tests/roadcall/dispatcher/conftest.py

VIN = "LRDCALL0000000001"


def item(world: World, **facts: object) -> None:
    with transaction(world.pool) as conn:
        given = {"vin": VIN, "kind": "engine_oil", "base_at": world.now()} | facts
        maintenance.upsert(conn, [MaintenanceItem.model_validate(given)])


def drive(world: World, odometer_km: float) -> None:
    """What the pipeline writes when the car says its odometer."""
    with transaction(world.pool) as conn:
        conn.execute(
            "insert into signal (name, unit) values ('odometer_km', 'km') on conflict do nothing"
        )
        ((number,),) = conn.execute("select signal_id from signal where name = 'odometer_km'")
        vehicle_id = masters.vehicles(conn, [VIN])[VIN].vehicle_id
        now_ns = world.clock.now_ns()
        last = LastValues({"odometer_km": (odometer_km, now_ns)})
        snapshot = VehicleSnapshot(vehicle_id, now_ns, now_ns, last, {})
        vehicle_state.upsert(conn, [(snapshot, "demo_car")], {"odometer_km": number})


def said(world: World) -> list[tuple[str, object]]:
    world.clock.advance(61)
    return [(r.kind, r.body["remaining_km"]) for r in world.drain()]


def stored(world: World) -> Any:
    with transaction(world.pool) as conn:
        return maintenance.of_vehicle(conn, VIN)[0]


def test_each_state_reminds_once_and_a_done_record_starts_anew(world: World) -> None:
    item(world, interval_km=10_000, soon_km=1_000, base_odometer_km=50_000)
    assert said(world) == []  # nobody knows the odometer yet
    drive(world, 58_999)
    assert said(world) == []
    drive(world, 59_000)
    assert said(world) == [("maintenance.due_soon", 1_000)]
    drive(world, 59_400)
    assert said(world) == []
    drive(world, 60_000)
    assert said(world) == [("maintenance.due", 0)]
    drive(world, 61_000)
    assert said(world) == [("maintenance.overdue", -1_000)]
    drive(world, 61_500)
    assert said(world) == []

    at = world.now()
    steps.done(world.pool, VIN, "engine_oil", world.act(), done_at=at, odometer_km=61_500)
    assert said(world) == []
    assert (stored(world).cycle, stored(world).remaining_km) == (1, 10_000)
    drive(world, 70_600)
    assert said(world) == [("maintenance.due_soon", 900)]
    keys = [row[0] for row in world.rows("select key from outbox order by outbox_id")]
    vehicle_id = stored(world).vehicle_id
    assert keys == [
        f"maintenance/{vehicle_id}/engine_oil/{cycle}/{state}"
        for cycle, state in [(0, "due_soon"), (0, "due"), (0, "overdue"), (1, "due_soon")]
    ]
    trail = world.rows("select step, actor from audit order by audit_id")
    assert trail == [
        ("due_soon", "system"),
        ("due", "system"),
        ("overdue", "system"),
        ("done", "li.wei"),
        ("due_soon", "system"),
    ]


def test_a_service_comes_due_by_date_without_any_driving(world: World) -> None:
    item(world, interval_days=183, soon_days=14)
    assert said(world) == []
    world.clock.advance(169 * 86_400)
    assert said(world) == [("maintenance.due_soon", None)]
    world.clock.advance(14 * 86_400)
    assert said(world) == [("maintenance.due", None)]


def test_the_reminder_names_service_date_and_both_languages(world: World) -> None:
    start = world.now()
    item(world, interval_km=12_000, soon_km=800, base_odometer_km=0)
    world.clock.advance(100 * 86_400)
    drive(world, 11_500)  # 115 km a day: 500 km are left for 4.35 days
    (reminder,) = world.drain()
    due_at = start + timedelta(days=100 + 500 / 115)
    assert reminder.body["en"] == (
        "Maintenance reminder: Engine oil and filter of 浙A12345 is due soon, 500 km left, "
        f"date {due_at:%Y-%m-%d}."
    )
    assert "机油与机滤" in reminder.body["zh"]


def test_the_first_interval_gives_way_to_the_repeat_one(world: World) -> None:
    """rules/packs/maintenance.toml: first after 5 000 km or 91 days, then 5 000 km or 183 days."""
    item(world, kind="service", interval_km=5_000, interval_days=91, base_odometer_km=0)
    world.drain()
    world.clock.advance(86_400)
    at = world.now()
    steps.done(world.pool, VIN, "service", world.act(), done_at=at, odometer_km=4_000)
    world.drain()
    assert stored(world).item.interval_days == 183
    assert stored(world).remaining_days == pytest.approx(183)


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


def test_many_dispatchers_remind_once(world: World, dsn: str) -> None:
    for number in range(30):
        item(world, kind=f"service_{number}", interval_km=10_000, base_odometer_km=0)
    drive(world, 9_900)
    pools = [open_pool(dsn, 4) for _ in range(3)]
    crowd = [Dispatcher(pool, [world.receiver], world.clock) for pool in pools]
    with ThreadPoolExecutor(3) as people:
        list(people.map(lambda d: d.drain(), crowd))
    for dispatcher, pool in zip(crowd, pools, strict=True):
        dispatcher.close()
        pool.close()
    assert len(world.receiver.take()) == 30
    assert world.rows("select count(*) from audit") == [(30,)]
