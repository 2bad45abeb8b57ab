"""Right column: open rescue cases, each with its arrival clock and the next steps."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import datetime, tzinfo

from nicegui.elements.mixins.text_element import TextElement

from console.alert_panel import name_of
from console.bodies import CaseBody, ClockBody
from console.figures import countdown, used_percent, warning
from console.live import Board
from console.questions import ask
from console.text import Speech
from console.widgets import Rows, box, button, set_class, set_text, show_if, words
from dispatch.rescue import TABLE, Step
from model.rescue import CaseState

#: Steps people take, in the order of their buttons.
BUTTONS = (
    Step.CONFIRM, Step.ACCEPT, Step.DEPART, Step.ARRIVE, Step.FIX, Step.TOW, Step.DELIVER,
    Step.CLEAR, Step.DECLINE, Step.CANCEL,
)  # fmt: skip
#: Steps that need a reason.
WITH_REASON = frozenset({Step.DECLINE, Step.CANCEL})

TakeStep = Callable[[uuid.UUID, Step, str], object]


class CaseCard:
    """One case."""

    def __init__(self, panel: CasePanel, case: CaseBody) -> None:
        self._panel, self._case = panel, case
        speech = panel.speech
        self.root = box("li", "case")
        with self.root:
            with box("button", "pick", type="button") as pick:
                self._tag = words("span", "tag")
                self._title = words("span", "headline")
                self._who = words("span", "who")
            pick.on("click", lambda _: panel.choose(self._case.vin), args=[])
            with box("div", "arrival"):
                self._left = words("span", "left")
                self._due = words("span", "due")
                with box("div", "track"):
                    self._used = box("div", "used")
            with box("dl", "facts"):
                self._state = words("dd", "state")
                self._unit = words("dd", "unit")
                self._place = words("dd", "place", title=speech("position"))
            with box("div", "steps"):
                self._steps = {step: self._button(step) for step in BUTTONS}

    def _button(self, step: Step) -> TextElement:
        weight = "quiet" if step in WITH_REASON else "strong"
        return button(
            self._panel.speech(f"step_{step}"),
            lambda: self._panel.take(self._case, step),
            f"small {weight}",
        )

    def update(self, case: CaseBody) -> None:
        """Follow the case."""
        self._case, speech = case, self._panel.speech
        set_text(self._tag, speech(f"severity_{int(case.severity)}"))
        set_text(self._title, case.title.zh if speech.language == "zh" else case.title.en)
        set_text(self._who, name_of(case.plate, case.vin))
        set_text(self._state, speech(f"case_{case.state}"))
        set_text(self._unit, case.unit_name or speech("unit_none"))
        place = f"{case.latitude_deg:.4f}, {case.longitude_deg:.4f}"
        set_text(self._place, f"{speech(f'zone_{case.zone}')} {place}")
        for step, made in self._steps.items():
            show_if(made, (case.state, step) in TABLE)
        again = case.state is CaseState.NO_UNIT
        set_text(self._steps[Step.CONFIRM], speech("step_again" if again else "step_confirm"))

    def tick(self, now: datetime) -> None:
        """Let the arrival clock run."""
        case, speech = self._case, self._panel.speech
        clock = case.arrival
        stage = _stage(clock, now)
        chosen = "chosen" if case.vin == self._panel.chosen else ""
        set_class(self.root, f"case sev{int(case.severity)} {stage} {chosen}")
        if clock is None:
            set_text(self._left, "–")
            set_text(self._due, speech("clock_none"))
            return
        end = clock.stopped_at or now
        set_text(self._left, countdown(clock.due_at - end))
        key, moment = ("arrived_at", end) if clock.stopped_at else ("due_at", clock.due_at)
        set_text(self._due, speech(key, time=f"{moment.astimezone(self._panel.zone):%H:%M}"))
        width = f"{min(100.0, max(0.0, used_percent(clock.started_at, clock.due_at, end))):.1f}%"
        if self._used.style.get("width") != width:
            self._used.style(f"width:{width}")


def _stage(clock: ClockBody | None, now: datetime) -> str:
    if clock is None:
        return "calm"
    percent = used_percent(clock.started_at, clock.due_at, clock.stopped_at or now)
    return f"{warning(percent)} {'stopped' if clock.stopped_at else ''}"


class CasePanel:
    """The open cases, the most urgent first."""

    def __init__(
        self, speech: Speech, zone: tzinfo, choose: Callable[[str], object], step: TakeStep
    ) -> None:
        self.speech, self.zone, self.choose, self._step = speech, zone, choose, step
        self.chosen = ""
        self.root = box("section", "panel cases", aria_label=speech("cases"))
        with self.root:
            with box("header", "bar"):
                words("h2", "", speech("cases"))
                self._count = words("span", "count")
            self._list = box("ul", "rows scroll")
            self._none = words("p", "empty", speech("cases_none"))
        self._rows: Rows[CaseBody, CaseCard] = Rows(
            self._list, lambda c: str(c.case_id), lambda c: CaseCard(self, c)
        )

    def show(self, board: Board, now: datetime) -> None:
        """Follow the board."""
        self._rows.show(board.cases)
        show_if(self._none, not board.cases)
        set_text(self._count, str(len(board.cases)))
        self.tick(now)

    def mark(self, vin: str, now: datetime) -> None:
        """Show which vehicle is chosen."""
        self.chosen = vin
        self.tick(now)

    def tick(self, now: datetime) -> None:
        """Let the clocks run."""
        for card in self._rows:
            card.tick(now)

    def take(self, case: CaseBody, step: Step) -> None:
        """Take a step; ask why first where that must be told."""
        if step in WITH_REASON:
            self._ask(case, step)
        else:
            self._step(case.case_id, step, "")

    def _ask(self, case: CaseBody, step: Step) -> None:
        def answer(_: list[str], reason: str) -> None:
            self._step(case.case_id, step, reason)

        title, about = self.speech(f"step_{step}"), name_of(case.plate, case.vin)
        ask(self.speech, title, [], answer, about=about, reason_needed=True)
