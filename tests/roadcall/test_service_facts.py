"""Rules read the service history from the database, while the worker runs and after a restart."""

from __future__ import annotations

import uuid
from collections.abc import Callable

import pytest

from model.clock import utc
from model.frames import FrameBatch
from model.vehicle import Vehicle
from roadcall.rule_desk import RuleDesk
from simulators.fleet import Fleet
from store.database import transaction
from tests.roadcall.rig import Rig

S = 10**9
START_NS = 1_760_000_000 * S
LONG_AFTER_NS = START_NS + 86_400 * S
#: The car drives from the first second, stands from about 230 s on, and drives again from 560 s.
CHANGE_AT, CHANGE_NS = 40, START_NS + 400 * S

PACK = """
- id: made.moving
  domain: [X1]
  version: 1
  kind: fault
  levels: [LEVELS]
  clear: {condition: speed_kmh < 5, for: 10s}
  latch: LATCH
  text:
    zh: {title: 行驶, driver: a, technician: a, action: a}
    en: {title: moving, driver: a, technician: a, action: a}
  source: made up
"""
MOVING = "{severity: 1, condition: speed_kmh > 20, for: 15s}"
WORSE = "{severity: 2, condition: 'speed_kmh > 20 and CONDITION', for: 15s}"


@pytest.fixture(scope="module")
def drive() -> tuple[Vehicle, list[FrameBatch]]:
    """Ten minutes of one car, ten seconds an upload."""
    fleet = Fleet(1, 5, ("overheating",), START_NS)
    return fleet.vehicles[0], [fleet.upload_of(0, n) for n in range(60)]


class Play:
    """One installation with one rule; something is done to the car while it stands."""

    def __init__(self, rig: Rig, vehicle: Vehicle, batches: list[FrameBatch]) -> None:
        self.rig, self.batches = rig, batches
        rig.register(vehicle)

    def drive(self, latch: str, *levels: str, act: Callable[[Play], None], restart: bool) -> None:
        text = PACK.replace("LATCH", latch).replace("LEVELS", ", ".join(levels))
        desk = RuleDesk(self.rig.pool, self.rig.settings)
        desk.put(desk.propose({"made.yaml": text}, {}, alone=True), "active", "test")
        self.rig.worker._processor.tick(START_NS)
        self.rig.send(self.batches[:CHANGE_AT])
        act(self)
        if restart:
            self.rig.worker = self.rig.new_worker()
        self.rig.worker._processor.tick(CHANGE_NS)
        self.rig.send(self.batches[CHANGE_AT:])
        self.rig.worker._processor.tick(LONG_AFTER_NS)

    def write(self, statement: str, *values: object) -> None:
        with transaction(self.rig.pool) as conn:
            conn.execute(statement, values)  # type: ignore[arg-type]

    def alerts(self) -> list[tuple[int, bool]]:
        """Severity and whether it is over, in order."""
        rows = self.rig.rows("select severity, cleared_at is not null from alert order by fired_at")
        return [(int(str(severity)), bool(over)) for severity, over in rows]

    def repaired(self, state: str = "verifying") -> None:
        """A case of the alert, and its work order, handed over while the car stands."""
        [(vehicle_id, alert_id)] = self.rig.rows("select vehicle_id, alert_id from alert")
        case_id, order_id, now = uuid.uuid4(), uuid.uuid4(), utc(CHANGE_NS - S)
        self.write(
            "insert into diagnosis_case (case_id, vehicle_id, alert_id, fault_key, rule_id,"
            " severity, state, level, owner, repeat_no, opened_at, changed_at, version)"
            " values (%s, %s, %s, 'f', 'made.moving', 2, 'at_station', 1, 'hz', 1, %s, %s, 1)",
            case_id, vehicle_id, alert_id, now, now,
        )  # fmt: skip
        self.write("insert into diagnosis_case_alert values (%s, %s)", alert_id, case_id)
        self.write(
            "insert into work_order (work_order_id, vehicle_id, case_id, source, priority_lane,"
            " loaner_needed, owner, state, complaint, confirmed_cause, correction, items, parts,"
            " extra_items, photos_ref, repeat_no, opened_at, changed_at, handed_over_at,"
            " odometer_km, overrun, version) values (%s, %s, %s, 'alert', false, false, 'hz', %s,"
            " '', '', '', '{}', '[]', '[]', '{}', 1, %s, %s, %s, 1, false, 1)",
            order_id, vehicle_id, case_id, state, now, now, now,
        )  # fmt: skip
        self.write(
            "insert into audit (noun, noun_id, step, actor) values ('work_order', %s, 'x', 'li')",
            str(order_id),
        )

    def seen(self) -> None:
        """Somebody takes note of the alert."""
        [(alert_id,)] = self.rig.rows("select alert_id from alert")
        self.write(
            "insert into audit (noun, noun_id, step, actor, recorded_at)"
            " values ('alert', %s, 'acknowledge', 'li', %s)",
            str(alert_id),
            utc(CHANGE_NS),
        )

    def serviced(self) -> None:
        self.write(
            "insert into maintenance_done (vehicle_id, kind, cycle, done_at, odometer_km, actor)"
            " select vehicle_id, 'oil', 1, %s, 1, 'li' from vehicle",
            utc(CHANGE_NS),
        )


@pytest.fixture
def new_play(
    new_rig: Callable[[], Rig], drive: tuple[Vehicle, list[FrameBatch]]
) -> Callable[[], Play]:
    return lambda: Play(new_rig(), *drive)


def nothing(play: Play) -> None:
    """Nobody does anything."""


RESTARTS = pytest.mark.parametrize("restart", [False, True])


@pytest.mark.parametrize("latch", ["work_order", "ack"])
def test_a_latched_alert_stays_until_people_end_it(
    new_play: Callable[[], Play], latch: str
) -> None:
    play = new_play()
    play.drive(latch, MOVING, act=nothing, restart=False)
    assert play.alerts() == [(1, False)]


@RESTARTS
@pytest.mark.parametrize(
    ("latch", "act"),
    [("work_order", Play.repaired), ("ack", Play.repaired), ("ack", Play.seen)],
)
def test_people_end_it(
    new_play: Callable[[], Play], latch: str, act: Callable[[Play], None], restart: bool
) -> None:
    play = new_play()
    play.drive(latch, MOVING, act=act, restart=restart)
    assert play.alerts() == [(1, True), (1, False)]


def test_a_repair_in_hand_does_not(new_play: Callable[[], Play]) -> None:
    play = new_play()
    play.drive("work_order", MOVING, act=lambda p: p.repaired("in_repair"), restart=False)
    assert play.alerts() == [(1, False)]


def test_somebody_who_has_seen_it_is_no_repair(new_play: Callable[[], Play]) -> None:
    play = new_play()
    play.drive("work_order", MOVING, act=Play.seen, restart=False)
    assert play.alerts() == [(1, False)]


@RESTARTS
@pytest.mark.parametrize(
    ("condition", "act", "severity"),
    [
        ("recurred(30d)", Play.repaired, 2),
        ("recurred(30d, 1500000)", Play.repaired, 2),
        ("recurred(30d, 1)", Play.repaired, 1),
        ("recurred(30d)", nothing, 1),
        ('km_since("oil") > 1', Play.serviced, 2),
        ('km_since("oil") > 1', nothing, 1),
    ],
)
def test_what_was_done_counts_from_then_on(
    new_play: Callable[[], Play],
    condition: str,
    act: Callable[[Play], None],
    severity: int,
    restart: bool,
) -> None:
    play = new_play()
    play.drive("none", MOVING, WORSE.replace("CONDITION", condition), act=act, restart=restart)
    assert play.alerts() == [(1, True), (severity, False)]
