"""Plays a simulated year of rescues against the real dispatcher and database on a fake clock.

Crews know what a message tells them and nothing else; drivers, crews and the call centre act
through the same functions as the API. `python -m bench.rescues` runs it in full.
"""

from __future__ import annotations

import heapq
import random
import uuid
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from console import position_steps, rescue_requests
from console.acts import Act
from console.case_steps import take
from console.rescue_requests import HelpWanted
from console.steps import acknowledge
from dispatch.delivery import Delivery, Outcome
from dispatch.rescue import Step, request_for
from dispatch.terms import load_terms
from model.alerts import AlertState, AlertTransition, alert_id
from model.clock import FakeClock, ns_of, utc
from model.effects import OutboxRecord
from model.errors import TransitionError
from model.rescue import CaseSource
from model.severity import Severity
from roadcall.dispatcher_cases import CaseTurns
from roadcall.dispatcher_clocks import ClockTurns
from roadcall.dispatcher_outbox import LEASE_S, OutboxTurn
from simulators.rescue_year import Answer, Breakdown, RescueYear
from store import alerts, cases, masters
from store.database import Pool, transaction
from store.master_kinds import KINDS
from store.rescue_units import Position

PERSON = KINDS["person"]
RULE = "ice.coolant.overtemp"
#: The dispatcher looks around this often where nothing wakes it.
LOOK_S = 30.0
#: After the last breakdown everything is over by then.
LONGEST = timedelta(days=3)
#: A killed dispatcher comes back after the lease of what it was sending.
RESTART_S = LEASE_S + 1.0


NEXT_DUE = """
select min(at) from (
    select min(next_check_at) as at from clock where next_check_at is not null
    union all select min(case state when 'confirmed' then requested_at
        when 'broadcast' then confirmed_at + interval '360 s'
        when 'offered' then offered_at + interval '90 s' end)
    from rescue_case where state in ('confirmed', 'broadcast', 'offered')
    union all select min(second_at) + interval '90 s' from rescue_case
    where state in ('accepted', 'en_route') and second_at is not null
    union all select min(next_attempt_at) from outbox where next_attempt_at is not null) due
"""


#: An alert is recorded by the database's clock, which knows nothing of the simulated one.
RECORDED = "update alert set recorded_at = %s where alert_id = %s"


class KilledError(Exception):
    """The dispatcher dies between commit and send."""


@dataclass
class Crews:
    """The receiver of every message: keeps each once by its id, as crews' phones would."""

    deadly: Callable[[], bool]
    fresh: list[OutboxRecord] = field(default_factory=list)
    seen: Counter[str] = field(default_factory=Counter)

    def send(self, record: OutboxRecord, now_ns: int) -> Delivery:
        if self.deadly():
            raise KilledError
        self.seen[record.key] += 1
        if self.seen[record.key] == 1:
            self.fresh.append(record)
        return Delivery(Outcome.SENT)


class RescuePlay:
    """One run. `figures` counts what happened."""

    def __init__(self, pool: Pool, year: RescueYear, start: datetime, seed: int) -> None:
        self.pool, self.year = pool, year
        self.clock = FakeClock(ns_of(start))
        self.figures: Counter[str] = Counter()
        self.numbers: dict[uuid.UUID, int] = {}
        self.crews = Crews(self._dies)
        self._chance = random.Random(f"{seed}/faults")
        self._agenda: list[tuple[datetime, int, Callable[[], object]]] = []
        self._count = 0
        self._turns = self._new_dispatcher()

    def run(self) -> None:
        """Until every case is closed."""
        with transaction(self.pool) as conn:
            masters.upsert_stations(conn, self.year.stations)
            PERSON.write(conn, PERSON, self.year.crews)
            masters.upsert_units(conn, self.year.units)
            masters.upsert_vehicles(conn, self.year.vehicles)
        with self.pool.connection() as conn:
            conn.autocommit = True
            conn.execute("analyze")
            conn.autocommit = False
        for breakdown in self.year.breakdowns():
            self.at(breakdown.at, lambda b=breakdown: self._break_down(b))  # type: ignore[misc]
        limit = breakdown.at + LONGEST
        while self._agenda or self._open():
            assert self.now < limit, "a case that nobody ends"
            look, acted = self.now + timedelta(seconds=LOOK_S), False
            while self._agenda and self._agenda[0][0] <= look:
                moment, _, act = heapq.heappop(self._agenda)
                self.clock.advance(max(0.0, (moment - self.now).total_seconds()))
                act()
                acted = True
            self.clock.advance(max(0.0, (look - self.now).total_seconds()))
            due = self._next_due()
            if acted or (due is not None and due <= self.now):
                self._dispatch()
            elif self._agenda:
                wake = min(at for at in (self._agenda[0][0], due) if at is not None)
                self.clock.advance(max(0.0, (wake - self.now).total_seconds() - LOOK_S))

    @property
    def now(self) -> datetime:
        return utc(self.clock.now_ns())

    def at(self, moment: datetime, act: Callable[[], object]) -> None:
        """Do that then."""
        self._count += 1
        heapq.heappush(self._agenda, (moment, self._count, act))

    def later(self, seconds: float, act: Callable[[], object]) -> None:
        """Do that in a while."""
        self.at(self.now + timedelta(seconds=seconds), act)

    # The dispatcher and its deaths ----------------------------------------------------------------

    def _new_dispatcher(self) -> list[Callable[[], int]]:
        case_turns = CaseTurns(self.pool, self.clock, {})
        self._clock_turns = clock_turns = ClockTurns(self.pool, self.clock)
        self._outbox = OutboxTurn(self.pool, self.clock, [self.crews], load_terms().delivery)
        return [
            case_turns.open_new,
            case_turns.confirm_unanswered,
            case_turns.expire_offers,
            case_turns.offer_confirmed,
            case_turns.ask_second,
            clock_turns.watch_alerts,
            clock_turns.announce,
            self._outbox,
        ]

    def _dies(self) -> bool:
        return self._chance.random() < 0.001

    def _dispatch(self) -> None:
        try:
            for turn in self._turns:
                while turn():
                    pass
        except KilledError:
            self.figures["dispatcher killed"] += 1
            self._outbox.close()
            self._turns = self._new_dispatcher()
            self.clock.advance(RESTART_S)
        fresh, self.crews.fresh = self.crews.fresh, []
        for record in fresh:
            self._hear(record)

    def _open(self) -> bool:
        with transaction(self.pool) as conn:
            return bool(cases.page(conn, limit=1, open_only=True))

    def _next_due(self) -> datetime | None:
        """When a deadline of the dispatcher passes; it need not look before."""
        with transaction(self.pool) as conn:
            ((due,),) = conn.execute(NEXT_DUE).fetchall()
        assert due is None or isinstance(due, datetime)
        return due

    # People ---------------------------------------------------------------------------------------

    def _break_down(self, broken: Breakdown) -> None:
        alert: uuid.UUID | None = None
        if broken.source == "alert":
            alert, number = self._alert(broken)
            self._watch(broken, alert)
        else:
            wanted = HelpWanted(
                source=CaseSource(broken.source),
                vin=broken.vin,
                place=broken.place,
                severity=Severity(broken.severity),
                thermal=broken.thermal,
            )
            act = Act("driver", self.now, key=f"ask-{broken.number}")
            number = rescue_requests.request(self.pool, wanted, act).case_id
            assert rescue_requests.request(self.pool, wanted, act).case_id == number
        self.numbers[number] = broken.number
        self.later(broken.confirm_s, lambda: self._take(number, Step.CONFIRM, "station"))
        if broken.cancel_s is not None:
            self.later(broken.cancel_s, lambda: self._call_off(number, alert))

    def _alert(self, broken: Breakdown) -> tuple[uuid.UUID, uuid.UUID]:
        """The pipeline's part: an alert and its case."""
        now_ns = self.clock.now_ns()
        hit = AlertTransition(
            alert_id=alert_id(RULE, broken.vin, "", now_ns),
            rule_id=RULE,
            rule_version=1,
            vin=broken.vin,
            instance="",
            state=AlertState.FIRING,
            severity=Severity(broken.severity),
            started_ns=now_ns,
            at_ns=now_ns,
            fired_ns=now_ns,
            worst_ns=now_ns,
        )
        case = request_for(hit, broken.place, self.year.stations, now_ns)
        assert case is not None
        with transaction(self.pool) as conn:
            alerts.write(conn, [hit])
            conn.execute(RECORDED, [self.now, hit.alert_id])
            cases.insert_requested(conn, [case])
        return hit.alert_id, case.case_id

    def _watch(self, broken: Breakdown, alert: uuid.UUID) -> None:
        """A new alert wakes the dispatcher at once. Somebody at the desk may acknowledge it;
        most press the case's button.
        """
        self._clock_turns.watch_alerts()
        if broken.acknowledge_s is not None:
            self.later(broken.acknowledge_s, lambda: self._acknowledge(alert))

    def _acknowledge(self, alert: uuid.UUID) -> None:
        try:
            acknowledge(self.pool, alert, Act("station", self.now))
        except TransitionError:
            self.figures["acknowledge refused"] += 1
        else:
            self.figures["acknowledge"] += 1

    def _call_off(self, case: uuid.UUID, alert: uuid.UUID | None) -> None:
        """The car goes again: the driver cancels, and its alert clears."""
        if self._take(case, Step.CANCEL, "driver") and alert is not None:
            with transaction(self.pool) as conn:
                found = alerts.find(conn, alert)
                alerts.write(conn, [found.told(AlertState.CLEARED, self.now)])

    def _take(self, case: uuid.UUID, step: Step, actor: str, unit: str | None = None) -> bool:
        """Press a button; the state may have moved on, and then it is refused."""
        try:
            take(self.pool, case, step, Act(actor, self.now), unit)
        except TransitionError:
            self.figures[f"{step} refused"] += 1
            return False
        self.figures[str(step)] += 1
        return True

    def _hear(self, record: OutboxRecord) -> None:
        """A message came: crews answer offers, the call centre looks after what is given up."""
        self.figures[record.kind] += 1
        if record.kind in ("rescue.offer", "rescue.second"):
            case, unit = uuid.UUID(record.body["case_id"]), str(record.body["unit_id"])
            answer = self.year.answer(self.numbers[case], unit)
            eta_s = float(record.body["eta_min"]) * 60
            if answer.says == "decline":
                self.later(
                    answer.after_s, lambda: self._take(case, Step.DECLINE, unit, unit) and None
                )
            elif answer.says == "accept":
                self.later(answer.after_s, lambda: self._go(case, unit, answer, eta_s))
        elif record.kind == "rescue.no_unit":
            case = uuid.UUID(record.body["case_id"])
            self.later(self._chance.uniform(60, 900), lambda: self._look_after(case))

    def _look_after(self, case: uuid.UUID) -> None:
        """The call centre has everybody asked again, or sends somebody from outside."""
        if self._chance.random() < 0.5:
            self._take(case, Step.CONFIRM, "call.centre")
        elif self._chance.random() < 0.5:
            self._take(case, Step.CLEAR, "outside")
        else:
            self.later(900, lambda: self._look_after(case))

    def _go(self, case: uuid.UUID, unit: str, answer: Answer, eta_s: float) -> None:
        if not self._take(case, Step.ACCEPT, unit, unit):
            return
        way_s = eta_s * answer.slowness
        self.later(way_s, lambda: self._be_there(case, unit, answer))

    def _be_there(self, case: uuid.UUID, unit: str, answer: Answer) -> None:
        with transaction(self.pool) as conn:
            now = cases.find(conn, case)
        if unit not in (now.unit_id, now.second_unit_id):
            return  # called back on the way
        place = Position(now.latitude_deg, now.longitude_deg, self.now, 0.0)
        if answer.lost or not answer.forgets_button:
            self._take(case, Step.ARRIVE, unit, unit)
        if not answer.lost:
            position_steps.report(self.pool, unit, place, now=self.now)
            self.later(65, lambda: self._stand(unit, place))
        self.later(120 + answer.work_s, lambda: self._finish(case, unit, answer))

    def _stand(self, unit: str, place: Position) -> None:
        still = Position(place.latitude_deg, place.longitude_deg, self.now, 0.0)
        position_steps.report(self.pool, unit, still, now=self.now)

    def _finish(self, case: uuid.UUID, unit: str, answer: Answer) -> None:
        if answer.outcome == "gone":
            self._take(case, Step.GONE, unit, unit)
        elif answer.outcome == "fix":
            self._take(case, Step.FIX, unit, unit) and self._take(case, Step.CLEAR, unit, unit)
        elif self._take(case, Step.TOW, unit, unit):
            self.later(1200, lambda: self._deliver(case, unit))

    def _deliver(self, case: uuid.UUID, unit: str) -> None:
        self._take(case, Step.DELIVER, unit, unit) and self._take(case, Step.CLEAR, unit, unit)
