"""A real database with two stations, three crews and a car; a clock that moves when told."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime

import pytest

from console.steps import Act
from dispatch.delivery import Delivery, Outcome
from dispatch.rescue import request_for
from model.alerts import AlertState, AlertTransition, alert_id
from model.clock import NS, FakeClock, ns_of, utc
from model.effects import OutboxRecord
from model.rescue import RescueCase
from model.severity import Severity
from model.vehicle import Station, Vehicle, Zone
from roadcall.dispatcher import Dispatcher
from store import alerts, cases, masters
from store.database import Connection, Pool, open_pool, transaction
from tests.masters import rescue_unit

VIN = "LRDCALL0000000001"
HERE = (30.0, 120.0)
#: What the same alerts mean for the workshop; test_dispatcher_work.py looks at it.
DIAGNOSIS = ("alert.", "case.", "incident.", "clock.plan", "clock.gbt45688", "clock.incident")


@dataclass
class Receiver:
    """Takes every message and keeps it; `answer` is what it says."""

    answer: Outcome = Outcome.SENT
    got: list[OutboxRecord] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def send(self, record: OutboxRecord, now_ns: int) -> Delivery:
        with self.lock:
            self.got.append(record)
        return Delivery(self.answer, "" if self.answer is Outcome.SENT else "http 503")

    def kinds(self) -> list[str]:
        return [record.kind for record in self.got]

    def take(self) -> list[OutboxRecord]:
        """What came since the last take, oldest first."""
        with self.lock:
            taken, self.got = self.got, []
        told = [r for r in taken if not r.kind.startswith(DIAGNOSIS)]
        return sorted(told, key=lambda r: r.kind)


@dataclass
class World:
    """What a test of the dispatcher works with."""

    pool: Pool
    clock: FakeClock
    receiver: Receiver
    dispatcher: Dispatcher

    def now(self) -> datetime:
        return utc(self.clock.now_ns())

    def act(self, actor: str = "li.wei", *, key: str | None = None) -> Act:
        return Act(actor, self.now(), key=key)

    def drain(self) -> list[OutboxRecord]:
        self.dispatcher.drain()
        return self.receiver.take()

    def case(self, case_id: uuid.UUID) -> RescueCase:
        with transaction(self.pool) as conn:
            return cases.find(conn, case_id)

    def rows(self, query: str) -> list[tuple[object, ...]]:
        with transaction(self.pool) as conn:
            return conn.execute(query).fetchall()  # type: ignore[call-overload, no-any-return]

    def car(self, number: int) -> str:
        """Another car like the first; its VIN."""
        vin = f"LRDCALL1{number:09d}"
        with transaction(self.pool) as conn:
            masters.upsert_vehicles(conn, [Vehicle(vin=vin, profile="demo_car")])
        return vin

    def alert(self, severity: Severity = Severity.STOP, *, vin: str = VIN) -> RescueCase:
        """A serious alert and its case, as the pipeline writes them."""
        hit = transition(severity, self.clock.now_ns(), vin=vin)
        with transaction(self.pool) as conn:
            case = request_for(hit, HERE, masters.stations(conn), self.clock.now_ns())
            assert case is not None
            alerts.write(conn, [hit])
            cases.insert_requested(conn, [case])
        return case

    def undo(self, case: RescueCase, at_ns: int) -> AlertState:
        """Late data has shown that the alert was none."""
        started_ns = ns_of(case.requested_at)
        hit = transition(case.severity, self.clock.now_ns(), AlertState.RETRACTED)
        hit = replace(hit, alert_id=case.alert_id, started_ns=started_ns, at_ns=at_ns)
        with transaction(self.pool) as conn:
            alerts.write(conn, [hit])
            return alerts.find(conn, case.alert_id).state


def transition(
    severity: Severity, at_ns: int, state: AlertState = AlertState.FIRING, *, vin: str = VIN
) -> AlertTransition:
    rule = "ice.coolant.overtemp"
    return AlertTransition(
        alert_id=alert_id(rule, vin, "", at_ns),
        rule_id=rule,
        rule_version=1,
        vin=vin,
        instance="",
        state=state,
        severity=severity,
        started_ns=at_ns,
        at_ns=at_ns,
        fired_ns=at_ns,
        worst_ns=at_ns,
    )


def furnish(conn: Connection) -> None:
    """u1 is nearest, then u2, u3; u4 is off duty and u5 cannot tow."""
    masters.upsert_vehicles(
        conn, [Vehicle(vin=VIN, profile="demo_car", plate="浙A12345", brand="Geely", model="EC7")]
    )
    masters.upsert_stations(
        conn,
        [
            Station(
                station_id="hz", name="杭州", latitude_deg=30.1, longitude_deg=120, zone=Zone.CITY
            )
        ],
    )
    near = [
        rescue_unit(f"u{number}", latitude_deg=latitude_deg)
        for number, latitude_deg in ((1, 30.05), (2, 30.1), (3, 30.2))
    ]
    barred = [
        rescue_unit("u4", on_duty=False),
        rescue_unit("u5", capabilities=frozenset({"jump"})),
    ]
    masters.upsert_units(conn, near + barred)


@pytest.fixture
def world(dsn: str) -> Iterator[World]:
    pool = open_pool(dsn, 8)
    # The outbox counts from the database's clock, so the test's clock starts a little after it.
    clock, receiver = FakeClock(time.time_ns() + 5 * NS), Receiver()
    texts = {"ice.coolant.overtemp": {"zh": "冷却液过热", "en": "coolant overheating"}}
    dispatcher = Dispatcher(pool, [receiver], clock, rule_texts=texts, assess_every_s=60)
    with transaction(pool) as conn:
        furnish(conn)
    yield World(pool, clock, receiver, dispatcher)
    dispatcher.close()
    pool.close()
