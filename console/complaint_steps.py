"""What people do with complaints and incidents, each as one transaction."""

from __future__ import annotations

import uuid
from datetime import datetime

from console.acts import Act, seen
from console.work_bodies import ComplaintTold, IncidentOpenBody
from console.work_trail import (
    COMPLAINT,
    HEADQUARTERS,
    INCIDENT,
    brand_of,
    follow_clocks,
    or_logged,
    station_of,
    vehicle_of,
    write_down,
)
from dispatch import complaint, incident, work_clocks, work_messages
from dispatch.complaint import ComplaintStep, Proof
from dispatch.incident import IncidentStep
from dispatch.work_clocks import OPENED
from dispatch.work_terms import load_work_terms
from model.complaint import (
    Complaint,
    ComplaintState,
    Incident,
    IncidentCause,
    complaint_key,
    incident_key,
)
from store import clocks as clock_rows
from store import complaints, diagnosis_cases, outbox, work_orders
from store.database import Connection, Pool, transaction

WAITING = ComplaintState.WAITING_CUSTOMER


def open_complaint(conn: Connection, row: Complaint, act: Act) -> Complaint:
    """Write a new complaint and start its clocks; one that is here already stays as it is."""
    if not complaints.COMPLAINTS.insert(conn, row):
        return complaints.COMPLAINTS.find(conn, row.complaint_id)
    write_down(conn, COMPLAINT, row.complaint_id, OPENED, act, None, row.state, row.version)
    _complaint_clocks(conn, row, OPENED, Act(act.actor, row.opened_at))
    return row


def take_complaint(
    conn: Connection,
    row: Complaint,
    verb: ComplaintStep,
    act: Act,
    *,
    proof: Proof | None = None,
    owner: str | None = None,
) -> Complaint:
    """Write one step of a locked complaint. Waiting for the customer pauses what may wait.

    Raises TransitionError (nothing changed) and KeyReusedError.
    """
    wanted = load_work_terms(row.brand).complaint.proof
    after = or_logged(
        COMPLAINT,
        row.complaint_id,
        lambda: complaint.step(row, verb, now=act.now, reason=act.reason, proof=proof, owner=owner,
                               needed_proof=Proof(wanted) if wanted else None),
    )  # fmt: skip
    complaints.COMPLAINTS.save(conn, after)
    write_down(conn, COMPLAINT, row.complaint_id, verb, act, row.state, after.state, after.version)
    noun_id = str(row.complaint_id)
    if row.state is WAITING and after.state is not WAITING:
        clock_rows.resume(conn, COMPLAINT, noun_id, act.now)
    _complaint_clocks(conn, after, verb, act)
    if after.state is WAITING:
        clock_rows.pause(conn, COMPLAINT, noun_id, act.now, state=WAITING)
    return after


def _complaint_clocks(conn: Connection, row: Complaint, verb: str, act: Act) -> None:
    follow_clocks(conn, work_clocks.COMPLAINT, COMPLAINT, row.complaint_id, verb, row.state, act,
                  vehicle_of(conn, row.vin), brand=row.brand, variant=row.grade)  # fmt: skip


def move_complaint(
    pool: Pool,
    complaint_id: uuid.UUID,
    verb: ComplaintStep,
    act: Act,
    *,
    proof: Proof | None = None,
    owner: str | None = None,
) -> Complaint:
    """One step by a person. Raises UnknownRowError, and as `take_complaint` does."""
    with transaction(pool) as conn:
        row = complaints.COMPLAINTS.lock(conn, complaint_id)
        if seen(conn, COMPLAINT, str(complaint_id), verb, act):
            return row
        return take_complaint(conn, row, verb, act, proof=proof, owner=owner)


#: What an outside system that only tells "closed" has gone through without saying so.
UNTOLD = (ComplaintStep.ANSWER, ComplaintStep.PLAN, ComplaintStep.SOLVE)


def tell(pool: Pool, reference: str, told: ComplaintTold, act: Act) -> Complaint:
    """The CRM tells what it knows, as often as it likes: opened, answered, closed, confirmed.

    A complaint is only over with the proof its brand asks for; without it, it stays solved.
    Raises UnknownRowError and TransitionError.
    """
    with transaction(pool) as conn:
        row = _told(conn, reference, told, act)
        open_complaint(conn, row, act)
        now = complaints.COMPLAINTS.lock(conn, row.complaint_id)
        if told.first_reply_at is not None and now.state is ComplaintState.NEW:
            now = take_complaint(conn, now, ComplaintStep.ANSWER, _at(act, told.first_reply_at))
        if told.closed_at is None:
            return now
        closing = _at(act, told.closed_at)
        for verb in UNTOLD:
            if (now.state, verb) in complaint.TABLE:
                now = take_complaint(conn, now, verb, closing)
        if told.proof is not None and now.state is ComplaintState.SOLVED:
            now = take_complaint(conn, now, ComplaintStep.CONFIRM, closing, proof=told.proof)
        return now


def _told(conn: Connection, reference: str, told: ComplaintTold, act: Act) -> Complaint:
    vehicle = vehicle_of(conn, told.vin)
    if told.work_order_id is not None:
        work_orders.ROWS.find(conn, told.work_order_id)
    opened_at = min(told.opened_at, act.now)
    return Complaint(
        complaint_id=complaint_key("crm", reference),
        vin=told.vin,
        work_order_id=told.work_order_id,
        reference=reference,
        brand=told.profile.lower() or brand_of(vehicle),
        grade=told.grade,
        owner=told.owner or station_of(conn, vehicle) or HEADQUARTERS,
        text=told.text,
        opened_at=opened_at,
        changed_at=opened_at,
    )


def _at(act: Act, moment: datetime) -> Act:
    return Act(act.actor, min(moment, act.now), act.reason)


def open_incident(conn: Connection, row: Incident, act: Act) -> bool:
    """Write a new incident, tell headquarters, start its clocks; False when it is here already."""
    if not complaints.INCIDENTS.insert(conn, row):
        return False
    write_down(conn, INCIDENT, row.incident_id, OPENED, act, None, row.state, row.version)
    vehicle = vehicle_of(conn, row.vin)
    _incident_clocks(conn, row, OPENED, act)
    outbox.add(conn, work_messages.opened_incident(row, vehicle))
    return True


def move_incident(
    pool: Pool,
    incident_id: uuid.UUID,
    verb: IncidentStep,
    act: Act,
    *,
    text: str = "",
    owner: str | None = None,
) -> Incident:
    """One step by a person. Raises UnknownRowError, TransitionError and KeyReusedError."""
    with transaction(pool) as conn:
        row = complaints.INCIDENTS.lock(conn, incident_id)
        if seen(conn, INCIDENT, str(incident_id), verb, act):
            return row
        after = or_logged(
            INCIDENT,
            incident_id,
            lambda: incident.step(row, verb, now=act.now, text=text, owner=owner),
        )
        complaints.INCIDENTS.save(conn, after)
        write_down(conn, INCIDENT, incident_id, verb, act, row.state, after.state, after.version)
        _incident_clocks(conn, after, verb, act)
        return after


def _incident_clocks(conn: Connection, row: Incident, verb: str, act: Act) -> None:
    follow_clocks(conn, work_clocks.INCIDENT, INCIDENT, row.incident_id, verb, row.state, act,
                  vehicle_of(conn, row.vin), station_id=row.station_id)  # fmt: skip


def report_incident(pool: Pool, body: IncidentOpenBody, act: Act) -> uuid.UUID:
    """A person reports an incident; its id. Raises UnknownRowError and KeyReusedError."""
    with transaction(pool) as conn:
        vehicle = vehicle_of(conn, body.vin)
        if body.case_id is not None:
            diagnosis_cases.ROWS.find(conn, body.case_id)
        told = act.key or f"{body.vin}|{act.now.isoformat()}"
        key = incident_key(IncidentCause.PERSON, told)
        if not seen(conn, INCIDENT, str(key), OPENED, act):
            row = Incident(
                incident_id=key,
                vin=body.vin,
                case_id=body.case_id,
                cause=IncidentCause.PERSON,
                severity=body.severity,
                station_id=station_of(conn, vehicle),
                owner=HEADQUARTERS,
                report=body.report,
                opened_at=act.now,
                changed_at=act.now,
            )
            open_incident(conn, row, act)
        return key
