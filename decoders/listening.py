"""What the diagnostic frames of a vehicle say, batch by batch. Needs no DBC file and no plan."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any  # JSON

import numpy as np
from numpy.typing import NDArray

from decoders.answers import Heard
from decoders.diagnosis import DiagnosisListener, Requests
from decoders.diagnosis_rows import unread
from decoders.frame_rows import candidates
from decoders.iso14229_did import DataIdentifier
from decoders.iso15765 import Reassembly
from decoders.iso15765_addresses import AddressBook
from decoders.j1939 import J1939Listener, select
from decoders.j1939_etp import ExtendedReassembly
from decoders.j1939_tp import Reassembly as ShortReassembly
from model.frames import FrameBatch

NO_ROWS = np.zeros(0, np.intp)
Rows = tuple[tuple[int | str, ...], ...]


@dataclass(frozen=True, slots=True)
class Tails:
    """What is on its way of one vehicle, from one batch to the next."""

    j1939: Rows = ()
    j1939_long: Rows = ()
    iso15765: Rows = ()
    requests: Rows = ()

    def to_memory(self) -> dict[str, Any]:
        """JSON-able; empty when nothing is unfinished."""
        rows = {f.name: getattr(self, f.name) for f in fields(self)}
        return {name: [list(row) for row in part] for name, part in rows.items() if part}

    @classmethod
    def from_memory(cls, memory: Mapping[str, Any]) -> Tails:
        """Inverse of `to_memory`."""
        return cls(**{f.name: _rows(memory.get(f.name, ())) for f in fields(cls)})


def _rows(part: Iterable[Iterable[int | str]]) -> Rows:
    return tuple(tuple(row) for row in part)


@dataclass(frozen=True, slots=True)
class Listening:
    """How to listen to vehicles of one profile. Holds no state of a vehicle."""

    book: AddressBook = field(default_factory=AddressBook)
    j1939: bool = False
    dids: Mapping[int, DataIdentifier] = field(default_factory=dict)

    def listen(
        self, batch: FrameBatch, tails: Tails, status: NDArray[np.uint8]
    ) -> tuple[Heard, Tails]:
        """Reports and facts in order of time; `status` of the frames concerned moves on."""
        heard = Heard()
        now_ns = int(batch.observed_ns.max(initial=0))
        near = candidates(batch.can_id, j1939=self.j1939)
        rows = select(batch, near) if self.j1939 and len(near) else NO_ROWS
        if len(rows) or tails.j1939 or tails.j1939_long:
            trucks = J1939Listener(
                ShortReassembly.from_memory(tails.j1939),
                ExtendedReassembly.from_memory(tails.j1939_long),
            )
            trucks.listen(batch, rows, status, heard)
            trucks.expire(now_ns)
            short, long = trucks.short.to_memory(), trucks.long.to_memory()
            tails = replace(tails, j1939=_rows(short), j1939_long=_rows(long))
        rows = self._diagnosis(batch, near, tails, status)
        if len(rows) or tails.iso15765 or tails.requests:
            cars = DiagnosisListener(
                self.book,
                Reassembly.from_memory(tails.iso15765),
                Requests.from_memory(tails.requests),
                self.dids,
            )
            cars.listen(batch, rows, status, heard)
            cars.expire(now_ns)
            messages, requests = cars.reassembly.to_memory(), cars.requests.to_memory()
            tails = replace(tails, iso15765=_rows(messages), requests=_rows(requests))
        heard.reports.sort(key=lambda report: report.observed_ns)
        heard.facts.sort(key=lambda fact: fact.observed_ns)
        return heard, tails

    def _diagnosis(
        self, batch: FrameBatch, near: NDArray[np.intp], tails: Tails, status: NDArray[np.uint8]
    ) -> NDArray[np.intp]:
        """Rows that diagnosis has to look at; the others of its rows are OK."""
        if len(linked := self.book.linked(batch.can_id)):
            near = np.union1d(near, linked)
        if not len(near):
            return NO_ROWS
        carriers = self.book.carriers(batch.can_id.take(near))
        if not carriers.all():
            chosen = carriers.nonzero()[0]
            near, carriers = near[chosen], carriers[chosen]
            if not len(near):
                return NO_ROWS
        on_way = [int(row[1]) for row in tails.iso15765]
        return unread(batch, near, carriers, on_way, status)
