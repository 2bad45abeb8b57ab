"""Pushing over real HTTP: nothing lost, nothing doubled."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from pathlib import Path

import pytest

from model import wire
from model.clock import NS
from simulators.fleet import Fleet
from simulators.gateway import Gateway, GatewayGaveUpError, GatewayRefusedError, Retry, Totals
from simulators.journal import Journal
from simulators.pace import drive

START = 1_760_000_000 * NS
FAST = Retry(attempts=6, first_s=0.001, longest_s=0.01, timeout_s=10)


def push(station, fleet: Fleet, slices: int = 3, **options) -> Totals:
    gateway = Gateway(station.url, "secret", retry=FAST, **options)
    return asyncio.run(drive(fleet, gateway, slices=slices))


def test_every_frame_arrives_once_and_in_order(station) -> None:
    fleet = Fleet(5, 1, (), START, slice_s=2)
    totals = push(station, fleet)
    sent = {b.batch_id: wire.encode(b) for n in range(3) for b in fleet.upload(n)}
    assert {b.batch_id: wire.encode(b) for b in station.taken} == sent
    assert (totals.batches, totals.retries) == (15, 0)
    assert totals.frames == sum(map(len, station.taken))
    assert station.tokens == {"Bearer secret"}
    for vehicle in fleet.vehicles:
        numbers = [int(b.batch_id.rsplit("-", 1)[1]) for b in station.taken if b.vin == vehicle.vin]
        assert numbers == [0, 1, 2]


@pytest.mark.parametrize("trouble", [429, 503, 500, 408, "drop"])
def test_trouble_is_answered_with_the_same_key_and_bytes(station, trouble) -> None:
    station.plan = [202, trouble, trouble, 202]
    totals = push(station, Fleet(1, 1, (), START, slice_s=1))
    assert (totals.batches, totals.retries) == (3, 2)
    same = Counter(station.requests)
    assert sorted(same.values()) == [1, 1, 3]
    assert len({b.batch_id for b in station.taken}) == len(station.taken) == 3


def test_a_refusal_stops_with_its_reason(station) -> None:
    station.plan = [403]
    with pytest.raises(GatewayRefusedError, match=r"batch refused with status 403: \{\}"):
        push(station, Fleet(1, 1, (), START, slice_s=1))
    assert len(station.requests) == 1


def test_it_gives_up_after_the_named_number_of_attempts(station) -> None:
    station.plan = [503] * 50
    with pytest.raises(GatewayGaveUpError, match="not acknowledged after 6 attempts: status 503"):
        push(station, Fleet(1, 1, (), START, slice_s=1))
    assert len(station.requests) == 6


def test_a_station_that_is_not_there_is_tried_and_named() -> None:
    gateway = Gateway("http://127.0.0.1:9", "t", retry=FAST)
    with pytest.raises(GatewayGaveUpError, match="after 6 attempts: ConnectError"):
        asyncio.run(drive(Fleet(1, 1, (), START), gateway, slices=1))


class StoppedError(Exception):
    """The operator pressed Ctrl-C."""


def test_after_an_interruption_nothing_is_sent_twice(station, tmp_path: Path) -> None:
    fleet = Fleet(3, 7, (), START, slice_s=1)

    def stop_after_five(totals: Totals) -> None:
        if totals.batches == 5:
            raise StoppedError

    journal = Journal(tmp_path / "journal", {})
    with pytest.raises(StoppedError):
        push(station, fleet, 4, journal=journal, progress=stop_after_five, connections=1)
    journal.close()
    assert len(station.taken) == 5
    journal = Journal(tmp_path / "journal", {})
    totals = push(station, fleet, 4, journal=journal)
    journal.close()
    assert (totals.batches, totals.skipped_batches) == (7, 5)
    assert set(Counter(key for _, key, _ in station.requests).values()) == {1}
    assert {b.batch_id for b in station.taken} == {
        b.batch_id for n in range(4) for b in fleet.upload(n)
    }


def test_a_torn_line_is_sent_again(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "journal"
    first = Journal(path, {"shift_ns": 42})
    first.acknowledge("a", 10)
    first.acknowledge("b", 20)
    first.close()
    path.write_bytes(path.read_bytes()[:-6])  # the crash came in the middle of the last line
    again = Journal(path, {"shift_ns": 99})
    assert again.facts == {"shift_ns": 42}
    assert "a" in again
    assert "b" not in again
    again.acknowledge("b", 20)
    again.close()
    last = Journal(path, {})
    assert "b" in last
    assert last.frames == 30
    last.close()
    assert json.loads(path.read_text("utf-8").splitlines()[0]) == {"facts": {"shift_ns": 42}}


def test_retry_after_is_obeyed_up_to_the_longest_wait() -> None:
    retry = Retry(first_s=0.1, longest_s=3)
    assert retry.wait_s(0, "2") == 2
    assert retry.wait_s(0, "60") == 3
    assert 0.05 <= retry.wait_s(0, "soon") <= 0.1
    assert retry.wait_s(30, "") == 3
