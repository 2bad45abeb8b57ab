"""What the console is told by the application; it reads no environment of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pydantic import SecretStr


@dataclass(frozen=True, slots=True)
class ConsoleConfig:
    """`token` is the operator's bearer token; None leaves API and pages open (loopback only).

    `rule_texts` names each rule for people: rule id -> {"zh": ..., "en": ...}. A rule that is not
    named there is shown by its id.
    """

    token: SecretStr | None = None
    rule_texts: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
