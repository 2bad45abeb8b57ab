"""A consumer of one partition, made to be killed: arguments DSN, partition, records, vehicle_id.

Record number p says: one frame, one sample of value p, one alert.
"""

from __future__ import annotations

import random
import sys
import time

import numpy as np

from model.alerts import AlertState, AlertTransition, alert_id
from model.clock import NS
from model.effects import Effects, LastValues, VehicleSnapshot
from model.errors import StaleOwnerError
from model.frames import frame_batch
from model.log import BatchKey
from model.severity import Severity
from model.signals import SignalBatch, SignalTable
from store import alerts, batches, effects, inbox, ledger
from store.database import Connection, connect

TABLE = SignalTable("demo_car", ("engine_speed_rpm",), ("rpm",))
START_NS = 1_700_000_000 * NS
TAKE = 7


def effects_of(position: int, vin: str, vehicle_id: int) -> Effects:
    at_ns = START_NS + position * NS
    frames = frame_batch(
        vin=vin,
        observed_ns=np.array([at_ns]),
        can_id=np.array([position], np.uint32),
        length=np.array([8], np.uint8),
        payload8=np.zeros((1, 8), np.uint8),
    )
    signals = SignalBatch(
        table=TABLE,
        run_signal=np.array([0], np.uint16),
        run_source=np.array([-1], np.int16),
        run_start=np.array([0, 1]),
        observed_ns=np.array([at_ns]),
        value=np.array([float(position)]),
        quality=np.zeros(1, np.uint8),
        frame_status=np.zeros(1, np.uint8),
    )
    transition = AlertTransition(
        alert_id=alert_id("r", vin, "", at_ns), rule_id="r", rule_version=1, vin=vin, instance="",
        state=AlertState.FIRING, severity=Severity.STOP, started_ns=at_ns, at_ns=at_ns,
        fired_ns=at_ns, worst_ns=at_ns,
    )  # fmt: skip
    last = LastValues({"engine_speed_rpm": (float(position), at_ns)})
    snapshot = VehicleSnapshot(vehicle_id, at_ns, at_ns, last, {"position": position})
    key = BatchKey("gw", vin, str(position))
    return Effects(vehicle_id, key, frames, signals, (), (transition,), (), (), snapshot)


def take(conn: Connection, partition: int, position: int, vehicle_id: int) -> int:
    """One transaction; the next position."""
    records = inbox.read(conn, partition, position, TAKE)
    if not records:
        return position
    after = records[-1].position + 1
    ledger.advance(conn, inbox.TOPIC, {partition: (position, after)})
    keys = [(BatchKey("gw", r.vin, str(r.position)), "x", START_NS) for r in records]
    assert set(batches.claim(conn, keys)) == {batches.Claim.NEW}
    time.sleep(random.random() * 0.01)
    found = [effects_of(r.position, r.vin, vehicle_id) for r in records]
    alerts.write(conn, [t for e in found for t in e.transitions])
    effects.write(conn, found)
    time.sleep(random.random() * 0.01)
    conn.commit()
    return after


def main(dsn: str, partition: int, last: int, vehicle_id: int) -> None:
    with connect(dsn) as conn:
        position = ledger.positions(conn, inbox.TOPIC, [partition])[partition]
        conn.commit()
        while position < last:
            try:
                position = take(conn, partition, position, vehicle_id)
            except StaleOwnerError:
                conn.rollback()
                position = ledger.positions(conn, inbox.TOPIC, [partition])[partition]
                conn.commit()


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
