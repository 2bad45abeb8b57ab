"""Under the alerts: silences in force or to come, each with the button that ends it."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from datetime import datetime, tzinfo

from console.questions import ask
from console.text import Speech
from console.widgets import Rows, box, button, set_text, show_if, words
from model.suppression import Silence

#: A rule id -> what people call the rule; a pattern of ids is said as it is.
Title = Callable[[str], str]


class SilenceRow:
    """One silence."""

    def __init__(self, panel: SilencePanel, row: Silence) -> None:
        self._panel = panel
        self.root = box("li", "silence")
        with self.root:
            self._meant = words("span", "meant")
            self._until = words("span", "due")
            self._why = words("span", "who")
            end = panel.speech("silence_end")
            button(end, lambda: panel.ask_end(row), "quiet small")

    def update(self, row: Silence) -> None:
        """Follow the silence."""
        panel, speech = self._panel, self._panel.speech
        grave = f" · {speech('silence_emergencies')}" if row.emergencies else ""
        set_text(self._meant, meant(speech, row, panel.title) + grave)
        start, end = (said_at(moment, panel.zone) for moment in (row.starts_at, row.ends_at))
        set_text(self._until, speech("silence_span", start=start, end=end))
        set_text(self._why, " · ".join(filter(None, (row.actor, row.reason))))


class SilencePanel:
    """The list, folded away until somebody wants it; hidden while there is none."""

    def __init__(
        self,
        speech: Speech,
        zone: tzinfo,
        title: Title,
        end: Callable[[uuid.UUID, str], object],
    ) -> None:
        self.speech, self.zone, self.title, self._end = speech, zone, title, end
        self.root = box("details", "silences")
        with self.root:
            self._count = words("summary")
            self._list = box("ul", "rows")
        self._rows: Rows[Silence, SilenceRow] = Rows(
            self._list, lambda s: str(s.silence_id), lambda s: SilenceRow(self, s)
        )
        self.show([])

    def show(self, silences: Sequence[Silence]) -> None:
        """Make the list show exactly these."""
        self._rows.show(silences)
        set_text(self._count, self.speech("silences", count=str(len(silences))))
        show_if(self.root, bool(silences))

    def ask_end(self, row: Silence) -> None:
        """Ask why, then let people hear of these alerts again."""
        ask(
            self.speech,
            self.speech("silence_end"),
            [],
            lambda _, reason: self._end(row.silence_id, reason),
            about=meant(self.speech, row, self.title),
            reason_needed=False,
        )


def meant(speech: Speech, row: Silence, title: Title) -> str:
    """Which alerts a silence is for, in words."""
    named = row.matchers
    said = [
        title(named.rule) if named.rule else speech("silence_all_rules"),
        named.vin,
        named.brand,
        named.model,
        named.station_id and speech("silence_station", station=named.station_id),
    ]
    if named.severity_max is not None:
        grave = speech(f"severity_{int(named.severity_max)}")
        said.append(speech("silence_severity", severity=grave))
    return " · ".join(word for word in said if word)


def said_at(moment: datetime, zone: tzinfo) -> str:
    """Day and time where the page is read."""
    return f"{moment.astimezone(zone):%m-%d %H:%M}"
