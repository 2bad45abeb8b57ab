"""The fresh database of each test, filled by the store's own functions, and the API on top."""

from __future__ import annotations

import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import timedelta

import httpx
import numpy as np
import pytest
import uvicorn
from fastapi import FastAPI
from pydantic import SecretStr

from console.api import create_api
from console.config import ConsoleConfig
from dispatch.clocks import promise
from dispatch.rescue import request_for
from model.alerts import AlertState, AlertTransition, alert_id
from model.clock import NS, FakeClock, utc
from model.effects import Effects, LastValues, VehicleSnapshot
from model.frames import FrameBatch, frame_batch
from model.log import BatchKey
from model.maintenance import MaintenanceItem
from model.severity import Severity
from model.signals import SignalBatch, SignalTable
from model.vehicle import Station, Vehicle, Zone
from store import alerts, cases, clocks, effects, maintenance, masters, notify
from store.database import Pool, open_pool, transaction
from tests.masters import rescue_unit

TOKEN = "operator-secret"
#: 2025-03-01T08:00:00Z, a whole minute.
NOON_NS = 1_740_816_000 * NS
RULES = {"ice.coolant.overtemp": {"zh": "冷却液温度过高", "en": "Coolant overheating"}}
VINS = [f"LRDCALLDEM{i:07}" for i in range(1, 8)]
CAR = VINS[0]


@pytest.fixture
def pool(dsn: str) -> Iterator[Pool]:
    """Connections to the fresh database, with stations, units and vehicles in it."""
    made = open_pool(dsn, 4)
    with transaction(made) as conn:
        masters.upsert_stations(conn, [STATION])
        masters.upsert_units(conn, [UNIT])
        masters.upsert_vehicles(conn, [vehicle(i, vin) for i, vin in enumerate(VINS)])
    yield made
    made.close()


STATION = Station(
    station_id="hz-1",
    name="杭州一站",
    name_en="Hangzhou 1",
    latitude_deg=30.27,
    longitude_deg=120.15,
    zone=Zone.CITY,
)
UNIT = rescue_unit(
    "hz-1-a", station_id="hz-1", name="杭州 1 号车", latitude_deg=30.28, longitude_deg=120.16
)


def vehicle(i: int, vin: str) -> Vehicle:
    """Vehicle number i."""
    return Vehicle(
        vin=vin, profile="demo_car", plate=f"浙A{12340 + i}", brand="Geely", model="Emgrand"
    )


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(NOON_NS)


@pytest.fixture
def client(pool: Pool, clock: FakeClock) -> Iterator[httpx.Client]:
    """The API with its token sent along."""
    app = FastAPI()
    app.include_router(create_api(pool, clock, ConsoleConfig(SecretStr(TOKEN), RULES)))
    with serve(app) as address:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        with httpx.Client(base_url=address, headers=headers, trust_env=False) as made:
            yield made


@contextmanager
def serve(app: FastAPI) -> Iterator[str]:
    """A real server on a free port; its address."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(app, log_level="error", timeout_graceful_shutdown=1))
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        while not server.started and thread.is_alive():
            time.sleep(0.01)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        server.should_exit = True
        thread.join()


@pytest.fixture
def served() -> Callable[[FastAPI], AbstractContextManager[str]]:
    """`serve`, for tests that build their own application."""
    return serve


def signals(values: dict[str, tuple[list[float], list[float]]]) -> SignalBatch:
    """A batch from {name: (seconds after noon, values)}."""
    names = tuple(values)
    units = {"speed_kmh": "km/h", "engine_coolant_temp_c": "degC", "odometer_km": "km"}
    lengths = [len(times) for times, _ in values.values()]
    return SignalBatch(
        table=SignalTable("demo_car", names, tuple(units.get(n, "") for n in names)),
        run_signal=np.arange(len(names), dtype=np.uint16),
        run_source=np.full(len(names), -1, np.int16),
        run_start=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        observed_ns=np.array(
            [NOON_NS + round(t * NS) for times, _ in values.values() for t in times], np.int64
        ),
        value=np.array([v for _, row in values.values() for v in row], np.float64),
        quality=np.zeros(sum(lengths), np.uint8),
        frame_status=np.zeros(0, np.uint8),
    )


class Fleet:
    """Writes what the pipeline and the dispatcher would write."""

    vins, token, noon, rules = VINS, TOKEN, utc(NOON_NS), RULES

    @staticmethod
    def step(
        vin: str = CAR,
        at_s: float = 0,
        *,
        severity: Severity = Severity.STOP,
        state: AlertState = AlertState.FIRING,
        started_s: float | None = None,
        rule: str = "ice.coolant.overtemp",
    ) -> AlertTransition:
        """One step of one alert, `at_s` seconds after noon."""
        started_ns = NOON_NS + round((at_s if started_s is None else started_s) * NS)
        return AlertTransition(
            alert_id=alert_id(rule, vin, "", started_ns),
            rule_id=rule,
            rule_version=1,
            vin=vin,
            instance="",
            state=state,
            severity=severity,
            started_ns=started_ns,
            at_ns=NOON_NS + round(at_s * NS),
            fired_ns=started_ns,
            worst_ns=started_ns,
            evidence={"engine_coolant_temp_c": 119.0},
            thresholds={"stop": 118.0},
        )

    def __init__(self, pool: Pool) -> None:
        self.pool = pool

    def drive(self, vin: str, values: dict[str, tuple[list[float], list[float]]]) -> None:
        """One upload of values."""
        batch = signals(values)
        newest = max(t for times, _ in values.values() for t in times)
        at_ns = NOON_NS + round(newest * NS)
        last = {n: (row[-1], NOON_NS + round(ts[-1] * NS)) for n, (ts, row) in values.items()}
        with transaction(self.pool) as conn:
            vehicle_id = masters.vehicles(conn, [vin])[vin].vehicle_id
            snapshot = VehicleSnapshot(vehicle_id, at_ns, at_ns, LastValues(last), {})
            upload = Effects(
                vehicle_id=vehicle_id,
                key=BatchKey("gw", vin, uuid.uuid4().hex),
                frames=empty_frames(vin),
                signals=batch,
                reports=(),
                transitions=(),
                cases=(),
                outbox=(),
                snapshot=snapshot,
            )
            effects.write(conn, [upload])

    def alert(self, step: AlertTransition) -> uuid.UUID:
        """One step of an alert, announced."""
        with transaction(self.pool) as conn:
            alerts.write(conn, [step])
            notify.alert(conn, step.alert_id)
        return step.alert_id

    def case(self, step: AlertTransition) -> uuid.UUID:
        """An alert and the case it opens, its arrival clock running."""
        self.alert(step)
        case = request_for(step, (30.2741, 120.1551), [STATION], step.at_ns)
        assert case is not None
        with transaction(self.pool) as conn:
            cases.insert_requested(conn, [case])
            arrival = promise("arrival", "", case.zone)
            clocks.start(conn, arrival, "rescue_case", str(case.case_id), case.requested_at)
        return case.case_id

    def service(self, vin: str, kind: str = "engine_oil") -> None:
        """A maintenance item that counts from a month before noon."""
        base = utc(NOON_NS) - timedelta(days=30)
        item = MaintenanceItem(
            vin=vin, kind=kind, interval_km=5000, base_odometer_km=10_000, base_at=base
        )
        with transaction(self.pool) as conn:
            maintenance.upsert(conn, [item])


def empty_frames(vin: str) -> FrameBatch:
    """An upload without frames: these tests are about what is shown, not about decoding."""
    return frame_batch(
        vin=vin,
        observed_ns=np.zeros(0, np.int64),
        can_id=np.zeros(0, np.uint32),
        length=np.zeros(0, np.uint8),
        payload8=np.zeros((0, 8), np.uint8),
    )


@pytest.fixture
def fleet(pool: Pool) -> Fleet:
    return Fleet(pool)
