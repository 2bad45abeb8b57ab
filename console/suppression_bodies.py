"""What the API says and hears about silences, modes, and alerts put off or dismissed."""

from __future__ import annotations

from pydantic import AwareDatetime, Field

from console.bodies import StepBody
from model.alerts import Dismissal
from model.suppression import Matchers, Mode, Reason

UNTIL = ["2025-03-02T08:00:00Z"]


class DismissBody(StepBody):
    """Nothing follows from an alert."""

    code: Dismissal = Field(description="`false_alarm` counts against the rule's precision.")


class SnoozeBody(StepBody):
    """An alert is put off."""

    until: AwareDatetime = Field(
        description="At most 7 days ahead, severity 2 at most, once.", examples=UNTIL
    )


class SilenceBody(StepBody):
    """Nobody hears of alerts that match."""

    reason: Reason
    matchers: Matchers = Field(examples=[{"rule": "codes.*", "model": "Emgrand"}])
    starts_at: AwareDatetime | None = Field(None, description="Null: now.")
    ends_at: AwareDatetime = Field(examples=UNTIL)
    emergencies: bool = Field(False, description="Severity 4 too; think twice.")


class ModeBody(StepBody):
    """A vehicle that is not on the road as usual."""

    mode: Mode
    starts_at: AwareDatetime | None = Field(None, description="Null: now.")
    ends_at: AwareDatetime = Field(examples=UNTIL)
