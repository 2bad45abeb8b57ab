"""What people do, each as one transaction: the step, its audit line, and all that follows from it.

Repeating a step under the same Idempotency-Key changes nothing and answers with what is now.
`dispatch` says what a step means, `store` keeps it; this module only joins the two. The steps of a
rescue case are console.case_steps.
"""

from __future__ import annotations

import uuid

from console.acts import Act, KeyReusedError
from console.acts import append as _append
from console.acts import seen as _seen
from console.case_steps import apply, take
from console.maintenance_steps import done
from dispatch import clocks
from dispatch.rescue import Step
from model.alerts import Handling
from model.errors import TransitionError
from model.rescue import RescueCase
from store import alerts, notify
from store import clocks as clock_rows
from store.database import Pool, transaction

__all__ = [
    "Act",
    "KeyReusedError",
    "accept",
    "acknowledge",
    "apply",
    "arrive",
    "cancel",
    "clear",
    "confirm",
    "decline",
    "done",
    "take",
]


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
        clock_rows.stop(conn, "alert", str(alert_id), act.now, kinds=[clocks.ACKNOWLEDGE])
        notify.alert(conn, alert_id)
