"""Parameters of cases, work orders, complaints and incidents, read from dispatch/work.toml."""

from __future__ import annotations

from functools import cache
from typing import Annotated

from pydantic import Field

from model.record import Record
from model.severity import Severity
from model.terms_files import read_terms

Positive = Annotated[float, Field(gt=0)]


class RepeatTerms(Record):
    """When a fault is the old one come back, and who then helps."""

    days: Positive
    km: Positive
    escalate_at: Annotated[int, Field(ge=2)]
    incident_at: Annotated[int, Field(ge=2)]


class VerifyTerms(Record):
    """When a repair counts as proven."""

    days: Positive
    km: Positive
    monitors: bool
    look_every_s: Positive


class ClusterTerms(Record):
    """When many alerts are one incident."""

    alerts: Annotated[int, Field(ge=2)]
    severity: Severity
    hours: Positive


class ComplaintTerms(Record):
    """What proves that a complaint is over; empty takes any proof."""

    proof: str = ""


class WorkTerms(Record):
    """One brand's parameters."""

    case_min_severity: Severity
    approval_certificate: str
    high_voltage_certificate: str
    repeat: RepeatTerms
    verify: VerifyTerms
    cluster: ClusterTerms
    complaint: ComplaintTerms


@cache
def load_work_terms(brand: str = "default") -> WorkTerms:
    """The brand's parameters laid over `default`. Raises ValidationError when the file is wrong."""
    tables = read_terms("work.toml")
    merged = dict(tables["default"])
    for name, value in tables.get(brand.lower(), {}).items():
        merged[name] = {**merged[name], **value} if isinstance(value, dict) else value
    return WorkTerms.model_validate(merged)
