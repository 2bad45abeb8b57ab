"""Errors built from facts. Texts are lower case and carry no VIN."""

from __future__ import annotations

from collections.abc import Sequence


class RoadcallError(Exception):
    """Base of every error Roadcall raises on purpose."""


class DecodeError(RoadcallError):
    """Foreign bytes that break the rules of their format. Goes to the dead-letter store."""


class TruncatedFrameError(DecodeError):
    """Fewer bytes than the format promises."""

    def __init__(self, *, needed: int, got: int) -> None:
        super().__init__(f"frame too short: needed {needed} bytes, got {got}")
        self.needed, self.got = needed, got


class LimitExceededError(DecodeError):
    """A named bound was passed; the bound is a setting or a constant of the format."""

    def __init__(self, *, what: str, limit: int, got: int) -> None:
        super().__init__(f"{what}: limit {limit}, got {got}")
        self.what, self.limit, self.got = what, limit, got


class StoreUnavailableError(RoadcallError):
    """The database does not answer; retry with back-off."""


class LogUnavailableError(RoadcallError):
    """The log (inbox or Kafka) did not confirm in time; the gateway must send again."""


class LogFullError(LogUnavailableError):
    """The bounded buffer before the log is full; slow down."""


class StaleOwnerError(RoadcallError):
    """Another owner has moved the partition on; drop its memory and read again."""

    def __init__(self, *, partition: int, expected: int) -> None:
        super().__init__(f"partition {partition}: ledger is not at position {expected}")
        self.partition, self.expected = partition, expected


class TransitionError(RoadcallError):
    """A state machine refused a step. Names the state and the step."""

    def __init__(self, *, noun: str, state: str, step: str, why: str = "") -> None:
        reason = f": {why}" if why else ""
        super().__init__(f"{noun} in state {state} cannot {step}{reason}")
        self.noun, self.state, self.step, self.why = noun, state, step, why


class BundleRefusedError(RoadcallError):
    """Rules that do not come into force; what ran before goes on. `faults` has a line a fault."""

    def __init__(self, faults: Sequence[str]) -> None:
        super().__init__(f"rules refused, {len(faults)} faults:\n" + "\n".join(faults))
        self.faults = tuple(faults)
