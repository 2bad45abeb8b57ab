"""Inbox, ledger, batch keys and dead letters: what exactly-once rests on."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import timedelta

import pytest

from model.clock import NS, utc
from model.effects import DeadLetter
from model.errors import StaleOwnerError
from model.log import BatchKey, LogRecord, StoredRecord
from model.wire import partition_of
from store import batches, dead_letters, inbox, ledger
from store.batches import Claim
from store.database import Connection, UnknownRowError, connect

NOW_NS = 1_700_000_000 * NS
VINS = [f"LRDCALL0000000{i:03}" for i in range(1, 41)]


def record(vin: str, batch_id: str = "b", value: bytes = b"\x00\xff") -> LogRecord:
    return LogRecord(BatchKey("gw", vin, batch_id, 1), "d1g3st", NOW_NS, "can", value)


def test_records_come_back_in_order_without_gaps(conn: Connection) -> None:
    sent = [record(v, f"{i}", bytes([i])) for i in range(3) for v in VINS]
    inbox.append(conn, sent[:50], 12)
    inbox.append(conn, sent[50:], 12)
    conn.commit()
    for partition, head in inbox.heads(conn).items():
        expected = [r for r in sent if partition_of(r.key.vin, 12) == partition]
        found = inbox.read(conn, partition, 0, 1000)
        assert [r.position for r in found] == list(range(head)) == list(range(len(expected)))
        assert [(r.vin, r.value) for r in found] == [(r.key.vin, r.value) for r in expected]
    assert found[0].headers == {
        "gateway": "gw", "batch": "0", "part": "1", "digest": "d1g3st",
        "received_ns": str(NOW_NS), "protocol": "can",
    }  # fmt: skip
    assert inbox.read(conn, partition, 1, 1) == found[1:2]
    assert inbox.read_many(conn, {partition: 1}, 1) == {partition: found[1:2]}


def test_rivals_that_append_to_the_same_partitions_neither_block_for_ever_nor_leave_gaps(
    dsn: str, conn: Connection
) -> None:
    def run(name: int) -> None:
        ordered = VINS if name % 2 else VINS[::-1]
        with connect(dsn) as mine:
            for i in range(20):
                inbox.append(mine, [record(v, f"{name}.{i}") for v in ordered], 12)
                mine.commit()

    threads = [threading.Thread(target=run, args=(n,)) for n in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    heads = inbox.heads(conn)
    assert sum(heads.values()) == 4 * 20 * len(VINS)
    for partition, head in heads.items():
        assert [r.position for r in inbox.read(conn, partition, 0, 10**6)] == list(range(head))


def test_a_rolled_back_append_leaves_no_gap(conn: Connection) -> None:
    inbox.append(conn, [record(VINS[0])], 12)
    conn.rollback()
    inbox.append(conn, [record(VINS[0])], 12)
    (found,) = inbox.read(conn, partition_of(VINS[0], 12), 0, 10)
    assert found.position == 0


def test_prune_takes_only_what_the_ledger_has_passed(conn: Connection) -> None:
    partition = partition_of(VINS[0], 12)
    inbox.append(conn, [record(VINS[0], str(i)) for i in range(10)], 12)
    assert inbox.prune(conn) == 0
    ledger.positions(conn, inbox.TOPIC, [partition])
    ledger.advance(conn, inbox.TOPIC, {partition: (0, 7)})
    ledger.advance(conn, inbox.TOPIC, {partition: (7, 7)})
    assert inbox.prune(conn, limit=5) == 5
    assert inbox.prune(conn, limit=5) == 2
    assert [r.position for r in inbox.read(conn, partition, 0, 100)] == [7, 8, 9]


def test_the_ledger_fences_a_second_owner(conn: Connection) -> None:
    assert ledger.positions(conn, "t", [3, 1]) == {1: 0, 3: 0}
    ledger.advance(conn, "t", {1: (0, 5), 3: (0, 2)})
    assert ledger.positions(conn, "t", [1, 3]) == {1: 5, 3: 2}
    with pytest.raises(StaleOwnerError, match="partition 3: ledger is not at position 1"):
        ledger.advance(conn, "t", {1: (5, 6), 3: (1, 2)})
    with pytest.raises(StaleOwnerError):
        ledger.advance(conn, "t", {2: (0, 1)})
    assert ledger.positions(conn, "other", [1]) == {1: 0}


def test_of_two_owners_at_once_one_wins(conn: Connection, rival: Connection) -> None:
    ledger.positions(conn, "t", [0])
    conn.commit()
    refused = []

    def run() -> None:
        try:
            ledger.advance(rival, "t", {0: (0, 1)})
        except StaleOwnerError as error:
            refused.append(error)

    ledger.advance(conn, "t", {0: (0, 1)})
    thread = threading.Thread(target=run)
    thread.start()
    conn.commit()
    thread.join()
    assert len(refused) == 1


def test_claims_say_new_repeat_or_conflict(conn: Connection) -> None:
    a, b = BatchKey("gw", VINS[0], "a"), BatchKey("gw", VINS[0], "a", 1)
    assert batches.claim(conn, []) == []
    first = [(a, "x", NOW_NS), (b, "x", NOW_NS), (a, "x", NOW_NS), (a, "y", NOW_NS)]
    assert batches.claim(conn, first) == [Claim.NEW, Claim.NEW, Claim.REPEAT, Claim.CONFLICT]
    again = [(b, "y", NOW_NS), (BatchKey("gw2", VINS[0], "a"), "x", NOW_NS), (a, "x", NOW_NS)]
    assert batches.claim(conn, again) == [Claim.CONFLICT, Claim.NEW, Claim.REPEAT]
    assert batches.prune(conn, utc(NOW_NS)) == 0
    assert batches.prune(conn, utc(NOW_NS) + timedelta(seconds=1), limit=2) == 2
    assert batches.prune(conn, utc(NOW_NS) + timedelta(seconds=1), limit=2) == 1
    assert batches.claim(conn, again[-1:]) == [Claim.NEW]


def test_a_rolled_back_claim_is_new_again(conn: Connection) -> None:
    key = (BatchKey("gw", VINS[0], "a"), "x", NOW_NS)
    for _ in range(2):
        assert batches.claim(conn, [key]) == [Claim.NEW]
        conn.rollback()


@pytest.fixture
def letters() -> Iterator[list[DeadLetter]]:
    yield [
        DeadLetter(
            StoredRecord(1, i, "V\x00IN\ud800", {"batch\x00": "\ud800"}, b"\x00\xfe"), "why\x00"
        )
        for i in range(5)
    ]


def test_dead_letters_keep_bytes_reason_and_origin(
    conn: Connection, letters: list[DeadLetter]
) -> None:
    dead_letters.add(conn, "t", letters)
    dead_letters.add(conn, "t", letters[:2])
    page = dead_letters.page(conn, limit=3)
    rest = dead_letters.page(conn, before=page[-1].dead_letter_id)
    assert [letter.position for letter in page + rest] == [4, 3, 2, 1, 0]
    shown = dead_letters.show(conn, page[0].dead_letter_id)
    assert shown.value == b"\x00\xfe" and shown.reason == "why\ufffd"
    assert shown.origin.headers == {"batch\ufffd": "?"}
    dead_letters.mark_redriven(conn, shown.dead_letter_id)
    assert len(dead_letters.page(conn, pending=True)) == dead_letters.count(conn) == 4
    with pytest.raises(UnknownRowError, match="no such dead letter"):
        dead_letters.show(conn, 0)
