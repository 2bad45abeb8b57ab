"""One class of settings, read from `ROADCALL_` variables and checked before anything runs."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Annotated

from pydantic import Field, SecretStr, model_validator
from pydantic.functional_validators import BeforeValidator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

Paths = Annotated[
    tuple[Path, ...],
    NoDecode,
    BeforeValidator(lambda v: tuple(v.split(":")) if isinstance(v, str) else v),
]


class Settings(BaseSettings):
    """Everything an operator may set. Thresholds and promises are data files, not settings."""

    model_config = SettingsConfigDict(env_prefix="ROADCALL_", frozen=True, extra="ignore")

    home: Path | None = None
    """Where the embedded database lives; None = the user's data directory."""
    dsn: SecretStr | None = None
    """PostgreSQL or TimescaleDB; None = the embedded PostgreSQL."""
    kafka: str | None = None
    """Bootstrap servers; None = embedded mode, PostgreSQL is the log."""
    kafka_topic: str = "roadcall.frames"
    worker_instance: str | None = None
    """A name that outlives the worker process: its restart after a crash is seconds quicker."""
    metrics_port: int | None = Field(None, ge=0, le=65535)
    """Where worker and dispatcher serve Prometheus metrics; None = nowhere. Ingest has /metrics."""
    timescale: bool | None = None
    """Whether to install the TimescaleDB migration; None = when the extension is available."""
    partitions: int = Field(12, ge=1, le=1024)
    """Fixed at installation and checked at every start."""
    host: str = "127.0.0.1"
    port: int = Field(8080, ge=0, le=65535)
    console_token: SecretStr | None = None
    """Operators' bearer token; required unless the host is loopback."""
    profile_path: Paths = ()
    """Folders with further vehicle profiles, separated by ':'."""
    rule_path: Paths = ()
    """Further rule packs, separated by ':'."""
    cohort_path: Paths = ()
    """Files that change or add scheduled rules (TOML, as rules/packs/cohorts.toml), by ':'."""
    maintenance_path: Paths = ()
    """Further maintenance programmes (TOML files), separated by ':'."""
    terms_path: Paths = ()
    """Folders with TOML files that change ours (promises, days off, messages …), by ':'."""
    lateness_s: float = Field(30.0, gt=0)
    """A sample this much older than the vehicle's newest one is history (domain.md 3.2)."""
    dispatch_max_age_s: float | None = Field(None, gt=0)
    """An alert older than this on arrival opens no rescue case; None = as the profile says."""
    assess_every_s: float = Field(60.0, gt=0)
    """How soon a service is looked at again."""
    routing_url: str | None = Field(None, pattern=r"^https?://[^\s?#]+$", max_length=500)
    """A routing engine that speaks OSRM's table service; None = great circle x factor."""
    routing_profile: str = Field("driving", pattern=r"^[A-Za-z0-9_-]+$", max_length=50)
    routing_timeout_s: float = Field(1.0, gt=0, le=10)
    """A rescue waits so long for it, once; then the great circle counts."""
    webhook_url: str | None = None
    webhook_secret: SecretStr | None = None
    webhook_events: bool = False
    """Whether the webhook hears of events too (CloudEvents), not only of messages."""
    event_topic: str = "roadcall.events"
    """Where events go while the log is Kafka; key = VIN."""
    event_source: str = Field("/roadcall", min_length=1, max_length=200)
    """Names this installation in its events: CloudEvents' `source`, a URI reference."""
    max_batch_frames: int = Field(100_000, ge=1)
    max_body_bytes: int = Field(8_000_000, ge=1_000)
    max_inflated_bytes: int = Field(8_000_000, ge=1_000)
    max_future_s: float = Field(32_400.0, ge=0)
    """An upload further ahead of our clock is refused; from 60 s on it counts as of its arrival."""
    take_records: int = Field(200, ge=1)
    """Uploads one transaction takes at most."""
    pushed_batch_days: int = Field(35, ge=1)
    """How long a gateway may repeat a batch and still be recognised."""
    json_logs: bool = False

    @model_validator(mode="after")
    def _closed_to_the_network(self) -> Settings:
        if self.console_token is None and not _is_loopback(self.host):
            raise ValueError("console_token is required when host is not loopback")
        if (self.webhook_url is None) != (self.webhook_secret is None):
            raise ValueError("webhook_url and webhook_secret go together")
        return self


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
