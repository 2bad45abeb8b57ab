"""What people do, each as one transaction: the step, its audit line, and all that follows from it.

Repeating a step under the same Idempotency-Key changes nothing and answers with what is now.
`dispatch` says what a step means, `store` keeps it; this module only joins the two.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime

import structlog

from dispatch import clocks, messages, rescue
from dispatch.rescue import CLOSED, ENGAGED, Step
from model.alerts import Handling
from model.errors import RoadcallError, TransitionError
from model.rescue import CaseState, RescueCase
from store import alerts, audit, cases, maintenance, masters, notify, outbox
from store import clocks as clock_rows
from store.database import Connection, Pool, transaction

log = structlog.get_logger("roadcall.steps")

#: What becomes of the alert when its case gets there (domain.md 6.2).
HANDLING = {
    CaseState.ACCEPTED: Handling.IN_PROGRESS,
    CaseState.CLEARED: Handling.RESOLVED,
}
#: Steps that let a crew go without its own doing: it must hear of them.
TOLD = frozenset({Step.EXPIRE, Step.CANCEL})


class KeyReusedError(RoadcallError):
    """One Idempotency-Key was used for two different things."""

    def __init__(self) -> None:
        super().__init__("this idempotency key was used for another step")


@dataclass(frozen=True, slots=True)
class Act:
    """Who takes a step, when and why, and the Idempotency-Key it came with."""

    actor: str
    now: datetime
    reason: str = ""
    key: str | None = None


def take(
    pool: Pool, case_id: uuid.UUID, verb: Step, act: Act, unit_id: str | None = None
) -> RescueCase:
    """Take one step of a case. `unit_id` says which crew acts, where one does.

    Raises UnknownRowError, TransitionError (nothing changed), KeyReusedError and
    StoreUnavailableError.
    """
    with transaction(pool) as conn:
        case = cases.lock(conn, case_id)
        if _seen(conn, "rescue_case", str(case_id), verb, act):
            return case
        return apply(conn, case, verb, act, unit_id)


def apply(
    conn: Connection, case: RescueCase, verb: Step, act: Act, unit_id: str | None = None
) -> RescueCase:
    """Write one step of a locked case and everything that follows from it; see `take`."""
    try:
        after = rescue.step(case, verb, actor=act.actor, now=act.now, unit_id=unit_id)
    except TransitionError as error:
        log.warning("step.refused", case=str(case.case_id), step=verb, reason=str(error))
        raise
    cases.save(conn, after)
    _append(
        conn,
        "rescue_case",
        str(case.case_id),
        verb,
        act,
        state=after.state,
        unit_id=unit_id or case.unit_id,
        version=after.version,
    )
    if case.state in ENGAGED and after.state not in ENGAGED:
        _let_go(conn, case, after, told=verb in TOLD)
    if after.state is CaseState.ON_SCENE or after.state in CLOSED:
        clock_rows.stop(conn, clocks.ARRIVAL, case.case_id, act.now)
    if after.state in HANDLING:
        alerts.set_handling(conn, case.alert_id, HANDLING[after.state])
        notify.alert(conn, case.alert_id)
    notify.case(conn, case.case_id)
    return after


def _let_go(conn: Connection, case: RescueCase, after: RescueCase, *, told: bool) -> None:
    """The crew is free again, and hears of it unless it knows."""
    assert case.unit_id is not None, "an engaged case names its unit"
    masters.release_unit(conn, case.unit_id, case.case_id)
    if told:
        vehicle = masters.vehicles(conn, [case.vin])[case.vin].vehicle
        outbox.add(conn, messages.withdrawn(after, vehicle, case.unit_id))


def confirm(pool: Pool, case_id: uuid.UUID, act: Act) -> RescueCase:
    """A crew shall go."""
    return take(pool, case_id, Step.CONFIRM, act)


def accept(pool: Pool, case_id: uuid.UUID, act: Act, unit_id: str | None = None) -> RescueCase:
    """The crew takes the offer."""
    return take(pool, case_id, Step.ACCEPT, act, unit_id)


def decline(pool: Pool, case_id: uuid.UUID, act: Act, unit_id: str | None = None) -> RescueCase:
    """The crew does not take the offer, or cannot come after all."""
    return take(pool, case_id, Step.DECLINE, act, unit_id)


def arrive(pool: Pool, case_id: uuid.UUID, act: Act, unit_id: str | None = None) -> RescueCase:
    """The crew is at the vehicle: the arrival clock stops."""
    return take(pool, case_id, Step.ARRIVE, act, unit_id)


def clear(pool: Pool, case_id: uuid.UUID, act: Act, unit_id: str | None = None) -> RescueCase:
    """The road side is clear; the crew is free."""
    return take(pool, case_id, Step.CLEAR, act, unit_id)


def cancel(pool: Pool, case_id: uuid.UUID, act: Act) -> RescueCase:
    """Nobody need go."""
    return take(pool, case_id, Step.CANCEL, act)


def acknowledge(pool: Pool, alert_id: uuid.UUID, act: Act) -> None:
    """A person has seen the alert. Raises as `take` does."""
    with transaction(pool) as conn:
        handling = alerts.lock_handling(conn, alert_id)
        if _seen(conn, "alert", str(alert_id), "acknowledge", act):
            return
        if handling is not Handling.NEW:
            raise TransitionError(noun="alert", state=handling, step="acknowledge")
        alerts.set_handling(conn, alert_id, Handling.ACKNOWLEDGED)
        _append(conn, "alert", str(alert_id), "acknowledge", act)
        notify.alert(conn, alert_id)


def done(
    pool: Pool, vin: str, kind: str, act: Act, *, done_at: datetime, odometer_km: float
) -> None:
    """A service was done: the next one counts from here, and reminds again. Raises as `take`."""
    with transaction(pool) as conn:
        item = maintenance.lock(conn, vin, kind)
        noun_id = f"{item.vehicle_id}/{kind}"
        if _seen(conn, "maintenance_item", noun_id, "done", act):
            return
        if done_at > act.now or done_at < item.item.base_at:
            why = "the date is in the future or before the last one"
            raise TransitionError(noun="service", state=item.item.state, step="done", why=why)
        maintenance.rebase(conn, item.vehicle_id, kind, odometer_km=odometer_km, at=done_at)
        _append(conn, "maintenance_item", noun_id, "done", act)
        notify.due(conn, vin)


def _seen(conn: Connection, noun: str, noun_id: str, step: str, act: Act) -> bool:
    """Whether this very step was taken under this key. Raises KeyReusedError for another one."""
    line = None if act.key is None else audit.by_key(conn, act.key)
    if line is None:
        return False
    if (line.noun, line.noun_id, line.step) != (noun, noun_id, step):
        raise KeyReusedError
    return True


def _append(
    conn: Connection,
    noun: str,
    noun_id: str,
    step: str,
    act: Act,
    **detail: object,
) -> None:
    """Write the audit line. A rival may have used the key on something else just now."""
    written = audit.append(
        conn, noun, noun_id, step, actor=act.actor, reason=act.reason, key=act.key, detail=detail
    )
    if not written:
        raise KeyReusedError
