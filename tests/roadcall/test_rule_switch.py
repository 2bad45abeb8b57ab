"""Rules change while a vehicle drives: the worker goes on with the next take, nothing restarts."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import pytest

from model.clock import ns_of, utc
from model.errors import BundleRefusedError
from model.frames import FrameBatch
from model.vehicle import Vehicle
from roadcall.rule_desk import RuleDesk, bumped
from rules.switch import Difference
from simulators.fleet import Fleet
from tests.roadcall.rig import Rig

START_NS = 1_760_000_000 * 10**9
LONG_AFTER_NS = START_NS + 86_400 * 10**9
#: The car drives from the first second, stands from about 230 s on, and drives again from 560 s.
CHANGE_AT = 10

PACK = """
- id: made.moving
  domain: [X1]
  version: 1
  kind: fault
  levels: [{severity: SEVERITY, condition: speed_kmh > fast, for: HOLD}]
  clear: {condition: speed_kmh < 5, for: 10s}
  params: {fast: FAST}
  text:
    zh: {title: 行驶, driver: WORDS, technician: a, action: a}
    en: {title: moving, driver: WORDS, technician: a, action: a}
  source: made up
"""
NOTHING = PACK.replace("made.moving", "made.other").replace("FAST", "399")
TESTS = """
- test: it fires
  rules: [made.moving]
  series: {speed_kmh: "99x80"}
  expect: [{at: 70s, state: firing}]
"""


def pack(fast: int = 20, hold: str = "15s", words: str = "a", severity: int = 2) -> str:
    text = PACK.replace("FAST", str(fast)).replace("HOLD", hold).replace("WORDS", words)
    return text.replace("SEVERITY", str(severity))


@pytest.fixture(scope="module")
def drive() -> tuple[Vehicle, list[FrameBatch]]:
    """Ten minutes of one car, ten seconds an upload."""
    fleet = Fleet(1, 5, ("overheating",), START_NS)
    return fleet.vehicles[0], [fleet.upload_of(0, n) for n in range(60)]


class Play:
    """One installation that drives up to the change, and from it."""

    def __init__(self, rig: Rig, drive: tuple[Vehicle, list[FrameBatch]]) -> None:
        self.rig, (vehicle, self.batches) = rig, drive
        self.desk = RuleDesk(rig.pool, rig.settings)
        rig.register(vehicle)

    def activate(self, text: str, state: str = "active") -> str:
        proposal = self.desk.propose({"made.yaml": text}, {}, alone=True)
        return self.desk.put(proposal, state, "test")

    def before(self, at: int = CHANGE_AT) -> None:
        self.rig.send(self.batches[:at])

    def after(self, at: int = CHANGE_AT) -> None:
        self.rig.send(self.batches[at:])
        self.rig.worker._processor.tick(LONG_AFTER_NS)

    def alerts(self) -> list[tuple[object, ...]]:
        return self.rig.rows(
            "select alert_id::text, started_at, cleared_at, state, reason, thresholds ->> 'fast',"
            " bundle_hash from alert where state <> 'retracted' order by started_at"
        )


@pytest.fixture
def new_play(
    new_rig: Callable[[], Rig], drive: tuple[Vehicle, list[FrameBatch]]
) -> Callable[[], Play]:
    return lambda: Play(new_rig(), drive)


@pytest.fixture
def unchanged(new_play: Callable[[], Play]) -> list[tuple[object, ...]]:
    """Two alerts: one that is over, and one at the end of the drive."""
    play = new_play()
    play.activate(pack())
    play.before()
    play.after()
    found = play.alerts()
    assert [row[2] is not None for row in found] == [True, False]
    return found


def test_other_words_keep_everything(
    new_play: Callable[[], Play], unchanged: list[tuple[object, ...]]
) -> None:
    play = new_play()
    play.activate(pack())
    play.before()
    new = play.activate(pack(words="b"))
    play.after()
    assert [row[:6] for row in play.alerts()] == [row[:6] for row in unchanged]
    assert {row[6] for row in play.alerts()} == {new}


@pytest.mark.parametrize("restart", [False, True])
def test_an_open_alert_ends_under_the_rule_that_raised_it(
    new_play: Callable[[], Play], unchanged: list[tuple[object, ...]], restart: bool
) -> None:
    play = new_play()
    old = play.activate(pack())
    play.before()
    new = play.activate(pack(fast=55))
    if restart:
        play.rig.send(play.batches[CHANGE_AT : CHANGE_AT + 5])
        play.rig.worker = play.rig.new_worker()
    play.after(CHANGE_AT + 5 if restart else CHANGE_AT)
    first, second = play.alerts()
    assert first == unchanged[0]
    assert first[5:] == ("20.0", old)
    assert second[5:] == ("55.0", new)
    assert str(second[1]) > str(unchanged[1][1])  # faster takes longer


def test_what_was_pending_begins_anew(new_play: Callable[[], Play]) -> None:
    play = new_play()
    play.activate(pack(hold="60s"))
    play.before(5)
    play.activate(pack(hold="61s"))
    play.after(5)
    begun = play.alerts()[0][1]
    assert isinstance(begun, datetime)
    # It was fast from 4 s on; the watermark stood 30 s behind the fifth upload's last sample.
    assert (begun - utc(START_NS)).total_seconds() == pytest.approx(20, abs=1)


def test_an_alert_ends_with_its_rule(
    new_play: Callable[[], Play], unchanged: list[tuple[object, ...]]
) -> None:
    play = new_play()
    old = play.activate(pack())
    play.before()
    play.activate(NOTHING.replace("HOLD", "5s").replace("WORDS", "a").replace("SEVERITY", "2"))
    play.after()
    (only,) = play.alerts()
    assert only[:2] == unchanged[0][:2]
    assert only[3:] == ("cleared", "rule_removed", "20.0", old)


def test_a_silent_vehicle_hears_of_it_too(new_play: Callable[[], Play]) -> None:
    play = new_play()
    play.activate(pack())
    play.before()
    play.activate(NOTHING.replace("HOLD", "5s").replace("WORDS", "a").replace("SEVERITY", "2"))
    play.rig.worker._processor.tick(LONG_AFTER_NS)
    assert [row[3:5] for row in play.alerts()] == [("cleared", "rule_removed")]


def test_a_bad_bundle_changes_nothing(
    new_play: Callable[[], Play], unchanged: list[tuple[object, ...]]
) -> None:
    play = new_play()
    play.activate(pack())
    play.before()
    broken = pack().replace("speed_kmh > fast", "sped_kmh > fast").replace("domain: [X1]", "")
    with pytest.raises(BundleRefusedError) as refused:
        play.activate(broken)
    assert refused.value.faults == ("made.yaml:2: made.moving: domain: Field required",)
    with pytest.raises(BundleRefusedError, match=r"made.yaml:2: made.moving: unknown name sped"):
        play.activate(pack().replace("speed_kmh > fast", "sped_kmh > fast"))
    with pytest.raises(BundleRefusedError, match=r"t.yaml:2: it fires: at 70s: idle"):
        play.desk.propose({"made.yaml": pack(fast=100)}, {"t.yaml": TESTS}, alone=True)
    play.after()
    assert play.alerts() == unchanged


def test_a_trial_tells_nobody_and_then_comes_into_force(
    new_play: Callable[[], Play], unchanged: list[tuple[object, ...]]
) -> None:
    play = new_play()
    old = play.activate(pack())
    new = play.activate(pack(fast=30, severity=3), "shadow")
    play.before()
    play.rig.worker = play.rig.new_worker()
    play.rig.send(play.batches[CHANGE_AT:40])
    shadow = play.rig.rows(
        "select bundle_hash, severity, state, thresholds ->> 'fast' from shadow_alert"
    )
    assert shadow == [(new, 3, "cleared", "30.0")]
    assert play.alerts()[0] == unchanged[0]
    assert play.rig.rows("select * from rescue_case") == []
    assert play.desk.move("shadow", "active") == new
    play.after(40)
    assert [row[5:] for row in play.alerts()] == [("20.0", old), ("30.0", new)]
    assert len(play.rig.rows("select * from rescue_case")) == 1
    assert play.rig.rows(
        "select hash, state from rule_bundle where origin = 'operator' order by state"
    ) == [(new, "active"), (old, "retired")]


def test_late_data_from_before_a_change_is_judged(
    new_play: Callable[[], Play], unchanged: list[tuple[object, ...]]
) -> None:
    """Of a rule that did not change nothing shows that there was a change at all."""
    play, other = new_play(), NOTHING.replace("WORDS", "a").replace("SEVERITY", "2")
    play.activate(pack() + other.replace("HOLD", "5s"))
    play.rig.send(play.batches[4:30])
    (early,) = play.alerts()
    assert early[1] != unchanged[0][1]  # the first 40 s are not known yet
    play.activate(pack() + other.replace("HOLD", "6s"))
    play.rig.send(play.batches[30:40])
    play.rig.send(play.batches[:4])
    play.after(40)
    assert [row[:6] for row in play.alerts()] == [row[:6] for row in unchanged]


def test_late_data_takes_back_nothing_that_earlier_rules_said(
    new_play: Callable[[], Play], unchanged: list[tuple[object, ...]]
) -> None:
    play = new_play()
    old = play.activate(pack())
    play.rig.send(play.batches[4:30])
    said = play.alerts()
    new = play.activate(pack(fast=55))
    play.rig.send(play.batches[30:40])
    play.rig.send(play.batches[:4])
    assert play.alerts() == said
    play.after(40)
    first, second = play.alerts()
    assert first == said[0] and first[5:] == ("20.0", old) and second[5:] == ("55.0", new)
    assert str(second[1]) > str(unchanged[1][1])


def test_late_data_is_judged_by_the_rules_of_today_and_sends_nobody(
    new_play: Callable[[], Play], unchanged: list[tuple[object, ...]]
) -> None:
    play = new_play()
    play.activate(pack(fast=200, severity=3))
    play.rig.send(play.batches[4:30])
    new = play.activate(pack(severity=3))
    play.rig.send(play.batches[30:40])
    assert play.alerts() == []
    play.rig.send(play.batches[:4])
    assert play.alerts() == [(*unchanged[0][:6], new)]
    assert play.rig.rows("select history from alert") == [(True,)]
    assert play.rig.rows("select * from rescue_case") == []


SHADOW = (
    "select alert_id::text, severity, state, started_at, fired_at, evidence_at, changed_at,"
    " evidence, thresholds from shadow_alert where state <> 'retracted' order by started_at"
)


def test_a_trial_hears_late_data_too(new_play: Callable[[], Play]) -> None:
    """Both bundles say the same rule, the one in force with other words."""
    plays = [new_play(), new_play()]
    for play in plays:
        play.activate(pack(hold="60s", words="b"))
        play.activate(pack(hold="60s"), "shadow")
    in_order, late = plays
    in_order.before()
    in_order.after()
    late.rig.send(late.batches[:2])
    late.rig.send(late.batches[8:30])
    assert late.rig.rows(SHADOW) != in_order.rig.rows(SHADOW)[:1]
    late.rig.worker = late.rig.new_worker()
    late.rig.send(late.batches[2:8])
    late.after(30)
    found = late.rig.rows(SHADOW)
    assert found == in_order.rig.rows(SHADOW)
    assert [row[0] for row in found] == [row[0] for row in late.alerts()]


def test_a_trial_is_not_asked_about_the_time_before_it(new_play: Callable[[], Play]) -> None:
    play = new_play()
    play.activate(pack(fast=200))
    play.rig.send(play.batches[4:10])
    play.activate(pack(), "shadow")
    play.rig.send(play.batches[10:20])
    said = play.rig.rows(SHADOW)
    begun = play.batches[10].observed_ns  # the car was fast all the time
    assert [begun.min() <= ns_of(row[3]) < begun.max() for row in said] == [True]  # type: ignore[arg-type]
    play.rig.send(play.batches[:4])
    assert play.rig.rows(SHADOW) == said


def test_back_to_what_was_installed(new_play: Callable[[], Play]) -> None:
    play = new_play()
    installed = play.rig.rows("select hash from rule_bundle where state = 'active'")
    play.activate(pack())
    assert play.rig.rows("select hash from rule_bundle where state = 'active'") != installed
    play.desk.move("installed", "active")
    assert play.rig.rows("select hash from rule_bundle where state = 'active'") == installed


@pytest.mark.parametrize(
    ("change", "after"),
    [
        (Difference((), (), {}, ()), "1.2.3"),
        (Difference((), (), {}, ("a.b",)), "1.2.4"),
        (Difference(("a.b",), (), {}, ("a.c",)), "1.3.0"),
        (Difference((), (), {"a.b": ("levels",)}, ()), "1.3.0"),
        (Difference(("a.b",), ("a.c",), {}, ()), "2.0.0"),
    ],
)
def test_versions_count_on(change: Difference, after: str) -> None:
    assert bumped("1.2.3", change) == after
