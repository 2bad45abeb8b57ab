"""The dispatcher's turns over rescue cases. Each row is one transaction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TypeAlias

from console.acts import Act
from console.case_steps import NOUN, apply, facts_of
from dispatch import clocks, messages, rescue_choice, rescue_messages
from dispatch.messages import Fault
from dispatch.rescue import SYSTEM, Step
from dispatch.rescue_choice import Choice, Router
from dispatch.terms import Terms, load_terms
from model.alerts import AlertState
from model.clock import Clock, utc
from model.rescue import CaseState, RescueCase
from model.severity import Severity
from model.vehicle import Vehicle
from store import alerts, audit, cases, masters, offers, outbox, rescue_units
from store import clocks as clock_rows
from store.database import Connection, Pool, transaction

#: Rule id -> {"zh": ..., "en": ...}: what is wrong, in words.
RuleTexts: TypeAlias = Mapping[str, Mapping[str, str]]
#: What is wrong when a person asked for help and said nothing.
ASKED = {"zh": "请求救援", "en": "help was asked for"}
#: States before anybody was sent out.
UNCONFIRMED = frozenset({CaseState.REQUESTED, CaseState.GEOCODED})
UNASSIGNED = frozenset(
    {CaseState.CONFIRMED, CaseState.OFFERED, CaseState.BROADCAST, CaseState.NO_UNIT}
)


class CaseTurns:
    """Each method handles at most one row and says how many it handled."""

    def __init__(
        self, pool: Pool, clock: Clock, rule_texts: RuleTexts, router: Router | None = None
    ) -> None:
        self._pool, self._clock = pool, clock
        self._rule_texts, self._router = rule_texts, router

    def open_new(self) -> int:
        """Start the clocks of a new case; ask the station where a person must confirm."""
        with transaction(self._pool) as conn:
            case = cases.claim_without_clock(conn, clocks.ARRIVAL)
            if case is None:
                return 0
            vehicle, terms = self._vehicle_terms(conn, case)
            promised = self._start_clocks(conn, case, vehicle)
            noun_id = str(case.case_id)
            audit.append(conn, NOUN, noun_id, "request", actor=SYSTEM, key=f"request/{noun_id}")
            if case.state in UNCONFIRMED:
                fault = self._fault(conn, case)
                outbox.add(conn, messages.confirm(case, vehicle, fault, promise_s=promised))
            if case.thermal:
                outbox.add(conn, rescue_messages.safety(case, vehicle, terms))
            return 1

    def _start_clocks(self, conn: Connection, case: RescueCase, vehicle: Vehicle) -> float:
        """The arrival promise from the request on, in seconds; and whatever the state asks for."""
        noun_id, facts = str(case.case_id), facts_of(case) | {"plate": vehicle.plate or vehicle.vin}
        arrival = clocks.promise(clocks.ARRIVAL, vehicle.brand, case.zone)
        clock_rows.start(conn, arrival, NOUN, noun_id, case.requested_at, facts=facts)
        if case.arrived_at is not None:  # people were faster than a restart of ours
            clock_rows.stop(conn, NOUN, noun_id, case.arrived_at, kinds=[clocks.ARRIVAL])
        if case.state in UNCONFIRMED:
            confirm = clocks.promise(clocks.CONFIRM, vehicle.brand)
            clock_rows.start(conn, confirm, NOUN, noun_id, case.requested_at, facts=facts)
        elif case.state in UNASSIGNED:
            assign = clocks.promise(clocks.ASSIGN, vehicle.brand)
            since = case.confirmed_at or case.requested_at
            clock_rows.start(conn, assign, NOUN, noun_id, since, facts=facts)
        return arrival.target_s

    def confirm_unanswered(self) -> int:
        """An emergency nobody has answered confirms itself, where the profile lets it wait."""
        wait_s = load_terms().auto_confirm_s
        with transaction(self._pool) as conn:
            now = self._now()
            before = now - timedelta(seconds=wait_s)
            case = cases.claim_unanswered(conn, Severity.EMERGENCY, before)
            if case is None:
                return 0
            apply(conn, case, Step.CONFIRM, Act(SYSTEM, now, "no answer"))
            return 1

    def expire_offers(self) -> int:
        """Take an unanswered offer back, the second crew's too; end a broadcast in vain."""
        with transaction(self._pool) as conn:
            now, terms = self._now(), load_terms()
            asked_before = now - timedelta(seconds=terms.offer_s)
            case = cases.claim_offered_before(conn, asked_before)
            if case is not None:
                apply(conn, case, Step.EXPIRE, Act(SYSTEM, now, "no answer"))
                return 1
            case = cases.claim_second_before(conn, asked_before)
            if case is not None:
                apply(conn, case, Step.LEAVE, Act(SYSTEM, now, "no answer"))
                return 1
            confirmed_before = now - timedelta(seconds=terms.give_up_after_s)
            case = cases.claim_broadcast_over(conn, confirmed_before)
            if case is None:
                return 0
            vehicle, terms = self._vehicle_terms(conn, case)
            self._give_up(conn, case, vehicle, Act(SYSTEM, now, "nobody took it"))
            return 1

    def offer_confirmed(self) -> int:
        """Offer a confirmed case to the best crew, then to all, then hand it to the call centre.

        Nobody is called out for an alert that late data has undone meanwhile.
        """
        with transaction(self._pool) as conn:
            case = cases.claim_confirmed(conn)
            if case is None:
                return 0
            act = Act(SYSTEM, self._now())
            if case.alert_id is not None:
                alert = alerts.find(conn, case.alert_id)
                if alert.state is AlertState.RETRACTED:
                    apply(conn, case, Step.CANCEL, replace(act, reason="alert retracted"))
                    return 1
            vehicle, terms = self._vehicle_terms(conn, case)
            waited_s = (act.now - (case.confirmed_at or case.requested_at)).total_seconds()
            refused = len(case.declined_by) >= terms.broadcast_after_refusals
            if waited_s >= terms.give_up_after_s:
                self._give_up(conn, case, vehicle, act)
            elif refused or waited_s >= terms.broadcast_after_s:
                self._broadcast(conn, case, vehicle, terms, act)
            else:
                self._offer(conn, case, vehicle, terms, act)
            return 1

    def _offer(
        self, conn: Connection, case: RescueCase, vehicle: Vehicle, terms: Terms, act: Act
    ) -> None:
        choice = self._engage(conn, case, vehicle, terms, act.now)
        if choice is None:
            self._give_up(conn, case, vehicle, act)
            return
        after = apply(conn, case, Step.OFFER, act, choice.unit.unit_id)
        asked = [(choice.unit.unit_id, choice.eta_s)]
        offers.add(conn, case.case_id, after.version, "offer", asked, act.now)
        fault = self._fault(conn, case)
        made = rescue_messages.offer(after, vehicle, fault, choice, terms, act.now)
        outbox.add(conn, made)

    def _broadcast(
        self, conn: Connection, case: RescueCase, vehicle: Vehicle, terms: Terms, act: Act
    ) -> None:
        found = self._ranked(conn, case, vehicle, terms, act.now)[: terms.broadcast_at_most]
        if not found:
            self._give_up(conn, case, vehicle, act)
            return
        asked = {"asked": tuple(choice.unit.unit_id for choice in found)}
        after = apply(conn, case, Step.BROADCAST, act, changes=asked)
        etas = [(choice.unit.unit_id, choice.eta_s) for choice in found]
        offers.add(conn, case.case_id, after.version, "broadcast", etas, act.now)
        fault = self._fault(conn, case)
        made = [rescue_messages.offer(after, vehicle, fault, c, terms, act.now) for c in found]
        outbox.add(conn, *made)

    def _give_up(self, conn: Connection, case: RescueCase, vehicle: Vehicle, act: Act) -> None:
        after = apply(conn, case, Step.GIVE_UP, act)
        outbox.add(conn, messages.no_unit(after, vehicle, self._fault(conn, case)))

    def ask_second(self) -> int:
        """Ask another crew beside the one that will be late, and tell the customer."""
        with transaction(self._pool) as conn:
            now, terms = self._now(), load_terms()
            case = cases.claim_late(
                conn, now, percent=terms.second_at_percent, asked_at_most=terms.second_crews
            )
            if case is None:
                return 0
            vehicle, terms = self._vehicle_terms(conn, case)
            expected = case.eta_at if case.eta_at is not None and case.eta_at > now else None
            choice = self._engage(conn, case, vehicle, terms, now, sooner_than=expected)
            if choice is None:
                after = case.model_copy(
                    update={"seconds_asked": terms.second_crews, "version": case.version + 1}
                )
                cases.save(conn, after)
            else:
                act = Act(SYSTEM, now, "the crew will be late")
                after = apply(conn, case, Step.ASK_SECOND, act, choice.unit.unit_id)
                asked = [(choice.unit.unit_id, choice.eta_s)]
                offers.add(conn, case.case_id, after.version, "second", asked, now)
                fault = self._fault(conn, case)
                made = rescue_messages.second(after, vehicle, fault, choice, terms, now)
                outbox.add(conn, made)
            eta_at = min(
                (at for at in (expected, _arrival(now, choice)) if at is not None), default=None
            )
            if eta_at is not None:
                asked_too = choice is not None
                late = rescue_messages.late(after, vehicle, asked=asked_too, eta_at=eta_at)
                outbox.add(conn, late)
            return 1

    def _engage(
        self,
        conn: Connection,
        case: RescueCase,
        vehicle: Vehicle,
        terms: Terms,
        now: datetime,
        *,
        sooner_than: datetime | None = None,
    ) -> Choice | None:
        """Choose and take a unit; one that a rival takes meanwhile is passed over."""
        for choice in self._ranked(conn, case, vehicle, terms, now):
            if sooner_than is not None and now + timedelta(seconds=choice.eta_s) >= sooner_than:
                continue
            if rescue_units.engage(conn, choice.unit.unit_id, case.case_id, now):
                return choice
        return None

    def _ranked(
        self, conn: Connection, case: RescueCase, vehicle: Vehicle, terms: Terms, now: datetime
    ) -> list[Choice]:
        """Everybody who may be sent, the best first."""
        capabilities, certificates = rescue_choice.needs(case, vehicle.powertrain, terms)
        units = rescue_units.candidates(
            conn,
            (case.latitude_deg, case.longitude_deg),
            terms.radius_km,
            now,
            capabilities=capabilities,
            certificates=certificates,
            without=case.declined_by,
        )
        promised_s = clocks.promise(clocks.ARRIVAL, vehicle.brand, case.zone).target_s
        return rescue_choice.rank(
            case,
            units,
            capabilities=capabilities,
            certificates=certificates,
            promise_left=case.requested_at + timedelta(seconds=promised_s) - now,
            terms=terms,
            router=self._router,
        )

    def _now(self) -> datetime:
        return utc(self._clock.now_ns())

    def _vehicle_terms(self, conn: Connection, case: RescueCase) -> tuple[Vehicle, Terms]:
        vehicle = masters.vehicles(conn, [case.vin])[case.vin].vehicle
        return vehicle, load_terms(vehicle.brand.lower())

    def _fault(self, conn: Connection, case: RescueCase) -> Fault:
        if case.alert_id is None:
            zh, en = (case.note or ASKED[language] for language in ("zh", "en"))
            return Fault(rule_id="", zh=zh, en=en)
        rule_id = alerts.rule_of(conn, case.alert_id)
        texts = self._rule_texts.get(rule_id, {})
        return Fault(rule_id=rule_id, zh=texts.get("zh", rule_id), en=texts.get("en", rule_id))


def _arrival(now: datetime, choice: Choice | None) -> datetime | None:
    return None if choice is None else now + timedelta(seconds=choice.eta_s)
