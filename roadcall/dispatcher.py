"""The dispatcher: drives cases, clocks, maintenance and the outbox from the database's rows.

Nothing is remembered between two turns, so any number of dispatchers may run and any of them may
die at any point. A message is committed first, then sent, then marked: a crash between the two
sends it again under the same id.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import psycopg
import structlog

from dispatch.delivery import Sender
from dispatch.rescue_choice import Router
from dispatch.templates import load_every
from dispatch.terms import load_terms
from model.clock import Clock
from model.errors import StoreUnavailableError
from roadcall.dispatcher_alerts import GroupTurn, SuppressionTurn
from roadcall.dispatcher_campaigns import CampaignTurn
from roadcall.dispatcher_cases import CaseTurns, RuleTexts
from roadcall.dispatcher_clocks import ClockTurns
from roadcall.dispatcher_cohorts import CohortTurn
from roadcall.dispatcher_episodes import EpisodeTurn
from roadcall.dispatcher_maintenance import MaintenanceTurn
from roadcall.dispatcher_notices import DeliveryTurn, SpreadTurn
from roadcall.dispatcher_outbox import OutboxTurn
from roadcall.dispatcher_stations import StationDayTurn
from roadcall.dispatcher_work import WorkTurns
from roadcall.maintenance_meter import TripTurn
from store import notify
from store.database import Pool, connect

#: How long a turn that found nothing waits for a notification. Bounds the delay of deadlines.
IDLE_S = 1.0
#: How old an assessment of a maintenance item gets before odometer and date are looked at again.
ASSESS_EVERY_S = 60.0
RETRY_S = 1.0
#: How soon the listener sees that it shall stop.
LISTEN_S = 0.2

log = structlog.get_logger("roadcall.dispatcher")

Turn = Callable[[], int]


class Dispatcher:
    """All turns over one pool. `run` blocks; `drain` is for tests and one-shot commands."""

    def __init__(
        self,
        pool: Pool,
        senders: Sequence[Sender],
        clock: Clock,
        *,
        rule_texts: RuleTexts | None = None,
        assess_every_s: float = ASSESS_EVERY_S,
        router: Router | None = None,
        maintenance_path: Sequence[Path] = (),
        cohort_path: Sequence[Path] = (),
    ) -> None:
        load_every()
        self._pool = pool
        cases = CaseTurns(pool, clock, rule_texts or {}, router)
        clocks = ClockTurns(pool, clock)
        assess = MaintenanceTurn(pool, clock, assess_every_s, maintenance_path)
        self._outbox = OutboxTurn(pool, clock, senders, load_terms().delivery)
        self._channels = DeliveryTurn(pool, clock, load_terms().delivery)
        self._turns: dict[str, tuple[Turn, float]] = {
            "new": (cases.open_new, IDLE_S),
            "unanswered": (cases.confirm_unanswered, IDLE_S),
            "expire": (cases.expire_offers, IDLE_S),
            "offer": (cases.offer_confirmed, IDLE_S),
            "second": (cases.ask_second, IDLE_S),
            "clocks": (clocks.announce, IDLE_S),
            "alerts": (clocks.watch_alerts, IDLE_S),
            "suppression": (SuppressionTurn(pool, clock), IDLE_S),
            "groups": (GroupTurn(pool, clock, rule_texts or {}), IDLE_S),
            "campaigns": (CampaignTurn(pool, clock), IDLE_S),
            "trips": (TripTurn(pool, clock), IDLE_S),
            "work": (WorkTurns(pool, clock), IDLE_S),
            "maintenance": (assess, IDLE_S),
            "episodes": (EpisodeTurn(pool), IDLE_S),
            "cohorts": (CohortTurn(pool, clock, cohort_path), IDLE_S),
            "stations": (StationDayTurn(pool, clock), IDLE_S),
            "outbox": (self._outbox, IDLE_S),
            "spread": (SpreadTurn(pool, clock), IDLE_S),
            "channels": (self._channels, IDLE_S),
        }
        self._wakes = {name: threading.Event() for name in self._turns}
        self._bug: Exception | None = None

    def drain(self) -> None:
        """Take every turn until none finds anything to do at this moment."""
        while sum(turn() for turn, _ in self._turns.values()):
            pass

    def run(self, stop: threading.Event) -> None:
        """Blocks until `stop`. A bug stops every turn and is raised here."""
        threads = [
            threading.Thread(target=self._guard, args=(body, stop), name=f"dispatch-{name}")
            for name, body in self._bodies(stop).items()
        ]
        for thread in threads:
            thread.start()
        stop.wait()
        self._wake()
        for thread in threads:
            thread.join()
        self.close()
        if self._bug is not None:
            raise self._bug

    def close(self) -> None:
        """Let the sending threads go. The pool and the senders are the caller's."""
        self._outbox.close()
        self._channels.close()

    def _bodies(self, stop: threading.Event) -> dict[str, Callable[[], None]]:
        def repeating(name: str) -> Callable[[], None]:
            return lambda: self._repeat(name, stop)

        return {"listen": lambda: self._listen(stop)} | {n: repeating(n) for n in self._turns}

    def _guard(self, body: Callable[[], None], stop: threading.Event) -> None:
        try:
            body()
        except Exception as bug:
            log.exception("dispatcher.bug")
            self._bug = bug
        finally:
            stop.set()

    def _repeat(self, name: str, stop: threading.Event) -> None:
        turn, idle_s = self._turns[name]
        while not stop.is_set():
            try:
                found = turn()
            except StoreUnavailableError as error:
                log.warning("dispatcher.store_unavailable", turn=name, reason=str(error))
                stop.wait(RETRY_S)
                continue
            if found:
                self._wake()
            else:
                self._wakes[name].wait(idle_s)
                self._wakes[name].clear()

    def _wake(self) -> None:
        for wake in self._wakes.values():
            wake.set()

    def _listen(self, stop: threading.Event) -> None:
        """Turn notifications into wakes. Without them the turns still look once a second."""
        conninfo = self._pool.conninfo
        dsn = conninfo if isinstance(conninfo, str) else conninfo()
        while not stop.is_set():
            try:
                with connect(dsn, autocommit=True) as conn:
                    notify.listen(conn)
                    self._wake()
                    while not stop.is_set():
                        for _ in conn.notifies(timeout=LISTEN_S, stop_after=1):
                            self._wake()
            except (psycopg.Error, StoreUnavailableError) as error:
                log.warning("dispatcher.listen_lost", reason=type(error).__name__)
                stop.wait(RETRY_S)


def run(
    pool: Pool,
    senders: Sequence[Sender],
    clock: Clock,
    stop: threading.Event,
    *,
    rule_texts: RuleTexts | None = None,
    assess_every_s: float = ASSESS_EVERY_S,
    router: Router | None = None,
    maintenance_path: Sequence[Path] = (),
    cohort_path: Sequence[Path] = (),
) -> None:
    """Dispatch until `stop` is set. `senders` are tried in order; put the log sink last."""
    Dispatcher(
        pool,
        senders,
        clock,
        rule_texts=rule_texts,
        assess_every_s=assess_every_s,
        router=router,
        maintenance_path=maintenance_path,
        cohort_path=cohort_path,
    ).run(stop)
