"""A gateway's clock through the front door: HTTP header, log, worker, archive, alert."""

from __future__ import annotations

import time
from email.utils import formatdate

import httpx
import pytest

from model import wire
from model.frames import FrameBatch
from roadcall.cli_fleet import register_vehicles
from simulators.fleet import Fleet
from store import masters
from store.database import open_pool, transaction
from tests.roadcall.front_door import FrontDoor

pytestmark = pytest.mark.slow

S = 10**9
FRAMES = "select coalesce(sum(n), 0)::bigint from frame_block"
OFFSET = (
    "select max(vmax)::int from signal_segment join signal using (signal_id)"
    " where name = 'gateway_clock_offset_s'"
)


def test_a_late_gateway_and_one_that_is_eight_hours_ahead(door: FrontDoor) -> None:
    now_s = int(time.time())
    late = Fleet(2, 5, (), (now_s - 240) * S, rate=0.2)
    ahead = Fleet(2, 5, (), (now_s + 8 * 3600 - 20) * S, rate=0.2)
    with door.up():
        pool = open_pool(door.dsn, 2)
        with transaction(pool) as conn:
            register_vehicles(conn, late.vehicles)
            token = masters.create_gateway(conn, "gw", [v.vin for v in late.vehicles])
        pool.close()
        uploads = [late.upload_of(0, n) for n in range(20)]
        uploads += [ahead.upload_of(1, n) for n in range(2)]
        for upload in uploads:
            push(door, token, upload, upload.vin == late.vehicles[0].vin)
        door.wait_for(FRAMES, sum(map(len, uploads)))
        door.wait_for("select count(*)::int from alert where rule_id = 'gateway.delayed'", 1)
        with httpx.Client(base_url=door.address, trust_env=False) as client:
            found = client.get("/v1/alerts", params={"vin": late.vehicles[0].vin}).json()["items"]
        told = [(alert["rule_id"], alert["state"], alert["severity"]) for alert in found]
        assert told == [("gateway.delayed", "firing", 1)]
        ((offset_s,),) = door.rows(OFFSET)  # its frames had waited for the start
        assert 8 * 3600 - 200 < int(str(offset_s)) <= 8 * 3600
        assert door.rows("select max(t_end) < now() from frame_block") == [(True,)]


def push(door: FrontDoor, token: str, upload: FrameBatch, dated: bool) -> None:
    headers = {
        "Authorization": f"Bearer {token}",
        "Content-Type": "application/vnd.roadcall.frames",
        "Idempotency-Key": upload.batch_id,
    }
    if dated:
        headers["Date"] = formatdate(time.time(), usegmt=True)
    answer = httpx.post(
        f"{door.address}/v1/vehicles/{upload.vin}/frames",
        content=wire.encode(upload),
        headers=headers,
        trust_env=False,
    )
    assert answer.status_code == 202, answer.text
