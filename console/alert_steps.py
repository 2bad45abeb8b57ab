"""What people do with alerts beside acknowledging them: put off, dismiss, hush all that are alike.

Each is one transaction with its audit line; see console.steps.
"""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta

from console.acts import Act, append, seen
from dispatch import clocks
from dispatch.suppression import suppression_terms
from model.alerts import AlertState, Dismissal, Handling
from model.errors import TransitionError
from model.suppression import Silence, VehicleMode
from store import alert_groups, alerts, notify
from store import clocks as clock_rows
from store import suppression as rows
from store.database import Pool, transaction

ALERT, SILENCE, VEHICLE = "alert", "silence", "vehicle"
#: Nothing has been begun for it yet.
UNDECIDED = frozenset({Handling.NEW, Handling.ACKNOWLEDGED})


def dismiss(pool: Pool, alert_id: uuid.UUID, code: Dismissal, act: Act) -> None:
    """Nothing follows from the alert; `code` says why, and feeds the rule's precision.

    Raises UnknownRowError, TransitionError (nothing changed) and KeyReusedError.
    """
    with transaction(pool) as conn:
        handling = alerts.lock_handling(conn, alert_id)
        if seen(conn, ALERT, str(alert_id), "dismiss", act):
            return
        if handling not in UNDECIDED:
            raise TransitionError(noun=ALERT, state=handling, step="dismiss")
        alerts.set_handling(conn, alert_id, Handling.DISMISSED)
        append(conn, ALERT, str(alert_id), "dismiss", act, code=code)
        clock_rows.stop(conn, ALERT, str(alert_id), act.now, kinds=[clocks.ACKNOWLEDGE])
        notify.alert(conn, alert_id)


def snooze(pool: Pool, alert_id: uuid.UUID, until: datetime, act: Act) -> None:
    """Somebody has seen the alert and wants to hear of it again then. Raises as `dismiss`."""
    with transaction(pool) as conn:
        handling = alerts.lock_handling(conn, alert_id)
        if seen(conn, ALERT, str(alert_id), "snooze", act):
            return
        alert, terms = alerts.find(conn, alert_id), suppression_terms().snooze
        why = ""
        if alert.state not in (AlertState.FIRING, AlertState.STALE):
            raise TransitionError(noun=ALERT, state=alert.state, step="snooze")
        if handling not in UNDECIDED:
            raise TransitionError(noun=ALERT, state=handling, step="snooze")
        if alert.severity > terms.severity_max:
            why = "it is too grave"
        elif not act.now < until <= act.now + timedelta(seconds=terms.longest_s):
            why = "until lies in the past or too far ahead"
        elif not alert_groups.snooze(conn, alert_id, until):
            why = "it was put off before"
        if why:
            raise TransitionError(noun=ALERT, state=handling, step="snooze", why=why)
        append(conn, ALERT, str(alert_id), "snooze", act, until=until.isoformat())
        clock_rows.stop(conn, ALERT, str(alert_id), act.now, kinds=[clocks.ACKNOWLEDGE])
        notify.alert(conn, alert_id)


def hush(pool: Pool, row: Silence, act: Act) -> None:
    """Begin a silence. Raises KeyReusedError."""
    with transaction(pool) as conn:
        if seen(conn, SILENCE, str(row.silence_id), "begin", act):
            return
        rows.add_silence(conn, row)
        append(
            conn, SILENCE, str(row.silence_id), "begin", act,
            ends_at=row.ends_at.isoformat(), matchers=row.matchers.model_dump(exclude_none=True),
        )  # fmt: skip


def unhush(pool: Pool, silence_id: uuid.UUID, act: Act) -> None:
    """End a silence now. Raises as `dismiss`."""
    with transaction(pool) as conn:
        found = rows.silence(conn, silence_id)
        if seen(conn, SILENCE, str(silence_id), "end", act):
            return
        if found.ends_at <= act.now:
            raise TransitionError(noun=SILENCE, state="over", step="end")
        rows.end_silence(conn, silence_id, act.now)
        append(conn, SILENCE, str(silence_id), "end", act)


def enter(pool: Pool, row: VehicleMode, act: Act) -> None:
    """The vehicle is in a mode from then to then. Raises UnknownRowError and KeyReusedError."""
    with transaction(pool) as conn:
        if seen(conn, VEHICLE, row.vin, f"enter {row.mode}", act):
            return
        rows.add_mode(conn, row)
        append(
            conn, VEHICLE, row.vin, f"enter {row.mode}", act, ends_at=row.ends_at.isoformat()
        )  # fmt: skip


def leave(pool: Pool, vin: str, act: Act) -> None:
    """The vehicle is on the road as usual again. Raises as `dismiss`."""
    with transaction(pool) as conn:
        if seen(conn, VEHICLE, vin, "leave mode", act):
            return
        if not rows.end_modes(conn, vin, act.now):
            raise TransitionError(noun=VEHICLE, state="on the road", step="leave its mode")
        append(conn, VEHICLE, vin, "leave mode", act)
