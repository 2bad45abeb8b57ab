"""Masters, alerts, cases, clocks, maintenance, outbox, audit: rows people act on."""

from __future__ import annotations

import hashlib
import threading
import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from psycopg import errors

from model.alerts import AlertState, AlertTransition, Handling, alert_id
from model.clock import NS, utc
from model.effects import LastValues, OutboxRecord, VehicleSnapshot
from model.maintenance import DueAssessment, DueState, ItemHandling, MaintenanceItem
from model.promises import Promise
from model.rescue import CaseState, RescueCase, case_id
from model.severity import Severity
from model.vehicle import RescueUnit, Station, Vehicle, Zone
from store import (
    alerts,
    audit,
    cases,
    clocks,
    maintenance,
    masters,
    outbox,
    signal_names,
    vehicle_state,
)
from store import maintenance_vehicles as care_rows
from store.database import Connection, UnknownRowError, connect
from store.maintenance import Assessed

NOW = datetime(2025, 6, 1, 8, tzinfo=UTC)
START_NS = 1_700_000_000 * NS


def step(
    vin: str, state: AlertState, at_s: float, severity: Severity = Severity.STOP, **more: object
) -> AlertTransition:
    at_ns = START_NS + round(at_s * NS)
    made = AlertTransition(
        alert_id=alert_id("r", vin, "", START_NS), rule_id="r", rule_version=1, vin=vin,
        instance="", state=state, severity=severity, started_ns=START_NS,
        at_ns=at_ns, fired_ns=at_ns, worst_ns=at_ns,
        evidence={"t": at_s}, thresholds={"stop": 118.0},
    )  # fmt: skip
    return replace(made, **more)  # type: ignore[arg-type]


def test_an_alert_is_what_was_said_last(conn: Connection, fleet: dict[str, int]) -> None:
    vin = next(iter(fleet))
    times = {"fired_ns": START_NS + 5 * NS, "worst_ns": START_NS + 9 * NS}
    steps = [
        step(vin, AlertState.FIRING, 9),
        step(vin, AlertState.CLEARED, 30),
        step(vin, AlertState.STALE, 20, Severity.VISIT_SOON, history=True, **times),
    ]
    for cut in range(len(steps)):
        alerts.write(conn, steps[:cut])
        alerts.write(conn, steps[cut:])
        alert = alerts.find(conn, steps[0].alert_id)
        assert (alert.state, alert.severity) == (AlertState.STALE, Severity.VISIT_SOON)
        assert not alert.history and alert.cleared_at is None
        assert alert.started_at == utc(START_NS) and alert.fired_at == utc(START_NS + 5 * NS)
        assert alert.worst_at == utc(START_NS + 9 * NS)
        assert alert.changed_at == utc(START_NS + 20 * NS)
        assert alert.evidence == {"t": 20.0} and alert.vin == vin
        conn.rollback()


def test_history_is_what_was_never_told_live(conn: Connection, fleet: dict[str, int]) -> None:
    vin = next(iter(fleet))
    alerts.write(conn, [step(vin, AlertState.FIRING, 9, history=True)])
    cleared = step(vin, AlertState.CLEARED, 30, history=True)
    alerts.write(conn, [cleared])
    alert = alerts.find(conn, cleared.alert_id)
    assert alert.history and alert.cleared_at == alert.changed_at == utc(START_NS + 30 * NS)


def test_writing_never_touches_what_people_did(conn: Connection, fleet: dict[str, int]) -> None:
    vin = next(iter(fleet))
    fired = step(vin, AlertState.FIRING, 5)
    alerts.write(conn, [fired])
    assert alerts.lock_handling(conn, fired.alert_id) is Handling.NEW
    alerts.set_handling(conn, fired.alert_id, Handling.ACKNOWLEDGED)
    alerts.write(conn, [fired, step(vin, AlertState.CLEARED, 9)])
    assert alerts.find(conn, fired.alert_id).handling is Handling.ACKNOWLEDGED
    with pytest.raises(UnknownRowError, match="no such alert"):
        alerts.lock_handling(conn, uuid.uuid4())


def test_alert_pages_meet_without_gap_or_overlap(conn: Connection, fleet: dict[str, int]) -> None:
    vins = list(fleet)
    made = [
        step(
            vins[i % 5], AlertState.FIRING if i % 3 else AlertState.CLEARED, i // 4,
            Severity(i % 5), alert_id=uuid.UUID(int=i),
        )
        for i in range(40)
    ]  # fmt: skip
    alerts.write(conn, made)
    found: list[alerts.StoredAlert] = []
    while page := alerts.page(
        conn, limit=7, before=(found[-1].fired_at, found[-1].alert_id) if found else None
    ):
        found += page
    expected = sorted(made, key=lambda t: (-t.at_ns, t.alert_id))
    assert [a.alert_id for a in found] == [t.alert_id for t in expected]
    opened: list[alerts.StoredAlert] = []
    while page := alerts.open_page(
        conn, limit=7,
        after=(opened[-1].severity, opened[-1].fired_at, opened[-1].alert_id) if opened else None,
    ):  # fmt: skip
        opened += page
    firing = [t for t in made if t.state is AlertState.FIRING]
    worst = sorted(firing, key=lambda t: (-t.severity, -t.at_ns, t.alert_id))
    assert [a.alert_id for a in opened] == [t.alert_id for t in worst]
    of_one = alerts.page(conn, vin=vins[0], min_severity=Severity.STOP, open_only=True)
    assert {a.vin for a in of_one} <= {vins[0]} and all(a.severity >= 3 for a in of_one)


def requested(conn: Connection, vin: str, at: datetime = NOW, **more: object) -> RescueCase:
    moment = step(vin, AlertState.FIRING, at.timestamp() % 1000, alert_id=uuid.uuid4())
    alerts.write(conn, [moment])
    case = RescueCase(
        case_id=case_id(moment.alert_id), alert_id=moment.alert_id, vin=vin,
        severity=Severity.STOP, state=CaseState.REQUESTED, latitude_deg=30.0, longitude_deg=120.0,
        zone=Zone.CITY, requested_at=at,
    )  # fmt: skip
    case = case.model_copy(update=more)
    cases.insert_requested(conn, [case, case])
    return case


def test_a_case_is_opened_once_and_changed_by_version(
    conn: Connection, fleet: dict[str, int]
) -> None:
    case = requested(conn, next(iter(fleet)))
    assert cases.lock(conn, case.case_id) == case == cases.of_alert(conn, case.alert_id)
    confirmed = case.model_copy(update={"state": CaseState.CONFIRMED, "version": 1})
    cases.save(conn, confirmed)
    cases.insert_requested(conn, [case])
    assert cases.find(conn, case.case_id) == confirmed
    with pytest.raises(cases.CaseChangedError, match="no longer at version 0"):
        cases.save(conn, confirmed)
    with pytest.raises(UnknownRowError, match="no such case"):
        cases.find(conn, uuid.uuid4())


def test_rivals_claim_different_cases(
    conn: Connection, rival: Connection, fleet: dict[str, int]
) -> None:
    vins = list(fleet)
    early = requested(conn, vins[0], NOW, state=CaseState.CONFIRMED)
    late = requested(conn, vins[1], NOW + timedelta(seconds=1), state=CaseState.CONFIRMED)
    conn.commit()
    assert cases.claim_confirmed(conn) == early
    assert cases.claim_confirmed(rival) == late
    assert cases.claim_without_clock(rival, "arrival") == late
    conn.commit()
    arrival = Promise(kind="arrival", zh="到达", en="arrival", target_s=3600)
    assert clocks.start(conn, arrival, "rescue_case", str(early.case_id), NOW)
    assert not clocks.start(conn, arrival, "rescue_case", str(early.case_id), NOW)
    conn.commit()
    assert cases.claim_without_clock(conn, "arrival") is None
    assert [c.case_id for c in cases.page(conn)] == [late.case_id, early.case_id]
    first = cases.page(conn, limit=1)[0]
    assert cases.page(conn, before=(first.requested_at, first.case_id)) == [early]


def test_the_most_severe_case_is_claimed_before_older_ones(
    conn: Connection, fleet: dict[str, int]
) -> None:
    vins, waits = list(fleet), CaseState.CONFIRMED
    older = requested(conn, vins[0], NOW, state=waits)
    worse = [
        requested(conn, vin, NOW + timedelta(seconds=s), state=waits, severity=Severity.EMERGENCY)
        for vin, s in ((vins[1], 2), (vins[2], 1))
    ]
    for expected in (worse[1], worse[0], older):
        assert cases.claim_confirmed(conn) == expected
        cases.save(conn, expected.model_copy(update={"state": CaseState.CANCELLED, "version": 1}))


def test_offers_that_are_too_old_are_found(conn: Connection, fleet: dict[str, int]) -> None:
    crew(conn)
    case = requested(conn, next(iter(fleet)), state=CaseState.OFFERED, unit_id="u1", offered_at=NOW)
    assert cases.claim_offered_before(conn, NOW) is None
    assert cases.claim_offered_before(conn, NOW + timedelta(seconds=1)) == case


def crew(conn: Connection, n: int = 1) -> list[RescueUnit]:
    masters.upsert_stations(
        conn,
        [Station(station_id="s", name="站", latitude_deg=30, longitude_deg=120, zone=Zone.CITY)],
    )
    units = [
        RescueUnit(
            unit_id=f"u{i}", station_id="s", name=f"{i}号", capabilities=frozenset({"tow", "hv"}),
            on_duty=True, latitude_deg=30, longitude_deg=120,
        )
        for i in range(1, n + 1)
    ]  # fmt: skip
    masters.upsert_units(conn, units)
    return units


def test_one_unit_never_goes_to_two_cases(
    dsn: str, conn: Connection, fleet: dict[str, int]
) -> None:
    units = crew(conn, 3)
    wanted = [requested(conn, list(fleet)[i % 5]).case_id for i in range(12)]
    conn.commit()
    assert masters.free_units(conn) == units
    conn.commit()
    won: list[tuple[str, uuid.UUID]] = []

    def run(case: uuid.UUID) -> None:
        with connect(dsn) as mine:
            for unit in units:
                if masters.engage_unit(mine, unit.unit_id, case):
                    won.append((unit.unit_id, case))
                    mine.commit()
                    return

    threads = [threading.Thread(target=run, args=(c,)) for c in wanted]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert sorted(u for u, _ in won) == ["u1", "u2", "u3"]
    assert masters.free_units(conn) == []
    unit, case = won[0]
    masters.release_unit(conn, unit, uuid.uuid4())
    assert masters.free_units(conn) == []
    masters.release_unit(conn, unit, case)
    masters.upsert_units(conn, units)
    assert [u.unit_id for u in masters.free_units(conn)] == [unit]
    masters.set_duty(conn, unit, False)
    assert masters.free_units(conn) == [] and not masters.engage_unit(conn, unit, case)


def test_the_schema_itself_refuses_one_unit_in_two_cases(
    conn: Connection, fleet: dict[str, int]
) -> None:
    crew(conn)
    for vin in list(fleet)[:2]:
        case = requested(conn, vin)
        taken = case.model_copy(update={"state": CaseState.ACCEPTED, "unit_id": "u1", "version": 1})
        if vin == next(iter(fleet)):
            cases.save(conn, taken)
        else:
            with pytest.raises(errors.UniqueViolation):
                cases.save(conn, taken)


def test_the_outbox_leases_retries_and_gives_up(conn: Connection, rival: Connection) -> None:
    made = [OutboxRecord(f"k{i}", "kind", {"i": i}) for i in range(4)]
    outbox.add(conn, *made)
    outbox.add(conn, made[0], OutboxRecord("k1", "other", {}))
    conn.commit()
    later = datetime.now(UTC) + timedelta(seconds=1)
    lease = later + timedelta(seconds=60)
    first = outbox.claim(conn, later, lease, 3)
    assert [c.record for c in first] == made[:3] and {c.attempts for c in first} == {1}
    assert [c.record for c in outbox.claim(rival, later, lease, 9)] == made[3:]
    conn.commit()
    rival.commit()
    assert outbox.claim(conn, later, lease, 9) == []
    outbox.mark_sent(conn, first[0], later)
    outbox.mark_failed(conn, first[1], "503", later + timedelta(seconds=5))
    outbox.mark_dead(conn, first[2], "410", later)
    assert outbox.counts(conn) == {"waiting": 2, "sent": 1, "dead": 1}
    (again,) = outbox.claim(conn, later + timedelta(seconds=5), lease, 9)
    assert again.record == made[1] and again.attempts == 2
    outbox.mark_failed(conn, first[1], "late word of the first try", later)
    assert outbox.claim(conn, later + timedelta(seconds=6), lease, 9) == []


def test_gateways_are_known_by_the_hash_of_their_token(
    conn: Connection, fleet: dict[str, int]
) -> None:
    vins = list(fleet)
    token = masters.create_gateway(conn, "gw", vins[:2])
    hashed = hashlib.sha256(token.encode()).digest()
    found = masters.find_gateway(conn, hashed)
    assert found is not None and found.vins == set(vins[:2])
    stored = conn.execute("select gateway::text from gateway").fetchone()
    assert stored is not None and token not in str(stored[0])
    masters.bind_gateway(conn, "gw", [])
    found = masters.find_gateway(conn, hashed)
    assert found is not None and found.vins == frozenset()
    fresh = masters.create_gateway(conn, "gw", vins)
    assert masters.find_gateway(conn, hashed) is None
    masters.revoke_gateway(conn, "gw")
    assert masters.find_gateway(conn, hashlib.sha256(fresh.encode()).digest()) is None
    with pytest.raises(UnknownRowError, match="no such vehicle"):
        masters.create_gateway(conn, "gw2", ["LRDCALL0000000999"])


def test_vehicles_are_found_by_part_of_vin_or_plate(
    conn: Connection, fleet: dict[str, int]
) -> None:
    vins = list(fleet)
    changed = Vehicle(vin=vins[2], profile="demo_ev", plate="浙A12345", powertrain="electric")
    assert masters.upsert_vehicles(conn, [changed]) == {vins[2]: fleet[vins[2]]}
    assert masters.vehicle(conn, vins[2]) == changed
    assert masters.vehicle_page(conn, search="浙a123") == [changed]
    assert [v.vin for v in masters.vehicle_page(conn, search=vins[3][-4:].lower())] == [vins[3]]
    assert masters.vehicle_page(conn, search="%") == []
    pages = masters.vehicle_page(conn, limit=2), masters.vehicle_page(conn, after=vins[1], limit=9)
    assert [v.vin for page in pages for v in page] == vins


def item(vin: str, kind: str = "oil") -> MaintenanceItem:
    return MaintenanceItem(
        vin=vin, kind=kind, interval_km=10_000, base_odometer_km=1_000.0, base_at=NOW
    )


def test_maintenance_is_assessed_from_the_newest_odometer(
    conn: Connection, rival: Connection, fleet: dict[str, int]
) -> None:
    vins = list(fleet)
    last = LastValues({"odometer_km": (10_800.5, START_NS)})
    snapshot = (VehicleSnapshot(fleet[vins[0]], START_NS, START_NS, last, {}), "demo_car")
    units = dict.fromkeys(vehicle_state.names_in([snapshot]), "km")
    vehicle_state.upsert(conn, [snapshot], signal_names.numbers_of(conn).of(conn, units))
    maintenance.upsert(conn, [item(vins[0]), item(vins[1])])
    conn.commit()
    claimed = care_rows.claim_to_assess(conn, NOW, 10)
    assert {c.vin for c in claimed} == set(vins)
    assert care_rows.claim_to_assess(rival, NOW, 10) == []
    values = care_rows.newest_values(conn, list(fleet.values()), ["odometer_km", "gear"])
    assert values == {fleet[vins[0]]: {"odometer_km": (10_800.5, utc(START_NS))}}
    rows = maintenance.of_vehicles(conn, [fleet[vins[0]], fleet[vins[1]]])
    (first,), (second,) = rows.values()
    assert second.odometer_km is None and second.item == item(vins[1])
    found = DueAssessment(
        state=DueState.DUE_SOON, remaining_km=199.5, remaining_days=None, due_at=NOW, reason="km"
    )
    looked = Assessed(
        first.vehicle_id, first.cycle, first.item, found, ItemHandling.OPEN, None, NOW, 0
    )
    maintenance.save_assessments(conn, [looked], NOW)
    care_rows.assessed(conn, [first.vehicle_id], NOW + timedelta(seconds=60))
    conn.commit()
    assert {c.vin for c in care_rows.claim_to_assess(conn, NOW, 10)} == set(vins[1:])
    (due,) = maintenance.due_page(conn)
    assert (due.item.state, due.remaining_km, due.due_at) == (DueState.DUE_SOON, 199.5, NOW)
    assert maintenance.due_page(conn, after=(vins[0], "oil")) == []
    assert maintenance.due_page(conn, station_id="nowhere") == []
    locked = maintenance.lock(conn, vins[0], "oil")
    maintenance.rebase(conn, locked, odometer_km=10_900.0, at=NOW, actor="li.wei")
    maintenance.save_assessments(conn, [looked], NOW)
    (after,) = maintenance.of_vehicle(conn, vins[0])
    assert (after.cycle, after.item.state, after.item.base_odometer_km) == (1, DueState.OK, 10_900)
    assert after.assessed_at is None, "an assessment of the cycle before changes nothing"


def test_audit_lines_are_kept_once_for_each_key(conn: Connection) -> None:
    assert audit.append(conn, "alert", "1", "acknowledge", actor="li.wei", key="k", detail={"a": 1})
    assert not audit.append(conn, "alert", "2", "acknowledge", actor="li.wei", key="k")
    assert audit.append(conn, "alert", "1", "dismiss", actor="system", reason="why")
    assert audit.append(conn, "alert", "1", "dismiss", actor="system")
    assert [line.step for line in audit.of(conn, "alert", "1")] == [
        "acknowledge", "dismiss", "dismiss",
    ]  # fmt: skip
    line = audit.by_key(conn, "k")
    assert line is not None and (line.noun_id, line.detail) == ("1", {"a": 1})
    assert audit.by_key(conn, "unknown") is None
