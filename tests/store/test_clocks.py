"""Clocks as rows: started once, paused, resumed, stopped, and fired once however many look."""

from __future__ import annotations

import threading
import uuid
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from model.promises import ClockRow, Firing, Promise, Warn
from store import cases, clocks
from store.database import Connection, connect
from store.migrate import migrations

NOW = datetime(2025, 3, 3, 8, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
PROMISE = Promise(
    kind="plan",
    zh="方案",
    en="plan",
    target_s=1800,
    warn=tuple(Warn(percent=p, to=("station",)) for p in (50, 80, 100)),
    pause_states=frozenset({"waiting_customer"}),
)
PROGRESS = PROMISE.model_copy(update={"kind": "progress", "repeats": True})


def only(conn: Connection, noun_id: str = "1", kind: str = "plan") -> ClockRow:
    (row,) = (r for r in clocks.of(conn, "work_order", [noun_id]) if r.kind == kind)
    return row


def percents(firings: list[Firing]) -> list[int]:
    return [firing.percent for firing in firings]


def test_a_clock_is_started_once_and_carries_its_terms(conn: Connection) -> None:
    assert clocks.start(conn, PROMISE, "work_order", "1", NOW, facts={"plate": "浙A1"})
    assert not clocks.start(conn, PROMISE, "work_order", "1", NOW + MINUTE)
    row = only(conn)
    assert (row.promise, row.facts, row.started_at) == (PROMISE, {"plate": "浙A1"}, NOW)
    assert (row.due_at, row.next_check_at) == (NOW + 30 * MINUTE, NOW + 15 * MINUTE)
    assert clocks.next_check(conn) == NOW + 15 * MINUTE
    assert (row.met, row.stopped_at, row.warned_percent) == (None, None, 0)


def test_each_share_fires_once_and_is_written_down(conn: Connection, rival: Connection) -> None:
    clocks.start(conn, PROMISE, "work_order", "1", NOW)
    conn.commit()
    assert clocks.fire_due(conn, NOW + 14 * MINUTE) == []
    (firing,) = clocks.fire_due(conn, NOW + 15 * MINUTE)
    assert (firing.percent, firing.to, firing.clock.noun_id) == (50, ("station",), "1")
    assert clocks.fire_due(rival, NOW + 60 * MINUTE) == []  # locked: somebody else's
    conn.rollback()  # the announcement was not written: it comes again
    assert percents(clocks.fire_due(conn, NOW + 15 * MINUTE)) == [50]
    conn.commit()
    assert clocks.fire_due(rival, NOW + 15 * MINUTE) == []
    assert percents(clocks.fire_due(rival, NOW + 60 * MINUTE)) == [100]
    assert clocks.next_check(rival) is None
    rows = rival.execute("select step, idempotency_key from audit where noun = 'clock'").fetchall()
    number = only(rival).clock_id
    assert rows == [("50%", f"clock/{number}/50"), ("100%", f"clock/{number}/100")]


def test_stopping_says_whether_the_promise_was_kept(conn: Connection) -> None:
    for noun_id, minutes, void in (("1", 30, False), ("2", 31, False), ("3", 10, True)):
        clocks.start(conn, PROMISE, "work_order", noun_id, NOW)
        clocks.stop(conn, "work_order", noun_id, NOW + minutes * MINUTE, void=void)
        assert clocks.stop(conn, "work_order", noun_id, NOW + 99 * MINUTE) == []
    rows = clocks.of(conn, "work_order", ["1", "2", "3"])
    assert [(r.noun_id, r.met) for r in sorted(rows, key=lambda r: r.noun_id)] == [
        ("1", True), ("2", False), ("3", None),
    ]  # fmt: skip
    assert clocks.fire_due(conn, NOW + 99 * MINUTE) == []
    found = conn.execute("select kind, ended, met, timeliness from clock_timeliness").fetchall()
    assert found == [("plan", 2, 1, 0.5)]


def test_only_the_listed_states_pause(conn: Connection) -> None:
    clocks.start(conn, PROMISE, "work_order", "1", NOW)
    clocks.start(conn, PROGRESS, "work_order", "1", NOW)
    at = NOW + 10 * MINUTE
    assert clocks.pause(conn, "work_order", "1", at, state="waiting_parts") == []
    paused = clocks.pause(conn, "work_order", "1", at, state="waiting_customer", kinds=["plan"])
    assert [row.kind for row in paused] == ["plan"]
    assert clocks.pause(conn, "work_order", "1", at, state="waiting_customer", kinds=["plan"]) == []
    assert [f.clock.kind for f in clocks.fire_due(conn, NOW + 20 * MINUTE)] == ["progress"]
    assert [r.kind for r in clocks.resume(conn, "work_order", "1", NOW + 70 * MINUTE)] == ["plan"]
    row = only(conn)
    assert (row.due_at, row.used_s, row.is_paused) == (NOW + 90 * MINUTE, 600, False)
    assert row.next_check_at == NOW + 75 * MINUTE


def test_a_repeating_clock_goes_round_and_a_restart_too(conn: Connection) -> None:
    clocks.start(conn, PROGRESS, "work_order", "1", NOW)
    clocks.restart(conn, PROGRESS, "work_order", "1", NOW + 12 * MINUTE)  # progress was told
    assert percents(clocks.fire_due(conn, NOW + 42 * MINUTE)) == [100]
    rows = sorted(clocks.of(conn, "work_order", ["1"]), key=lambda r: r.round)
    assert [(r.round, r.met) for r in rows] == [(0, True), (1, False), (2, None)]
    assert rows[2].started_at == NOW + 42 * MINUTE
    # After an outage of hours one more round, not ten
    assert percents(clocks.fire_due(conn, NOW + 500 * MINUTE)) == [100]
    rows = sorted(clocks.of(conn, "work_order", ["1"]), key=lambda r: r.round)
    assert len(rows) == 4 and rows[3].started_at == NOW + 500 * MINUTE
    clocks.stop(conn, "work_order", "1", NOW + 510 * MINUTE)
    assert clocks.fire_due(conn, NOW + 900 * MINUTE) == []


@pytest.mark.parametrize("workers", [4])
def test_many_workers_fire_each_share_once(dsn: str, conn: Connection, workers: int) -> None:
    count = 300
    for number in range(count):
        clocks.start(conn, PROMISE, "work_order", str(number), NOW)
    conn.commit()
    fired: list[tuple[str, int]] = []
    start = threading.Barrier(workers)

    def work() -> None:
        with connect(dsn) as mine:
            start.wait()
            for minutes in (15, 24, 30):
                while found := clocks.fire_due(mine, NOW + minutes * MINUTE, limit=7):
                    mine.commit()
                    fired.extend((f.clock.noun_id, f.percent) for f in found)
                mine.commit()

    crowd = [threading.Thread(target=work) for _ in range(workers)]
    for thread in crowd:
        thread.start()
    for thread in crowd:
        thread.join()
    told = Counter(fired)
    assert set(told.values()) == {1}
    assert Counter(noun_id for noun_id, percent in told if percent == 100) == Counter(
        map(str, range(count))
    )


def test_clocks_of_an_older_database_go_on(empty_dsn: str) -> None:
    """0005 turns the arrival clocks of before into clocks that carry their terms."""
    before = [m for m in migrations() if m.name < "0005" and not m.marked("requires timescaledb")]
    case, alert = uuid.uuid4(), uuid.uuid4()
    with connect(empty_dsn) as conn:
        for migration in before:
            conn.execute(migration.statements()[0])
        conn.execute(
            "insert into vehicle (vin, partition, profile, attrs)"
            " values ('LRDCALL0000000001', 0, 'demo_car', '{}')"
        )
        conn.execute(
            "insert into alert (alert_id, vehicle_id, rule_id, rule_version, instance, severity,"
            " state, history, started_at, fired_at, changed_at, evidence, evidence_at, thresholds)"
            " values (%s, 1, 'r', 1, '', 3, 'firing', false, %s, %s, %s, '{}', %s, '{}')",
            [alert, NOW, NOW, NOW, NOW],
        )
        conn.execute(
            "insert into rescue_case (case_id, alert_id, vehicle_id, severity, state, latitude_deg,"
            " longitude_deg, zone, requested_at) values (%s, %s, 1, 3, 'accepted', 30, 120,"
            " 'city', %s)",
            [case, alert, NOW],
        )
        conn.execute(
            "insert into clock (clock_id, kind, case_id, started_at, due_at, warned_percent,"
            " next_check_at) values (%s, 'arrival', %s, %s, %s, 50, %s)",
            [uuid.uuid4(), case, NOW, NOW + 30 * MINUTE, NOW + 24 * MINUTE],
        )
        (now,) = (m for m in migrations() if m.name.startswith("0005"))
        conn.execute(now.statements()[0])
        (row,) = clocks.of(conn, "rescue_case", [str(case)])
        assert (row.kind, row.promise.target_s, row.running_since) == ("arrival", 1800, NOW)
        assert percents(clocks.fire_due(conn, NOW + 24 * MINUTE)) == [80]
        (stopped,) = clocks.stop(conn, "rescue_case", str(case), NOW + 29 * MINUTE)
        assert stopped.met is True
        assert cases.find(conn, case).confirmed_at == NOW
