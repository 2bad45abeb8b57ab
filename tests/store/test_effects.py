"""All effects of many uploads, in one transaction."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime

import numpy as np

from model.alerts import AlertState, AlertTransition, alert_id
from model.clock import NS
from model.effects import Effects, LastValues, OutboxRecord, VehicleSnapshot
from model.frames import FrameBatch, frame_batch
from model.log import BatchKey
from model.rescue import CaseState, RescueCase, case_id
from model.severity import Severity
from model.signals import SignalBatch, SignalTable
from model.vehicle import Zone
from store import alerts, cases, effects, frame_block, outbox, vehicle_state
from store.database import Connection

TABLE = SignalTable("demo_car", ("engine_speed_rpm", "Body.DoorOpen"), ("rpm", ""))
START_NS = 1_700_000_000 * NS


def frames(vin: str, start_ns: int, n: int = 10) -> FrameBatch:
    times = start_ns + np.arange(n) * NS // 10
    return frame_batch(
        vin=vin,
        batch_id="b",
        received_ns=start_ns + 5 * NS,
        observed_ns=times,
        can_id=np.full(n, 0x100, np.uint32),
        length=np.full(n, 8, np.uint8),
        payload8=np.arange(8 * n, dtype=np.uint8).reshape(n, 8),
    )


def signals(start_ns: int, n: int = 10) -> SignalBatch:
    return SignalBatch(
        table=TABLE,
        run_signal=np.array([0, 1], np.uint16),
        run_source=np.array([-1, -1], np.int16),
        run_start=np.array([0, n, 2 * n]),
        observed_ns=np.tile(start_ns + np.arange(n) * NS // 10, 2),
        value=np.concatenate([800.0 + np.arange(n), np.zeros(n)]),
        quality=np.zeros(2 * n, np.uint8),
        frame_status=np.zeros(n, np.uint8),
    )


def one(vin: str, vehicle_id: int, start_ns: int, speed: float, **more: object) -> Effects:
    last = LastValues({"engine_speed_rpm": (speed, start_ns), "Body.DoorOpen": (0.0, start_ns)})
    snapshot = VehicleSnapshot(vehicle_id, start_ns, start_ns + NS, last, {"at": start_ns})
    parts: dict[str, object] = {"transitions": (), "cases": (), "outbox": (), **more}
    return Effects(
        vehicle_id=vehicle_id,
        key=BatchKey("gw", vin, str(start_ns)),
        frames=frames(vin, start_ns),
        signals=signals(start_ns),
        reports=(),
        snapshot=snapshot,
        **parts,  # type: ignore[arg-type]
    )


def fired(vin: str, at_ns: int) -> AlertTransition:
    return AlertTransition(
        alert_id=alert_id("r", vin, "", at_ns), rule_id="r", rule_version=1, vin=vin, instance="",
        state=AlertState.FIRING, severity=Severity.STOP, started_ns=at_ns, at_ns=at_ns,
        fired_ns=at_ns, worst_ns=at_ns,
        evidence={"engine_speed_rpm": 9000.0},
    )  # fmt: skip


def case_of(alert: uuid.UUID, vin: str) -> RescueCase:
    return RescueCase(
        case_id=case_id(alert), alert_id=alert, vin=vin, severity=Severity.STOP,
        state=CaseState.REQUESTED, latitude_deg=30, longitude_deg=120, zone=Zone.CITY,
        requested_at=datetime(2025, 1, 1, tzinfo=UTC),
    )  # fmt: skip


def test_every_part_is_there_after_commit(conn: Connection, fleet: dict[str, int]) -> None:
    (vin, number), *_ = fleet.items()
    alert = fired(vin, START_NS)
    case = case_of(alert.alert_id, vin)
    record = OutboxRecord("k", "rescue.confirm", {"zh": "冷却液"})
    alerts.write(conn, [alert])
    effects.write(
        conn,
        [one(vin, number, START_NS, 900.0, transitions=(alert,), cases=(case,), outbox=(record,))],
    )
    conn.commit()
    assert alerts.find(conn, alert.alert_id).evidence == {"engine_speed_rpm": 9000.0}
    assert cases.find(conn, case.case_id) == case
    (claimed,) = outbox.claim(conn, datetime.now(UTC), datetime.now(UTC), 10)
    assert claimed.record == record
    (stored,) = frame_block.read_frames(conn, number, START_NS, START_NS + NS, 100)
    assert stored.vin == vin and len(stored) == 10
    rows = conn.execute(
        "select name, n, vfirst, vlast from signal_segment join signal using (signal_id) order by 1"
    ).fetchall()
    assert rows == [
        ("demo_car:Body.DoorOpen", 10, 0.0, 0.0),
        ("engine_speed_rpm", 10, 800.0, 809.0),
    ]


def test_one_vehicle_twice_in_a_call_keeps_the_newest_values_and_the_last_memory(
    conn: Connection, fleet: dict[str, int]
) -> None:
    (vin, number), (other, other_number), *_ = fleet.items()
    late = START_NS - 60 * NS
    effects.write(
        conn,
        [
            one(vin, number, START_NS, 900.0),
            one(other, other_number, START_NS, 1000.0),
            one(vin, number, late, 700.0),
        ],
    )
    conn.commit()
    state, other_state = sorted(
        vehicle_state.load(conn, vins=[vin, other]), key=lambda s: s.vehicle_id
    )
    assert state.last.values["engine_speed_rpm"] == (900.0, START_NS)
    assert state.observed_ns == START_NS and state.memory == {"at": late}
    assert other_state.last.values["Body.DoorOpen"] == (0.0, START_NS)


def test_values_in_the_database_lose_only_against_newer_ones(
    conn: Connection, fleet: dict[str, int]
) -> None:
    (vin, number), *_ = fleet.items()
    for start_ns, speed in ((START_NS, 900.0), (START_NS - NS, 1.0), (START_NS + NS, 950.0)):
        effects.write(conn, [one(vin, number, start_ns, speed)])
        conn.commit()
    (state,) = vehicle_state.load(conn, vins=[vin])
    assert state.last.values["engine_speed_rpm"] == (950.0, START_NS + NS)


def test_corrections_change_memory_and_keep_values(conn: Connection, fleet: dict[str, int]) -> None:
    cars = list(fleet.items())[:2]
    effects.write(conn, [one(vin, number, START_NS, 900.0) for vin, number in cars])
    snapshots = [
        VehicleSnapshot(number, START_NS, START_NS, LastValues(), {"new": vin})
        for vin, number in cars
    ]
    alert = fired(cars[1][0], START_NS)
    alerts.write(conn, [alert])
    effects.correct(conn, snapshots, [alert], [case_of(alert.alert_id, cars[1][0])])
    effects.correct(conn, [], [], [])
    conn.commit()
    for state in vehicle_state.load(conn, vins=[vin for vin, _ in cars]):
        assert state.memory == {"new": state.vehicle.vin}
        assert state.last.values["engine_speed_rpm"] == (900.0, START_NS)
    assert [a.vin for a in alerts.page(conn)] == [c.vin for c in cases.page(conn)] == [cars[1][0]]


def test_numbers_of_a_rolled_back_first_sight_are_not_used_again(
    conn: Connection, fleet: dict[str, int]
) -> None:
    (vin, number), *_ = fleet.items()
    effects.write(conn, [one(vin, number, START_NS, 900.0)])
    effects.write(conn, [one(vin, number, START_NS, 900.0)])
    conn.rollback()
    effects.write(conn, [one(vin, number, START_NS, 900.0)])
    conn.commit()
    orphans = conn.execute(
        "select count(*) from signal_segment g left join signal s using (signal_id)"
        " where s.name is null"
    ).fetchone()
    assert orphans == (0,)


def test_an_upload_without_frames_or_signals_is_fine(
    conn: Connection, fleet: dict[str, int]
) -> None:
    (vin, number), *_ = fleet.items()
    nothing = one(vin, number, START_NS, 900.0)
    empty = SignalBatch(
        TABLE, np.zeros(0, np.uint16), np.zeros(0, np.int16), np.zeros(1, np.int64),
        np.zeros(0, np.int64), np.zeros(0), np.zeros(0, np.uint8), np.zeros(0, np.uint8),
    )  # fmt: skip
    from dataclasses import replace

    effects.write(conn, [replace(nothing, signals=empty, frames=frames(vin, START_NS, 0))])
    assert conn.execute("select count(*) from signal_segment").fetchone() == (0,)


def test_watchers_hear_of_alerts_and_cases_only(
    conn: Connection, rival: Connection, fleet: dict[str, int]
) -> None:
    from store import notify

    rival.autocommit = True
    notify.listen(rival)
    (vin, number), *_ = fleet.items()
    effects.write(conn, [one(vin, number, START_NS, 900.0)])
    conn.commit()
    assert list(rival.notifies(timeout=0.2)) == []
    alert = fired(vin, START_NS)
    effects.write(conn, [one(vin, number, START_NS, 900.0, transitions=(alert,))])
    conn.commit()
    heard = [n.payload for n in rival.notifies(timeout=5, stop_after=1)]
    assert heard == [f"alert:{alert.alert_id}"]
