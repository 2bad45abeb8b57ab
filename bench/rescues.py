"""A year of rescues in minutes: `python -m bench.rescues [RESCUES [SEED]]`.

8 156 rescues, 500 crews and 1 000 stations against the real dispatcher and database on a fake
clock, with declines, silent crews, lost positions and a dispatcher that is killed while it sends.
Ends with 1 when a single truth of bench/_rescue_truths.py does not hold.
"""

from __future__ import annotations

import logging
import sys
import time
from datetime import UTC, datetime

import structlog
from psycopg_pool import ConnectionPool

from bench import _rescue_truths as truths
from bench._database import database, report
from bench._rescue_play import RescuePlay
from simulators.rescue_year import RESCUES, RescueYear
from store.database import Pool, transaction

#: Behind every wall clock: the outbox counts from the database's.
START = datetime(2040, 3, 5, tzinfo=UTC)
DAYS = 6.0


def quick_pool(dsn: str) -> Pool:
    """Connections that are not checked before use, to a disk that need not survive."""
    options = {"options": "-c timezone=UTC -c synchronous_commit=off"}
    return ConnectionPool(dsn, min_size=2, max_size=8, kwargs=options, open=True)


def main() -> int:
    arguments = [int(text) for text in sys.argv[1:]]
    rescues, seed = [*arguments, *[RESCUES, 1][len(arguments) :]]
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    begun = time.perf_counter()
    with database() as server:
        pool = quick_pool(server.dsn)
        days = DAYS * rescues / RESCUES
        play = RescuePlay(pool, RescueYear(seed, START, rescues=rescues, days=days), START, seed)
        play.run()
        with transaction(pool) as conn:
            broken, lines = truths.broken(conn), truths.timeliness(conn)
            ended = truths.outcomes(conn)
        pool.close()
    for line in (*lines, dict(ended), dict(sorted(play.figures.items())), broken):
        print(line)
    seconds = time.perf_counter() - begun
    print(f"seed {seed}: {rescues} rescues in {seconds:.0f} s, {rescues / seconds:.0f} a second")
    return report(
        claim="truths of a year of rescues that do not hold",
        value=len(broken),
        ceiling=0.0,
        unit="truths",
        peer="",
    )


if __name__ == "__main__":
    sys.exit(main())
