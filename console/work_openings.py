"""Opens cases, plans and work orders, and applies the repeat rule. Each in one transaction."""

from __future__ import annotations

import uuid
from dataclasses import replace
from datetime import datetime

from console.acts import Act, seen
from console.complaint_steps import open_incident
from console.plan_steps import draft_plan
from console.work_steps import order_clocks, take_case, take_order
from console.work_trail import (
    CASE,
    HEADQUARTERS,
    ORDER,
    brand_of,
    check_station,
    follow_clocks,
    station_of,
    vehicle_of,
    write_down,
)
from dispatch import clocks, diagnosis_case, work_clocks, work_messages
from dispatch.diagnosis_case import CaseStep
from dispatch.work_clocks import OPENED
from dispatch.work_order import OrderFacts, OrderStep
from dispatch.work_terms import WorkTerms, load_work_terms
from model.alerts import NAMESPACE
from model.complaint import Incident, IncidentCause, incident_key
from model.diagnosis_case import (
    EXPERT_LEVEL,
    STATION_LEVEL,
    DiagnosisCase,
    diagnosis_id,
    fault_key,
)
from model.severity import Severity
from model.vehicle import Vehicle
from model.work_order import (
    PRIORITY_SOURCES,
    OrderSource,
    WorkOrder,
    WorkOrderState,
    order_id,
)
from store import (
    alerts,
    diagnosis_cases,
    outbox,
    work_orders,
)
from store import clocks as clock_rows
from store.alerts import StoredAlert
from store.database import Connection, Pool, transaction

HIGH_VOLTAGE = frozenset({"electric", "hybrid"})
#: The car is back with its owner: what the fault does now says whether the repair holds.
REPAIRED = frozenset({WorkOrderState.HANDED_OVER, WorkOrderState.VERIFYING})


def open_case(conn: Connection, alert: StoredAlert, act: Act) -> DiagnosisCase:
    """The case of an alert, opened if there is none; a repeat is found and raised here.

    A fault that fires again while its case is open belongs to that case.
    """
    known = diagnosis_cases.of_alert(conn, alert.alert_id)
    if known is not None:
        return known
    key = fault_key(alert.rule_id, alert.instance)
    case = diagnosis_cases.open_of(conn, alert.vin, key)
    if case is not None:
        diagnosis_cases.attach(conn, alert.alert_id, case.case_id)
        order = work_orders.of_case(conn, case.case_id)
        if order is not None and _came_back(order, alert.fired_at):
            return fail_repair(conn, order, replace(act, reason="the fault came back", key=None))
        return case
    return _open_fresh(conn, alert, key, act)


def _came_back(order: WorkOrder, fired_at: datetime) -> bool:
    at = order.handed_over_at
    return order.state in REPAIRED and at is not None and fired_at > at


def _open_fresh(conn: Connection, alert: StoredAlert, key: str, act: Act) -> DiagnosisCase:
    vehicle = vehicle_of(conn, alert.vin)
    terms = load_work_terms(brand_of(vehicle))
    station = station_of(conn, vehicle)
    earlier = diagnosis_cases.closed_of(conn, alert.vin, key)
    _, odometer_km, _ = work_orders.heard(conn, alert.vin)
    if earlier and not diagnosis_case.is_repeat(earlier, alert.fired_at, odometer_km, terms.repeat):
        earlier = None
    case = DiagnosisCase(
        case_id=diagnosis_id(alert.alert_id),
        vin=alert.vin,
        alert_id=alert.alert_id,
        fault_key=key,
        rule_id=alert.rule_id,
        severity=alert.severity,
        station_id=station,
        owner=station or HEADQUARTERS,
        repeat_no=earlier.repeat_no + 1 if earlier else 1,
        repeat_of=earlier.case_id if earlier else None,
        opened_at=act.now,
        changed_at=act.now,
    )
    if not diagnosis_cases.ROWS.insert(conn, case):  # a rival was faster
        standing = diagnosis_cases.open_of(conn, alert.vin, key)
        assert standing is not None, "only an open case of the same fault is in the way"
        diagnosis_cases.attach(conn, alert.alert_id, standing.case_id)
        return standing
    diagnosis_cases.attach(conn, alert.alert_id, case.case_id)
    write_down(conn, CASE, case.case_id, OPENED, act, None, case.state, 0, repeat_no=case.repeat_no)
    _start_clocks(conn, case, vehicle, act)
    draft_plan(conn, case, alert, act)
    if earlier is not None:
        _reopen_order(conn, earlier, case, act)
    return raise_level(conn, case, vehicle, act, terms)


def _start_clocks(conn: Connection, case: DiagnosisCase, vehicle: Vehicle, act: Act) -> None:
    follow_clocks(conn, work_clocks.DIAGNOSIS_CASE, CASE, case.case_id, OPENED, case.state, act,
                  vehicle, station_id=case.station_id)  # fmt: skip
    if vehicle.powertrain in HIGH_VOLTAGE and case.severity >= Severity.REMIND:
        level = min(int(case.severity), int(Severity.STOP))
        promise = clocks.promise(clocks.GBT45688_HANDLING, vehicle.brand, f"level_{level}")
        clock_rows.start(conn, promise, CASE, str(case.case_id), act.now,
                         facts={"vin": vehicle.vin, "station_id": case.station_id})  # fmt: skip


def _reopen_order(conn: Connection, earlier: DiagnosisCase, case: DiagnosisCase, act: Act) -> None:
    """The order of the earlier case goes on under the new one."""
    order = work_orders.of_case(conn, earlier.case_id)
    if order is None or order.state not in {WorkOrderState.CLOSED, *REPAIRED}:
        return
    again = Act(act.actor, act.now, f"the same fault for the {case.repeat_no}. time")
    order = order.model_copy(update={"case_id": case.case_id})
    if order.state is WorkOrderState.HANDED_OVER:
        order = take_order(conn, order, OrderStep.VERIFY, again)
    closed = order.state is WorkOrderState.CLOSED
    take_order(conn, order, OrderStep.RECUR if closed else OrderStep.FAIL_VERIFICATION, again)


def fail_repair(conn: Connection, order: WorkOrder, act: Act) -> DiagnosisCase:
    """The stream shows that a repair has not held: the order reopens, its case begins again."""
    case_id = order.case_id
    assert case_id is not None, "without a case nothing is known about the fault"
    if order.state is WorkOrderState.HANDED_OVER:
        order = take_order(conn, order, OrderStep.VERIFY, act)
    take_order(conn, order, OrderStep.FAIL_VERIFICATION, act)
    case = diagnosis_cases.ROWS.lock(conn, case_id)
    if (case.state, CaseStep.REPEAT) not in diagnosis_case.TABLE:
        return case  # somebody has closed it; the next alert opens another
    case = take_case(conn, case, CaseStep.REPEAT, act)
    vehicle = vehicle_of(conn, case.vin)
    return raise_level(conn, case, vehicle, act, load_work_terms(brand_of(vehicle)))


def raise_level(
    conn: Connection, case: DiagnosisCase, vehicle: Vehicle, act: Act, terms: WorkTerms
) -> DiagnosisCase:
    """Give a case the help its severity and its repeats ask for; headquarters hears of a repeat."""
    level, reason = diagnosis_case.wanted_level(case, terms.repeat)
    if case.repeat_no >= terms.repeat.escalate_at:
        outbox.add(conn, work_messages.repeated(case, vehicle))
    if level <= STATION_LEVEL:
        return case
    act = Act(act.actor, act.now, reason)
    if level > case.level:
        verb = CaseStep.CALL_EXPERT if level >= EXPERT_LEVEL else CaseStep.ESCALATE
        case = take_case(conn, case, verb, act)
    if case.repeat_no >= terms.repeat.incident_at:
        case = raise_incident(conn, case, IncidentCause.REPEAT, f"{case.case_id}/{case.repeat_no}",
                              act)  # fmt: skip
    return case


def raise_incident(
    conn: Connection, case: DiagnosisCase, cause: IncidentCause, subject: str, act: Act
) -> DiagnosisCase:
    """Open the incident of a case, once an occasion."""
    incident = Incident(
        incident_id=incident_key(cause, subject),
        vin=case.vin,
        case_id=case.case_id,
        cause=cause,
        rule_id=case.rule_id,
        severity=case.severity,
        station_id=case.station_id,
        owner=HEADQUARTERS,
        opened_at=act.now,
        changed_at=act.now,
    )
    if not open_incident(conn, incident, replace(act, key=None)):
        return case
    if (case.state, CaseStep.RAISE_INCIDENT) not in diagnosis_case.TABLE:
        return case
    return take_case(conn, case, CaseStep.RAISE_INCIDENT, act)


def case_of_alert(pool: Pool, alert_id: uuid.UUID, act: Act) -> DiagnosisCase:
    """A person opens the case of an alert, whatever its severity. Raises UnknownRowError."""
    with transaction(pool) as conn:
        alerts.lock_handling(conn, alert_id)
        return open_case(conn, alerts.find(conn, alert_id), act)


def order_of_case(pool: Pool, case_id: uuid.UUID, act: Act, facts: OrderFacts) -> WorkOrder:
    """Request the visit of a case; the order that is there already is answered.

    Raises UnknownRowError and KeyReusedError.
    """
    with transaction(pool) as conn:
        check_station(conn, facts.station_id)
        case = diagnosis_cases.ROWS.lock(conn, case_id)
        standing = work_orders.of_case(conn, case_id)
        if standing is not None:
            return standing
        order = _order(
            case.vin,
            order_id(case_id),
            OrderSource.ALERT,
            facts.station_id or case.station_id,
            facts,
            act,
            case_id=case_id,
            urgent=case.severity >= Severity.STOP or case.repeat_no > 1,
        )
        return _open_order(conn, order, act)


def order_of_vehicle(
    pool: Pool, vin: str, source: OrderSource, act: Act, facts: OrderFacts
) -> WorkOrder:
    """Request a visit without a case. Raises UnknownRowError and KeyReusedError."""
    with transaction(pool) as conn:
        check_station(conn, facts.station_id)
        vehicle = vehicle_of(conn, vin)
        told = act.key or act.now.isoformat()
        key = uuid.uuid5(NAMESPACE, f"work_order|{vin}|{told}")
        if seen(conn, ORDER, str(key), OrderStep.REQUEST, act):
            return work_orders.ROWS.find(conn, key)
        station = facts.station_id or station_of(conn, vehicle)
        return _open_order(conn, _order(vin, key, source, station, facts, act), act)


def _order(
    vin: str,
    key: uuid.UUID,
    source: OrderSource,
    station: str | None,
    facts: OrderFacts,
    act: Act,
    *,
    case_id: uuid.UUID | None = None,
    urgent: bool = False,
) -> WorkOrder:
    return WorkOrder(
        work_order_id=key,
        vin=vin,
        case_id=case_id,
        source=source,
        priority_lane=urgent or source in PRIORITY_SOURCES,
        loaner_needed=bool(facts.loaner_needed),
        station_id=station,
        owner=facts.owner or station or HEADQUARTERS,
        state=WorkOrderState.REQUESTED,
        complaint=facts.complaint or "",
        items=facts.items or (),
        parts=facts.parts or (),
        opened_at=act.now,
        changed_at=act.now,
    )


def _open_order(conn: Connection, order: WorkOrder, act: Act) -> WorkOrder:
    if not work_orders.ROWS.insert(conn, order):
        return work_orders.ROWS.find(conn, order.work_order_id)
    write_down(conn, ORDER, order.work_order_id, OrderStep.REQUEST, act, None, order.state, 0)
    order_clocks(conn, order, OrderStep.REQUEST, act)
    return order


def emergency_incident(conn: Connection, alert: StoredAlert, act: Act) -> None:
    """Severity 4 is an incident, and a case for an engineer."""
    case = diagnosis_cases.of_alert(conn, alert.alert_id)
    assert case is not None, "claimed with its case"
    case = diagnosis_cases.ROWS.lock(conn, case.case_id)
    act = Act(act.actor, act.now, "severity 4")
    raise_incident(conn, case, IncidentCause.EMERGENCY, str(case.case_id), act)


def cluster_incident(conn: Connection, vin: str, rule_id: str, subject: str, act: Act) -> bool:
    """Many cars of one model with one fault at one station are one incident."""
    vehicle = vehicle_of(conn, vin)
    row = Incident(
        incident_id=incident_key(IncidentCause.CLUSTER, subject),
        vin=vin,
        cause=IncidentCause.CLUSTER,
        rule_id=rule_id,
        severity=Severity.STOP,
        station_id=vehicle.preferred_station or None,
        owner=HEADQUARTERS,
        opened_at=act.now,
        changed_at=act.now,
    )
    return open_incident(conn, row, act)


def cohort_incident(
    conn: Connection, vin: str, rule_id: str, severity: Severity, subject: str, act: Act
) -> bool:
    """Too many cars of one model with one kind of fault are an incident for the maker."""
    row = Incident(
        incident_id=incident_key(IncidentCause.COHORT, subject),
        vin=vin,
        cause=IncidentCause.COHORT,
        rule_id=rule_id,
        severity=severity,
        owner=HEADQUARTERS,
        opened_at=act.now,
        changed_at=act.now,
    )
    return open_incident(conn, row, act)
