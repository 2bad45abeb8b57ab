"""Left column: alerts, the gravest and newest first, each with what decided it."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from datetime import datetime

from nicegui.element import Element

from console.alert_questions import AlertButtons, AlertChoices
from console.bodies import AlertBody
from console.figures import age, quantity
from console.live import Board
from console.text import Speech, signal_title
from console.widgets import Rows, box, button, set_class, set_text, show_if, words
from model.alerts import Handling
from model.catalogue import catalogue

#: An alert wears a highlight for this long after it arrived.
FRESH_S = 6.0


class AlertRow:
    """One alert."""

    def __init__(self, panel: AlertPanel, alert: AlertBody) -> None:
        self._panel, self._alert = panel, alert
        self.root = box("li", "alert")
        with self.root:
            with box("button", "pick", type="button") as pick:
                self._tag = words("span", "tag")
                self._title = words("span", "headline")
                self._age = words("span", "age")
                self._who = words("span", "who")
                self._why = words("span", "why")
            pick.on("click", lambda _: panel.choose(self._alert.vin), args=[])
            with box("div", "deed"):
                self._ack = button(
                    panel.speech("acknowledge"),
                    lambda: panel.acknowledge(self._alert.alert_id),
                    "quiet small",
                )
                save = panel.save
                if save is not None:
                    button(
                        panel.speech("evidence"),
                        lambda: save(self._alert.alert_id),
                        "quiet small",
                        title=panel.speech("evidence_title"),
                    )
                self._choices = self._build_choices()
                self._state = words("span", "state")

    def _build_choices(self) -> AlertButtons | None:
        choices = self._panel.choices
        return choices.buttons(lambda: self._alert) if choices else None

    def update(self, alert: AlertBody) -> None:
        """Follow the alert."""
        self._alert, speech = alert, self._panel.speech
        fresh = "fresh" if str(alert.alert_id) in self._panel.fresh else ""
        chosen = "chosen" if alert.vin == self._panel.chosen else ""
        over = "over" if alert.cleared_at else ""
        set_class(self.root, f"alert sev{int(alert.severity)} {fresh} {chosen} {over}")
        set_text(self._tag, speech(f"severity_{int(alert.severity)}"))
        set_text(self._title, title_of(speech, alert))
        late = f" · {speech('history')}" if alert.history else ""
        set_text(self._who, name_of(alert.plate, alert.vin) + late + hushed(speech, alert))
        set_text(self._why, reasons(speech, alert))
        new = alert.handling is Handling.NEW
        show_if(self._ack, new and not alert.cleared_at)
        if self._choices is not None:
            self._choices.update(alert)
        show_if(self._state, not new or alert.cleared_at is not None)
        said = f"alert_{alert.state}" if new or alert.cleared_at else f"handling_{alert.handling}"
        set_text(self._state, speech(said))

    def tick(self, now: datetime) -> None:
        """Let the age grow."""
        set_text(self._age, age(self._panel.speech, self._alert.fired_at, now))


def hushed(speech: Speech, alert: AlertBody) -> str:
    """Why nobody was told, and that it is back, where that is so."""
    said = ""
    if alert.occurrence > 1:
        said += f" · {speech('occurrence', count=str(alert.occurrence))}"
    if alert.suppressed_by:
        kind, _, by = alert.suppressed_by.partition(":")
        said += f" · {speech(f'suppressed_{kind}', by=by)}"
    return said


class AlertPanel:
    """The list, with a choice between open and recent alerts."""

    def __init__(
        self,
        speech: Speech,
        choose: Callable[[str], object],
        acknowledge: Callable[[uuid.UUID], object],
        save: Callable[[uuid.UUID], object] | None = None,
        choices: AlertChoices | None = None,
    ) -> None:
        self.choices = choices
        self.speech, self.choose, self.acknowledge, self.save = speech, choose, acknowledge, save
        self.chosen = ""
        self.fresh: dict[str, datetime] = {}
        self._seen: set[str] | None = None
        self._board = Board()
        self._recent = False
        self.root = box("section", "panel alerts", aria_label=speech("alerts"), id="alerts")
        with self.root:
            with box("header", "bar"):
                words("h2", "", speech("alerts"))
                self._count = words("span", "count")
                box("span", "space")
                self._tabs = [
                    button(speech("alerts_open"), lambda: self._turn(recent=False), "tab"),
                    button(speech("alerts_recent"), lambda: self._turn(recent=True), "tab"),
                ]
            self._list = box("ul", "rows scroll")
            self._none = words("p", "empty", speech("alerts_none"))
            self._said = words("p", "unseen", aria_live="polite")
            self.foot = box("footer", "foot")
        self._rows: Rows[AlertBody, AlertRow] = Rows(
            self._list, lambda a: str(a.alert_id), lambda a: AlertRow(self, a)
        )

    def _turn(self, *, recent: bool) -> None:
        self._recent = recent
        self._draw()

    def show(self, board: Board, now: datetime) -> None:
        """Follow the board, and say which alerts are new."""
        keys = {str(a.alert_id) for a in board.alerts}
        if self._seen is not None:
            arrived = [a for a in board.alerts if str(a.alert_id) not in self._seen]
            self.fresh |= {str(a.alert_id): now for a in arrived}
            self._announce(arrived)
        if board.live:
            self._seen = (self._seen or set()) | keys
        self._board = board
        self._draw()
        self.tick(now)

    def mark(self, vin: str) -> None:
        """Show which vehicle is chosen."""
        self.chosen = vin
        self._draw()

    def tick(self, now: datetime) -> None:
        """Ages grow, highlights end."""
        ended = [k for k, since in self.fresh.items() if (now - since).total_seconds() > FRESH_S]
        for key in ended:
            del self.fresh[key]
        if ended:
            self._draw()
        for row in self._rows:
            row.tick(now)

    def _announce(self, arrived: Sequence[AlertBody]) -> None:
        if arrived:
            alert = arrived[0]
            spoken = self.speech(
                "alert_arrived",
                severity=self.speech(f"severity_{int(alert.severity)}"),
                title=title_of(self.speech, alert),
                vehicle=alert.plate or alert.vin,
            )
            set_text(self._said, spoken)

    def _draw(self) -> None:
        shown = self._board.recent if self._recent else self._board.alerts
        self._rows.show(shown)
        show_if(self._none, not shown)
        set_text(self._count, str(len(self._board.alerts)))
        for tab, on in zip(self._tabs, (not self._recent, self._recent), strict=True):
            set_class(tab, "button tab on" if on else "button tab")
            pressed(tab, on)


def pressed(element: Element, on: bool) -> None:
    """Tell assistive technology whether a toggle is on."""
    value = "true" if on else "false"
    if element.props.get("aria-pressed") != value:
        element.props["aria-pressed"] = value


def title_of(speech: Speech, alert: AlertBody) -> str:
    """The rule's title, with the instance where there are several."""
    title = alert.title.zh if speech.language == "zh" else alert.title.en
    return f"{title} ({alert.instance})" if alert.instance else title


def name_of(plate: str, vin: str) -> str:
    """How people name a vehicle: the plate and the end of the VIN, else the whole VIN."""
    return f"{plate} · …{vin[-6:]}" if plate else vin


def reasons(speech: Speech, alert: AlertBody) -> str:
    """The first values that decided the alert."""
    said = []
    for name, value in list(alert.evidence.items())[:2]:
        signal = catalogue().get(name)
        figure, unit = quantity(speech, name, signal.unit if signal else "", value)
        said.append(f"{signal_title(name)[speech.language]} {figure} {unit}".rstrip())
    return " · ".join(said)
