"""Which rows of a batch diagnosis must look at one by one.

Not those that are surely ordinary messages, and not the answers the kernel reads by itself: single
frames with one value of service 01. A car that is asked for values all day sends little else, so
what is left here decides what listening costs.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from decoders.iso14229 import ANSWER as CODES
from decoders.iso14229_clear import ANSWER as CLEARED
from decoders.iso14229_did import ANSWER as VALUES
from decoders.iso15765 import CONSECUTIVE, FIRST
from decoders.iso15765_addresses import Carrier
from decoders.j1979_pids import PID_BYTES
from decoders.j1979_services import CURRENT
from decoders.kwp2000 import ANSWER as KWP_CODES
from model.frames import FrameBatch
from model.signals import FrameStatus

#: First bytes of answers are the service + 40; of refusals 7F.
ANSWER, REFUSED = 0x40, 0x7F
#: Services whose answers mean more when the request is known.
ASKED = frozenset(answer - ANSWER for answer in (KWP_CODES, CODES, VALUES, CLEARED))
_READINESS_PID = 1
#: First bytes of messages that matter where ordinary messages may be as well.
_MATTERS = np.zeros(256, np.bool_)
_MATTERS[[*ASKED, KWP_CODES, CODES, VALUES, CLEARED, REFUSED]] = True
#: Bytes 0 and 1 of a single frame with one value, by PID: its length and service. The values of
#: readiness are not for the DBC alone; 0 is no such frame.
_ONE_VALUE = (PID_BYTES.astype(np.uint16) + 2 | CURRENT << 8).astype("<u2")
_ONE_VALUE[_READINESS_PID] = 0
#: As numbers, because reading an enum costs as much as comparing a hundred rows.
_ANSWERS, _DOUBTFUL = np.uint8(Carrier.ANSWERS), np.uint8(Carrier.DOUBTFUL)


def unread(
    batch: FrameBatch,
    rows: NDArray[np.intp],
    carriers: NDArray[np.uint8],
    on_way: Iterable[int],
    status: NDArray[np.uint8],
) -> NDArray[np.intp]:
    """The rows to look at; those the kernel read become OK unless they are SHORT.

    `rows` ascend, `carriers` are theirs; `on_way` are identifiers with a message on its way, which
    a single frame ends: those are told.
    """
    n = int(np.searchsorted(rows, batch.n8))
    classic, carriers = rows[:n], carriers[:n]
    head = batch.payload8.take(classic, axis=0)
    alone = head.view("<u2")[:, 0] == _ONE_VALUE.take(head[:, 2])
    alone &= batch.length.take(classic) > head[:, 0]
    alone &= carriers == _ANSWERS
    busy = {*on_way, *batch.can_id[rows[n:]].tolist()}
    if alone.all() and not busy:
        understood(status, rows)
        return rows[:0]
    can_id = batch.can_id[classic]
    busy.update(can_id[head[:, 0] >> 4 == FIRST].tolist())
    if busy:
        alone &= ~np.isin(can_id, np.array(sorted(busy), np.uint32))
    understood(status, classic[alone])
    kept = ~alone
    doubtful = np.flatnonzero(carriers == _DOUBTFUL)
    kept[doubtful] = _matters(head[doubtful])
    return np.concatenate([classic[kept], rows[n:]])


def _matters(head: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Frames that are not surely ordinary messages."""
    kind = head[:, 0] >> 4
    service = np.where(kind == FIRST, head[:, 2], head[:, 1])
    matters: NDArray[np.bool_] = (kind <= FIRST) & _MATTERS[service]
    matters |= kind == CONSECUTIVE
    return matters


def understood(status: NDArray[np.uint8], rows: NDArray[np.intp]) -> None:
    """What the DBC does not know is OK as well; what it found cut off stays so."""
    found = status.take(rows)
    if found.any():
        status[rows[found != FrameStatus.SHORT]] = FrameStatus.OK
