"""The dispatcher's turns over alerts that time alone changes, and over their notices.

Suppression begins and ends, what was put off comes back, what was not heard of for a month expires;
whatever is heard after all is dispatched after all. Notices are gathered by system of a vehicle.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from console.acts import Act
from console.case_steps import apply
from dispatch import alert_messages
from dispatch.alert_messages import GroupedAlert, system_of
from dispatch.rescue import SYSTEM, Step
from dispatch.rescue_request import request_for
from dispatch.suppression import suppression_terms
from model.clock import Clock, ns_of, utc
from model.rescue import CaseState, RescueCase
from model.severity import Severity
from model.suppression import STORM, STORM_TEXT
from roadcall import suppress
from store import alert_groups, alerts, cases, masters, notify, outbox, readings
from store import suppression as rows
from store.alerts import StoredAlert
from store.database import Connection, Pool, transaction

TAKE_VEHICLES, TAKE_ALERTS = 100, 200
#: A serious alert waits so long for a position, as in the pipeline; and no position is older.
WAITING = timedelta(hours=24)
POSITION_AGE = timedelta(minutes=15)
#: Nobody has decided yet; nobody is on the way yet.
WAITING_STATES = (CaseState.REQUESTED, CaseState.GEOCODED)
NOT_ACCEPTED = (
    *WAITING_STATES,
    CaseState.CONFIRMED,
    CaseState.OFFERED,
    CaseState.BROADCAST,
    CaseState.NO_UNIT,
)


class SuppressionTurn:
    """Each part says how many rows it handled."""

    def __init__(self, pool: Pool, clock: Clock) -> None:
        self._pool, self._clock, self._terms = pool, clock, suppression_terms()

    def __call__(self) -> int:
        turns = (self.judge, self.wake, self.expire, self.withdraw, self.dispatch)
        return sum(turn() for turn in turns)

    def judge(self) -> int:
        """Look again at vehicles where a silence, mode or root cause has begun or ended."""
        now = self._now()
        with transaction(self._pool) as conn:
            begun = rows.claim_begun(conn, now)
            for vehicle_id in sorted(begun):
                suppress.judge_standing(conn, vehicle_id, now)
            over = rows.claim_over(conn, now, TAKE_VEHICLES)
        for vehicle_id in over:
            with transaction(self._pool) as conn:
                suppress.judge_standing(conn, vehicle_id, now)
        return len(begun) + len(over)

    def wake(self) -> int:
        """What was put off until now is new again, and gets another clock (ClockTurns)."""
        with transaction(self._pool) as conn:
            found = alert_groups.claim_snoozed(conn, self._now())
            notify.tell(conn, [f"alert:{alert_id}" for alert_id in found])
        return len(found)

    def expire(self) -> int:
        """End what was stale for too long."""
        now = self._now()
        before = now - timedelta(seconds=self._terms.expiry.after_s)
        with transaction(self._pool) as conn:
            ended = alert_groups.expire(conn, before, now)
            notify.tell(conn, [f"alert:{alert_id}" for alert_id in ended])
        return len(ended)

    def withdraw(self) -> int:
        """Cancel a rescue nobody has accepted when its alert turns out to be none."""
        with transaction(self._pool) as conn:
            found = alert_groups.unwanted_case(conn, WAITING_STATES, NOT_ACCEPTED)
            if found is None:
                return 0
            case_id, why = found
            apply(conn, cases.lock(conn, case_id), Step.CANCEL, Act(SYSTEM, self._now(), why))
            return 1

    def dispatch(self) -> int:
        """Open the case of a serious alert that is heard after all, where the car is known."""
        now = self._now()
        with transaction(self._pool) as conn:
            found = alert_groups.lifted(conn, now - WAITING, TAKE_ALERTS)
            quiet = rows.in_hand(conn, found) if found else set()
            wanted = (alerts.find(conn, a) for a in found if a not in quiet)
            made = [case for a in wanted if (case := self._case(conn, a, now)) is not None]
            cases.insert_requested(conn, made)
            notify.tell(conn, [f"case:{case.case_id}" for case in made])
        return len(made)

    def _case(self, conn: Connection, alert: StoredAlert, now: datetime) -> RescueCase | None:
        state = readings.newest(conn, alert.vin)
        values = {v.name: v for v in state.values}
        here = [values.get("latitude_deg"), values.get("longitude_deg")]
        since = (state.observed_at or now) - POSITION_AGE
        known = [v.value for v in here if v is not None and v.observed_at >= since]
        if len(known) != len(here):
            return None
        step = alert.told(alert.state, now)
        return request_for(step, (known[0], known[1]), masters.stations(conn), ns_of(now))

    def _now(self) -> datetime:
        return utc(self._clock.now_ns())


class GroupTurn:
    """Gathers new alerts and tells what is due; says how many rows it handled."""

    def __init__(self, pool: Pool, clock: Clock, titles: Mapping[str, Mapping[str, str]]) -> None:
        self._pool, self._clock = pool, clock
        self._titles, self._terms = {**titles, STORM: STORM_TEXT}, suppression_terms()

    def __call__(self) -> int:
        return self.gather() + self.tell()

    def gather(self) -> int:
        """Find the group of new alerts, and of those that have become worse."""
        now = utc(self._clock.now_ns())
        with transaction(self._pool) as conn:
            fresh = alert_groups.claim_fresh(conn, TAKE_ALERTS)
            for alert in sorted(fresh, key=lambda a: (a.vehicle_id, a.rule_id)):
                if alert.news:
                    wait_s = self._terms.group_for(Severity(alert.severity)).wait_s
                    until = now + timedelta(seconds=wait_s)
                    alert_groups.wait(conn, alert.vehicle_id, system_of(alert.rule_id), until)
        return len(fresh)

    def tell(self) -> int:
        """Write the notice of one group; one that is over says nothing."""
        now = utc(self._clock.now_ns())
        with transaction(self._pool) as conn:
            group = alert_groups.claim_due(conn, now)
            if group is None:
                return 0
            found = alert_groups.members(conn, group)
            if not found:
                alert_groups.rest(conn, group)
                return 1
            listed = [GroupedAlert.model_validate(m, from_attributes=True) for m in found]
            repeat_s = self._terms.group_for(max(a.severity for a in listed)).repeat_s
            vehicle = masters.vehicle(conn, group.vin)
            key = f"alerts/{group.vehicle_id}/{group.system}/{group.number}"
            made = alert_messages.notice(
                vehicle, group.system, group.number, listed, self._titles, key
            )
            outbox.add(conn, made)
            alert_groups.told(conn, group, now, now + timedelta(seconds=repeat_s))
            return 1
