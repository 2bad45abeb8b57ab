"""Late uploads, wrong clocks, wrong profiles and standing cars, through the worker's own path."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib.resources import files

import cantools
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.frames import FrameBatch, frame_batch
from model.log import StoredRecord
from model.signals import FrameStatus, SignalBatch, SignalTable
from roadcall.arrival import with_arrival
from roadcall.inbox_log import InboxLog
from roadcall.intake import not_ahead, read_upload
from roadcall.owner import FUTURE_FRAMES
from simulators.fleet import Fleet
from tests.roadcall.rig import PARTITIONS, Rig, record

S = 10**9
START_NS = 1_760_000_000 * S
DAY_S = 86_400
LONG_AFTER_NS = START_NS + 20 * DAY_S * S
#: An upload holds ten seconds; its frames end up to a cycle before them.
SLICES = 60
OURS = ("gateway.delayed", "gateway.wrong_profile", "gateway.clock_off")


@pytest.fixture(scope="module")
def drive() -> tuple[Fleet, list[FrameBatch]]:
    """Ten minutes of one healthy car."""
    fleet = Fleet(1, 5, (), START_NS, rate=0.2)
    return fleet, [batch for n in range(SLICES) for batch in fleet.upload(n)]


def sent(
    rig: Rig,
    batches: Sequence[FrameBatch],
    late_s: float = 0,
    clock_offset_s: int | None = None,
) -> None:
    """Uploads that arrive so long after their newest frame, with what `Date` said."""
    log = InboxLog(rig.pool, PARTITIONS)

    async def append() -> None:
        for batch in batches:
            at = int(batch.observed_ns.max()) + round(late_s * S)
            await log.append([replace(record(batch, at), clock_offset_s=clock_offset_s)])

    asyncio.run(append())
    rig.worker.drain()


def said(rig: Rig, *, ours: Sequence[str] = OURS) -> list[tuple[object, ...]]:
    return [
        row
        for row in rig.rows(
            "select rule_id, instance, severity, state from alert where state <> 'retracted'"
            " order by 1, 2, fired_at"
        )
        if row[0] in ours
    ]


@pytest.mark.parametrize("clock_offset_s", [None, 0])
def test_a_healthy_drive_says_nothing(
    new_rig: Callable[[], Rig], drive: tuple[Fleet, list[FrameBatch]], clock_offset_s: int | None
) -> None:
    rig, (fleet, batches) = new_rig(), drive
    rig.register(*fleet.vehicles)
    sent(rig, batches, 2, clock_offset_s)
    rig.worker._processor.tick(LONG_AFTER_NS)
    assert said(rig, ours=(*OURS, "ev.battery.standing_too_long")) == []
    stored = rig.rows(
        "select name, round(min(vmin)), round(max(vmax)), sum(n) from signal_segment join signal"
        " using (signal_id) where name like 'gateway%' or name like '%frames_percent'"
        " group by 1 order by 1"
    )
    delays = [("gateway_delay_s", 2.0, 2.0, SLICES)] if clock_offset_s == 0 else []
    assert stored == [
        ("gateway_clock_offset_s", 0.0, 0.0, SLICES),
        *delays,
        ("unknown_frames_percent", 0.0, 0.0, SLICES),
        ("wrong_length_frames_percent", 0.0, 0.0, SLICES),
    ]


def test_every_frame_of_healthy_vehicles_is_known(new_rig: Callable[[], Rig]) -> None:
    """A car, an EV and a truck, each by its own profile; the truck sends DM1."""
    rig, fleet = new_rig(), Fleet(4, 5, (), START_NS, rate=0.2)
    rig.register(*fleet.vehicles)
    rig.send([batch for n in range(40) for batch in fleet.upload(n)])
    shares = rig.rows(
        "select count(distinct vehicle_id), max(vmax) from signal_segment join signal"
        " using (signal_id) where name like '%frames_percent'"
    )
    assert (shares, said(rig)) == ([(4, 0.0)], [])


def test_late_uploads_are_told_where_the_gateway_says_when_it_sent(
    new_rig: Callable[[], Rig], drive: tuple[Fleet, list[FrameBatch]]
) -> None:
    rig, (fleet, batches) = new_rig(), drive
    rig.register(*fleet.vehicles)
    sent(rig, batches[:10], 20, 0)
    sent(rig, batches[10:20], 40, 0)
    sent(rig, batches[20:], 200, 0)
    assert said(rig) == [("gateway.delayed", "", 1, "firing")]


def test_a_log_played_again_is_not_late(
    new_rig: Callable[[], Rig], drive: tuple[Fleet, list[FrameBatch]]
) -> None:
    rig, (fleet, batches) = new_rig(), drive
    rig.register(*fleet.vehicles)
    sent(rig, batches, 400 * DAY_S)
    rig.worker._processor.tick(LONG_AFTER_NS + 400 * DAY_S * S)
    assert said(rig) == []


def test_a_slow_clock_is_no_delay(
    new_rig: Callable[[], Rig], drive: tuple[Fleet, list[FrameBatch]]
) -> None:
    rig, (fleet, batches) = new_rig(), drive
    rig.register(*fleet.vehicles)
    sent(rig, batches, 101, -100)  # its frames are a second old when it sends
    assert said(rig) == [("gateway.clock_off", "", 1, "firing")]


def test_frames_from_the_future_count_as_of_their_arrival(
    new_rig: Callable[[], Rig], drive: tuple[Fleet, list[FrameBatch]]
) -> None:
    """Eight hours ahead, Beijing time sent as UTC; the rules see the car all the same."""
    rig, (fleet, batches) = new_rig(), drive
    rig.register(*fleet.vehicles)
    before = FUTURE_FRAMES._value.get()
    sent(rig, batches, -8 * 3600)
    assert said(rig) == [("gateway.clock_off", "", 1, "firing")]
    assert FUTURE_FRAMES._value.get() - before == sum(map(len, batches))
    arrived = int(batches[-1].observed_ns.max()) - 8 * 3600 * S
    (newest, watermark) = (m for m in _memory(rig))
    assert arrived - S < newest <= arrived
    assert newest - watermark == 30 * S


def _memory(rig: Rig) -> tuple[int, int]:
    (found,) = (m for part in rig.worker._processor._memory.values() for m in part.values())
    return found.rules.newest_ns, found.rules.watermark_ns


def test_frames_of_another_profile(
    new_rig: Callable[[], Rig], drive: tuple[Fleet, list[FrameBatch]]
) -> None:
    """One frame in ten is of no message, one in eleven of the wrong length."""
    rig, (fleet, batches) = new_rig(), drive
    rig.register(*fleet.vehicles)
    rig.send([_spoilt(batch) for batch in batches])
    assert said(rig) == [
        ("gateway.wrong_profile", "unknown_frames_percent", 1, "firing"),
        ("gateway.wrong_profile", "wrong_length_frames_percent", 1, "firing"),
    ]


def _spoilt(batch: FrameBatch) -> FrameBatch:
    can_id, length = batch.can_id.copy(), batch.length.copy()
    can_id[::10] = 0x6F0
    length[5::11] = 1
    return replace(batch, can_id=can_id, length=length)


def test_history_run_again_and_restarts_find_the_same(
    new_rig: Callable[[], Rig], drive: tuple[Fleet, list[FrameBatch]]
) -> None:
    """Late uploads make the past run again from the archive, from the middle of stored blocks."""
    fleet, batches = drive
    spoilt = [_spoilt(batch) for batch in batches]
    found = []
    for order in (spoilt, [*spoilt[:20], *spoilt[21:40], spoilt[20], *spoilt[40:]]):
        rig = new_rig()
        rig.register(*fleet.vehicles)
        for start in range(0, len(order), 9):
            rig.worker = rig.new_worker()
            sent(rig, order[start : start + 9], 101 if start else 5, -100)
        rig.worker._processor.tick(LONG_AFTER_NS)
        found.append(rig.alerts())
    assert found[0] == found[1]
    assert {row[1] for row in found[0]} >= {"gateway.wrong_profile", "gateway.clock_off"}


def test_a_standing_ev_that_loses_charge(new_rig: Callable[[], Rig]) -> None:
    """It drove with 12 %, lost 2 % in each 12 h: 8 % a day later are gone in two days."""
    rig = new_rig()
    vehicle = next(v for v in Fleet(4, 5, (), START_NS).vehicles if v.profile == "demo_ev")
    rig.register(vehicle)
    states = [(0, 1, 12.0), (60, 0, 12.0), (DAY_S // 2, 0, 10.0), (DAY_S + 120, 0, 8.0)]
    sent(rig, [_ev(vehicle.vin, *state) for state in states[:3]])
    rig.worker._processor.tick(START_NS + DAY_S * S)
    assert said(rig, ours=["ev.battery.standing_too_long"]) == []
    rig.worker = rig.new_worker()
    sent(rig, [_ev(vehicle.vin, *states[3])])
    rig.worker._processor.tick(START_NS + (DAY_S + 300) * S)
    assert said(rig, ours=["ev.battery.standing_too_long"]) == [
        ("ev.battery.standing_too_long", "", 1, "firing")
    ]


def _ev(vin: str, after_s: int, ignition: int, charge: float) -> FrameBatch:
    base = cantools.database.load_file(str(files("dbc").joinpath("demo_ev.dbc")))
    frames = []
    for name, told in (
        ("BodyStatus", {"IgnitionOn": ignition, "BatteryVoltage": 12_600}),
        ("PackStatus", {"StateOfCharge": charge, "Charging": 0, "PackVoltage": 380}),
    ):
        message = base.get_message_by_name(name)
        known = {s.name: told.get(s.name, max(0, s.minimum or 0)) for s in message.signals}
        frames.append((message.frame_id, message.encode(known)))
    times = START_NS + np.array([after_s * S, after_s * S + S // 10])
    return frame_batch(
        vin=vin,
        batch_id=f"ev-{after_s}",
        observed_ns=times,
        can_id=np.array([f for f, _ in frames], np.uint32),
        length=np.array([len(b) for _, b in frames], np.uint8),
        payload8=np.array([list(b.ljust(8, b"\0")) for _, b in frames], np.uint8),
    )


def made(times: Sequence[int], received_ns: int, clock_offset_s: int | None = None) -> FrameBatch:
    n = len(times)
    batch = frame_batch(
        received_ns=received_ns,
        observed_ns=np.array(times, np.int64),
        can_id=np.ones(n, np.uint32),
        length=np.zeros(n, np.uint8),
        payload8=np.zeros((n, 8), np.uint8),
    )
    return replace(batch, clock_offset_s=clock_offset_s)


TIMES = st.integers(0, 2**63 - 1)


@given(st.lists(st.integers(-(2**63), 2**63 - 1), max_size=5), TIMES)
def test_nothing_stays_in_the_future(times: list[int], received_ns: int) -> None:
    moved, ahead = not_ahead(made(times, received_ns))
    limit = received_ns + 60 * S
    assert ahead == sum(t > limit for t in times)
    for before, after in zip(times, moved.observed_ns.tolist(), strict=True):
        if before <= limit:
            assert after == before
        else:
            assert after <= received_ns + S
            assert (before - after) % S == 0
    assert moved.clock_offset_s is None or moved.clock_offset_s > 60


def test_a_jump_of_the_clock_moves_only_what_came_after_it() -> None:
    times = [100 * S, 101 * S, 3702 * S + 1, 3703 * S + 1]
    moved, ahead = not_ahead(made(times, 104 * S))
    assert moved.observed_ns.tolist() == [100 * S, 101 * S, 102 * S + 1, 103 * S + 1]
    assert (ahead, moved.clock_offset_s) == (2, 3600)


@pytest.mark.parametrize(
    ("newest_s", "told_s", "offset_s", "delay_s"),
    [
        (970, None, 0, None),
        (1030, None, 30, None),
        (970, 0, 0, 30),
        (870, -100, -100, 30),  # slow by 100 s, and 30 s late
        (1000, 2, 2, 0),
        (1001, 0, 0, 0),
    ],
)
def test_delay_and_clock(
    newest_s: int, told_s: int | None, offset_s: float, delay_s: float | None
) -> None:
    batch = made([900 * S if newest_s > 900 else 1, newest_s * S], 1000 * S, told_s)
    found = with_arrival(_signals([0, 0]), batch, described=True)
    assert _values(found)["gateway_clock_offset_s"] == [offset_s]
    assert _values(found).get("gateway_delay_s", [None]) == [delay_s]
    assert set(found.observed_ns.tolist()) == {newest_s * S}


def test_shares_are_of_data_frames_and_need_a_profile_with_messages() -> None:
    status = [FrameStatus.OK, FrameStatus.UNKNOWN_ID, FrameStatus.SHORT, FrameStatus.WRONG_LENGTH]
    status += [FrameStatus.NO_PAYLOAD] * 4
    batch = made([1] * 8, 2)
    values = _values(with_arrival(_signals(status), batch, described=True))
    assert values["unknown_frames_percent"] == [25]
    assert values["wrong_length_frames_percent"] == [50]
    bare = _values(with_arrival(_signals(status), batch, described=False))
    assert bare.keys() == {"gateway_clock_offset_s"}


def test_an_upload_of_hours_says_it_of_each_block() -> None:
    """As the archive keeps it: one block for each hour of the clock."""
    batch = made([1800 * S, 3599 * S, 3600 * S, 5500 * S], 6000 * S, 0)
    values = _values(with_arrival(_signals([1, 0, 0, 0]), batch, described=True))
    assert values["gateway_delay_s"] == [2401, 500]
    assert values["unknown_frames_percent"] == [50, 0]


def _signals(status: Sequence[int]) -> SignalBatch:
    none = np.zeros(0, np.int64)
    return SignalBatch(
        table=SignalTable("made", ("speed_kmh",), ("km/h",)),
        run_signal=none.astype(np.uint16),
        run_source=none.astype(np.int16),
        run_start=np.zeros(1, np.int64),
        observed_ns=none,
        value=none / 1.0,
        quality=none.astype(np.uint8),
        frame_status=np.array(status, np.uint8),
    )


def _values(signals: SignalBatch) -> dict[str, list[float]]:
    return {
        signals.table.names[signal]: signals.value[signals.run(i)].tolist()
        for i, signal in enumerate(signals.run_signal.tolist())
    }


@pytest.mark.parametrize(
    ("text", "known"), [("-100", -100), ("99999", 32_767), ("1.5", None), ("", None), ("x", None)]
)
def test_what_a_stranger_says_of_the_clock(text: str, known: int | None) -> None:
    made_record = record(made([S, 2 * S], 0))
    headers = {**made_record.headers(), "clock_offset_s": text}
    upload = read_upload(StoredRecord(0, 0, "", headers, made_record.value))
    assert upload.frames.clock_offset_s == known
