"""Masters, alerts, cases, clocks, maintenance, outbox, audit: rows people act on."""

from __future__ import annotations

import hashlib
import itertools
import random
import threading
import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from psycopg import errors

from model.alerts import AlertState, AlertTransition, Handling, alert_id
from model.clock import NS, utc
from model.effects import LastValues, OutboxRecord, VehicleSnapshot
from model.maintenance import DueAssessment, DueState, MaintenanceItem
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
from store.database import Connection, UnknownRowError, connect

NOW = datetime(2025, 6, 1, 8, tzinfo=UTC)
START_NS = 1_700_000_000 * NS


def step(
    vin: str, state: AlertState, at_s: float, severity: Severity = Severity.STOP, **more: object
) -> AlertTransition:
    made = AlertTransition(
        alert_id=alert_id("r", vin, "", START_NS), rule_id="r", rule_version=1, vin=vin,
        instance="", state=state, severity=severity, started_ns=START_NS,
        at_ns=START_NS + round(at_s * NS), evidence={"t": at_s}, thresholds={"stop": 118.0},
    )  # fmt: skip
    return replace(made, **more)  # type: ignore[arg-type]


def test_alerts_come_out_the_same_in_whatever_order_and_however_often(
    conn: Connection, fleet: dict[str, int]
) -> None:
    vin = next(iter(fleet))
    steps = [
        step(vin, AlertState.FIRING, 5, Severity.VISIT_SOON),
        step(vin, AlertState.FIRING, 9, history=True),
        step(vin, AlertState.STALE, 20),
        step(vin, AlertState.CLEARED, 20),
    ]
    seen = set()
    for order in itertools.permutations(steps):
        for size in (1, 2, 4):
            for i in range(0, 4, size):
                alerts.fold(conn, order[i : i + size])
            alerts.fold(conn, random.Random(1).choices(order, k=3))
            seen.add(alerts.find(conn, steps[0].alert_id).model_dump_json())
            conn.rollback()
    (only,) = seen
    alerts.fold(conn, steps)
    alert = alerts.find(conn, steps[0].alert_id)
    assert alert.model_dump_json() == only
    assert (alert.state, alert.severity, alert.history) == (
        AlertState.CLEARED,
        Severity.STOP,
        False,
    )
    assert alert.started_at == utc(START_NS) and alert.fired_at == utc(START_NS + 5 * NS)
    assert alert.changed_at == alert.cleared_at == utc(START_NS + 20 * NS)
    assert alert.evidence == {"t": 9.0} and alert.vin == vin


def test_after_a_retraction_what_follows_is_the_whole_truth(
    conn: Connection, fleet: dict[str, int]
) -> None:
    vin = next(iter(fleet))
    early = [step(vin, AlertState.FIRING, 9), step(vin, AlertState.RETRACTED, 9)]
    again = step(vin, AlertState.FIRING, 7, Severity.VISIT_SOON)
    for cut in (0, 1, 2):
        alerts.fold(conn, early[:cut])
        alerts.fold(conn, [*early[cut:], again])
        alert = alerts.find(conn, again.alert_id)
        assert (alert.state, alert.severity) == (AlertState.FIRING, Severity.VISIT_SOON)
        assert alert.fired_at == alert.changed_at == utc(START_NS + 7 * NS)
        assert alert.evidence == {"t": 7.0}
        conn.rollback()


def test_folding_never_touches_what_people_did(conn: Connection, fleet: dict[str, int]) -> None:
    vin = next(iter(fleet))
    fired = step(vin, AlertState.FIRING, 5)
    alerts.fold(conn, [fired])
    assert alerts.lock_handling(conn, fired.alert_id) is Handling.NEW
    alerts.set_handling(conn, fired.alert_id, Handling.ACKNOWLEDGED)
    alerts.fold(conn, [fired, step(vin, AlertState.CLEARED, 9)])
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
    alerts.fold(conn, made)
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
    alerts.fold(conn, [moment])
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
    clocks.start(conn, "arrival", early.case_id, NOW, NOW + timedelta(hours=1), NOW)
    clocks.start(conn, "arrival", early.case_id, NOW, NOW + timedelta(hours=9), NOW)
    conn.commit()
    assert cases.claim_without_clock(conn, "arrival") is None
    assert [c.case_id for c in cases.page(conn)] == [late.case_id, early.case_id]
    first = cases.page(conn, limit=1)[0]
    assert cases.page(conn, before=(first.requested_at, first.case_id)) == [early]


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


def test_clocks_are_claimed_announced_and_stopped(
    conn: Connection, rival: Connection, fleet: dict[str, int]
) -> None:
    case = requested(conn, next(iter(fleet)))
    due = NOW + timedelta(minutes=30)
    clocks.start(conn, "arrival", case.case_id, NOW, due, NOW + timedelta(minutes=15))
    conn.commit()
    assert clocks.claim_due(conn, NOW) is None
    row = clocks.claim_due(conn, NOW + timedelta(minutes=15))
    assert row is not None and (row.due_at, row.warned_percent) == (due, 0)
    assert clocks.claim_due(rival, NOW + timedelta(hours=1)) is None
    clocks.announced(conn, row.clock_id, 50, NOW + timedelta(minutes=24))
    clocks.stop(conn, "arrival", case.case_id, NOW + timedelta(minutes=20))
    clocks.stop(conn, "arrival", case.case_id, NOW + timedelta(minutes=21))
    clocks.announced(conn, row.clock_id, 80, NOW)
    (stopped,) = clocks.of_cases(conn, [case.case_id])
    assert (stopped.stopped_at, stopped.next_check_at, stopped.warned_percent) == (
        NOW + timedelta(minutes=20), None, 50,
    )  # fmt: skip
    assert clocks.claim_due(conn, NOW + timedelta(days=1)) is None


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
    rows = {r.item.vin: r for r in maintenance.claim_unassessed(conn, NOW, 10)}
    assert maintenance.claim_unassessed(rival, NOW, 10) == []
    assert rows[vins[0]].odometer_km == 10_800.5 and rows[vins[0]].odometer_at == utc(START_NS)
    assert rows[vins[1]].odometer_km is None and rows[vins[1]].item == item(vins[1])
    found = DueAssessment(
        state=DueState.DUE_SOON, remaining_km=199.5, remaining_days=None, due_at=NOW, reason="km"
    )
    maintenance.save_assessment(conn, rows[vins[0]], found, at=NOW, odometer_km=10_800.5)
    assert [r.item.vin for r in maintenance.claim_unassessed(conn, NOW, 10)] == [vins[1]]
    (due,) = maintenance.due_page(conn)
    assert (due.item.state, due.remaining_km, due.due_at) == (DueState.DUE_SOON, 199.5, NOW)
    assert maintenance.due_page(conn, after=(vins[0], "oil")) == []
    locked = maintenance.lock(conn, vins[0], "oil")
    maintenance.rebase(conn, locked.vehicle_id, "oil", odometer_km=10_900.0, at=NOW)
    maintenance.save_assessment(conn, locked, found, at=NOW, odometer_km=1.0)
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
