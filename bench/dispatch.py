"""Dispatch at size: `python -m bench.dispatch`.

Choosing and engaging a crew among 500, what 100 000 open clocks cost while nobody does anything
and while they run out as promises do, and how fast one worker drains the outbox without loss.
"""

from __future__ import annotations

import logging
import os
import random
import resource
import statistics
import sys
import time
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import structlog

from bench._database import database, report
from dispatch import clocks, rescue_choice
from dispatch.delivery import Delivery, Outcome
from dispatch.terms import load_terms
from model import promises
from model.clock import FakeClock, ns_of
from model.effects import OutboxRecord
from model.rescue import CaseState, RescueCase
from model.severity import Severity
from model.vehicle import Zone
from roadcall.dispatcher_clocks import ClockTurns
from roadcall.dispatcher_outbox import OutboxTurn
from simulators.rescue_year import UNITS, RescueYear
from store import clocks as clock_rows
from store import masters, outbox, rescue_units
from store.database import Connection, Pool, open_pool, transaction
from store.master_kinds import KINDS

PERSON = KINDS["person"]
#: Behind every wall clock: the outbox counts from the database's.
START = datetime(2040, 3, 5, tzinfo=UTC)
ROUNDS, CLOCKS, CLOCK_MINUTES, MESSAGES = 200, 100_000, 10, 10_000
TICKS_PER_S = os.sysconf("SC_CLK_TCK")
#: What runs at any time in a large network, and how much of each kind.
MIX = (
    (clocks.ARRIVAL, "city", 1),
    (clocks.PROGRESS, "", 5),
    (clocks.ACKNOWLEDGE, "severity_2", 4),
    (clocks.PLAN, "", 20),
    (clocks.PARTS, "", 10),
    (clocks.RETURN_VISIT, "", 30),
    (clocks.COMPLAINT_CLOSE, "ordinary", 5),
    (clocks.GBT45688_HANDLING, "level_1", 25),
)


@dataclass
class Receiver:
    """Takes everything at once and keeps the ids."""

    ids: list[str] = field(default_factory=list)

    def send(self, record: OutboxRecord, now_ns: int) -> Delivery:
        self.ids.append(record.key)
        return Delivery(Outcome.SENT)


def assignment_ms(conn: Connection, year: RescueYear) -> tuple[float, float]:
    """Reading, ranking, engaging and committing, in ms: all 500 units are in reach.

    Median and 95th percentile.
    """
    chance, terms, took = random.Random(1), load_terms(), []
    for number in range(ROUNDS):
        station = year.stations[chance.randrange(len(year.stations))]
        place = (station.latitude_deg, station.longitude_deg)
        case = RescueCase(
            case_id=uuid.UUID(int=number), alert_id=None, vin=year.vehicles[0].vin,
            severity=Severity.STOP, state=CaseState.CONFIRMED, latitude_deg=place[0],
            longitude_deg=place[1], zone=Zone.CITY, requested_at=START,
        )  # fmt: skip
        begun = time.perf_counter()
        units = rescue_units.candidates(conn, place, 5000, START)
        everywhere = terms.model_copy(update={"radius_km": 5000.0})
        best = rescue_choice.rank(case, units, terms=everywhere)[0]
        assert rescue_units.engage(conn, best.unit.unit_id, case.case_id, START)
        conn.commit()
        took.append((time.perf_counter() - begun) * 1e3)
        assert len(units) == rescue_units.NEAREST
        masters.release_unit(conn, best.unit.unit_id, case.case_id)
        conn.commit()
    return statistics.median(took), statistics.quantiles(took, n=20)[-1]


def open_clocks(conn: Connection) -> None:
    """100 000 clocks, each somewhere in its time."""
    chance, rows = random.Random(2), []
    kinds = [(kind, variant) for kind, variant, share in MIX for _ in range(share)]
    for number in range(CLOCKS):
        kind, variant = kinds[number % len(kinds)]
        promise = clocks.promise(kind, "", variant)
        # Whatever has no clock that ends runs out now and then: the age is spread over the target.
        at = START - timedelta(seconds=chance.uniform(0, promise.target_s))
        row = promises.started(promise, "bench", str(number), at, facts={"plate": "浙A12345"})
        rows.append(promises.fire(row, START)[0])
    for first in range(0, CLOCKS, 5000):
        clock_rows._insert(conn, rows[first : first + 5000])
        conn.commit()
    conn.execute("analyze clock")
    conn.commit()


def clock_share(pool: Pool, processes: list[int]) -> tuple[float, int]:
    """Percent of one core for ten minutes of clocks, looked at each second, and the firings.

    Counts this process and the database's; the ten minutes are played as fast as they go.
    """
    clock = FakeClock(ns_of(START))
    turn = ClockTurns(pool, clock)
    begun, fired = cpu_s(processes), 0
    for _ in range(CLOCK_MINUTES * 60):
        clock.advance(1)
        while found := turn.announce():
            fired += found
    return 100 * (cpu_s(processes) - begun) / (CLOCK_MINUTES * 60), fired


def drain_a_minute(pool: Pool) -> tuple[float, int]:
    """Messages a minute through one worker, and how many were lost or sent twice."""
    receiver = Receiver()
    with transaction(pool) as conn:
        conn.execute("truncate outbox cascade")
        made = [
            OutboxRecord(f"bench/{n}", "bench", {"zh": "救援", "n": n}) for n in range(MESSAGES)
        ]
        outbox.add(conn, *made)
    turn = OutboxTurn(pool, FakeClock(ns_of(START)), [receiver], load_terms().delivery)
    begun = time.perf_counter()
    while turn():
        pass
    seconds = time.perf_counter() - begun
    turn.close()
    with transaction(pool) as conn:
        assert outbox.counts(conn) == {"waiting": 0, "sent": MESSAGES, "dead": 0}
    wrong = len(receiver.ids) - len(set(receiver.ids)) + MESSAGES - len(set(receiver.ids))
    return MESSAGES / seconds * 60, wrong


def cpu_s(processes: list[int]) -> float:
    """CPU seconds of this process and some others so far."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime + sum(map(_cpu_of, processes))


def _cpu_of(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_S


def backends(pool: Pool) -> list[int]:
    """The server's processes of this pool's connections; none where the server is elsewhere."""
    with transaction(pool) as conn:
        rows = conn.execute(
            "select pid from pg_stat_activity where datname = current_database()"
        ).fetchall()
    pids = [int(str(pid)) for (pid,) in rows]
    return [pid for pid in pids if Path(f"/proc/{pid}/stat").exists()]


def main() -> int:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    year = RescueYear(1, START)
    with database() as server:
        pool = open_pool(server.dsn, 2)
        with transaction(pool) as conn:
            masters.upsert_stations(conn, year.stations)
            PERSON.write(conn, PERSON, year.crews)
            masters.upsert_units(conn, year.units)
        with server.connect() as conn:
            median_ms, p95_ms = assignment_ms(conn, year)
            open_clocks(conn)
        share, fired = clock_share(pool, backends(pool))
        rate, wrong = drain_a_minute(pool)
        pool.close()
    print(f"{fired} clock announcements in {CLOCK_MINUTES} min; {wrong} messages lost or doubled")
    failed = 0
    for which, took_ms in (("median", median_ms), ("p95", p95_ms)):
        claim = f"assignment among {UNITS} units, {which}"
        failed |= report(claim=claim, value=took_ms, ceiling=20.0, unit="ms", peer="")
    failed |= report(
        claim=f"{CLOCKS} open clocks", value=share, ceiling=5.0, unit="% of a core", peer=""
    )
    failed |= report(
        claim="notifications drained by one worker", value=rate, floor=10_000.0, unit="1/min",
        peer="",
    )  # fmt: skip
    return failed | int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
