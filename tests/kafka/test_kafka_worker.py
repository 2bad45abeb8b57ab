"""The Faust worker with a real log and a real database: each record becomes one row, once."""

from __future__ import annotations

import time

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from roadcall.kafka_worker import EXIT_BUG, EXIT_MISCONFIGURED, EXIT_OK, EXIT_TRY_AGAIN
from store.database import connect

pytestmark = pytest.mark.slow


def names(prefix: str, count: int) -> list[str]:
    return [f"{prefix}-{n}" for n in range(count)]


def test_each_record_lands_once_and_sigterm_ends_cleanly(rig) -> None:
    worker = rig.start_worker()
    rig.push_now(names("a", 300))
    rig.wait_for(set(names("a", 300)))
    assert rig.terminate(worker) == EXIT_OK
    rig.start_worker()
    rig.push_now(names("b", 20))
    rig.assert_exactly_once()


def test_strange_records_land_too_and_their_neighbours_are_untouched(rig) -> None:
    rig.push_now(["before"])
    stranger = Producer({"bootstrap.servers": rig.broker.servers})
    for partition in range(rig.broker.partitions):
        stranger.produce(rig.topic, value=None, key=None, partition=partition)
        stranger.produce(rig.topic, value=b"\x00", key=b"\xff\x00", partition=partition)
        headers = [("batch", b"\xff\x00"), ("batch", None), ("nul\x00", b"")]
        stranger.produce(rig.topic, value=b"", key=b"", partition=partition, headers=headers)
    assert stranger.flush(30) == 0
    rig.push_now(["after"])
    worker = rig.start_worker()
    rig.assert_exactly_once()
    assert len(rig.rows()) == 2 + 3 * rig.broker.partitions
    assert rig.terminate(worker) == EXIT_OK


def test_a_bug_ends_the_worker_and_nothing_is_skipped_past_it(rig) -> None:
    rig.push_now(["before"])
    stranger = Producer({"bootstrap.servers": rig.broker.servers})
    stranger.produce(rig.topic, value=b"a bug of ours", partition=0)
    assert stranger.flush(30) == 0
    worker = rig.start_worker()
    assert worker.wait(60) == EXIT_BUG
    assert all(partition != 0 or batch == "before" for partition, _, batch in rig.rows())


def test_reading_begins_at_the_ledger_whatever_the_group_has_committed(rig) -> None:
    rig.push_now(names("a", 40))
    group = Consumer({"bootstrap.servers": rig.broker.servers, "group.id": f"rows.{rig.topic}"})
    places = [TopicPartition(rig.topic, p, 1_000) for p in range(rig.broker.partitions)]
    group.commit(offsets=places, asynchronous=False)  # far ahead of the ledger, which is at 0
    group.close()
    worker = rig.start_worker()
    rig.assert_exactly_once()
    assert rig.terminate(worker) == EXIT_OK
    before = rig.rows()
    with connect(rig.postgres.dsn) as conn:  # as after a restore of the database
        conn.execute("delete from landed where topic = %s", [rig.topic])
        conn.execute("update ledger set next_position = 0 where topic = %s", [rig.topic])
    rig.start_worker()
    rig.assert_exactly_once()
    assert rig.rows() == before


def test_a_log_that_ends_before_the_ledger_is_refused(rig) -> None:
    rig.push_now(names("a", 5))
    with connect(rig.postgres.dsn) as conn:
        conn.execute("insert into ledger values (%s, 1, 1000)", [rig.topic])
    assert rig.start_worker().wait(60) == EXIT_MISCONFIGURED


@pytest.mark.kafka
def test_a_hole_in_the_log_stops_the_worker_once(apache_rig) -> None:
    rig = apache_rig
    rig.push_now(["before"])
    stranger = Producer({"bootstrap.servers": rig.broker.servers, "transactional.id": rig.topic})
    stranger.init_transactions(30)
    stranger.begin_transaction()
    for partition in range(rig.broker.partitions):
        stranger.produce(rig.topic, key=b"stranger", value=b"", partition=partition)
    stranger.commit_transaction(30)  # its markers take positions that no record has, soon
    reader = Consumer({"bootstrap.servers": rig.broker.servers, "group.id": rig.topic})
    places = [TopicPartition(rig.topic, p) for p in range(rig.broker.partitions)]
    while sum(reader.get_watermark_offsets(place)[1] for place in places) < 1 + 2 * len(places):
        time.sleep(0.1)
    reader.close()
    rig.push_now(["after"])
    assert rig.start_worker().wait(60) == EXIT_TRY_AGAIN
    rig.start_worker()
    rig.wait_for({"before", "after"})
    assert len(rig.rows()) == rig.broker.partitions + 2


@pytest.mark.kafka
def test_exactly_once_under_kill_9_and_sigterm_of_the_worker(apache_rig) -> None:
    rig = apache_rig
    with rig.load():
        for turn in range(6):
            worker = rig.start_worker()
            rig.wait_for_more(300)
            if turn % 2:
                assert rig.terminate(worker) == EXIT_OK
            else:
                rig.kill(worker)
    rig.start_worker()
    rig.assert_exactly_once()


@pytest.mark.kafka
def test_exactly_once_while_workers_come_and_go(apache_rig) -> None:
    rig = apache_rig
    with rig.load():
        first = rig.start_worker(instance="")
        rig.wait_for_more(300)
        second = rig.start_worker(instance="")
        rig.wait_for_more(500)
        rig.kill(first)
        third = rig.start_worker(instance="")
        rig.wait_for_more(500)
        assert rig.terminate(second) == EXIT_OK
        rig.wait_for_more(300)
    rig.assert_exactly_once()
    assert rig.terminate(third) == EXIT_OK


@pytest.mark.kafka
def test_exactly_once_when_the_database_is_away_for_ten_seconds(apache_rig) -> None:
    rig = apache_rig
    worker = rig.start_worker()
    rig.push_now(names("a", 100))
    rig.wait_for(set(names("a", 100)))
    rig.postgres.stop()
    rig.push_now(names("b", 500))
    time.sleep(10)
    rig.postgres.start()
    rig.assert_exactly_once()
    assert worker.poll() is None
    assert rig.terminate(worker) == EXIT_OK


@pytest.mark.kafka
def test_sigterm_ends_a_worker_whose_database_is_away(apache_rig) -> None:
    rig = apache_rig
    worker = rig.start_worker()
    rig.push_now(names("a", 20))
    rig.wait_for(set(names("a", 20)))
    rig.postgres.stop()
    try:
        rig.push_now(names("b", 20))
        time.sleep(2)
        assert rig.terminate(worker) == EXIT_OK
    finally:
        rig.postgres.start()
    rig.start_worker()
    rig.assert_exactly_once()


@pytest.mark.kafka
def test_a_worker_that_gets_nowhere_ends_and_its_successor_goes_on(apache_rig) -> None:
    rig = apache_rig
    worker = rig.start_worker(stall_limit_s=4.0)
    rig.push_now(names("a", 20))
    rig.wait_for(set(names("a", 20)))
    time.sleep(12)
    assert worker.poll() is None  # an idle log is no stall
    rig.postgres.stop()
    try:
        rig.push_now(names("b", 20))
        assert worker.wait(40) == EXIT_TRY_AGAIN
    finally:
        rig.postgres.start()
    rig.start_worker()
    rig.assert_exactly_once()


@pytest.mark.kafka
def test_exactly_once_when_the_broker_is_killed(own_kafka, postgres, rig_of) -> None:
    rig = rig_of(own_kafka.start())
    worker = rig.start_worker()
    with rig.load():
        for _ in range(2):
            rig.wait_for_more(200)
            own_kafka.kill()
            own_kafka.start()
        rig.wait_for_more(200)
    rig.assert_exactly_once()
    assert rig.terminate(worker) == EXIT_OK
