"""One step of a rescue case, and everything that follows from it, in one transaction.

`dispatch.rescue` says what a step means, `store` keeps it; this module joins the two: units are
engaged and released, crews told, clocks started and stopped, offers answered, alerts handled.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from datetime import timedelta

import structlog

from console.acts import Act, append, seen
from dispatch import clocks, messages, rescue
from dispatch.geodesy import great_circle_km
from dispatch.rescue import CLOSED, ENGAGED, Step, engaged_units
from model.alerts import Handling
from model.effects import OutboxRecord
from model.errors import TransitionError
from model.promises import Fact
from model.rescue import CaseState, RescueCase
from model.vehicle import Vehicle
from store import alerts, cases, masters, notify, offers, outbox, rescue_units
from store import clocks as clock_rows
from store.database import Connection, Pool, transaction

log = structlog.get_logger("roadcall.steps")

NOUN = "rescue_case"
#: What becomes of the alert when its case gets there (domain.md 6.2).
HANDLING = {
    CaseState.CONFIRMED: Handling.ACKNOWLEDGED,
    CaseState.ACCEPTED: Handling.IN_PROGRESS,
    CaseState.CLEARED: Handling.RESOLVED,
}
#: The crew's own buttons: accept and decline mean something else to a second crew.
ALSO = {
    Step.ACCEPT: (Step.JOIN,),
    Step.DECLINE: (Step.LEAVE, Step.HAND_OVER),
}
#: After these the crew knows that it is free.
KNOWN = frozenset({Step.CLEAR, Step.GONE})


def take(
    pool: Pool,
    case_id: uuid.UUID,
    verb: Step,
    act: Act,
    unit_id: str | None = None,
    changes: Mapping[str, object] | None = None,
) -> RescueCase:
    """Take one step of a case. `unit_id` says which crew acts, where one does.

    Raises UnknownRowError, TransitionError (nothing changed), KeyReusedError and
    StoreUnavailableError.
    """
    with transaction(pool) as conn:
        case = cases.lock(conn, case_id)
        if seen(conn, NOUN, str(case_id), verb, act, ALSO.get(verb, ())):
            return case
        return apply(conn, case, meant(case, verb, unit_id), act, unit_id, changes)


def meant(case: RescueCase, verb: Step, unit_id: str | None) -> Step:
    """What a crew's button means: a second crew joins or leaves, the first hands over."""
    if unit_id is not None and unit_id == case.second_unit_id:
        return {Step.ACCEPT: Step.JOIN, Step.DECLINE: Step.LEAVE}.get(verb, verb)
    return Step.HAND_OVER if verb is Step.DECLINE and case.second_joined else verb


def apply(
    conn: Connection,
    case: RescueCase,
    verb: Step,
    act: Act,
    unit_id: str | None = None,
    changes: Mapping[str, object] | None = None,
) -> RescueCase:
    """Write one step of a locked case and everything that follows from it; see `take`."""
    try:
        after = rescue.step(case, verb, actor=act.actor, now=act.now, unit_id=unit_id)
        after = after.model_copy(update=dict(changes or {}))
        if verb is Step.ACCEPT and case.state is CaseState.BROADCAST:
            _engage(conn, after, act)
    except TransitionError as error:
        log.warning("step.refused", case=str(case.case_id), step=verb, reason=str(error))
        raise
    told = _answer(conn, case, after, verb, act, unit_id)
    after = after.model_copy(update=_measured(conn, after, verb, act, told.eta_s))
    cases.save(conn, after)
    acting = unit_id or case.unit_id
    append(
        conn,
        NOUN,
        str(case.case_id),
        verb,
        act,
        state=after.state,
        unit_id=acting,
        version=after.version,
    )
    _release(conn, case, after, verb, unit_id, told.withdrawn)
    _run_clocks(conn, case, after, verb, act)
    _handle_alert(conn, after, act)
    notify.case(conn, case.case_id)
    return after


def _handle_alert(conn: Connection, after: RescueCase, act: Act) -> None:
    """The alert follows its case; whoever confirms it or goes there has seen it."""
    handling = HANDLING.get(after.state)
    if after.alert_id is None or handling is None or act.actor == rescue.SYSTEM:
        return
    before = alerts.lock_handling(conn, after.alert_id)
    if handling is Handling.ACKNOWLEDGED and before is not Handling.NEW:
        return
    alerts.set_handling(conn, after.alert_id, handling)
    clock_rows.stop(conn, "alert", str(after.alert_id), act.now, kinds=[clocks.ACKNOWLEDGE])
    notify.alert(conn, after.alert_id)


class _Told:
    """What the offers said."""

    def __init__(self, eta_s: float | None, withdrawn: Sequence[str]) -> None:
        self.eta_s, self.withdrawn = eta_s, withdrawn


def _engage(conn: Connection, after: RescueCase, act: Act) -> None:
    """The first crew that says yes to a broadcast gets it, if it is free still."""
    assert after.unit_id is not None
    if not rescue_units.engage(conn, after.unit_id, after.case_id, act.now):
        raise TransitionError(
            noun=rescue.MACHINE.noun,
            state=CaseState.BROADCAST,
            step=Step.ACCEPT,
            why="the unit is not free",
        )


def _answer(
    conn: Connection,
    case: RescueCase,
    after: RescueCase,
    verb: Step,
    act: Act,
    unit_id: str | None,
) -> _Told:
    """Write the crew's answer to its offer; who need not answer any more."""
    eta_s: float | None = None
    crew = case.second_unit_id if verb in (Step.JOIN, Step.LEAVE) else unit_id or case.unit_id
    if crew is not None:
        if verb in (Step.ACCEPT, Step.JOIN):
            eta_s = offers.answer(conn, case.case_id, crew, "accepted", act.now)
        elif verb is Step.EXPIRE or (verb is Step.LEAVE and unit_id is None):
            offers.answer(conn, case.case_id, crew, "expired", act.now)
        elif verb in (Step.DECLINE, Step.LEAVE):
            offers.answer(conn, case.case_id, crew, "declined", act.now)
    over = (
        verb in (Step.ACCEPT, Step.ARRIVE, Step.GIVE_UP)
        or after.state in CLOSED
        or (verb in (Step.DECLINE, Step.EXPIRE) and after.state is CaseState.CONFIRMED)
    )
    return _Told(eta_s, offers.withdraw(conn, case.case_id, act.now) if over else ())


def _measured(
    conn: Connection, after: RescueCase, verb: Step, act: Act, eta_s: float | None
) -> dict[str, object]:
    """What a step measures: the promised arrival, or how far the crew is at its button."""
    if verb is Step.ACCEPT and eta_s is not None:
        eta_at = act.now + timedelta(seconds=eta_s)
        return {"promised_at": eta_at, "eta_at": eta_at}
    if verb is Step.ARRIVE and after.unit_id is not None:
        position = rescue_units.find(conn, after.unit_id).position
        if position is not None:
            here = (position.latitude_deg, position.longitude_deg)
            km = great_circle_km(here, (after.latitude_deg, after.longitude_deg))
            return {"arrived_m": round(km * 1000, 1)}
    return {}


def _release(
    conn: Connection,
    case: RescueCase,
    after: RescueCase,
    verb: Step,
    unit_id: str | None,
    withdrawn: Sequence[str],
) -> None:
    """Crews that are free again; they hear of it unless they know."""
    let_go = engaged_units(case) - engaged_units(after)
    for unit in sorted(let_go):
        masters.release_unit(conn, unit, case.case_id)
    own = unit_id or (case.unit_id if verb in (Step.DECLINE, Step.HAND_OVER) else None)
    told = set() if verb in KNOWN else (let_go | set(withdrawn)) - {own}
    told -= engaged_units(after)
    if told:
        vehicle = masters.vehicles(conn, [case.vin])[case.vin].vehicle
        outbox.add(conn, *(_withdrawn(case, after, vehicle, unit) for unit in sorted(told)))


def _withdrawn(case: RescueCase, after: RescueCase, vehicle: Vehicle, unit_id: str) -> OutboxRecord:
    """Several crews may be let go by one step; the key of the first crew's is the plain one."""
    made = messages.withdrawn(after, vehicle, unit_id)
    if unit_id == case.unit_id:
        return made
    return OutboxRecord(f"{made.key}/{unit_id}", made.kind, made.body)


def _run_clocks(
    conn: Connection, case: RescueCase, after: RescueCase, verb: Step, act: Act
) -> None:
    """Start and stop what the step starts and stops (domain.md 6.5)."""
    noun_id = str(case.case_id)
    if after.state in CLOSED:
        kept = after.state is CaseState.CLEARED
        clock_rows.stop(conn, NOUN, noun_id, act.now, void=not kept)
    elif verb is Step.ARRIVE:
        clock_rows.stop(conn, NOUN, noun_id, act.now, kinds=[clocks.ARRIVAL, clocks.ASSIGN])
        scene = clocks.promise(clocks.SCENE, masters.vehicle(conn, case.vin).brand)
        clock_rows.start(conn, scene, NOUN, noun_id, act.now, facts=facts_of(after))
    elif verb is Step.ACCEPT:
        clock_rows.stop(conn, NOUN, noun_id, act.now, kinds=[clocks.ASSIGN])
    elif verb is Step.CONFIRM or (case.state in ENGAGED and verb is Step.DECLINE):
        clock_rows.stop(conn, NOUN, noun_id, act.now, kinds=[clocks.CONFIRM])
        if verb is Step.CONFIRM or case.state is not CaseState.OFFERED:
            assign = clocks.promise(clocks.ASSIGN, masters.vehicle(conn, case.vin).brand)
            clock_rows.restart(conn, assign, NOUN, noun_id, act.now, facts=facts_of(after))


def facts_of(case: RescueCase) -> dict[str, Fact]:
    """What every clock of a case says about it."""
    return {"case_id": str(case.case_id), "vin": case.vin, "station_id": case.owner}
