"""From a log record back to an upload.

Strangers may have written the record: everything is checked.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

import numpy as np

from model import wire
from model.clock import NS
from model.errors import DecodeError
from model.frames import MAX_CLOCK_OFFSET_S, FrameBatch
from model.log import BatchKey, StoredRecord
from rules.lane import MAX_SKEW_NS

HEADERS = ("gateway", "batch", "part", "digest", "received_ns", "protocol")
#: Bounds of fields that become database keys.
MAX_TEXT, MAX_PART, MAX_NS = 128, 32_767, 2**63 - 1


@dataclass(frozen=True, slots=True, eq=False)
class Upload:
    """A record that could be read."""

    record: StoredRecord
    key: BatchKey
    digest: str
    frames: FrameBatch
    #: Frames that were observed after they had arrived, by a clock that is ahead.
    ahead: int = 0


def read_upload(record: StoredRecord) -> Upload:
    """Raises `DecodeError` with the reason, and nothing else."""
    headers = _texts(record)
    part = _number(headers, "part", MAX_PART)
    received_ns = _number(headers, "received_ns", MAX_NS)
    key = BatchKey(headers["gateway"], record.vin, headers["batch"], part)
    frames = wire.decode(
        wire.inflate(record.value),
        vin=record.vin,
        gateway_id=key.gateway_id,
        batch_id=key.batch_id,
        received_ns=received_ns,
    )
    frames = replace(
        frames,
        protocol=headers["protocol"],
        clock_offset_s=_clock_offset_s(headers.get("clock_offset_s")),
    )
    frames, ahead = not_ahead(frames)
    return Upload(record, key, headers["digest"], frames, ahead)


def not_ahead(frames: FrameBatch) -> tuple[FrameBatch, int]:
    """Frames from further in the future than clocks may differ, taken as of their arrival.

    They are moved back together by whole seconds, so that the newest does not lie after the
    arrival; how far is then the batch's clock offset (domain.md 3.2). Also says how many.
    """
    ahead = frames.observed_ns > min(frames.received_ns + MAX_SKEW_NS, MAX_NS)
    if not ahead.any():
        return frames, 0
    newest_ns = int(frames.observed_ns.max())
    offset_s = min(-((frames.received_ns - newest_ns) // NS), MAX_NS // NS)
    moved = replace(
        frames,
        observed_ns=np.where(ahead, frames.observed_ns - offset_s * NS, frames.observed_ns),
        clock_offset_s=min(offset_s, MAX_CLOCK_OFFSET_S),
    )
    return moved, int(ahead.sum())


def _clock_offset_s(text: str | None) -> int | None:
    """What the gateway's `Date` came to; nothing else rests on it, so nonsense is not known."""
    if text is None or not re.fullmatch(r"-?[0-9]{1,9}", text):
        return None
    return max(-MAX_CLOCK_OFFSET_S, min(int(text), MAX_CLOCK_OFFSET_S))


def _texts(record: StoredRecord) -> dict[str, str]:
    for name in HEADERS:
        text = record.headers.get(name)
        if text is None:
            raise DecodeError(f"header {name} is missing")
        if len(text) > MAX_TEXT or "\x00" in text:
            raise DecodeError(f"header {name} is not a short text")
    return record.headers


def _number(headers: dict[str, str], name: str, limit: int) -> int:
    text = headers[name]
    if not (text.isascii() and text.isdigit()) or not 0 <= int(text) <= limit:
        raise DecodeError(f"header {name} is not a number from 0 to {limit}")
    return int(text)
