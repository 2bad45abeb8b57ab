"""Buttons that dismiss, put off or hush alerts, and take a vehicle off the road for a while."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import timedelta

from console.bodies import AlertBody
from console.questions import Choice, ask
from console.text import Speech
from console.widgets import box, button, show_if
from dispatch.suppression import suppression_terms
from model.alerts import AlertState, Dismissal, Handling
from model.suppression import Mode

#: How long, in hours: what the page offers (our own); the API takes any.
HOURS = (1, 4, 24, 72, 168)


def hours(speech: Speech, most_s: float | None = None) -> Choice:
    """The periods that may be chosen."""
    offered = [h for h in HOURS if most_s is None or h * 3600 <= most_s]
    return Choice(speech("for_how_long"), {str(h): speech("hours", n=h) for h in offered})


class AlertChoices:
    """What a page can do with an alert beside acknowledging it."""

    def __init__(
        self,
        speech: Speech,
        dismiss: Callable[[uuid.UUID, Dismissal, str], object],
        snooze: Callable[[uuid.UUID, timedelta, str], object],
        hush: Callable[[AlertBody, timedelta, str], object],
    ) -> None:
        self._speech, self._dismiss, self._snooze, self._hush = speech, dismiss, snooze, hush

    def buttons(self, alert: Callable[[], AlertBody]) -> AlertButtons:
        """The buttons of one alert, where the page stands."""
        return AlertButtons(self, self._speech, alert)

    def dismiss(self, alert: AlertBody) -> None:
        """Ask why nothing follows."""
        codes = {str(code): self._speech(f"dismissal_{code}") for code in Dismissal}

        def answer(values: list[str], reason: str) -> None:
            self._dismiss(alert.alert_id, Dismissal(values[0]), reason)

        choice = Choice(self._speech("dismissal"), codes)
        ask(self._speech, self._speech("dismiss"), [choice], answer, reason_needed=False)

    def snooze(self, alert: AlertBody) -> None:
        """Ask for how long."""

        def answer(values: list[str], reason: str) -> None:
            self._snooze(alert.alert_id, timedelta(hours=int(values[0])), reason)

        choice = hours(self._speech, suppression_terms().snooze.longest_s)
        ask(self._speech, self._speech("snooze"), [choice], answer, reason_needed=False)

    def hush(self, alert: AlertBody) -> None:
        """Ask for how long, and why."""

        def answer(values: list[str], reason: str) -> None:
            self._hush(alert, timedelta(hours=int(values[0])), reason)

        title = self._speech("silence")
        ask(self._speech, title, [hours(self._speech)], answer, reason_needed=True)


class AlertButtons:
    """Shown only where the step is allowed."""

    def __init__(
        self, choices: AlertChoices, speech: Speech, alert: Callable[[], AlertBody]
    ) -> None:
        look = "quiet small"
        self.dismiss = button(speech("dismiss"), lambda: choices.dismiss(alert()), look)
        self.snooze = button(speech("snooze"), lambda: choices.snooze(alert()), look)
        self.hush = button(speech("silence"), lambda: choices.hush(alert()), look)

    def update(self, alert: AlertBody) -> None:
        """Follow the alert."""
        undecided = alert.handling in (Handling.NEW, Handling.ACKNOWLEDGED)
        stands = alert.state in (AlertState.FIRING, AlertState.STALE)
        mild = alert.severity <= suppression_terms().snooze.severity_max
        show_if(self.dismiss, undecided)
        show_if(self.snooze, undecided and stands and mild)
        show_if(self.hush, stands)


class ModeQuestion:
    """The chosen vehicle is in a workshop, on a transporter, being flashed, or shows a demo."""

    def __init__(
        self,
        speech: Speech,
        enter: Callable[[Mode, timedelta, str], object],
        leave: Callable[[], object],
    ) -> None:
        self._speech, self._enter = speech, enter
        with box("div", "steps"):
            button(speech("mode_enter"), self._ask, "quiet small")
            button(speech("mode_leave"), leave, "quiet small")

    def _ask(self) -> None:
        speech = self._speech
        modes = Choice(speech("mode"), {str(mode): speech(f"mode_{mode}") for mode in Mode})

        def answer(values: list[str], reason: str) -> None:
            self._enter(Mode(values[0]), timedelta(hours=int(values[1])), reason)

        ask(speech, speech("mode_enter"), [modes, hours(speech)], answer, reason_needed=False)
