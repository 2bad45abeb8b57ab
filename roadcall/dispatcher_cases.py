"""The dispatcher's turns over rescue cases and their clocks. Each row is one transaction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TypeAlias

from console.steps import Act, apply
from dispatch import clocks, messages, rescue
from dispatch.messages import Fault
from dispatch.rescue import SYSTEM, Step
from dispatch.terms import load_terms
from model.alerts import AlertState
from model.clock import Clock, utc
from model.rescue import CaseState, RescueCase
from model.vehicle import RescueUnit, Vehicle
from store import alerts, audit, cases, masters, notify, outbox
from store import clocks as clock_rows
from store.database import Connection, Pool, transaction

#: Rule id -> {"zh": ..., "en": ...}: what is wrong, in words.
RuleTexts: TypeAlias = Mapping[str, Mapping[str, str]]


class CaseTurns:
    """Each method handles at most one row and says how many it handled."""

    def __init__(self, pool: Pool, clock: Clock, rule_texts: RuleTexts) -> None:
        self._pool, self._clock = pool, clock
        self._rule_texts, self._terms = rule_texts, load_terms()

    def open_new(self) -> int:
        """Start the arrival clock of a new case; ask the station where a person must confirm."""
        with transaction(self._pool) as conn:
            case = cases.claim_without_clock(conn, clocks.ARRIVAL)
            if case is None:
                return 0
            due_at = case.requested_at + self._terms.promise(case.zone)
            check = clocks.next_check(
                case.requested_at, due_at, warned_percent=0, thresholds=self._terms.warn_percent
            )
            clock_rows.start(conn, clocks.ARRIVAL, case.case_id, case.requested_at, due_at, check)
            if case.state is CaseState.ON_SCENE:  # people were faster than a restart of ours
                clock_rows.stop(conn, clocks.ARRIVAL, case.case_id, self._now())
            noun_id = str(case.case_id)
            audit.append(
                conn, "rescue_case", noun_id, "request", actor=SYSTEM, key=f"request/{noun_id}"
            )
            if case.state is CaseState.REQUESTED:
                fault = self._fault(alerts.rule_of(conn, case.alert_id))
                vehicle = self._vehicle(conn, case)
                outbox.add(conn, messages.confirm(case, vehicle, fault, self._terms))
            return 1

    def expire_offers(self) -> int:
        """Take an unanswered offer back."""
        with transaction(self._pool) as conn:
            now = self._now()
            case = cases.claim_offered_before(conn, now - timedelta(seconds=self._terms.offer_s))
            if case is None:
                return 0
            apply(conn, case, Step.EXPIRE, Act(SYSTEM, now, "no answer"))
            return 1

    def offer_confirmed(self) -> int:
        """Offer a confirmed case to the best crew, or hand it to the call centre.

        Nobody is called out for an alert that late data has undone meanwhile.
        """
        with transaction(self._pool) as conn:
            case = cases.claim_confirmed(conn)
            if case is None:
                return 0
            act = Act(SYSTEM, self._now())
            alert = alerts.find(conn, case.alert_id)
            if alert.state is AlertState.RETRACTED:
                apply(conn, case, Step.CANCEL, replace(act, reason="alert retracted"))
                return 1
            vehicle, fault = self._vehicle(conn, case), self._fault(alert.rule_id)
            unit = self._engage(conn, case, self._terms.needed(vehicle.powertrain))
            if unit is None:
                after = apply(conn, case, Step.GIVE_UP, act)
                outbox.add(conn, messages.no_unit(after, vehicle, fault))
            else:
                after = apply(conn, case, Step.OFFER, act, unit.unit_id)
                eta_s = rescue.eta_s(after, unit, self._terms)
                offer = messages.offer(after, vehicle, fault, unit, eta_s=eta_s, terms=self._terms)
                outbox.add(conn, offer)
            return 1

    def _engage(
        self, conn: Connection, case: RescueCase, needed: frozenset[str]
    ) -> RescueUnit | None:
        """Choose and take a unit; one that a rival took meanwhile is passed over."""
        units, busy = masters.free_units(conn), set[str]()
        while unit := rescue.choose(case, units, needed=needed, busy=busy, terms=self._terms):
            if masters.engage_unit(conn, unit.unit_id, case.case_id):
                return unit
            busy.add(unit.unit_id)
        return None

    def announce_clocks(self) -> int:
        """Say that a share of an arrival promise is used up."""
        with transaction(self._pool) as conn:
            now = self._now()
            row = clock_rows.claim_due(conn, now)
            if row is None:
                return 0
            thresholds = self._terms.warn_percent
            percent = clocks.reached(
                row.started_at,
                row.due_at,
                now=now,
                warned_percent=row.warned_percent,
                thresholds=thresholds,
            )
            warned = row.warned_percent if percent is None else percent
            check = clocks.next_check(
                row.started_at, row.due_at, warned_percent=warned, thresholds=thresholds
            )
            clock_rows.announced(conn, row.clock_id, warned, check)
            if percent is not None:
                case = cases.find(conn, row.case_id)
                outbox.add(
                    conn,
                    messages.arrival_warning(
                        case, self._vehicle(conn, case), percent=percent, due_at=row.due_at, now=now
                    ),
                )
                notify.case(conn, row.case_id)
            return 1

    def _now(self) -> datetime:
        return utc(self._clock.now_ns())

    def _vehicle(self, conn: Connection, case: RescueCase) -> Vehicle:
        return masters.vehicles(conn, [case.vin])[case.vin].vehicle

    def _fault(self, rule_id: str) -> Fault:
        texts = self._rule_texts.get(rule_id, {})
        return Fault(rule_id=rule_id, zh=texts.get("zh", rule_id), en=texts.get("en", rule_id))
