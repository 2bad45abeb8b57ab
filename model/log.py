"""The durable log between ingest and pipeline, as its users see it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

#: Largest value of one record; Kafka's default message limit is 1 MB.
MAX_RECORD_BYTES = 900_000


@dataclass(frozen=True, slots=True)
class BatchKey:
    """Identity of one pushed batch. A repeat is answered like the first and changes nothing."""

    gateway_id: str
    vin: str
    batch_id: str
    part: int = 0


@dataclass(frozen=True, slots=True)
class LogRecord:
    """One batch on its way into the log. `value` is `model.wire.pack` output.

    `digest` is the first 8 bytes of the SHA-256 of the uncompressed wire bytes, hex: the same key
    with another digest is another content and goes to the dead-letter store.
    """

    key: BatchKey
    digest: str
    received_ns: int
    protocol: str
    value: bytes
    #: How far the gateway's clock was ahead of ours when it sent, s; None = it did not say.
    clock_offset_s: int | None = None

    def headers(self) -> dict[str, str]:
        """What every log carries beside the vehicle and the bytes, as text."""
        texts = {
            "gateway": self.key.gateway_id,
            "batch": self.key.batch_id,
            "part": str(self.key.part),
            "digest": self.digest,
            "received_ns": str(self.received_ns),
            "protocol": self.protocol,
        }
        if self.clock_offset_s is not None:
            texts["clock_offset_s"] = str(self.clock_offset_s)
        return texts


@dataclass(frozen=True, slots=True)
class StoredRecord:
    """One record as read back from the log, with its place.

    Header fields are raw: they may be missing or wrong when a stranger wrote to the topic.
    """

    partition: int
    position: int
    vin: str
    headers: dict[str, str]
    value: bytes


class FrameLog(Protocol):
    """Append-only, partitioned by vehicle, gapless positions within a partition."""

    async def append(self, records: list[LogRecord]) -> None:
        """Return only when every record is durable. Raises LogUnavailableError, LogFullError."""

    async def ready(self) -> bool:
        """Whether the log answers right now (asks it)."""
