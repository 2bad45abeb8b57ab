"""What stands behind an alert: enough to see why it was raised, and to raise it again."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Literal

from pydantic import Field, JsonValue

from model.record import Record

LogSuffix = Literal["blf", "asc", "log"]


class Sample(Record):
    """One sample; value None = not good."""

    at: datetime
    value: float | None


class SignalTrace(Record):
    """A signal the rule asks for, in the window."""

    name: str = Field(examples=["engine_coolant_temp_c"])
    unit: str = Field(examples=["degC"])
    source: int = Field(description="J1939 source address, -1 where there is none.")
    samples: list[Sample] = Field(description="In order of time.")
    left_out: int = Field(0, description="Samples farther from the moment that are not listed.")


class Circumstance(Record):
    """One value of the context row, the newest at the alert's moment."""

    value: float
    at: datetime


class EcuFreezeFrame(Record):
    """What an ECU stored beside a trouble code, bytes as sent."""

    at: datetime
    ecu: int
    code: str = Field(examples=["P0217"])
    number: int
    parts: dict[str, str] = Field(description="PID, DID or SPN in hexadecimal: bytes.")


class Evidence(Record):
    """Everything that was true of one alert."""

    alert_id: uuid.UUID
    vin: str
    rule: str = Field(examples=["ice.coolant.overtemp@1"], description="Rule id and version.")
    instance: str
    bundle_hash: str = Field(description="Content of all rules in force.")
    profile: str
    profile_hash: str = Field(description="DBC files and signal map the frames were read with.")
    started_at: datetime
    fired_at: datetime
    worst_at: datetime = Field(description="When it was as serious as it is; its moment.")
    window_start: datetime
    window_end: datetime
    frames: int = Field(description="CAN frames of the window.")
    thresholds: dict[str, float]
    decided: dict[str, float] = Field(description="Values at the moment.")
    conditions: list[str] = Field(description="As the rule wrote them; empty if nobody kept it.")
    explained: dict[Literal["zh", "en"], list[str]] = Field(description="Why, in words.")
    context: dict[str, Circumstance | None] = Field(
        description="Odometer, speed, position, outside temperature, charge; null: not known."
    )
    ignition_cycle: int | None = Field(
        None,
        description="Number of the driving cycle, counted by the code lists of the vehicle's ECUs "
        "from the oldest that is kept. Null: no ECU had sent one by then.",
    )
    memory: dict[str, JsonValue] | None = Field(
        None,
        description="What the rule remembered where the window begins, if the window alone does "
        "not raise the alert again; for `roadcall replay --memory`.",
    )
    freeze_frames: list[EcuFreezeFrame]
    signals: list[SignalTrace]
