"""What the feed applies, in which order, and what it does when the processor fails."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence

import pytest

from model.errors import StaleOwnerError, StoreUnavailableError
from model.log import StoredRecord
from roadcall.partition_feed import LogHoleError, PartitionFeed


class ScriptedProcessor:
    """Fails as told, and writes down what it was given."""

    def __init__(self, ledger: dict[int, int], *failures: Exception | None) -> None:
        self.ledger, self.failures = ledger, list(failures)
        self.applied: list[tuple[int, int]] = []
        self.owned: set[int] = set()
        self.ticks: list[int] = []

    def assigned(self, partitions: Collection[int]) -> dict[int, int]:
        self.owned |= set(partitions)
        return {p: self.ledger.get(p, 0) for p in partitions}

    def revoked(self, partitions: Collection[int]) -> None:
        self.owned -= set(partitions)

    def apply(self, records: Mapping[int, Sequence[StoredRecord]]) -> None:
        self.fail()
        for partition, of_one in records.items():
            assert of_one, "an empty partition"
            self.applied += [(partition, record.position) for record in of_one]
            self.ledger[partition] = of_one[-1].position + 1

    def tick(self, now_ns: int) -> None:
        self.fail()
        self.ticks.append(now_ns)

    def fail(self) -> None:
        failure = self.failures.pop(0) if self.failures else None
        if failure is not None:
            raise failure


def records(partition: int, *positions: int) -> list[StoredRecord]:
    return [StoredRecord(partition, position, "", {}, b"") for position in positions]


def feed_of(processor: ScriptedProcessor, oldest: int = 0) -> PartitionFeed:
    async def oldest_of(_: int) -> int:
        return oldest

    return PartitionFeed(processor, oldest_of)


def test_it_begins_at_the_ledger_and_skips_what_is_done() -> None:
    processor = ScriptedProcessor({1: 5})

    async def scene() -> None:
        feed = feed_of(processor)
        assert await feed.assign([1, 2]) == {1: 5, 2: 0}
        assert await feed.apply(records(1, 3, 4, 5, 6) + records(2, 0) + records(3, 0))
        assert await feed.apply(records(1, 5, 6))
        assert feed.next_position == {1: 7, 2: 1}

    asyncio.run(scene())
    assert processor.applied == [(1, 5), (1, 6), (2, 0)]


def test_it_waits_for_the_database() -> None:
    away = StoreUnavailableError("away")
    processor = ScriptedProcessor({}, away, away)

    async def scene() -> None:
        feed = feed_of(processor)
        await feed.assign([0])
        assert await feed.apply(records(0, 0, 1))

    asyncio.run(scene())
    assert processor.applied == [(0, 0), (0, 1)]


def test_it_gives_up_when_the_partitions_are_taken_away() -> None:
    processor = ScriptedProcessor({}, *[StoreUnavailableError("away")] * 9)

    async def scene() -> None:
        feed = feed_of(processor)
        await feed.assign([0])
        assert not await feed.apply(records(0, 0), lambda: len(processor.failures) < 9)
        assert feed.next_position == {0: 0}

    asyncio.run(scene())
    assert processor.applied == []


def test_what_another_owner_has_done_is_skipped() -> None:
    processor = ScriptedProcessor({}, StaleOwnerError(partition=0, expected=0))

    async def scene() -> None:
        feed = feed_of(processor)
        await feed.assign([0])
        processor.ledger[0] = 2
        assert await feed.apply(records(0, 0, 1, 2))

    asyncio.run(scene())
    assert processor.applied == [(0, 2)]


def test_losing_a_partition_is_said_once_and_its_records_are_dropped() -> None:
    processor = ScriptedProcessor({})

    async def scene() -> None:
        feed = feed_of(processor)
        await feed.assign([0, 1])
        await feed.assign([1])
        assert processor.owned == {1}
        assert await feed.apply(records(0, 0))
        await feed.assign([])
        await feed.tick(7)

    asyncio.run(scene())
    assert processor.applied == []
    assert processor.owned == set()
    assert processor.ticks == []


def test_a_hole_in_the_middle_is_an_error() -> None:
    async def scene() -> None:
        feed = feed_of(ScriptedProcessor({}))
        await feed.assign([0])
        await feed.apply(records(0, 0))
        with pytest.raises(LogHoleError, match="partition 0: expected position 1, got 2"):
            await feed.apply(records(0, 2))

    asyncio.run(scene())


def test_a_hole_after_a_later_assignment_is_an_error() -> None:
    async def scene() -> None:
        feed = feed_of(ScriptedProcessor({}))
        await feed.assign([0])
        await feed.assign([0])
        with pytest.raises(LogHoleError):
            await feed.apply(records(0, 2))

    asyncio.run(scene())


def test_what_retention_has_deleted_is_passed_over() -> None:
    processor = ScriptedProcessor({}, None, StoreUnavailableError("away"))

    async def scene() -> None:
        feed = feed_of(processor, oldest=10)
        await feed.assign([0])
        await feed.apply(records(0, 0))
        assert await feed.apply(records(0, 10, 11))

    asyncio.run(scene())
    assert processor.applied == [(0, 0), (0, 10), (0, 11)]


def test_a_fresh_process_begins_at_the_first_record_there_is() -> None:
    processor = ScriptedProcessor({0: 3}, StoreUnavailableError("away"))

    async def scene() -> None:
        feed = feed_of(processor)
        await feed.assign([0])
        assert await feed.apply(records(0, 4))
        with pytest.raises(LogHoleError):
            await feed.apply(records(0, 6))

    asyncio.run(scene())
    assert processor.applied == [(0, 4)]


def test_what_stands_before_a_hole_is_applied_so_that_a_successor_gets_past_it() -> None:
    processor = ScriptedProcessor({}, StoreUnavailableError("away"))

    async def scene() -> None:
        for _ in range(2):
            feed = feed_of(processor)
            await feed.assign([0])
            await feed.apply(records(1, 0))
            try:
                await feed.apply(records(0, 0, 2, 3))
            except LogHoleError as error:
                assert (error.expected, error.got) == (1, 2)
        assert feed.next_position == {0: 4}

    asyncio.run(scene())
    assert processor.applied == [(0, 0), (0, 2), (0, 3)]


def test_a_failed_tick_is_made_good_later() -> None:
    processor = ScriptedProcessor(
        {}, StoreUnavailableError("away"), StaleOwnerError(partition=0, expected=0)
    )

    async def scene() -> None:
        feed = feed_of(processor)
        await feed.assign([0])
        for now_ns in (1, 2, 3):
            await feed.tick(now_ns)

    asyncio.run(scene())
    assert processor.ticks == [3]


def test_standing_still_is_noticed_unless_the_log_has_nothing() -> None:
    async def scene() -> None:
        feed = feed_of(ScriptedProcessor({}))
        await feed.assign([0])
        first = feed.moved_at[0]
        await asyncio.sleep(0.01)
        await feed.assign([0])
        assert feed.moved_at[0] == first
        feed.seen_idle(0)
        assert feed.moved_at[0] > first
        second = feed.moved_at[0]
        await asyncio.sleep(0.01)
        await feed.apply(records(0, 0))
        assert feed.moved_at[0] > second

    asyncio.run(scene())
