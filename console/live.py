"""What is open right now, kept fresh by NOTIFY: one LISTEN connection per console process.

NOTIFY only says "look again"; the tables are the truth. They are read after every notification,
after every reconnect, and at least every `REREAD_S` seconds.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace

import structlog

from console.bodies import AlertBody, CaseBody
from store.database import connect
from store.notify import listen

log = structlog.get_logger("roadcall.live")

#: Notifications arriving within this time become one read.
GATHER_S = 0.05
REREAD_S = 15.0
RECONNECT_S = 1.0


@dataclass(frozen=True, slots=True)
class Board:
    """One reading of everything open. Shared by all page clients, never changed."""

    alerts: tuple[AlertBody, ...] = ()
    recent: tuple[AlertBody, ...] = ()
    cases: tuple[CaseBody, ...] = ()
    #: Whether the LISTEN connection stands; pages say so.
    live: bool = False


Watcher = Callable[[Board], None]


class Live:
    """A thread that listens, reads, and hands the board to its watchers."""

    def __init__(self, conninfo: str, read: Callable[[], Board]) -> None:
        self._conninfo = conninfo
        self._read = read
        self._watchers: set[Watcher] = set()
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self.board = Board()

    def start(self) -> None:
        """Begin listening. Does nothing when already started."""
        if self._thread is None:
            self._stopping.clear()
            self._thread = threading.Thread(target=self._run, name="console-live", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """End the thread and its connection."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(timeout=5)
            self._thread = None

    def watch(self, watcher: Watcher) -> Callable[[], None]:
        """Call `watcher` (on the listening thread) at every change. Returns the way to stop it."""
        with self._lock:
            self._watchers.add(watcher)

        def unwatch() -> None:
            with self._lock:
                self._watchers.discard(watcher)

        return unwatch

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._listen()
            except Exception as fault:  # whatever it was, pages must not go on looking alive
                log.warning("live.lost", error=type(fault).__name__)
                self._publish(replace(self.board, live=False))
                self._stopping.wait(RECONNECT_S)

    def _listen(self) -> None:
        with connect(self._conninfo, autocommit=True) as conn:
            listen(conn)
            self._publish(self._read())
            quiet_s = 0.0
            while not self._stopping.is_set():
                heard = any(True for _ in conn.notifies(timeout=0.5, stop_after=1))
                quiet_s += 0.5
                if heard:
                    for _ in conn.notifies(timeout=GATHER_S):
                        pass
                if heard or quiet_s >= REREAD_S:
                    self._publish(self._read())
                    quiet_s = 0.0

    def _publish(self, board: Board) -> None:
        self.board = board
        with self._lock:
            watchers = list(self._watchers)
        for watcher in watchers:
            watcher(board)
