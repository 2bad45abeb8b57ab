"""Back-off: doubling, bounded, spread by jitter, given up in the end."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from dispatch.delivery import Outcome, delay_s, given_up
from dispatch.log_sink import LogSender
from dispatch.terms import DeliveryTerms
from model.effects import OutboxRecord

TERMS = DeliveryTerms(first_delay_s=2, longest_delay_s=600, attempts=12)


@pytest.mark.parametrize(
    ("attempts", "seconds"), [(1, 2), (2, 4), (3, 8), (9, 512), (10, 600), (5000, 600)]
)
def test_doubles_up_to_the_longest(attempts: int, seconds: float) -> None:
    assert delay_s(attempts, TERMS, jitter=0.0) == seconds


@given(st.integers(1, 100), st.floats(0, 1, exclude_max=True), st.floats(0, 1e9))
def test_stays_between_half_and_the_longest(attempts: int, jitter: float, wait_s: float) -> None:
    delay = delay_s(attempts, TERMS, jitter=jitter, wait_s=wait_s)
    assert 1 <= delay <= 600
    assert delay >= min(wait_s, 600)


def test_given_up_after_the_last_attempt() -> None:
    assert [n for n in range(1, 15) if given_up(n, TERMS)] == [12, 13, 14]


def test_the_log_names_the_message_and_nobody_else() -> None:
    record = OutboxRecord("case/c1/offer/2", "rescue.offer", {"vin": "LRDCALL0000000001"})
    with capture_logs() as lines:
        assert LogSender().send(record, 0).outcome is Outcome.SENT
    (line,) = lines
    assert line.pop("log_level") == "info"
    assert line == {"event": "message", "id": "case/c1/offer/2", "kind": "rescue.offer"}
