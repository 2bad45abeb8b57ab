"""The demo's stage: a database of its own, a fleet in it, and `roadcall up` running as a child."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import httpx

from model.errors import RoadcallError
from roadcall import wiring
from roadcall.settings import Settings
from simulators.fleet import Fleet
from simulators.masters import rescue_units, stations, trained_crew
from store import maintenance, masters
from store.database import Pool, transaction
from store.embedded import EmbeddedPostgres
from store.master_kinds import KINDS

GATEWAY = "demo-gateway"
START_LIMIT_S, STOP_LIMIT_S = 60.0, 20.0
#: The demo's cars live faster than the clock: an alert may be older than it looks.
DISPATCH_MAX_AGE_S = 86_400


class DemoError(RoadcallError):
    """The demo could not run; says what to look at."""


@dataclass(frozen=True, slots=True)
class Stage:
    """A running system, and the token of its gateway."""

    address: str
    token: str
    pool: Pool
    alive: Callable[[], bool]


@contextmanager
def stage(settings: Settings, fleet: Fleet) -> Iterator[Stage]:
    """Fresh each time; everything is stopped at the end."""
    settings = _own(settings)
    home = wiring.home_of(settings)
    if settings.dsn is None:
        server = EmbeddedPostgres(home)
        server.stop()
        shutil.rmtree(server.home, ignore_errors=True)
    home.mkdir(parents=True, exist_ok=True)
    with wiring.database(settings) as database:
        token = _seed(database.pool, fleet)
        address = f"http://127.0.0.1:{settings.port}"
        with _up(settings, database.dsn, address) as alive:
            yield Stage(address, token, database.pool, alive)


def _own(settings: Settings) -> Settings:
    """A home and a topic beside the real ones, and a free port if the usual one is taken."""
    return settings.model_copy(
        update={
            "home": wiring.home_of(settings) / "demo",
            "kafka_topic": f"roadcall.demo.{os.getpid()}",
            "port": settings.port if _is_free(settings.port) else _free_port(),
        }
    )


def _seed(pool: Pool, fleet: Fleet) -> str:
    with transaction(pool) as conn:
        masters.upsert_stations(conn, stations())
        crews = [p for unit in rescue_units() for p in trained_crew(unit)]
        KINDS["person"].write(conn, KINDS["person"], crews)
        masters.upsert_units(conn, rescue_units())
        masters.upsert_vehicles(conn, fleet.vehicles)
        maintenance.upsert(conn, fleet.maintenance_items())
        return masters.create_gateway(conn, GATEWAY, [v.vin for v in fleet.vehicles])


@contextmanager
def _up(settings: Settings, dsn: str, address: str) -> Iterator[Callable[[], bool]]:
    log_path = wiring.home_of(settings) / "up.log"
    environment = {
        **os.environ,
        "ROADCALL_HOME": str(settings.home),
        "ROADCALL_DSN": dsn,
        "ROADCALL_PORT": str(settings.port),
        "ROADCALL_KAFKA_TOPIC": settings.kafka_topic,
        "ROADCALL_DISPATCH_MAX_AGE_S": str(DISPATCH_MAX_AGE_S),
        "ROADCALL_ASSESS_EVERY_S": "2",
    }
    if settings.kafka is not None:
        environment["ROADCALL_KAFKA"] = settings.kafka
    else:
        environment.pop("ROADCALL_KAFKA", None)
    with log_path.open("wb") as log:
        child = subprocess.Popen(
            [sys.executable, "-m", "roadcall.cli", "up"],
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            _wait_until_ready(child, address, log_path.name)
            yield lambda: child.poll() is None
        except DemoError as error:
            tail = log_path.read_text("utf-8", "replace")[-2000:]
            raise DemoError(f"{error}\n{tail}") from None
        finally:
            child.terminate()
            try:
                child.wait(STOP_LIMIT_S)
            except subprocess.TimeoutExpired:
                child.kill()


def _wait_until_ready(child: subprocess.Popen[bytes], address: str, log_name: str) -> None:
    for _ in range(round(START_LIMIT_S / 0.2)):
        if child.poll() is not None:
            raise DemoError(f"roadcall up ended with code {child.returncode}; see {log_name}")
        try:
            if httpx.get(f"{address}/readyz", timeout=2).status_code == httpx.codes.OK:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.2)
    raise DemoError(f"roadcall up was not ready within {START_LIMIT_S:.0f} s; see {log_name}")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
