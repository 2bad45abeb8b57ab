"""The embedded mode's runner: one thread that reads the inbox and applies it.

It owns all partitions. The ledger fences a second runner that somebody starts by mistake.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

import structlog

from model.clock import NS, Clock
from model.errors import StaleOwnerError, StoreUnavailableError
from model.log import StoredRecord
from roadcall.processor import Processor
from store import inbox
from store.database import Pool, transaction

#: How long to sleep when nothing has woken us: bounds the latency of appends of other processes.
IDLE_S = 0.05
RETRY_S = 0.5
PRUNE_EVERY_NS = 30 * NS
TICK_EVERY_NS = NS

log = structlog.get_logger()


class EmbeddedWorker:
    """Feeds a processor from `frame_inbox` until told to stop."""

    def __init__(
        self,
        pool: Pool,
        processor: Processor,
        clock: Clock,
        partitions: int,
        take: int,
    ) -> None:
        self._pool, self._processor, self._clock = pool, processor, clock
        self._partitions, self._take = partitions, take
        self._next: dict[int, int] = {}
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._ticked_ns = self._pruned_ns = 0

    def wake(self) -> None:
        """Something was appended."""
        self._wake.set()

    def stop(self) -> None:
        """Finish the transaction under way and return."""
        self._stop.set()
        self._wake.set()

    def run(self) -> None:
        """Blocks until `stop`. Bugs end the thread: nothing is skipped past a bug."""
        while not self._stop.is_set():
            try:
                idle = not self._step()
            except StaleOwnerError:
                log.warning("inbox.other_owner")
                self._next = {}
                self._stop.wait(RETRY_S)
            except StoreUnavailableError as error:
                log.warning("inbox.store_unavailable", reason=str(error))
                self._next = {}
                self._stop.wait(RETRY_S)
            else:
                if idle:
                    self._wake.wait(IDLE_S)
                    self._wake.clear()

    def drain(self) -> None:
        """Apply all that is in the inbox now, then return. For tests and one-shot commands."""
        while self._step():
            pass

    def _step(self) -> bool:
        if not self._next:
            self._next = self._processor.assigned(range(self._partitions))
        records = self._read()
        if records:
            self._processor.apply(records)
            self._next.update({p: rs[-1].position + 1 for p, rs in records.items()})
        self._duties()
        return bool(records)

    def _read(self) -> dict[int, list[StoredRecord]]:
        with transaction(self._pool) as conn:
            return inbox.read_many(conn, self._next, max(1, self._take // self._partitions))

    def _duties(self) -> None:
        now_ns = self._clock.now_ns()
        if now_ns - self._ticked_ns >= TICK_EVERY_NS:
            self._ticked_ns = now_ns
            self._processor.tick(now_ns)
        if now_ns - self._pruned_ns >= PRUNE_EVERY_NS:
            self._pruned_ns = now_ns
            with transaction(self._pool) as conn:
                inbox.prune(conn)


def start(worker: EmbeddedWorker, on_death: Callable[[], None]) -> threading.Thread:
    """Run the worker in a thread; `on_death` is called when a bug ended it."""

    def body() -> None:
        try:
            worker.run()
        except Exception:
            log.exception("inbox.bug")
            on_death()

    thread = threading.Thread(target=body, name="roadcall-worker", daemon=True)
    thread.start()
    return thread
