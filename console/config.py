"""What the console is told by the application; it reads no environment of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pydantic import SecretStr

from console.evidence_routes import EvidenceDesk
from console.rule_routes import RuleDesk
from store.master_import import VehicleFault, nothing_wrong


@dataclass(frozen=True, slots=True)
class ConsoleConfig:
    """`token` is the operator's bearer token; None leaves API and pages open (loopback only).

    `rule_texts` names each rule for people: rule id -> {"zh": ..., "en": ...}. A rule that is not
    named there is shown by its id. `vehicle_fault` refuses vehicles that could not be decoded.
    `evidence` answers why an alert was raised, `rules` brings rules into force; both need decoders
    and rules, which only the application has. Without them their routes are not there.
    """

    token: SecretStr | None = None
    rule_texts: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    vehicle_fault: VehicleFault = nothing_wrong
    evidence: EvidenceDesk | None = None
    rules: RuleDesk | None = None
