"""The dispatcher's turn over clocks: mark what is due, say it, in one transaction.

Any number of dispatchers may run it: due rows are claimed with SKIP LOCKED, and each share of each
clock is announced once (see store.clocks.fire_due).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

from dispatch import clocks, rescue_messages
from dispatch.clocks import promise
from model.clock import Clock, utc
from model.promises import Fact
from store import cases, notify, outbox
from store import clocks as clock_rows
from store.alert_clocks import claim_settled, claim_unwatched
from store.database import Connection, Pool, transaction

#: Clocks of one transaction.
TAKE_CLOCKS, TAKE_ALERTS = 200, 200

#: What a noun knows about its subjects now: facts by noun_id, said in the warning.
Describe: TypeAlias = Callable[[Connection, Sequence[str]], Mapping[str, Mapping[str, Fact]]]


def describe_cases(conn: Connection, noun_ids: Sequence[str]) -> Mapping[str, Mapping[str, Fact]]:
    """Rescue cases: where they stand and who is on the way."""
    return {
        str(case.case_id): {"state": case.state, "unit_id": case.unit_id, "owner": case.owner}
        for case in cases.many(conn, noun_ids)
    }


DESCRIBE: dict[str, Describe] = {"rescue_case": describe_cases}


class ClockTurns:
    """Each method says how many rows it handled."""

    def __init__(self, pool: Pool, clock: Clock) -> None:
        self._pool, self._clock = pool, clock

    def announce(self) -> int:
        """Say that shares of promises are used up."""
        with transaction(self._pool) as conn:
            firings = clock_rows.fire_due(conn, utc(self._clock.now_ns()), TAKE_CLOCKS)
            known = {
                noun: describe(conn, [f.clock.noun_id for f in firings if f.clock.noun == noun])
                for noun, describe in DESCRIBE.items()
                if any(f.clock.noun == noun for f in firings)
            }
            said = [
                rescue_messages.clock_warning(
                    firing, known.get(firing.clock.noun, {}).get(firing.clock.noun_id, {})
                )
                for firing in firings
            ]
            outbox.add(conn, *said)
            notify.tell(conn, sorted({f"case:{case}" for case in known.get("rescue_case", {})}))
            return len(firings)

    def watch_alerts(self) -> int:
        """Start the acknowledgement clock of new alerts; end it where the alert is over."""
        now = utc(self._clock.now_ns())
        with transaction(self._pool) as conn:
            fresh = claim_unwatched(conn, clocks.ACKNOWLEDGE, TAKE_ALERTS)
            for alert in fresh:
                variant = f"severity_{alert.severity}"
                watch = promise(clocks.ACKNOWLEDGE, alert.brand, variant)
                facts: dict[str, Fact] = {
                    "alert_id": str(alert.alert_id),
                    "vin": alert.vin,
                    "plate": alert.plate or alert.vin,
                    "station_id": alert.station_id or None,
                    "severity": alert.severity,
                    "rule_id": alert.rule_id,
                }
                begin, since = (
                    (clock_rows.restart, now) if alert.again else (clock_rows.start, alert.heard_at)
                )
                begin(conn, watch, "alert", str(alert.alert_id), since, facts=facts)
            over = claim_settled(conn, TAKE_ALERTS)
            for alert_id in over:
                clock_rows.stop(conn, "alert", alert_id, now, kinds=[clocks.ACKNOWLEDGE], void=True)
            return len(fresh) + len(over)
