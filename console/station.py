"""One open station page: joins the panels with the board, the reads and the steps."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta, tzinfo
from typing import TypeVar

from nicegui import Client, background_tasks, ui

from console import steps
from console.alert_panel import AlertPanel
from console.bodies import Chart, VehicleDetail
from console.case_panel import CasePanel
from console.live import Board, Live
from console.reads import Reads
from console.steps import Act
from console.text import Speech
from console.vehicle_panel import PERIODS, VehiclePanel
from dispatch.rescue import Step
from model.clock import utc
from model.errors import RoadcallError, TransitionError

Answer = TypeVar("Answer")

#: The chosen vehicle's values are read this often.
VEHICLE_EVERY_S = 2.0
FOUND_AT_MOST = 8


class Station:
    """The page of one browser tab."""

    def __init__(
        self, client: Client, reads: Reads, live: Live, speech: Speech, zone: tzinfo
    ) -> None:
        self._client, self._reads, self._live = client, reads, live
        self._speech = speech
        self._vin = ""
        self._sought = ""
        self.operator: Callable[[], str] = lambda: speech("operator_default")
        self.on_live: Callable[[bool], None] = lambda _: None
        self._loop = asyncio.get_running_loop()
        self.alerts = AlertPanel(speech, self.choose, self.acknowledge)
        self.vehicle = VehiclePanel(speech, zone, self.choose, self.find, self.redraw)
        self.cases = CasePanel(speech, zone, self.choose, self.step)

    def begin(self) -> None:
        """Show what is there and follow it until the tab closes."""
        self._show(self._live.board)
        unwatch = self._live.watch(self._changed)
        self._client.on_delete(unwatch)
        ui.timer(1.0, self._tick)
        ui.timer(VEHICLE_EVERY_S, self._refresh)

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

    def step(self, case_id: uuid.UUID, step: Step, reason: str) -> None:
        """Take a step in a case."""
        self._later(self._ask(steps.take, self._reads.pool, case_id, step, self._act(reason)))

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
        except TransitionError:
            ui.notify(self._speech("step_refused"), type="warning")
        except RoadcallError:
            ui.notify(self._speech("store_away"), type="negative")
        return None
