"""Everything that must become true together for one batch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from model.alerts import AlertTransition
from model.codes import CodeReport, EcuFact
from model.frames import FrameBatch
from model.log import BatchKey, StoredRecord
from model.rescue import RescueCase
from model.signals import SignalBatch


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A record that cannot be understood, kept with its bytes, reason and origin."""

    origin: StoredRecord
    reason: str


@dataclass(frozen=True, slots=True)
class OutboxRecord:
    """One message to the outside. `key` is stable: the receiver sees the same id on every try."""

    key: str
    kind: str
    body: dict[str, Any]


@dataclass(frozen=True, slots=True, eq=False)
class LastValues:
    """Newest GOOD sample per signal name: (value, observed_ns)."""

    values: dict[str, tuple[float, int]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class VehicleSnapshot:
    """What the pipeline remembers of a vehicle, as written back in the batch's transaction."""

    vehicle_id: int
    observed_ns: int
    received_ns: int
    last: LastValues
    #: JSON-able rule memory, counters and reassembly tails; <= 2 kB.
    memory: dict[str, Any]


@dataclass(frozen=True, slots=True, eq=False)
class Effects:
    """Effects of one batch of one vehicle."""

    vehicle_id: int
    key: BatchKey
    frames: FrameBatch
    signals: SignalBatch
    reports: tuple[CodeReport, ...]
    transitions: tuple[AlertTransition, ...]
    cases: tuple[RescueCase, ...]
    outbox: tuple[OutboxRecord, ...]
    snapshot: VehicleSnapshot
    facts: tuple[EcuFact, ...] = ()
    #: What a bundle on trial would have said; stored, told to nobody.
    shadow: tuple[AlertTransition, ...] = ()
