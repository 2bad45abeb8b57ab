"""What time alone does to alerts: notices are gathered, hushes end, what was put off comes back."""

from __future__ import annotations

import uuid
from dataclasses import replace
from datetime import timedelta

import pytest

from console import alert_steps, steps
from model.alerts import AlertState, AlertTransition, Dismissal, Handling, alert_id
from model.clock import NS, ns_of
from model.effects import OutboxRecord
from model.errors import TransitionError
from model.rescue import CaseState
from model.severity import Severity
from model.suppression import Matchers, Mode, Silence, VehicleMode
from roadcall.suppress import Said, hush
from rules.bundle import bundle_of
from store import alert_groups, alerts, masters
from store.database import transaction
from tests.roadcall.dispatcher.conftest import VIN, World, transition

BUNDLE = bundle_of("test", ())


def fire(
    world: World,
    rule: str = "ice.coolant.overtemp",
    severity: Severity = Severity.VISIT_SOON,
    ago_s: float = 0,
    state: AlertState = AlertState.FIRING,
    at_ago_s: float | None = None,
) -> uuid.UUID:
    """An alert as the pipeline writes it, judged in its own transaction."""
    started_ns = world.clock.now_ns() - round(ago_s * NS)
    step = replace(
        transition(severity, started_ns),
        rule_id=rule,
        alert_id=alert_id(rule, VIN, "", started_ns),
        state=state,
    )
    if at_ago_s is not None:
        step = replace(step, at_ns=world.clock.now_ns() - round(at_ago_s * NS))
    say(world, step)
    return step.alert_id


def say(world: World, *steps_: AlertTransition) -> None:
    with transaction(world.pool) as conn:
        stored = masters.vehicles(conn, [VIN])[VIN]
        hush(conn, [Said(stored.vehicle_id, stored.vehicle, BUNDLE, steps_, (), world.now())])


def clear(world: World, key: uuid.UUID) -> None:
    with transaction(world.pool) as conn:
        row = alerts.find(conn, key)
    step = transition(row.severity, ns_of(row.started_at), AlertState.CLEARED)
    say(world, replace(step, alert_id=key, rule_id=row.rule_id, at_ns=world.clock.now_ns()))


def row(world: World, key: uuid.UUID) -> alerts.StoredAlert:
    with transaction(world.pool) as conn:
        return alerts.find(conn, key)


def notices(world: World) -> list[OutboxRecord]:
    """What the station hears of alerts at this moment."""
    world.dispatcher.drain()
    found, world.receiver.got = world.receiver.got, []
    return [r for r in found if r.kind == "alert.notice"]


def mode(world: World, kind: Mode, seconds: float) -> None:
    now = world.now()
    row = VehicleMode(
        mode_id=uuid.uuid4(), vin=VIN, mode=kind, starts_at=now,
        ends_at=now + timedelta(seconds=seconds), actor="li.wei", created_at=now,
    )  # fmt: skip
    alert_steps.enter(world.pool, row, world.act())


def silence(world: World, seconds: float, **matchers: object) -> uuid.UUID:
    now = world.now()
    row = Silence(
        silence_id=uuid.uuid4(), matchers=Matchers.model_validate(matchers), starts_at=now,
        ends_at=now + timedelta(seconds=seconds), actor="li.wei", reason="known", created_at=now,
    )  # fmt: skip
    alert_steps.hush(world.pool, row, world.act())
    return row.silence_id


# Notices ----------------------------------------------------------------------------------------


def test_mild_alerts_of_one_system_are_one_notice_after_five_minutes(world: World) -> None:
    fire(world, "ice.coolant.overtemp")
    assert notices(world) == []
    world.clock.advance(200)
    fire(world, "ice.coolant.level_low")
    fire(world, "tyre.flat")
    assert notices(world) == []
    world.clock.advance(101)
    (told,) = notices(world)
    assert (told.body["system"], told.body["count"]) == ("ice.coolant", 2)
    assert "冷却液过热" in told.body["zh"]
    world.clock.advance(200)
    assert [n.body["system"] for n in notices(world)] == ["tyre"]


def test_a_grave_one_waits_ten_seconds_and_is_repeated_until_seen(world: World) -> None:
    key = fire(world, severity=Severity.STOP)
    assert notices(world) == []
    world.clock.advance(11)
    assert len(notices(world)) == 1
    world.clock.advance(890)
    assert notices(world) == []
    world.clock.advance(20)
    (again,) = notices(world)
    assert again.body["number"] == 2
    steps.acknowledge(world.pool, key, world.act())
    world.clock.advance(3600)
    assert notices(world) == []


def test_what_is_over_before_its_notice_says_nothing(world: World) -> None:
    key = fire(world)
    assert notices(world) == []
    clear(world, key)
    world.clock.advance(400)
    assert notices(world) == []


def test_one_that_becomes_graver_is_told_at_once(world: World) -> None:
    started_ns = world.clock.now_ns()
    fire(world)
    assert notices(world) == []
    world.clock.advance(301)
    assert len(notices(world)) == 1
    say(world, replace(transition(Severity.STOP, started_ns), at_ns=world.clock.now_ns()))
    assert notices(world) == []
    world.clock.advance(11)
    assert [n.body["severity"] for n in notices(world)] == [3]


# Hushing ----------------------------------------------------------------------------------------


def test_a_mode_hushes_notice_clock_and_case_until_it_ends(world: World) -> None:
    mode(world, Mode.WORKSHOP, 3600)
    key = fire(world, severity=Severity.STOP)
    world.clock.advance(1800)
    assert notices(world) == []
    assert row(world, key).suppressed_by == "mode:workshop"
    assert world.rows("select 1 from clock where noun = 'alert'") == []
    assert world.rows("select 1 from diagnosis_case") == []
    world.clock.advance(1801)
    heard = world.now()
    assert notices(world) == []
    assert row(world, key).suppressed_by is None
    world.clock.advance(11)
    assert len(notices(world)) == 1
    assert world.rows(CLOCKS) == [(0, heard, True, None)]  # nobody is late by the hush


CLOCKS = """
select round, started_at, stopped_at is null, met from clock
where noun = 'alert' and kind = 'acknowledge' order by round
"""


def test_leaving_a_mode_early_is_heard_at_once(world: World) -> None:
    mode(world, Mode.FLASHING, 3600)
    key = fire(world)
    assert row(world, key).suppressed_by == "mode:flashing"
    alert_steps.leave(world.pool, VIN, world.act())
    world.dispatcher.drain()
    assert row(world, key).suppressed_by is None
    with pytest.raises(TransitionError):
        alert_steps.leave(world.pool, VIN, world.act())


def test_a_silence_reaches_alerts_that_stand_already(world: World) -> None:
    key = fire(world)
    world.dispatcher.drain()
    quiet = silence(world, 7200, rule="ice.*")
    world.dispatcher.drain()
    assert row(world, key).suppressed_by == f"silence:{quiet}"
    world.clock.advance(400)
    assert notices(world) == []
    alert_steps.unhush(world.pool, quiet, world.act())
    world.dispatcher.drain()
    assert row(world, key).suppressed_by is None
    before, after = world.rows(CLOCKS)
    assert before[2:] == (False, None)  # nobody had to keep it
    assert after == (1, world.now(), True, None)
    steps.acknowledge(world.pool, key, world.act())
    world.dispatcher.drain()
    assert world.rows(CLOCKS)[1][2:] == (False, True)
    with pytest.raises(TransitionError):
        alert_steps.unhush(world.pool, quiet, world.act())


def test_heard_after_all_means_dispatched_after_all(world: World) -> None:
    with transaction(world.pool) as conn:
        conn.execute(POSITION)
    mode(world, Mode.TRANSPORT, 60)
    key = fire(world, severity=Severity.STOP)
    world.dispatcher.drain()
    assert world.rows("select 1 from rescue_case") == []
    world.clock.advance(61)
    world.dispatcher.drain()
    assert world.rows("select alert_id, state from rescue_case") == [(key, "requested")]


def test_a_request_nobody_has_confirmed_is_withdrawn_when_its_alert_is_hushed(
    world: World,
) -> None:
    case = world.alert()
    world.drain()
    silence(world, 7200, vin=VIN)
    world.drain()
    assert world.case(case.case_id).state is CaseState.CANCELLED


def test_one_that_was_confirmed_by_a_person_goes_on(world: World) -> None:
    case = world.alert()
    steps.confirm(world.pool, case.case_id, world.act())
    silence(world, 7200, vin=VIN)
    world.drain()
    assert world.case(case.case_id).state is CaseState.OFFERED


def test_a_storm_is_one_alert_with_a_list(world: World) -> None:
    keys = [fire(world, f"made.r{i:02}", ago_s=100 - i) for i in range(30)]
    ((storm,),) = world.rows("select alert_id from alert where rule_id = 'vehicle.storm'")
    assert isinstance(storm, uuid.UUID)
    with transaction(world.pool) as conn:
        assert alert_groups.folded(conn, storm) == keys[20:]
    assert row(world, storm).evidence == {"alerts": 10.0}
    notices(world)
    world.clock.advance(301)
    told = {n.body["system"]: n for n in notices(world)}
    assert told.keys() == {"made", "vehicle"}
    assert (told["made"].body["count"], told["vehicle"].body["count"]) == (20, 11)
    for key in keys:
        clear(world, key)
    assert row(world, storm).state is AlertState.CLEARED
    assert world.rows("select count(*) from alert") == [(31,)]  # none was dropped


def test_a_storm_that_late_data_undoes_is_taken_back(world: World) -> None:
    keys = [fire(world, f"made.r{i:02}", ago_s=100 - i) for i in range(21)]
    ((storm,),) = world.rows("select alert_id from alert where rule_id = 'vehicle.storm'")
    assert isinstance(storm, uuid.UUID)
    first = row(world, keys[0])
    undone = transition(first.severity, ns_of(first.started_at), AlertState.RETRACTED)
    say(world, replace(undone, alert_id=keys[0], rule_id=first.rule_id))
    assert row(world, storm).state is AlertState.RETRACTED
    assert row(world, keys[20]).suppressed_by is None


# What people do -----------------------------------------------------------------------------------


def test_dismissed_with_a_code_counts_in_precision(world: World) -> None:
    key = fire(world, "tyre.flat")
    case = world.alert(Severity.STOP)
    world.drain()
    for alert in (key, case.alert_id):
        assert alert is not None
        act = world.act(key=f"k{alert}")
        alert_steps.dismiss(world.pool, alert, Dismissal.FALSE_ALARM, act)
        alert_steps.dismiss(world.pool, alert, Dismissal.FALSE_ALARM, act)  # a repeat
        assert row(world, alert).handling is Handling.DISMISSED
    assert world.rows("select sum(dismissed)::int from kpi_alert_precision") == [(2,)]
    world.drain()
    assert world.case(case.case_id).state is CaseState.CANCELLED
    with pytest.raises(TransitionError):
        alert_steps.dismiss(world.pool, key, Dismissal.OTHER, world.act())


def test_put_off_once_and_new_again_with_a_clock(world: World) -> None:
    key = fire(world)
    world.dispatcher.drain()
    until = world.now() + timedelta(days=2)
    alert_steps.snooze(world.pool, key, until, world.act())
    world.clock.advance(86_400)
    assert notices(world) == []
    world.clock.advance(86_401)
    notices(world)
    assert row(world, key).handling is Handling.NEW
    assert len(world.rows("select 1 from clock where noun = 'alert' and kind = 'acknowledge'")) == 2
    world.clock.advance(301)
    assert len(notices(world)) == 1
    again = world.now() + timedelta(days=1)
    with pytest.raises(TransitionError, match="put off before"):
        alert_steps.snooze(world.pool, key, again, world.act())


@pytest.mark.parametrize(
    ("severity", "days", "why"), [(3, 1, "grave"), (2, 7.1, "until"), (2, -1, "until")]
)
def test_what_may_not_be_put_off(world: World, severity: int, days: float, why: str) -> None:
    key = fire(world, severity=Severity(severity))
    with pytest.raises(TransitionError, match=why):
        alert_steps.snooze(world.pool, key, world.now() + timedelta(days=days), world.act())
    assert row(world, key).handling is Handling.NEW


def test_a_month_without_word_ends_an_alert(world: World) -> None:
    key = fire(world, ago_s=100, state=AlertState.STALE, at_ago_s=0)
    steps.acknowledge(world.pool, key, world.act())
    world.clock.advance(30 * 86_400 - 10)
    world.dispatcher.drain()
    assert row(world, key).state is AlertState.STALE
    world.clock.advance(20)
    world.dispatcher.drain()
    assert row(world, key).state is AlertState.EXPIRED


def test_back_within_a_day_it_is_in_the_same_hands(world: World) -> None:
    first = fire(world)
    steps.acknowledge(world.pool, first, world.act())
    world.clock.advance(600)
    clear(world, first)
    world.clock.advance(3600)
    second = fire(world)
    found = row(world, second)
    assert (found.occurrence, found.first_alert_id) == (2, first)
    assert found.handling is Handling.ACKNOWLEDGED
    world.clock.advance(3600)
    assert notices(world) == []


POSITION = """
insert into signal (name, unit) values ('latitude_deg', 'deg'), ('longitude_deg', 'deg')
    on conflict do nothing;
insert into vehicle_state (vehicle_id, partition, observed_at, newest_ns, received_at, signal_ids,
    vals, observed_ns, memory)
select v.vehicle_id, 0, now(), 0, now(),
    array(select signal_id from signal
        where name in ('latitude_deg', 'longitude_deg') order by name),
    array[30.0, 120.0], array_fill((extract(epoch from now()) * 1e9)::bigint, array[2]), '{}'
from vehicle v;
"""
