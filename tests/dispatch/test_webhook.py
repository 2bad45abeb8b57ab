"""The webhook's signature, its answers, and a real HTTP receiver."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dispatch.delivery import Outcome
from dispatch.webhook import WebhookSender, body_of, judge, sign
from model.clock import NS
from model.effects import OutboxRecord
from tests.receiver import Receiver

SECRET = b"whsec-test"
RECORD = OutboxRecord("case/c1/offer/2", "rescue.offer", {"case_id": "c1"})
BODY = b'{"body":{"case_id":"c1"},"id":"case/c1/offer/2","kind":"rescue.offer"}'
#: printf '1700000000.<BODY>' | openssl dgst -sha256 -hmac whsec-test
SIGNATURE = "sha256=afe884b1e54b6e865b40b9f3833ffd9c87cf08cb7775554755d557047ccbb539"


def test_signature_is_what_openssl_computes() -> None:
    assert body_of(RECORD) == BODY
    assert sign(SECRET, "1700000000", BODY) == SIGNATURE


@pytest.mark.parametrize(
    ("status", "outcome"),
    [(s, Outcome.SENT) for s in (200, 201, 202, 204, 299)]
    + [(s, Outcome.DEAD) for s in (400, 401, 403, 404, 410, 413, 422)]
    + [(s, Outcome.RETRY) for s in (301, 302, 408, 429, 500, 502, 503, 504)],
)
def test_what_an_answer_means(status: int, outcome: Outcome) -> None:
    assert judge(status).outcome is outcome


def test_the_receivers_wish_to_wait_is_heard() -> None:
    assert judge(429, "120").wait_s == 120
    assert judge(503, "Fri, 31 Dec 1999 23:59:59 GMT").wait_s == 0
    assert judge(503, "²").wait_s == 0


@pytest.fixture
def sender(receiver: Receiver) -> Iterator[WebhookSender]:
    sender = WebhookSender(receiver.url, SECRET, timeout_s=5)
    yield sender
    sender.close()


def test_a_receiver_can_verify_what_arrives(receiver: Receiver, sender: WebhookSender) -> None:
    assert sender.send(RECORD, 1_700_000_000 * NS).outcome is Outcome.SENT
    ((headers, body),) = receiver.seen
    assert json.loads(body) == {"id": RECORD.key, "kind": RECORD.kind, "body": RECORD.body}
    assert headers["X-Roadcall-Id"] == RECORD.key
    assert headers["X-Roadcall-Timestamp"] == "1700000000"
    assert headers["X-Roadcall-Signature"] == SIGNATURE
    assert headers["Content-Type"] == "application/json"


def test_every_try_has_the_same_id_and_body(receiver: Receiver, sender: WebhookSender) -> None:
    receiver.status = 503
    assert sender.send(RECORD, 1 * NS).outcome is Outcome.RETRY
    receiver.status = 200
    assert sender.send(RECORD, 2 * NS).outcome is Outcome.SENT
    (first, second) = receiver.seen
    assert first[1] == second[1]
    assert first[0]["X-Roadcall-Id"] == second[0]["X-Roadcall-Id"]
    assert first[0]["X-Roadcall-Signature"] != second[0]["X-Roadcall-Signature"]


def test_nobody_listening_is_tried_again() -> None:
    sender = WebhookSender("http://127.0.0.1:9/hook", SECRET, timeout_s=2)
    delivery = sender.send(RECORD, NS)
    sender.close()
    assert (delivery.outcome, delivery.error) == (Outcome.RETRY, "ConnectError")


def test_the_documented_check_accepts_ours_and_refuses_others() -> None:
    page = (Path(__file__).parents[2] / "docs" / "webhooks.md").read_text("utf-8")
    snippet = page.split("```python\n")[1].split("```")[0]
    scope: dict[str, Any] = {}
    exec(snippet, scope)
    genuine = {"X-Roadcall-Timestamp": "1700000000", "X-Roadcall-Signature": SIGNATURE}
    is_genuine = scope["is_genuine"]
    assert is_genuine(SECRET, genuine, BODY, 1_700_000_300)
    assert not is_genuine(SECRET, genuine, BODY, 1_700_000_301)
    assert not is_genuine(SECRET, genuine, BODY + b" ", 1_700_000_000)
    assert not is_genuine(b"other", genuine, BODY, 1_700_000_000)
    moved = genuine | {"X-Roadcall-Timestamp": "1700000001"}
    assert not is_genuine(SECRET, moved, BODY, 1_700_000_000)
