"""Everything the diagnostic frames of a batch say: reassembled, matched to requests, decoded.

`diagnosis_rows` says which rows are looked at one by one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from decoders import (
    iso14229,
    iso14229_clear,
    iso14229_did,
    iso14229_refusal,
    j1979_services,
    kwp2000,
)
from decoders.answers import Answer, Carried, Heard, Origin
from decoders.diagnosis_rows import ANSWER, ASKED, REFUSED, understood
from decoders.frame_rows import frame_rows
from decoders.iso14229_did import DataIdentifier
from decoders.iso15765 import CLASSIC, FIRST, NO_ADDRESS, Message, Reassembly
from decoders.iso15765_addresses import AddressBook, Route
from decoders.iso15765_batch import ENOUGH_ROWS, Whole, whole_messages
from model.clock import NS
from model.errors import DecodeError
from model.frames import FrameBatch
from model.signals import FrameStatus

#: An ECU answers, or says that it needs longer (NRC 78), within P2*: 5 s (ISO 14229-2).
PATIENCE_NS = 5 * NS
MAX_REQUESTS, REQUEST_BYTES = 32, 8
_PENDING = 0x78

Key = tuple[int, int, int]


@dataclass(slots=True)
class Requests:
    """The last request of each (bus, ECU or everybody, service), the oldest first."""

    asked: dict[Key, tuple[int, bytes]] = field(default_factory=dict)

    def note(self, observed_ns: int, key: Key, payload: bytes) -> None:
        """Remember a request, or that its answer is delayed."""
        self.asked.pop(key, None)
        self.asked[key] = (observed_ns, payload[:REQUEST_BYTES])
        if len(self.asked) > MAX_REQUESTS:
            self.expire(observed_ns)
        while len(self.asked) > MAX_REQUESTS:
            del self.asked[next(iter(self.asked))]

    def find(self, begun_ns: int, bus: int, route: Route, service: int) -> bytes | None:
        """The request an answer belongs to: the latest of this service it may be for."""
        found = [
            entry
            for key in (route.answers, route.everybody)
            if (entry := self.asked.get((bus, key, service)))
            and 0 <= begun_ns - entry[0] <= PATIENCE_NS
        ]
        return max(found)[1] if found else None

    def expire(self, now_ns: int) -> None:
        """Forget requests that no answer can belong to any more."""
        for key, (observed_ns, _) in list(self.asked.items()):
            if now_ns - observed_ns > PATIENCE_NS:
                del self.asked[key]

    def to_memory(self) -> list[list[int | str]]:
        """JSON-able rows."""
        return [[*key, at_ns, request.hex()] for key, (at_ns, request) in self.asked.items()]

    @classmethod
    def from_memory(cls, rows: Sequence[Sequence[int | str]]) -> Requests:
        """Inverse of `to_memory`."""
        requests = cls()
        for bus, ecu, service, at_ns, request in rows:
            key = (int(bus), int(ecu), int(service))
            requests.asked[key] = (int(at_ns), bytes.fromhex(str(request)))
        return requests


@dataclass(slots=True)
class DiagnosisListener:
    """Messages and requests on their way of one vehicle."""

    book: AddressBook
    reassembly: Reassembly = field(default_factory=Reassembly)
    requests: Requests = field(default_factory=Requests)
    dids: Mapping[int, DataIdentifier] = field(default_factory=dict)

    def listen(
        self,
        batch: FrameBatch,
        rows: NDArray[np.intp],
        status: NDArray[np.uint8],
        heard: Heard,
    ) -> None:
        """Take the selected rows; their `status` becomes OK, or SHORT when cut off."""
        taken: list[int] = []
        short: list[int] = []
        whole = Whole()
        if len(rows) >= ENOUGH_ROWS:
            whole, rows = self._whole(batch, rows, status)
        for row, observed_ns, bus, can_id, frame in frame_rows(batch, rows):
            route = self.book.route(can_id)
            ours = route.known
            payload = whole.payloads.get(row)
            message: Message | None
            if payload is not None:
                if self.reassembly.sessions:
                    self.reassembly.lose((bus, can_id, NO_ADDRESS))
                begun_ns = whole.begun_ns.get(row, observed_ns)
                message = Message(begun_ns, observed_ns, bus, can_id, NO_ADDRESS, payload)
            elif ours or self._expected(observed_ns, bus, route, frame):
                message = self.reassembly.receive(observed_ns, bus, can_id, frame, route.offset)
            else:
                continue
            try:
                if message is not None:
                    # Of a plain single frame the kernel has read the first value.
                    read = int(0 < frame[0] < 16 and not route.offset)
                    ours = self._take(message, route, row, read, heard)
            except DecodeError:
                short.append(row)
            else:
                if ours:
                    taken.append(row)
        understood(status, np.array(taken, np.intp))
        if short:
            status[short] = FrameStatus.SHORT

    def _whole(
        self, batch: FrameBatch, rows: NDArray[np.intp], status: NDArray[np.uint8]
    ) -> tuple[Whole, NDArray[np.intp]]:
        """Messages by their last row, and the rows without the others of these messages."""
        routes = self.book.route
        whole = whole_messages(batch, rows, lambda i: routes(i).known and not routes(i).offset)
        understood(status, whole.inside)
        rest = np.ones(len(batch), np.bool_)
        rest[whole.inside] = False
        return whole, rows[rest[rows]]

    def _take(self, message: Message, route: Route, row: int, read: int, heard: Heard) -> bool:
        """One whole message; False when it is none of ours. Raises `DecodeError`."""
        begun_ns, observed_ns, bus, can_id, address, payload = message
        service = payload[0]
        if not service & ANSWER:
            if service in ASKED:
                self.requests.note(observed_ns, (bus, route.asks, service), payload)
            return route.known or service in ASKED
        refused = service == REFUSED and len(payload) > 1
        asked = payload[1] if refused else service - ANSWER
        request = self.requests.find(begun_ns, bus, route, asked) if asked in ASKED else None
        if not route.trusted and request is None:
            return False
        if refused and payload[2:3] == bytes([_PENDING]) and request is not None:
            self.requests.note(observed_ns, (bus, route.answers, asked), request)
        ecu = route.ecu if address == NO_ADDRESS else route.ecu << 8 | address
        answer = self._decode(payload, Origin(observed_ns, bus, ecu), request)
        heard.reports += answer.reports
        heard.facts += answer.facts
        for pid, content in answer.pids[read:]:
            frame = j1979_services.single_frame(pid, content)
            heard.carried.append(Carried(row, observed_ns, can_id, frame, single_frame=True))
        for did, content in answer.dids:
            heard.carried.append(Carried(row, observed_ns, can_id, content, did=did))
        return True

    def _expected(self, observed_ns: int, bus: int, route: Route, frame: bytes) -> bool:
        """False for a first frame among ordinary messages that nobody asked for."""
        body = frame[route.offset :]
        if len(body) < CLASSIC - route.offset or body[0] >> 4 != FIRST:
            return True
        service = body[2] if body[0] & 0xF or body[1] else body[6]
        if service in ASKED:
            return True
        asked = service - ANSWER
        return asked in ASKED and self.requests.find(observed_ns, bus, route, asked) is not None

    def _decode(self, payload: bytes, origin: Origin, request: bytes | None) -> Answer:
        service = payload[0]
        if service in j1979_services.ANSWERS:
            return j1979_services.decode(payload, origin)
        if service == kwp2000.ANSWER:
            return kwp2000.decode(payload, origin, request)
        if service == iso14229.ANSWER:
            return iso14229.decode(payload, origin, request, self.dids)
        if service == iso14229_did.ANSWER:
            return iso14229_did.decode(payload, origin, self.dids)
        if service == iso14229_clear.ANSWER:
            return iso14229_clear.decode(payload, origin, request)
        if service == REFUSED:
            return iso14229_refusal.decode(payload, origin)
        return Answer()

    def expire(self, now_ns: int) -> None:
        """Forget what is over when the vehicle's clock says `now_ns`."""
        self.reassembly.expire(now_ns)
        if not self.reassembly.sessions:
            self.requests.expire(now_ns)
