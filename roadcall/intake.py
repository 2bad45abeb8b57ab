"""From a log record back to an upload.

Strangers may have written the record: everything is checked.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from model import wire
from model.errors import DecodeError
from model.frames import FrameBatch
from model.log import BatchKey, StoredRecord

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
    return Upload(record, key, headers["digest"], replace(frames, protocol=headers["protocol"]))


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
