"""What an upload says of itself: how late it came, how right its clock is, how well it is known.

One sample of each signal an upload, at its newest frame, so that rules and charts see them as any
other. They follow from what is stored with the frames (docs/adr/0017-what-an-upload-says.md), so
the archive gives the same samples again.

    gateway_clock_offset_s       the gateway's clock less ours, as it said when it sent (`Date`) or
                                 as frames from the future show; 0 where nothing speaks against it
    gateway_delay_s              from the newest frame to the sending, by the gateway's own clock;
                                 not known where it did not say when it sent
    unknown_frames_percent       of the data frames, those of which the profile has no message
    wrong_length_frames_percent  of the data frames, those shorter or longer than their message
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from decoders.decode import Decoded, Decoder, Tails
from model.catalogue import catalogue
from model.clock import NS
from model.frames import FrameBatch
from model.signals import FrameStatus, Quality, SignalBatch, SignalTable
from store.frame_block import hours_of

NAMES = (
    "gateway_clock_offset_s",
    "gateway_delay_s",
    "unknown_frames_percent",
    "wrong_length_frames_percent",
)
Scalar = TypeVar("Scalar", bound=np.generic)


def decode_upload(decoder: Decoder, batch: FrameBatch, tails: Tails) -> Decoded:
    """What an upload says, and what it says of itself. `batch` is whole, as it is stored."""
    found = decoder.decode(batch, tails)
    signals = with_arrival(found.signals, batch, described=bool(decoder.plan.messages))
    return replace(found, signals=signals)


def with_arrival(signals: SignalBatch, batch: FrameBatch, *, described: bool) -> SignalBatch:
    """The signals with the upload's own behind them; a profile that sends one itself keeps it.

    `described`: the profile has messages at all; without any there is nothing to compare with.
    """
    table, first = arrival_table(signals.table), len(signals.table.names)
    found: dict[str, list[tuple[int, float]]] = {}
    for rows in hours_of(batch.observed_ns):
        at_ns = int(batch.observed_ns[rows].max())
        for name, value in _samples(signals.frame_status[rows], batch, at_ns, described).items():
            found.setdefault(name, []).append((at_ns, value))
    places = {name: first + i for i, name in enumerate(table.names[first:]) if name in found}
    flat = [sample for name in places for sample in found[name]]
    ends = np.cumsum([len(found[name]) for name in places], dtype=np.int64)
    quality = np.full(len(flat), Quality.GOOD, np.uint8)
    return replace(
        signals,
        table=table,
        run_signal=_joined(signals.run_signal, list(places.values())),
        run_source=_joined(signals.run_source, [-1] * len(places)),
        run_start=np.concatenate([signals.run_start, len(signals) + ends]),
        observed_ns=_joined(signals.observed_ns, [at_ns for at_ns, _ in flat]),
        value=_joined(signals.value, [value for _, value in flat]),
        quality=np.concatenate([signals.quality, quality]),
    )


def _joined(column: NDArray[Scalar], more: list[int] | list[float]) -> NDArray[Scalar]:
    return np.concatenate([column, np.array(more, column.dtype)])


@lru_cache(maxsize=1024)
def arrival_table(table: SignalTable) -> SignalTable:
    """The table of a profile with the upload's own signals behind."""
    more = tuple(name for name in NAMES if name not in table.names)
    units = tuple(catalogue()[name].unit for name in more)
    return replace(table, names=(*table.names, *more), units=(*table.units, *units))


def _samples(
    status: NDArray[np.uint8], batch: FrameBatch, newest_ns: int, described: bool
) -> dict[str, float]:
    """Values of one block of frames."""
    received_ns = batch.received_ns // 1000 * 1000  # as the archive keeps it
    offset_s, found = batch.clock_offset_s, {}
    if offset_s is None:
        found["gateway_clock_offset_s"] = max(0.0, (newest_ns - received_ns) / NS)
    else:
        sent_ns = received_ns + min(offset_s, 0) * NS
        found["gateway_clock_offset_s"] = float(offset_s)
        found["gateway_delay_s"] = max(0.0, (sent_ns - newest_ns) / NS)
    counts = np.bincount(status, minlength=len(FrameStatus)).tolist()
    n = len(status) - counts[FrameStatus.NO_PAYLOAD]
    if described and n:
        wrong = counts[FrameStatus.SHORT] + counts[FrameStatus.WRONG_LENGTH]
        found["unknown_frames_percent"] = 100 * counts[FrameStatus.UNKNOWN_ID] / n
        found["wrong_length_frames_percent"] = 100 * wrong / n
    return found
