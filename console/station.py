"""One open station page: joins the panels with the board, the reads and the steps."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta, tzinfo
from typing import TypeVar

from nicegui import Client, background_tasks, ui

from console import alert_steps, plan_steps, steps, work_openings, work_steps
from console.alert_panel import AlertPanel
from console.alert_questions import AlertChoices, ModeQuestion
from console.bodies import AlertBody, Chart, VehicleDetail
from console.case_panel import CasePanel
from console.evidence_routes import EvidenceDesk
from console.live import Board, Live
from console.plan_panel import PlanPanel
from console.reads import Reads
from console.refusals import refusal
from console.silence_panel import SilencePanel
from console.steps import Act
from console.text import Speech
from console.vehicle_panel import PERIODS, VehiclePanel
from console.work_bodies import DiagnosisCaseDetail
from console.work_reads import WorkReads
from dispatch.diagnosis_case import CaseFacts, CaseStep
from dispatch.rescue import Step
from dispatch.work_order import OrderFacts, OrderStep
from model.alerts import Dismissal
from model.clock import utc
from model.errors import DecodeError, RoadcallError, TransitionError
from model.suppression import Matchers, Mode, Silence, VehicleMode

Answer = TypeVar("Answer")

#: The chosen vehicle's values are read this often.
VEHICLE_EVERY_S = 2.0
#: Silences begin and end seldom.
SILENCES_EVERY_S = 15.0
FOUND_AT_MOST = 8


class Station:
    """The page of one browser tab."""

    def __init__(
        self,
        client: Client,
        reads: Reads,
        work: WorkReads,
        live: Live,
        speech: Speech,
        zone: tzinfo,
        evidence: EvidenceDesk | None = None,
    ) -> None:
        self._evidence = evidence
        self._client, self._reads, self._work, self._live = client, reads, work, live
        self._speech = speech
        self._vin = ""
        self._sought = ""
        self.operator: Callable[[], str] = lambda: speech("operator_default")
        self.on_live: Callable[[bool], None] = lambda _: None
        self._loop = asyncio.get_running_loop()
        save = self.save_evidence if evidence else None
        choices = AlertChoices(speech, self.dismiss, self.snooze, self.hush)
        self.alerts = AlertPanel(speech, self.choose, self.acknowledge, save, choices)
        with self.alerts.foot:
            self.silences = SilencePanel(speech, zone, self._title, self.unhush)
        self.vehicle = VehiclePanel(speech, zone, self.choose, self.find, self.redraw)
        with self.vehicle.more:
            ModeQuestion(speech, self.enter_mode, self.leave_mode)
            self.plans = PlanPanel(
                speech,
                move_case=self.move_case,
                move_order=self.move_order,
                approve=self.approve,
                request=self.request,
            )
        self.cases = CasePanel(speech, zone, self.choose, self.step)

    def begin(self) -> None:
        """Show what is there and follow it until the tab closes."""
        self._show(self._live.board)
        unwatch = self._live.watch(self._changed)
        self._client.on_delete(unwatch)
        ui.timer(1.0, self._tick)
        ui.timer(VEHICLE_EVERY_S, self._refresh)
        ui.timer(SILENCES_EVERY_S, self._read_silences)

    def _changed(self, board: Board) -> None:
        """Called on the listening thread."""
        self._loop.call_soon_threadsafe(self._show, board)

    def _now(self) -> datetime:
        return utc(self._reads.clock.now_ns())

    def _show(self, board: Board) -> None:
        if self._client.is_deleted:
            return
        with self._client:
            self.alerts.show(board, self._now())
            self.cases.show(board, self._now())
            self.on_live(board.live)

    def _tick(self) -> None:
        now = self._now()
        self.alerts.tick(now)
        self.cases.tick(now)
        self.vehicle.tick(now)

    def choose(self, vin: str) -> None:
        """Put a vehicle in the middle."""
        self._vin = vin
        self.alerts.mark(vin)
        self.cases.mark(vin, self._now())
        ui.run_javascript("roadcallTab('vehicle')")
        self._later(self._read_vehicle(fresh=True))

    def find(self, text: str) -> None:
        """Search vehicles as the operator types."""
        self._sought = text.strip()
        self._later(self._search(self._sought))

    async def _search(self, text: str) -> None:
        found = await self._ask(self._reads.vehicles, text, None, FOUND_AT_MOST) if text else None
        if text == self._sought:
            self.vehicle.found(found.items if found else [], text)

    def redraw(self) -> None:
        """Read the chart again."""
        self._later(self._read_chart())

    async def _refresh(self) -> None:
        if self._vin:
            await self._read_vehicle(fresh=False)

    async def _read_vehicle(self, *, fresh: bool) -> None:
        vin, before = self._vin, self.vehicle.detail
        detail: VehicleDetail | None = await self._ask(self._reads.vehicle, vin)
        if detail is None or vin != self._vin:
            return
        self.vehicle.show(detail, self._now())
        await self._read_plans()
        if fresh or before is None or before.observed_at != detail.observed_at:
            await self._read_chart()

    async def _read_chart(self) -> None:
        detail, name = self.vehicle.detail, self.vehicle.signal
        if detail is None or detail.observed_at is None or not name:
            self.vehicle.chart(None)
            return
        minutes = self.vehicle.minutes
        start = detail.observed_at - timedelta(minutes=minutes)
        chart: Chart | None = await self._ask(
            self._reads.chart,
            detail.vehicle.vin,
            name,
            start,
            detail.observed_at + timedelta(seconds=1),
            PERIODS[minutes],
        )
        if (name, minutes) == (self.vehicle.signal, self.vehicle.minutes):
            self.vehicle.chart(chart)

    def acknowledge(self, alert_id: uuid.UUID) -> None:
        """Take note of an alert."""
        self._later(self._ask(steps.acknowledge, self._reads.pool, alert_id, self._act("")))

    def dismiss(self, alert_id: uuid.UUID, code: Dismissal, reason: str) -> None:
        """Nothing follows from an alert."""
        self._do(alert_steps.dismiss, alert_id, code, self._act(reason))

    def snooze(self, alert_id: uuid.UUID, wait: timedelta, reason: str) -> None:
        """Put an alert off."""
        act = self._act(reason)
        self._do(alert_steps.snooze, alert_id, act.now + wait, act)

    def hush(self, alert: AlertBody, wait: timedelta, reason: str) -> None:
        """Let nobody hear of this rule on this vehicle for a while."""
        act = self._act(reason)
        row = Silence(
            silence_id=uuid.uuid4(),
            matchers=Matchers(rule=alert.rule_id, vin=alert.vin),
            starts_at=act.now,
            ends_at=act.now + wait,
            actor=act.actor,
            reason=reason,
            created_at=act.now,
        )
        self._change_silences(alert_steps.hush, row, act)

    def unhush(self, silence_id: uuid.UUID, reason: str) -> None:
        """Let people hear of these alerts again."""
        self._change_silences(alert_steps.unhush, silence_id, self._act(reason))

    def _change_silences(self, call: Callable[..., object], *given: object) -> None:
        async def done() -> None:
            await self._ask(call, self._reads.pool, *given)
            await self._read_silences()

        self._later(done())

    async def _read_silences(self) -> None:
        found = await self._ask(self._reads.silences)
        if found is not None:
            self.silences.show(found)

    def _title(self, rule_id: str) -> str:
        return self._reads.title(rule_id, self._speech.language)

    def enter_mode(self, mode: Mode, wait: timedelta, reason: str) -> None:
        """The chosen vehicle is in a mode for a while."""
        act = self._act(reason)
        row = VehicleMode(
            mode_id=uuid.uuid4(),
            vin=self._vin,
            mode=mode,
            starts_at=act.now,
            ends_at=act.now + wait,
            actor=act.actor,
            reason=reason,
            created_at=act.now,
        )
        self._do(alert_steps.enter, row, act)

    def leave_mode(self) -> None:
        """The chosen vehicle is on the road as usual again."""
        self._do(alert_steps.leave, self._vin, self._act(""))

    def save_evidence(self, alert_id: uuid.UUID) -> None:
        """Hand over the frames around an alert as a log file."""
        self._later(self._save_evidence(alert_id))

    async def _save_evidence(self, alert_id: uuid.UUID) -> None:
        assert self._evidence is not None, "no button without it"
        content = await self._ask(self._evidence.log_file, alert_id, "blf")
        if content is not None:
            with self._client:
                ui.download(content, f"alert-{alert_id}.blf")

    def step(self, case_id: uuid.UUID, step: Step, reason: str) -> None:
        """Take a step in a case."""
        self._later(self._ask(steps.take, self._reads.pool, case_id, step, self._act(reason)))

    async def _read_plans(self) -> None:
        vin = self._vin
        found: list[DiagnosisCaseDetail] | None = await self._ask(self._work.vehicle_cases, vin)
        if found is not None and vin == self._vin:
            self.plans.show(found)

    def move_case(self, case_id: uuid.UUID, step: CaseStep, reason: str, facts: CaseFacts) -> None:
        """Take a step in a diagnosis case."""
        self._do(work_steps.move_case, case_id, step, self._act(reason), facts)

    def move_order(self, work_order_id: uuid.UUID, step: OrderStep) -> None:
        """Take a step in a work order."""
        self._do(work_steps.move_order, work_order_id, step, self._act(""), OrderFacts())

    def approve(self, case_id: uuid.UUID, version: int) -> None:
        """Approve a plan; the operator's name is the person's id."""
        self._do(plan_steps.approve, case_id, version, self._act(""))

    def request(self, case_id: uuid.UUID) -> None:
        """Request the visit of a case."""
        self._do(work_openings.order_of_case, case_id, self._act(""), OrderFacts())

    def _do(self, call: Callable[..., object], *given: object) -> None:
        async def done() -> None:
            await self._ask(call, self._reads.pool, *given)
            if self._vin:
                await self._read_plans()

        self._later(done())

    def _act(self, reason: str) -> Act:
        return Act(actor=self.operator(), now=self._now(), reason=reason)

    def _later(self, work: Awaitable[object]) -> None:
        async def in_page() -> None:
            with self._client:
                await work

        background_tasks.create(in_page(), name="station page")

    async def _ask(self, call: Callable[..., Answer], *given: object) -> Answer | None:
        """Run a database call beside the event loop; tell the operator when it fails."""
        try:
            return await asyncio.to_thread(call, *given)
        except TransitionError as fault:
            ui.notify(refusal(self._speech, fault), type="warning")
        except DecodeError:
            ui.notify(self._speech("evidence_gone"), type="warning")
        except RoadcallError:
            ui.notify(self._speech("store_away"), type="negative")
        return None
