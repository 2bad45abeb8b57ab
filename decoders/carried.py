"""Messages that came inside others (transport protocols), decoded by the plan like frames."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from decoders.answers import Carried
from decoders.kernel import Frames, decode_rows, find_messages
from decoders.plan import Plan
from decoders.runs import Runs


def decode_carried(plan: Plan, messages: Sequence[Carried]) -> list[Runs]:
    """Samples of the messages that the plan knows."""
    if not messages:
        return []
    can_id = np.array([m.can_id for m in messages], np.uint32)
    number, source = find_messages(plan, can_id)
    for row, message in enumerate(messages):
        if message.did is not None:
            number[row], source[row] = _did_message(plan, message.did), -1
    known = np.flatnonzero(number >= 0)
    single = np.array([messages[i].single_frame for i in known.tolist()], np.bool_)
    known = known[~single | plan.iso_tp[number[known]]]
    if not len(known):
        return []
    chosen = [messages[i] for i in known.tolist()]
    width = max(-(-len(m.payload) // 8) * 8 for m in chosen)
    frames = Frames(
        observed_ns=np.array([m.observed_ns for m in chosen], np.int64),
        can_id=can_id[known],
        length=np.array([len(m.payload) for m in chosen], np.int32),
        payload=np.frombuffer(
            b"".join(m.payload.ljust(width, b"\0") for m in chosen), np.uint8
        ).reshape(-1, width),
        row=np.array([m.row for m in chosen], np.int64),
    )
    runs, _ = decode_rows(plan, frames, number[known], source[known])
    return [runs]


def _did_message(plan: Plan, did: int) -> int:
    """The plan's message of a DID's value, -1 where it has none."""
    at = int(np.searchsorted(plan.dids.number, did))
    here = at < len(plan.dids.number) and int(plan.dids.number[at]) == did
    return int(plan.dids.message[at]) if here else -1
