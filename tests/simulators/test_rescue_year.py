"""A stretch of the simulated year of rescues, played against the real dispatcher and database.

`make bench-rescues` plays all 8 156 of them.
"""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from bench import _rescue_truths as truths
from bench._rescue_play import RescuePlay
from simulators.rescue_year import RESCUES, RescueYear
from store.database import open_pool, transaction

#: Behind every wall clock: the outbox counts from the database's.
START = datetime(2040, 3, 5, tzinfo=UTC)
SEED, PLAYED = 4, 80


def test_a_seed_is_a_year() -> None:
    year, again = (RescueYear(SEED, START, rescues=300) for _ in range(2))
    breakdowns = list(year.breakdowns())
    assert breakdowns == list(again.breakdowns())
    assert (year.units, year.stations) == (again.units, again.stations)
    assert (len(year.stations), len(year.units)) == (1000, 500)
    assert [b.at for b in breakdowns] == sorted(b.at for b in breakdowns)
    assert year.answer(3, "ru001") == again.answer(3, "ru001")
    assert list(RescueYear(SEED + 1, START, rescues=300).breakdowns()) != breakdowns
    assert RESCUES == 8156


@pytest.mark.slow
def test_whatever_crews_do_nobody_is_forgotten_and_nobody_told_twice(dsn: str) -> None:
    pool = open_pool(dsn, 4)
    year = RescueYear(SEED, START, rescues=PLAYED, days=6 * PLAYED / RESCUES)
    play = RescuePlay(pool, year, START, SEED)
    play.run()
    with transaction(pool) as conn:
        kept = truths.timeliness(conn)
        print(f"seed {SEED}", *kept, play.figures, sep="\n")
        assert truths.broken(conn) == {}
        assert truths.outcomes(conn).total() == PLAYED
    pool.close()
    assert any(line.startswith("acknowledge: ") for line in kept)
    assert play.figures["acknowledge"] and play.figures["acknowledge refused"]
    assert play.figures["decline"] and play.figures["rescue.second"]
    assert set(play.crews.seen.values()) <= {1, 2}
