"""The pipeline on a real database: what is hushed is stored and shown, nobody goes out for it."""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from model.clock import utc
from model.frames import FrameBatch
from model.suppression import Mode, VehicleMode
from simulators.fleet import Fleet
from store import suppression
from store.database import transaction
from tests.roadcall.rig import Rig

START_NS = 1_760_000_000 * 10**9
LONG_AFTER_NS = START_NS + 10 * 86_400 * 10**9
SLICES = 60
PACK = """
- id: made.cause
  domain: [E01]
  version: 1
  kind: fault
  levels: [{severity: 1, condition: engine_coolant_temp_c > 105, emit: on_arrival}]
  text: &text
    zh: {title: 因, driver: 因, technician: 因, action: 因}
    en: {title: cause, driver: cause, technician: cause, action: cause}
  source: our own
- id: made.effect
  domain: [E01]
  version: 1
  kind: fault
  inhibit_by: [{rule: made.cause}]
  levels: [{severity: 3, condition: engine_coolant_temp_c > 110}]
  text: *text
  source: our own
"""
RULED = (
    "select alert_id, rule_id, suppressed_by, occurrence, first_alert_id from alert"
    " where state <> 'retracted' order by alert_id"
)


@pytest.fixture(scope="module")
def day() -> tuple[Fleet, list[FrameBatch]]:
    """Two cars, ten minutes, one of them overheats."""
    fleet = Fleet(2, 5, ("overheating",), START_NS)
    return fleet, [batch for n in range(SLICES) for batch in fleet.upload(n)]


def play(rig: Rig, fleet: Fleet, batches: Sequence[FrameBatch], pack: Path | None = None) -> Rig:
    if pack is not None:
        rig.settings = rig.settings.model_copy(update={"rule_path": (pack,)})
        rig.worker = rig.new_worker()
    rig.send(batches)
    rig.worker._processor.tick(LONG_AFTER_NS)
    return rig


def in_mode(rig: Rig, vin: str, mode: Mode, hours: float) -> None:
    start = utc(START_NS) - timedelta(hours=1)
    row = VehicleMode(
        mode_id=uuid.uuid4(), vin=vin, mode=mode, starts_at=start,
        ends_at=start + timedelta(hours=hours), actor="li.wei", created_at=start,
    )  # fmt: skip
    with transaction(rig.pool) as conn:
        suppression.add_mode(conn, row)


def test_in_the_workshop_alerts_are_kept_and_nobody_is_called(
    new_rig: Callable[[], Rig], day: tuple[Fleet, list[FrameBatch]]
) -> None:
    fleet, batches = day
    plain, away = new_rig(), new_rig()
    for rig in (plain, away):
        rig.register(*fleet.vehicles)
    for vehicle in fleet.vehicles:
        in_mode(away, vehicle.vin, Mode.WORKSHOP, 24 * 30)
    play(plain, fleet, batches)
    play(away, fleet, batches)
    assert away.alerts() == plain.alerts()
    assert len(plain.rows("select 1 from rescue_case")) == 1
    assert away.rows("select 1 from rescue_case") == []
    assert away.rows("select distinct suppressed_by from alert") == [("mode:workshop",)]


def test_a_root_cause_hushes_its_consequence_in_every_order(
    new_rig: Callable[[], Rig], day: tuple[Fleet, list[FrameBatch]], tmp_path: Path
) -> None:
    fleet, batches = day
    pack = tmp_path / "made.yaml"
    pack.write_text(PACK, "utf-8")
    found, helped = [], []
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    mixed = random.Random(seed)
    orders = [list(range(len(batches))), [*range(len(batches))]]
    orders[1].sort(key=lambda i: i + mixed.uniform(0, 4))  # within the lateness bound
    for order in orders:
        rig = new_rig()
        rig.register(*fleet.vehicles)
        play(rig, fleet, [batches[i] for i in order], pack)
        rig.send(batches)  # all of it twice
        found.append(rig.rows(RULED))
        helped.append(
            rig.rows("select a.rule_id from rescue_case join alert a using (alert_id) order by 1")
        )
    assert found[0] == found[1]
    # An effect that is heard first opens its case at once; it is withdrawn if nobody confirmed it.
    assert helped[0] == [("ice.coolant.overtemp",)] and len(helped[1]) == 1
    by = {row[1]: row[2] for row in found[0]}
    assert by["made.effect"] == "rule:made.cause"
    assert by["made.cause"] is None
    assert by["ice.coolant.overtemp"] is None


def test_times_here_are_as_written() -> None:
    assert utc(START_NS) == datetime(2025, 10, 9, 8, 53, 20, tzinfo=UTC)
