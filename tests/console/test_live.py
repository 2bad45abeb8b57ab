"""The board follows the tables, also over a lost connection."""

from __future__ import annotations

import queue
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from console.live import Board, Live
from console.reads import Reads
from model.clock import FakeClock
from model.severity import Severity
from store.database import Pool

PATIENCE_S = 30


@pytest.fixture
def boards(pool: Pool, dsn: str, clock: FakeClock) -> Iterator[queue.Queue[Board]]:
    heard: queue.Queue[Board] = queue.Queue()
    live = Live(dsn, Reads(pool, clock, {}).board)
    unwatch = live.watch(heard.put)
    live.start()
    yield heard
    unwatch()
    live.stop()


def next_board(boards: queue.Queue[Board], live: bool, alerts: int) -> Board:
    while True:
        board = boards.get(timeout=PATIENCE_S)
        if board.live == live and len(board.alerts) == alerts:
            return board


def test_worst_alerts_and_nearest_deadlines_come_first(
    boards: queue.Queue[Board], fleet: Any
) -> None:
    next_board(boards, live=True, alerts=0)
    fleet.alert(fleet.step(fleet.vins[0], 5, severity=Severity.REMIND))
    later = fleet.case(fleet.step(fleet.vins[1], 2))
    sooner = fleet.case(fleet.step(fleet.vins[2], 1))
    board = next_board(boards, live=True, alerts=3)
    while len(board.cases) < 2:
        board = next_board(boards, live=True, alerts=3)
    assert [a.severity for a in board.alerts] == [3, 3, 1]
    assert [a.severity for a in board.recent] == [1, 3, 3]
    assert [c.case_id for c in board.cases] == [sooner, later]


def test_a_lost_connection_is_told_and_what_was_missed_is_read(
    boards: queue.Queue[Board], dsn: str, fleet: Any
) -> None:
    next_board(boards, live=True, alerts=0)
    with psycopg.connect(dsn, autocommit=True) as conn:
        conn.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where query = 'listen roadcall' and datname = current_database()"
        )
    next_board(boards, live=False, alerts=0)
    fleet.alert(fleet.step())
    next_board(boards, live=True, alerts=1)
