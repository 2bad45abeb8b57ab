"""Which frames carry diagnosis, and who talks to whom.

Source: ISO 15765-4 (11-bit and 29-bit OBD identifiers) and ISO 15765-2 (fixed and mixed
addressing); editions: docs/sources.md.

    identifier              who                                      read without a request
    7DF                     tester to everybody                      -
    7E0-7E7, 7E8-7EF        tester to ECU, ECU's answer (+ 8)        yes
    other 700-7FF           tester to ECU, ECU's answer (+ 8)        no
    18 DA target source     tester (F1) and ECU, one to one          yes, to F1
    18 DB target source     tester to everybody                      -
    18 CE, 18 CD            the same with an address byte (mixed)    yes, to F1
    a `Link`                what a profile says                      yes

Ordinary messages live in 700-7FF too, and makers differ in what they put there. There an answer
counts only when its service was asked for: from that ECU (the identifier 8 below), or from all.
An identifier of that range which the profile's DBC files describe is never diagnosis.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from decoders.frame_rows import PDU1, PDU2
from model.frames import EXTENDED_ID

FUNCTIONAL_ID, FIRST_ID, LAST_ID = 0x7DF, 0x700, 0x7FF
OBD_ANSWERS = range(0x7E8, 0x7F0)
_OBD_IDS = range(0x7DF, 0x7F0)
PF_PHYSICAL, PF_FUNCTIONAL, PF_MIXED, PF_MIXED_FUNCTIONAL = 0xDA, 0xDB, 0xCE, 0xCD
TESTER = 0xF1
#: Keys of requests to everybody, on 11-bit and on 29-bit identifiers.
EVERYBODY_11, EVERYBODY_29 = -1, -2
_FIXED = np.uint32(int(EXTENDED_ID) | PF_PHYSICAL << 16)
_MIXED = np.uint32(int(EXTENDED_ID) | PF_MIXED_FUNCTIONAL << 16)
_TO_TESTER = np.uint32(int(EXTENDED_ID) | PF_PHYSICAL << 16 | TESTER << 8)
_ONE_MORE = np.uint32(1 << 16)


class Carrier(IntEnum):
    """What frames of an identifier may be.

    ANSWERS are OBD answers, which need no request and hold no address byte; DOUBTFUL identifiers
    may carry ordinary messages as well.
    """

    NO_DIAGNOSIS = 0
    ANSWERS = 1
    KNOWN = 2
    DOUBTFUL = 3


@dataclass(frozen=True, slots=True)
class Link:
    """A pair of identifiers (bit 31 set = 29-bit) beside the table above.

    `addressed`: byte 0 of every frame is an address (extended or mixed addressing).
    """

    request_id: int
    answer_id: int
    addressed: bool = False


class Route(NamedTuple):
    """What an identifier means.

    `asks` is the key of the ECU that a request here is for, `answers` and `everybody` the keys
    of requests that an answer here may belong to. `known`: nothing but diagnosis is sent here;
    `trusted`: an answer here needs no request.
    """

    offset: int
    ecu: int
    asks: int
    answers: int
    everybody: int
    known: bool
    trusted: bool


class AddressBook:
    """The table above for one profile."""

    def __init__(self, links: Iterable[Link] = (), ordinary: Iterable[int] = ()) -> None:
        self.routes: dict[int, Route] = {}
        self._links = np.array(
            sorted({i for link in links for i in (link.request_id, link.answer_id)}), np.uint32
        )
        # The entry after the last stands for all identifiers outside 700-7FF.
        self._carriers = np.full(LAST_ID - FIRST_ID + 2, Carrier.DOUBTFUL, np.uint8)
        self._carriers[-1] = Carrier.NO_DIAGNOSIS
        for can_id in ordinary:
            if FIRST_ID <= can_id <= LAST_ID:
                self._carriers[can_id - FIRST_ID] = Carrier.NO_DIAGNOSIS
        for can_id in _OBD_IDS:
            answers = can_id in OBD_ANSWERS
            self._carriers[can_id - FIRST_ID] = Carrier.ANSWERS if answers else Carrier.KNOWN
        for link in links:
            offset = int(link.addressed)
            for can_id in (link.request_id, link.answer_id):
                self.routes[can_id] = Route(
                    offset, can_id, link.answer_id, can_id, EVERYBODY_11, known=True, trusted=True
                )

    def carriers(self, can_id: NDArray[np.uint32]) -> NDArray[np.uint8]:
        """The `Carrier` of each identifier, by the table and the links."""
        carriers = self._carriers.take(can_id - np.uint32(FIRST_ID), mode="clip")
        if len(can_id) and can_id.max() > LAST_ID:
            kind = can_id & PDU1
            carriers[(kind - _FIXED <= _ONE_MORE) | (kind - _MIXED <= _ONE_MORE)] = Carrier.KNOWN
            carriers[can_id & PDU2 == _TO_TESTER] = Carrier.ANSWERS
        if len(self._links):
            carriers[np.isin(can_id, self._links)] = Carrier.KNOWN
        return carriers

    def linked(self, can_id: NDArray[np.uint32]) -> NDArray[np.intp]:
        """Rows that carry diagnosis by a link."""
        if not len(self._links):
            return np.zeros(0, np.intp)
        return np.flatnonzero(np.isin(can_id, self._links))

    def route(self, can_id: int) -> Route:
        """What a selected identifier means."""
        found = self.routes.get(can_id)
        if found is None:
            found = self.routes[can_id] = _fixed(can_id) if can_id > LAST_ID else _plain(can_id)
        return found


def _plain(can_id: int) -> Route:
    asks = EVERYBODY_11 if can_id == FUNCTIONAL_ID else can_id + 8
    return Route(
        offset=0,
        ecu=can_id,
        asks=asks,
        answers=can_id,
        everybody=EVERYBODY_11,
        known=can_id in _OBD_IDS,
        trusted=can_id in OBD_ANSWERS,
    )


def _fixed(can_id: int) -> Route:
    kind, target, source = can_id >> 16 & 0xFF, can_id >> 8 & 0xFF, can_id & 0xFF
    to_all = kind in (PF_FUNCTIONAL, PF_MIXED_FUNCTIONAL)
    return Route(
        offset=int(kind in (PF_MIXED, PF_MIXED_FUNCTIONAL)),
        ecu=source,
        asks=EVERYBODY_29 if to_all else int(EXTENDED_ID) | target,
        answers=int(EXTENDED_ID) | source,
        everybody=EVERYBODY_29,
        known=TESTER in (target, source),
        trusted=target == TESTER and not to_all,
    )
