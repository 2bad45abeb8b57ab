"""Messages to a station's or a crew's own system over HTTP, signed.

Source: docs/webhooks.md (our own format; HMAC per RFC 2104 with SHA-256).

    X-Roadcall-Id          stable: the same on every try; a receiver drops what it has seen
    X-Roadcall-Timestamp   seconds since 1970-01-01 UTC, of this try
    X-Roadcall-Signature   "sha256=" + hex HMAC of timestamp + "." + body

Any 2xx answer means taken. 4xx means never, except 408 and 429; all else is tried again.
"""

from __future__ import annotations

import hashlib
import hmac

import httpx
import orjson

from dispatch.delivery import Delivery, Outcome
from dispatch.events import CONTENT_TYPE, bytes_of, is_event
from model.clock import NS
from model.effects import OutboxRecord

#: 4xx answers that ask for another try (RFC 9110 15.5.9, RFC 6585 4).
TRY_AGAIN = frozenset({408, 429})


def sign(secret: bytes, timestamp: str, body: bytes) -> str:
    """The signature header of one try."""
    mac = hmac.new(secret, timestamp.encode() + b"." + body, hashlib.sha256)
    return f"sha256={mac.hexdigest()}"


def body_of(record: OutboxRecord) -> bytes:
    """The JSON every try carries, byte for byte the same."""
    envelope = {"id": record.key, "kind": record.kind, "body": record.body}
    return orjson.dumps(envelope, option=orjson.OPT_SORT_KEYS)


class WebhookSender:
    """POSTs each message to one address. Safe to share between threads."""

    def __init__(
        self, url: str, secret: bytes, *, timeout_s: float = 10.0, events: bool = True
    ) -> None:
        self._url, self._secret, self._events = url, secret, events
        self._client = httpx.Client(timeout=timeout_s, follow_redirects=False)

    def send(self, record: OutboxRecord, now_ns: int) -> Delivery:
        """One try; never raises. An event is taken and dropped where none are wanted."""
        body, content_type = body_of(record), "application/json"
        if is_event(record):
            if not self._events:
                return Delivery(Outcome.SENT)
            body, content_type = bytes_of(record), CONTENT_TYPE
        timestamp = str(now_ns // NS)
        headers = {
            "Content-Type": content_type,
            "X-Roadcall-Id": record.key,
            "X-Roadcall-Timestamp": timestamp,
            "X-Roadcall-Signature": sign(self._secret, timestamp, body),
        }
        try:
            answer = self._client.post(self._url, content=body, headers=headers)
        except httpx.HTTPError as error:
            return Delivery(Outcome.RETRY, type(error).__name__)
        return judge(answer.status_code, answer.headers.get("Retry-After", ""))

    def close(self) -> None:
        """Give the connections back."""
        self._client.close()


def judge(status: int, retry_after: str = "") -> Delivery:
    """What a receiver's answer means."""
    if 200 <= status < 300:
        return Delivery(Outcome.SENT, receipt=f"http {status}")
    if 400 <= status < 500 and status not in TRY_AGAIN:
        return Delivery(Outcome.DEAD, f"http {status}")
    wait_s = float(retry_after) if retry_after.isascii() and retry_after.isdigit() else 0.0
    return Delivery(Outcome.RETRY, f"http {status}", wait_s)
