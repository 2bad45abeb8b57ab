"""Whether the demo kept its word: every frame stored, every seeded fault found."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from rules.bundle import Bundle
from simulators.fleet import Fleet, SeededFault
from simulators.gateway import Gateway
from store import figures
from store.database import Pool, transaction

#: How long the last uploads may take to be applied, and the last reminder to be written.
SETTLE_LIMIT_S = 40.0
LOOK_EVERY_S = 0.5
#: Maintenance is no rule of a pack: what a scenario calls M02 is this item of the vehicle.
SERVICE_ITEMS = {"M02": frozenset({"service"})}


@dataclass(frozen=True, slots=True)
class Summary:
    """The last line of `--once`."""

    frames_sent: int
    frames_stored: int
    alerts: int
    rescue_cases: int
    reminders: int
    acked_minus_stored: int


async def settled(
    pool: Pool, fleet: Fleet, bundle: Bundle, gateway: Gateway
) -> tuple[list[SeededFault], Summary]:
    """Wait until all acknowledged frames are stored and all faults found, or long enough."""
    for _ in range(round(SETTLE_LIMIT_S / LOOK_EVERY_S)):
        missed, summary = await asyncio.to_thread(_look, pool, fleet, bundle, gateway)
        if not missed and summary.acked_minus_stored == 0:
            break
        await asyncio.sleep(LOOK_EVERY_S)
    return missed, summary


def _look(
    pool: Pool, fleet: Fleet, bundle: Bundle, gateway: Gateway
) -> tuple[list[SeededFault], Summary]:
    with transaction(pool) as conn:
        found = figures.found_faults(conn)
        counts = figures.counts(conn)

    def reached(fault: SeededFault) -> bool:
        names = SERVICE_ITEMS.get(fault.rule) or {
            rule.id for rule in bundle.rules if fault.rule in rule.domain
        }
        return any(found.get((fault.vin, name), -1) >= fault.severity for name in names)

    missed = [fault for fault in fleet.seeded_faults() if not reached(fault)]
    sent = gateway.totals.frames
    return missed, Summary(sent, **counts, acked_minus_stored=sent - counts["frames_stored"])
