"""Numbers, ages and countdowns as people read them."""

from __future__ import annotations

import math
from datetime import datetime, timedelta

from console.bodies import DueBody
from console.text import Speech
from model.catalogue import catalogue

UNITS = {"degC": "°C", "kOhm": "kΩ", "deg": "°", "": ""}
#: Decimals by unit; one is enough for the rest.
DECIMALS = {"deg": 5, "rpm": 0, "km/h": 0, "kPa": 0, "V": 2, "kOhm": 0, "degC": 0, "%": 0}
#: Cell voltages differ by millivolts.
FINE = {"cell_voltage_max_v": 3, "cell_voltage_min_v": 3}


def number(value: float, decimals: int) -> str:
    """Rounded, with thin groups of thousands; never a negative zero."""
    rounded = round(value, decimals) + 0.0
    return f"{rounded:,.{decimals}f}".replace(",", "\u202f")


def quantity(speech: Speech, name: str, unit: str, value: float) -> tuple[str, str]:
    """A value and its unit as shown; a yes-no signal reads On or Off."""
    signal = catalogue().get(name)
    if not math.isfinite(value):
        return "–", ""
    if signal and signal.unit == "" and signal.on_change and signal.maximum == 1:
        return speech("on") if value else speech("off"), ""
    if unit == "":
        return number(value, 0 if value == round(value) else 2), ""
    return number(value, FINE.get(name, DECIMALS.get(unit, 1))), UNITS.get(unit, unit)


def age(speech: Speech, moment: datetime, now: datetime) -> str:
    """How long ago; a vehicle clock slightly ahead of ours reads as just now."""
    minutes = int((now - moment).total_seconds() // 60)
    if minutes < 1:
        return speech("age_now")
    if minutes < 60:
        return speech("age_minutes", n=minutes)
    if minutes < 48 * 60:
        return speech("age_hours", n=minutes // 60)
    return speech("age_days", n=minutes // (24 * 60))


def countdown(left: timedelta) -> str:
    """12:34, 1:02:03, or with a minus sign when the promise is broken."""
    seconds = math.floor(left.total_seconds())
    sign, seconds = ("\u2212", -seconds) if seconds < 0 else ("", seconds)
    hours, rest = divmod(seconds, 3600)
    clock = f"{rest // 60:02}:{rest % 60:02}"
    return f"{sign}{hours}:{clock}" if hours else f"{sign}{clock}"


def used_percent(started: datetime, due: datetime, now: datetime) -> float:
    """Share of a promise that is used up."""
    return 100 * ((now - started) / (due - started)) if due > started else 100.0


def warning(percent: float) -> str:
    """Which of the four stages a clock is in: calm, half, near, late."""
    stages = ((100, "late"), (80, "near"), (50, "half"))
    return next((name for limit, name in stages if percent >= limit), "calm")


def left(speech: Speech, item: DueBody) -> str:
    """What remains of a service interval, or by how much it has passed."""
    parts = []
    if item.remaining_km is not None:
        parts.append((item.remaining_km, f"{number(abs(item.remaining_km), 0)} km"))
    if item.remaining_days is not None:
        parts.append((item.remaining_days, speech("days", n=number(abs(item.remaining_days), 0))))
    past = [words for amount, words in parts if amount < 0]
    if past:
        return speech("due_past", left=" · ".join(past))
    words = " · ".join(words for _, words in parts)
    return speech("due_left", left=words) if words else ""
