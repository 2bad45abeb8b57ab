"""A plan with fewer signals, for those who asked for some only.

Frames are matched and their status is found as before; what nobody asked for is not computed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from dataclasses import fields, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from decoders.j1939_dm1 import LAMPS
from decoders.plan import Fields, Plan, Signals

Columns = TypeVar("Columns", Fields, Signals)


def subset(plan: Plan, names: Collection[str]) -> Plan:
    """The plan with the signals of these names (`plan.table.names`); DM1's lamps always stay."""
    wanted = np.isin(np.array(plan.table.names), sorted(names))
    keep = wanted[plan.signals.name]
    if plan.j1939:
        keep[-len(LAMPS) :] = True
    kept_before = np.concatenate([[0], np.cumsum(keep)])
    start = kept_before[plan.groups.signal_start].astype(np.int32)
    bits = _rows(plan.signal_bits, keep)
    # `need` may not fall below what tells a short frame.
    need = [
        max((int(promised), *bits.need[low:high].tolist()))
        for promised, low, high in zip(plan.groups.promised, start, start[1:], strict=False)
    ]
    text = "\n".join([plan.hash, *sorted(names)])
    return replace(
        plan,
        hash=hashlib.sha256(text.encode()).hexdigest(),
        groups=replace(plan.groups, signal_start=start, need=np.array(need, np.int32)),
        signal_bits=bits,
        signals=_rows(plan.signals, keep),
    )


def _rows(columns: Columns, keep: NDArray[np.bool_]) -> Columns:
    return replace(columns, **{f.name: getattr(columns, f.name)[keep] for f in fields(columns)})
