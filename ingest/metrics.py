"""What the ingest service counts. No VIN and no gateway in any label."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class IngestMetrics:
    """One set of counters in one registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        name = "roadcall_ingest"
        self.uploads = Counter(f"{name}_uploads", "Uploads made durable", registry=registry)
        self.frames = Counter(f"{name}_frames", "Frames made durable", registry=registry)
        self.received = Counter(f"{name}_bytes", "Body bytes received", registry=registry)
        self.refusals = Counter(
            f"{name}_refusals", "Uploads refused", ["status"], registry=registry
        )
        self.in_flight = Gauge(f"{name}_in_flight", "Uploads in progress", registry=registry)
        self.append_s = Histogram(
            f"{name}_append_seconds", "Time the log took", buckets=_SECONDS, registry=registry
        )
