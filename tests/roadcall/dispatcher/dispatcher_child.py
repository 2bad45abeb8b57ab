"""A dispatcher in a process of its own, to be killed. Arguments: dsn url moment offset_s.

`moment` says where it stops for ever, having told its parent: `before` or `after` sending, or
`never`. `offset_s` is how far its clock is ahead: a later generation finds the leases run out.
"""

from __future__ import annotations

import sys
import threading
import time

from dispatch.delivery import Delivery
from dispatch.webhook import WebhookSender
from model.clock import NS
from model.effects import OutboxRecord
from roadcall.dispatcher import run
from store.database import open_pool

SECRET = b"whsec-test"


class AheadClock:
    """The machine's clock and an offset."""

    def __init__(self, offset_s: float) -> None:
        self._offset_ns = round(offset_s * NS)

    def now_ns(self) -> int:
        return time.time_ns() + self._offset_ns


class Freezing:
    """A sender that stops at a given moment."""

    def __init__(self, url: str, moment: str) -> None:
        self._webhook, self._moment = WebhookSender(url, SECRET, timeout_s=5), moment

    def send(self, record: OutboxRecord, now_ns: int) -> Delivery:
        if self._moment == "before":
            self._freeze()
        delivery = self._webhook.send(record, now_ns)
        if self._moment == "after":
            self._freeze()
        return delivery

    def _freeze(self) -> None:
        print("frozen", flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    dsn, url, moment, offset_s = sys.argv[1:]
    print("running", flush=True)
    clock = AheadClock(float(offset_s))
    run(open_pool(dsn, 8), [Freezing(url, moment)], clock, threading.Event())
