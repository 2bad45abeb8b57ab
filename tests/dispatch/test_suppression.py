"""What hushes an alert, over rows of one vehicle; expectations from docs/adr/0014."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from dispatch.suppression import Surroundings, judge, suppression_terms
from model.severity import Severity
from model.suppression import (
    AlertFacts,
    Inhibitor,
    Matchers,
    Mode,
    Ruling,
    Silence,
    VehicleMode,
)
from model.vehicle import Vehicle

NOON = datetime(2025, 3, 1, 12, tzinfo=UTC)
LONG_AGO = NOON - timedelta(days=9)
CAR = Vehicle(vin="LRDCALL0000000001", profile="demo_car", brand="Geely", preferred_station="hz")
CAUSE, CODE = "electrics.low_voltage_running", "codes.fmi_severity"


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def alert(
    rule: str = CODE,
    fired: float = 0,
    ended: float | None = None,
    *,
    severity: int = 2,
    causes: tuple[str, ...] = (CAUSE,),
    instance: str = "",
    equal: tuple[str, ...] = ("vin",),
) -> AlertFacts:
    return AlertFacts.model_validate(
        {
            "alert_id": uuid.uuid5(uuid.NAMESPACE_OID, f"{rule}{instance}{fired}"),
            "rule_id": rule,
            "instance": instance,
            "severity": severity,
            "started_at": at(fired),
            "fired_at": at(fired),
            "ended_at": None if ended is None else at(ended),
            "inhibit_by": [Inhibitor.model_validate({"rule": c, "equal": equal}) for c in causes],
        }
    )


def cause(fired: float = 0, ended: float | None = None, instance: str = "") -> AlertFacts:
    return alert(CAUSE, fired, ended, causes=(), instance=instance)


def ruling(
    target: AlertFacts,
    *others: AlertFacts,
    now: float = 1000,
    silences: tuple[Silence, ...] = (),
    modes: tuple[VehicleMode, ...] = (),
) -> Ruling:
    rulings, _ = judge([target, *others], Surroundings(CAR, silences, modes), LONG_AGO, at(now))
    return rulings[target.alert_id]


def silence(
    starts: float, ends: float, *, emergencies: bool = False, **matchers: object
) -> Silence:
    return Silence(
        silence_id=uuid.UUID(int=1),
        matchers=Matchers.model_validate(matchers or {"rule": "codes.*"}),
        starts_at=at(starts),
        ends_at=at(ends),
        emergencies=emergencies,
        actor="li.wei",
        reason="recall campaign",
        created_at=at(starts),
    )


def mode(kind: Mode, starts: float, ends: float) -> VehicleMode:
    return VehicleMode(
        mode_id=uuid.UUID(int=2),
        vin=CAR.vin,
        mode=kind,
        starts_at=at(starts),
        ends_at=at(ends),
        actor="li.wei",
        created_at=at(starts),
    )


def test_a_standing_root_cause_hushes_what_fired_after_it() -> None:
    found = ruling(alert(fired=5), cause(fired=0))
    assert (found.suppressed_by, found.until) == (f"rule:{CAUSE}", None)


def test_what_fired_well_before_the_cause_is_no_consequence() -> None:
    assert ruling(alert(fired=0), cause(fired=31)).suppressed_by is None
    assert ruling(alert(fired=0), cause(fired=30)).suppressed_by == f"rule:{CAUSE}"


def test_consequences_have_a_minute_after_the_cause_and_are_heard_then() -> None:
    gone = cause(fired=0, ended=100)
    standing = ruling(alert(fired=5), gone, now=159)
    assert (standing.suppressed_by, standing.until) == (f"rule:{CAUSE}", at(160))
    assert ruling(alert(fired=5), gone, now=160).suppressed_by is None
    assert ruling(alert(fired=5, ended=150), gone, now=9999).suppressed_by == f"rule:{CAUSE}"
    assert ruling(alert(fired=5, ended=200), gone, now=9999).suppressed_by is None


def test_no_root_cause_hushes_an_emergency() -> None:
    assert ruling(alert(fired=5, severity=4), cause()).suppressed_by is None
    assert ruling(alert(fired=5, severity=3), cause()).suppressed_by == f"rule:{CAUSE}"


def test_a_cause_may_be_of_the_same_instance_only() -> None:
    other = alert(fired=5, instance="ecu-1", equal=("vin", "instance"))
    assert ruling(other, cause(instance="ecu-2")).suppressed_by is None
    assert ruling(other, cause(instance="ecu-1")).suppressed_by is not None


def test_patterns_name_causes() -> None:
    lost = alert("network.lost_communication", 0, causes=())
    assert ruling(alert(fired=1, causes=("network.*",)), lost).suppressed_by is not None


def test_two_that_name_each_other_never_both_hush() -> None:
    first = alert("a.one", 0, causes=("b.two",))
    second = alert("b.two", 1, causes=("a.one",))
    assert ruling(first, second).suppressed_by is None
    assert ruling(second, first).suppressed_by == "rule:a.one"


def test_a_silence_holds_for_its_time_and_its_alerts() -> None:
    quiet = (silence(0, 600),)
    assert ruling(alert(fired=5), now=599, silences=quiet).until == at(600)
    assert ruling(alert(fired=5), now=600, silences=quiet).suppressed_by is None
    assert ruling(alert("tyre.flat", 5), now=10, silences=quiet).suppressed_by is None
    assert ruling(alert(fired=5, severity=4), now=10, silences=quiet).suppressed_by is None
    loud = (silence(0, 600, emergencies=True),)
    assert ruling(alert(fired=5, severity=4), now=10, silences=loud).suppressed_by is not None


@pytest.mark.parametrize(
    ("matchers", "hushed"),
    [
        ({"brand": "geely"}, True),
        ({"brand": "Volvo"}, False),
        ({"station_id": "hz", "severity_max": 2}, True),
        ({"station_id": "hz", "severity_max": 1}, False),
        ({"vin": CAR.vin, "rule": "codes.*"}, True),
        ({"vin": CAR.vin, "rule": "tyre.*"}, False),
    ],
)
def test_every_field_of_a_silence_must_fit(matchers: dict[str, object], hushed: bool) -> None:
    found = ruling(alert(fired=5), now=10, silences=(silence(0, 600, **matchers),))
    assert (found.suppressed_by is not None) == hushed


def test_a_silence_for_everything_is_refused() -> None:
    with pytest.raises(ValidationError):
        Matchers(severity_max=Severity.STOP)


@pytest.mark.parametrize("kind", list(Mode))
def test_a_mode_hushes_all_but_emergencies_except_in_a_demo(kind: Mode) -> None:
    away = (mode(kind, 0, 600),)
    assert ruling(alert(fired=5, severity=3), now=10, modes=away).suppressed_by == f"mode:{kind}"
    emergency = ruling(alert(fired=5, severity=4), now=10, modes=away)
    assert (emergency.suppressed_by is not None) == (kind is Mode.DEMO)
    assert ruling(alert(fired=5), now=601, modes=away).suppressed_by is None


def test_a_storm_folds_all_after_the_twentieth_and_drops_none() -> None:
    many = [alert(f"code.r{i:02}", i * 10) for i in range(25)]
    rulings, (storm,) = judge(many, Surroundings(CAR), LONG_AGO, at(1000))
    folded = [a.alert_id for a in many[20:]]
    assert list(storm.alerts) == folded
    assert {k for k, r in rulings.items() if r.suppressed_by} == set(folded)
    assert (storm.started_at, storm.ended_at, storm.severity) == (at(200), None, 2)


def test_twenty_in_five_minutes_are_no_storm_nor_are_emergencies() -> None:
    calm = [alert(f"code.r{i:02}", i * 10) for i in range(20)]
    assert judge(calm, Surroundings(CAR), LONG_AGO, at(1000))[1] == []
    wide = [alert(f"code.r{i:02}", i * 15) for i in range(40)]  # 20 in any 300 s
    assert judge(wide, Surroundings(CAR), LONG_AGO, at(1000))[1] == []
    worst = alert("fire.now", 190, severity=4)
    assert judge([*calm, worst], Surroundings(CAR), LONG_AGO, at(1000))[1] == []


def test_a_storm_is_over_when_all_it_stands_for_is() -> None:
    many = [alert(f"code.r{i:02}", i, 500 + i) for i in range(25)]
    (storm,) = judge(many, Surroundings(CAR), LONG_AGO, at(9000))[1]
    assert storm.ended_at == at(524)


def test_back_within_a_day_is_the_same_alert_counted_on() -> None:
    first, second = alert(fired=0, ended=10), alert(fired=86_000, ended=86_010)
    third, late = alert(fired=100_000, ended=100_010), alert(fired=300_000)
    rulings, _ = judge([late, third, first, second], Surroundings(CAR), LONG_AGO, at(400_000))
    assert [rulings[a.alert_id].occurrence for a in (first, second, third, late)] == [1, 2, 3, 1]
    assert rulings[third.alert_id].first_alert_id == first.alert_id
    assert rulings[late.alert_id].first_alert_id is None


rows = st.lists(
    st.builds(
        alert,
        st.sampled_from([CAUSE, CODE, "lamp.amber_warning", "tyre.flat"]),
        st.integers(0, 2000),
        st.none(),
        severity=st.integers(-1, 4),
        causes=st.sampled_from([(), (CAUSE,), (CODE, "lamp.*")]),
    ).flatmap(
        lambda a: st.integers(0, 900).map(
            lambda s: a.model_copy(update={"ended_at": a.fired_at + timedelta(seconds=s)})
        )
    ),
    max_size=60,
    unique_by=lambda a: a.alert_id,
)


@given(rows, st.randoms())
def test_the_order_of_rows_means_nothing(found: list[AlertFacts], shuffle: object) -> None:
    mixed = list(found)
    shuffle.shuffle(mixed)  # type: ignore[attr-defined]
    assert judge(mixed, Surroundings(CAR), LONG_AGO, at(9000)) == judge(
        found, Surroundings(CAR), LONG_AGO, at(9000)
    )


@given(rows)
def test_no_emergency_is_ever_hushed_by_other_alerts(found: list[AlertFacts]) -> None:
    rulings, _ = judge(found, Surroundings(CAR), LONG_AGO, at(9000))
    emergencies = [a for a in found if a.severity == Severity.EMERGENCY]
    assert all(rulings[a.alert_id].suppressed_by is None for a in emergencies)


def test_every_severity_has_its_group() -> None:
    terms = suppression_terms()
    waits = {s: terms.group_for(s).wait_s for s in Severity}
    assert waits == {-1: 300, 0: 300, 1: 300, 2: 300, 3: 10, 4: 10}
    repeats = [
        terms.group_for(s).repeat_s for s in (Severity.STOP, Severity.VISIT_SOON, Severity.REMIND)
    ]
    assert repeats == [900, 4 * 3600, 24 * 3600]
