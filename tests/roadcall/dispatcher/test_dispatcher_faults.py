"""Dispatchers that are killed, and databases that go away: nothing lost, nothing twice."""

from __future__ import annotations

import random
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from console import steps
from model.clock import SystemClock
from model.rescue import CaseState
from model.severity import Severity
from roadcall.dispatcher import run
from store.database import open_pool
from tests.receiver import Receiver

World = Any  # tests/roadcall/dispatcher/conftest.py

CHILD = Path(__file__).with_name("dispatcher_child.py")
ROOT = Path(__file__).parents[3]
#: Longer than the lease of a claim.
GENERATION_S = 61
#: How long a test waits for what must happen; no test measures time.
PATIENCE_S = 60


@contextmanager
def child(dsn: str, url: str, moment: str, offset_s: int) -> Iterator[subprocess.Popen[str]]:
    """A dispatcher process; killed with SIGKILL in the end."""
    command = [sys.executable, str(CHILD), dsn, url, moment, str(offset_s)]
    running = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, text=True, env={"PYTHONPATH": str(ROOT)}
    )
    assert running.stdout is not None
    try:
        assert running.stdout.readline() == "running\n"
        yield running
    finally:
        running.kill()
        running.wait()
        running.stdout.close()


def eventually(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.02)


def waiting(world: World) -> int:
    ((count,),) = world.rows("select count(*) from outbox where sent_at is null")
    return int(count)


@pytest.mark.slow
@pytest.mark.parametrize(("moment", "before_restart"), [("before", 0), ("after", 1)])
def test_killed_around_the_send_the_message_comes_with_the_same_id(
    world: World, dsn: str, receiver: Receiver, moment: str, before_restart: int
) -> None:
    case = world.alert(Severity.EMERGENCY)
    with child(dsn, receiver.url, moment, 0) as first:
        assert first.stdout.readline() == "frozen\n"
    assert world.case(case.case_id).state is CaseState.OFFERED  # committed before it was sent
    assert len(receiver.ids) == before_restart
    with child(dsn, receiver.url, "never", GENERATION_S):
        eventually(lambda: waiting(world) == 0)
    told = [key for key in receiver.ids if key.startswith("case/")]
    assert told == [f"case/{case.case_id}/offer/1"] * (before_restart + 1)


@pytest.mark.slow
def test_killed_at_any_moment_every_message_arrives(
    world: World, dsn: str, receiver: Receiver
) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    opened = []
    for _ in range(40):
        world.clock.advance(0.001)
        opened.append(world.alert(vin=world.car(len(opened))).case_id)
    for generation in range(6):
        for case_id in opened[generation::8]:
            steps.confirm(world.pool, case_id, world.act())
        with child(dsn, receiver.url, "never", generation * GENERATION_S):
            time.sleep(chance.uniform(0.2, 1.5))
    with child(dsn, receiver.url, "never", 6 * GENERATION_S):
        eventually(lambda: waiting(world) == 0)
        eventually(lambda: world.rows("select from rescue_case where state = 'confirmed'") == [])
        eventually(lambda: waiting(world) == 0)
    keys = {str(row[0]) for row in world.rows("select key from outbox")}
    assert set(receiver.ids) == keys
    unconfirmed = {n for n in range(40) if n % 8 >= 6}
    assert {f"case/{opened[n]}/confirm" for n in unconfirmed} <= keys
    assert world.rows("select count(*) from clock where kind = 'arrival'") == [(40,)]
    engaged = "select unit_id from rescue_case where state in ('offered', 'accepted', 'on_scene')"
    assert max(Counter(world.rows(engaged)).values(), default=0) <= 1
    steps_taken = Counter(world.rows("select noun_id, step, detail->>'version' from audit"))
    assert set(steps_taken.values()) == {1}


def test_a_notification_wakes_and_a_lost_database_is_found_again(
    world: World, dsn: str, receiver: Receiver
) -> None:
    stop, pool = threading.Event(), open_pool(dsn, 8)
    thread = threading.Thread(
        target=run, args=(pool, [world.receiver], SystemClock(), stop), daemon=True
    )
    thread.start()
    first = world.alert()
    eventually(lambda: world.receiver.kinds() == ["rescue.confirm"])
    steps.confirm(world.pool, first.case_id, world.act())
    eventually(lambda: "rescue.offer" in world.receiver.kinds())
    cut = (
        "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database()"
    )
    world.rows(f"{cut} and pid <> pg_backend_pid()")
    world.clock.advance(1)
    second = world.alert(Severity.EMERGENCY, vin=world.car(1))
    key = f"case/{second.case_id}/offer/1"
    eventually(lambda: key in [r.key for r in world.receiver.got])
    stop.set()
    thread.join(PATIENCE_S)
    assert not thread.is_alive()
    pool.close()


def test_a_bug_stops_the_dispatcher_loudly(world: World, dsn: str) -> None:
    class Broken:
        def send(self, *_: object) -> None:
            raise ZeroDivisionError

    world.alert()
    pool = open_pool(dsn, 8)
    with pytest.raises(ZeroDivisionError):
        run(pool, [Broken()], SystemClock(), threading.Event())  # type: ignore[list-item]
    pool.close()
