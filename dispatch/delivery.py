"""What every way to send has in common: the outcome of a try, and when to try again."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from dispatch.terms import DeliveryTerms
from model.effects import OutboxRecord


class Outcome(StrEnum):
    """What one try came to."""

    SENT = "sent"
    RETRY = "retry"
    DEAD = "dead"  # the receiver will never take it; an operator must look


@dataclass(frozen=True, slots=True)
class Delivery:
    """One try: outcome, why it failed, how long the receiver asked us to wait, what it answered."""

    outcome: Outcome
    error: str = ""
    wait_s: float = 0.0
    receipt: str = ""


class Sender(Protocol):
    """A way to the outside. Never raises: whatever goes wrong is a Delivery."""

    def send(self, record: OutboxRecord, now_ns: int) -> Delivery: ...


def delay_s(attempts: int, terms: DeliveryTerms, *, jitter: float, wait_s: float = 0.0) -> float:
    """Seconds until the next try after `attempts` failed ones.

    Doubles from `first_delay_s` to `longest_delay_s`; `jitter` in [0, 1) takes up to half off, so
    that messages that failed together do not return together. A receiver's own wish is a floor.
    """
    doubled = terms.first_delay_s * 2.0 ** min(attempts - 1, 60)
    backed_off = min(doubled, terms.longest_delay_s) * (1 - jitter / 2)
    return max(backed_off, min(wait_s, terms.longest_delay_s))


def given_up(attempts: int, terms: DeliveryTerms) -> bool:
    """Whether the failed tries so far are enough."""
    return attempts >= terms.attempts
